#version 330
in vec2 u;
uniform vec3 tone;
out vec4 outColour;
void main() {
    float r = length(u);
    outColour = vec4(tone * (exp(-r * r * 40.) * 3. + .25 * exp(-r * r * 6.)) * smoothstep(1., .7, r), 1);
}
