#version 330
in vec2 v;
out vec2 q;
void main() { q = v; gl_Position = vec4(v, 0, 1); }
