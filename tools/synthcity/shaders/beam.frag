#version 330
in vec2 u;
uniform vec4 rect; uniform sampler2D albedoMap; uniform vec3 beamCol;
out vec4 outColour;
void main() {
    vec2 p = vec2(u.x + rect.z, u.y);
    float side = exp(-pow(abs(p.y) / (.9 + .17 * p.x), 2.)), far = smoothstep(.5, 4., p.x) * exp(-p.x / 8.);
    outColour = vec4(texelFetch(albedoMap, ivec2(gl_FragCoord.xy), 0).rgb * beamCol * side * far, 1);
}
