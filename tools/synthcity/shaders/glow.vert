#version 330
// A lamp's halo: a square that faces the camera, sized in metres but never below a few pixels.
in vec2 v;
#include lens.glsl
uniform vec3 at; uniform vec2 size;
out vec2 u;
void main() {
    u = v;
    vec4 c = project(at);
    c.xy += v * size * max(c.w * .012, 1.);
    c.z -= .0012 * c.w;
    gl_Position = c;
}
