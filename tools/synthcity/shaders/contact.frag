#version 330
in vec2 u;
uniform vec4 rect; uniform float strength;
out vec4 outColour;
void main() {
    vec2 d = abs(u) - rect.zw + 1.05;
    float s = length(max(d, 0.)) + min(max(d.x, d.y), 0.);
    outColour = vec4(vec3(1. - strength * (1. - smoothstep(-.45, .95, s))), 1);
}
