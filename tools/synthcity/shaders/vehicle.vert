#version 330
in vec3 p; in vec3 n; in vec2 uv;
#include lens.glsl
uniform mat4 pose; uniform mat4 wheelPose[4]; uniform int wheels;
out vec3 P; out vec3 N; out vec2 U; out vec3 O;
void main() {
    vec4 o = vec4(p, 1); vec3 m = n;
    if (wheels == 1) { o = wheelPose[gl_InstanceID] * o; m = mat3(wheelPose[gl_InstanceID]) * m; }
    O = o.xyz; U = uv;
    P = (pose * o).xyz; N = mat3(pose) * m;
    gl_Position = project(P);
}
