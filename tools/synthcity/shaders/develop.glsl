// From light to the picture a camera delivers: motion blur, softness, exposure, curve, noise, rain.
in vec2 q;
uniform sampler2D scene;
#ifdef MOVING
uniform usampler2D ids; uniform int mover; uniform vec2 motion;  // one vehicle, and the share of the picture it moves by
#endif
uniform sampler2D grain; uniform vec2 grainAt; uniform float grainAmount;
uniform float exposure; uniform vec3 balance; uniform float colourfulness; uniform float soft; uniform float vignette;
uniform float rain; uniform float time; uniform vec2 pixel; uniform float lift;
layout(location = 0) out vec4 outColour;
float hash(vec2 p) { vec3 q = fract(vec3(p.xyx) * .1031); q += dot(q, q.yzx + 33.33); return fract((q.x + q.y) * q.z); }
void main() {
    vec2 u = q * .5 + .5;
#ifdef MOVING
    if (int(texelFetch(ids, ivec2(u * vec2(textureSize(ids, 0))), 0).r) != mover) discard;
    vec3 c = vec3(0);
    for (int i = 0; i < 7; i++) c += texture(scene, u + motion * (float(i) / 6. - .5)).rgb;
    c /= 7.;
#else
    vec2 e = pixel * soft;
    vec3 c = .25 * (texture(scene, u + e).rgb + texture(scene, u - e).rgb
        + texture(scene, u + vec2(e.x, -e.y)).rgb + texture(scene, u + vec2(-e.x, e.y)).rgb);
#endif
    if (rain > 0.) {
        for (int k = 0; k < 2; k++) {
            vec2 p = q * vec2(90. + 60. * float(k), 2.6 + float(k)) + vec2(q.y * 5., time * 37. + float(k) * 9.);
            float streak = step(.985, hash(floor(p))) * smoothstep(.5, .0, abs(fract(p.x) - .5)) * smoothstep(.5, .1, abs(fract(p.y) - .5));
            c += streak * rain * .10;
        }
    }
    c *= exposure * balance * (1. - vignette * dot(q, q));
    // A film's shoulder, 1 - exp(-1.35 c), and a display's gamma, both by cheap stand-ins within one step of 255.
    vec3 x = 1.35 * max(c, 0.);
    c = sqrt(1. - 1. / (1. + x * (1. + x * (.5 + x * .1667))));
    c *= 1.12 - .12 * c;
    c = mix(c, c * c * (3. - 2. * c), .45) * (1. - lift) + lift;
    float l = dot(c, vec3(.3, .59, .11));
    c = mix(vec3(l), c, colourfulness);
    vec3 g = texture(grain, gl_FragCoord.xy / 512. + grainAt).rgb - .5;
    c += g * grainAmount * mix(1.3, .5, l);
    outColour = vec4(c, 1);
}
