// Light, noise and lens shared by all passes. Linear colour, metres, z up.
uniform vec3 sunDir;    // towards the sun
uniform vec3 sunCol;    // irradiance of a surface that faces it
uniform vec3 skyUp;     // ambient light from above
uniform vec3 skyDown;   // and from the ground
uniform vec3 eye;
uniform vec3 fogCol;
uniform float fogM;     // distance at which fog has taken 63 %
uniform sampler2D env;  // equirectangular surroundings, for reflections

float hash(vec2 p) {
    vec3 q = fract(vec3(p.xyx) * .1031);
    q += dot(q, q.yzx + 33.33);
    return fract((q.x + q.y) * q.z);
}
float noise(vec2 p) {
    vec2 i = floor(p), f = fract(p);
    f = f * f * (3. - 2. * f);
    return mix(mix(hash(i), hash(i + vec2(1, 0)), f.x), mix(hash(i + vec2(0, 1)), hash(i + vec2(1, 1)), f.x), f.y);
}
float clouds(vec2 p) {
    float sum = 0., share = .5;
    for (int i = 0; i < 5; i++) { sum += share * noise(p); p = p * 2.03 + 17.1; share *= .5; }
    return sum;
}
vec3 ambient(vec3 n) { return mix(skyDown, skyUp, n.z * .5 + .5); }
vec3 surroundings(vec3 d, float blur) {
    return textureLod(env, vec2(atan(d.y, d.x) / 6.28318 + .5, acos(clamp(d.z, -1., 1.)) / 3.14159), blur).rgb;
}
