#version 330
in vec3 p; in vec3 n; in vec2 uv; in vec2 kind; in vec3 col;
uniform mat4 toClip;
out vec3 P; out vec3 N; out vec2 U; flat out vec2 K; out vec3 C;
void main() { P = p; N = n; U = uv; K = kind; C = col; gl_Position = toClip * vec4(p, 1); }
