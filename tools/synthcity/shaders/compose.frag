#version 330
// The stored background with today's shadows, and its depth.
in vec2 q;
uniform sampler2D ambientMap; uniform sampler2D sunMap; uniform sampler2D depthMap; uniform sampler2D groundPoint;
uniform sampler2DShadow carMap; uniform mat4 toCarSun; uniform float sunny; uniform float carTexel;
layout(location = 0) out vec4 outColour;
layout(location = 1) out uint outId;
void main() {
    ivec2 c = ivec2(gl_FragCoord.xy);
    vec3 a = texelFetch(ambientMap, c, 0).rgb, s = texelFetch(sunMap, c, 0).rgb;
    float k = sunny;
    gl_FragDepth = texelFetch(depthMap, c, 0).r;
    if (sunny > 0. && s.g > .003) {
        vec3 u = (toCarSun * vec4(texelFetch(groundPoint, c, 0).rgb, 1)).xyz * .5 + .5;
        if (all(greaterThan(u, vec3(0))) && all(lessThan(u, vec3(1)))) {
            u.z -= .0012;
            vec2 e = vec2(carTexel, -carTexel) * .7;
            k *= .25 * (texture(carMap, u + vec3(e.xx, 0)) + texture(carMap, u + vec3(e.yy, 0))
                      + texture(carMap, u + vec3(e.xy, 0)) + texture(carMap, u + vec3(e.yx, 0)));
        }
    }
    outColour = vec4(a + s * k, 1);
    outId = 0u;
}
