#version 330
in vec3 p;
uniform mat4 toClip; uniform mat4 pose;
void main() { gl_Position = toClip * (pose * vec4(p, 1)); }
