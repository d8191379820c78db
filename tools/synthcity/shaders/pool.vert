#version 330
// A quad on the road under or before a vehicle: its contact shadow, or the light of its lamps.
in vec2 v;
#include lens.glsl
uniform mat4 pose; uniform vec4 rect;  // centre and half size in the vehicle's frame
out vec2 u;
void main() {
    u = v * rect.zw;
    vec4 c = project((pose * vec4(rect.xy + u, .03, 1)).xyz);
    c.z -= .0003 * c.w;
    gl_Position = c;
}
