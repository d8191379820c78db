#version 330
#include common.glsl
// The fixed world. kind.x: 0 ground, 1 facade, 2 leaves, 3 plain, 4 road paint, 5 light. kind.y: a seed.
in vec3 P; in vec3 N; in vec2 U; flat in vec2 K; in vec3 C;
layout(location = 0) out vec4 outAmbient;  // all light but the sun's
layout(location = 1) out vec4 outSun;      // the sun's share, or the albedo where there is no sun
uniform sampler2D groundMap; uniform vec4 groundBox; uniform float pavement; uniform float built;
uniform sampler2DShadow sunMap; uniform mat4 toSun; uniform int depthOnly;
uniform vec2 jitter; uniform float wet; uniform float glow;
uniform vec3 lampCol; uniform int lampCount; uniform vec3 lamps[48];

float shadow(vec3 q) {
    vec3 u = (toSun * vec4(q, 1)).xyz * .5 + .5;
    if (any(lessThan(u, vec3(0))) || any(greaterThan(u, vec3(1)))) return 1.;
    float sum = 0., turn = hash(gl_FragCoord.xy + jitter * 91.) * 6.28;
    for (int i = 0; i < 10; i++) {
        float r = sqrt((float(i) + .5) / 10.) * .0010, t = float(i) * 2.4 + turn;
        sum += texture(sunMap, vec3(u.xy + r * vec2(cos(t), sin(t)), u.z - .0011));
    }
    return sum / 10.;
}
vec3 asphalt(vec2 q, vec4 g) {
    float patchy = clouds(q * .33), fine = noise(q * 37.) * .5 + noise(q * 93.) * .5;
    float b = .074 + .020 * (patchy - .5) + .040 * (fine - .5);
    b *= 1. - .22 * g.g - .34 * g.b * smoothstep(.3, .7, clouds(q * .7 + 3.));
    vec2 cell = floor(q * vec2(.11, .19) + .37 * floor(q.y * .1));
    if (hash(cell + 5.) > .88) b *= mix(.72, 1.14, hash(cell + 9.));
    float crack = abs(clouds(q * .5 + 7.) - .5) + .6 * abs(noise(q * .9 + clouds(q * 2.) * 1.3) - .5);
    b *= 1. - .4 * (1. - smoothstep(0., .012, crack));
    vec2 hole = (fract(q / vec2(31., 17.) + .2) - .5) * vec2(31., 17.) - vec2(1., .3);
    if (length(hole) < .34) b = .05 + .03 * step(.5, fract(hole.x * 9.));
    return b * vec3(1.02, 1., .97);
}
vec3 paving(vec2 q, float fine, float patchy) {
    vec2 t = q * 1.7; t.x += .5 * floor(mod(t.y, 2.));
    vec2 f = abs(fract(t) - .5);
    vec3 c = vec3(.27, .257, .24) * (.78 + .25 * hash(floor(t)) + .25 * (fine - .5) + .35 * (patchy - .5));
    c *= 1. - .35 * smoothstep(.46, .49, max(f.x, f.y));
    c *= 1. - .30 * smoothstep(.60, .85, clouds(q * 1.3 + 5.));
    return c * (1. - .35 * smoothstep(.88, .95, noise(q * 8.)));
}
vec3 grass(vec2 q, float fine) {
    vec3 c = mix(vec3(.040, .065, .020), vec3(.105, .115, .042), clouds(q * 2.3)) * (.55 + .9 * fine);
    return mix(c, vec3(.15, .12, .08), smoothstep(.56, .74, clouds(q * .6 + 4.)));
}
vec3 ground(vec2 q, out float shine, out float dim) {
    vec4 g = texture(groundMap, (q - groundBox.xy) * groundBox.zw);
    float fine = noise(q * 41.) * .5 + noise(q * 87.) * .5, patchy = clouds(q * .3);
    float d = g.r; shine = 0.; dim = 1.;
    if (d < 0.) {
        vec3 c = asphalt(q, g);
        c = mix(c, c * .72 + .02, smoothstep(-.5, -.05, d) * (.4 + .6 * clouds(q * 2.)) * .7);
        shine = 1.; dim = 1. - .25 * smoothstep(-.25, 0., d) * built;
        return c;
    }
    if (built > .5) {
        if (d < .05) { dim = .45; return vec3(.16); }
        if (d < .22) return vec3(.33, .325, .31) * (.8 + .35 * fine) * (.85 + .3 * hash(floor(q * .7)));
        if (d < pavement) return paving(q, fine, patchy);
        if (d < pavement + .2) return vec3(.26) * (.8 + .3 * fine);
        return hash(floor(q / 31.)) > .5 ? grass(q, fine) : paving(q * .6 + 3., fine, patchy) * .9;
    }
    if (d < 1.2) return mix(vec3(.17, .155, .13), grass(q, fine), smoothstep(.2, 1.2, d + .5 * (patchy - .5)));
    return grass(q, fine);
}
void facade(vec2 u, float seed, vec3 base, out vec3 a, out float glass, out float lit) {
    glass = 0.; lit = 0.;
    float tall = 3.1 + .5 * hash(vec2(seed, 1.)), wide = 1.9 + 2.2 * hash(vec2(seed, 2.));
    a = base * (.84 + .22 * clouds(u * .8 + seed) + .12 * (noise(u * 14.) - .5));
    a *= .72 + .28 * smoothstep(0., 2.5, u.y);
    a *= 1. - .25 * smoothstep(.5, .8, clouds(u * vec2(2.2, .18) + seed * 3.));
    if (hash(vec2(seed, 4.)) > .5) {
        vec2 b = u * vec2(4., 13.); b.x += .5 * floor(mod(b.y, 2.));
        vec2 f = abs(fract(b) - .5);
        a *= .8 + .3 * hash(floor(b)); a = mix(a, vec3(.28), .5 * step(.44, max(f.x * .96, f.y)));
    }
    float storey = floor(u.y / tall);
    vec2 c = vec2(mod(u.x, wide) - wide * .5, mod(u.y, tall) - tall * .52), id = vec2(floor(u.x / wide), storey);
    if (storey < .5 && hash(vec2(seed, 11.)) > .35) {
        float shop = 4.5 + 2. * hash(vec2(seed, 7.)), si = floor(u.x / shop), x = mod(u.x, shop);
        vec3 tint = .08 + .30 * vec3(hash(vec2(si, seed)), hash(vec2(si, seed + 1.)), hash(vec2(si, seed + 2.)));
        if (u.y > 2.6 && u.y < 3.2) {
            a = tint * .7; lit = .25;
            float letter = step(.5, noise(vec2(x * 6. + si * 9., 3.))) * step(2.78, u.y) * step(u.y, 3.02);
            a = mix(a, vec3(.75), letter * step(.9, x) * step(x, shop - .9));
        } else if (x > .25 && x < shop - .25 && u.y > .4 && u.y < 2.5) {
            glass = 1.; lit = .8;
            a = vec3(.03) + .07 * noise(u * vec2(3., 2.) + si) + .12 * tint * step(.8, hash(floor(u * vec2(1.3, 1.1)) + si));
            if (abs(mod(x, 1.7) - .85) < .04 || u.y > 2.44) { glass = 0.; lit = 0.; a = vec3(.07); }
        }
        return;
    }
    vec2 half_ = vec2(wide * (.24 + .12 * hash(vec2(seed, 5.))), tall * (.27 + .08 * hash(vec2(seed, 6.))));
    vec2 e = abs(c) - half_; float m = max(e.x, e.y);
    if (m < 0.) {
        glass = 1.; float r = hash(id + seed); a = vec3(.02, .025, .03); lit = step(.72, hash(id * 1.7 + seed));
        if (r > .45) { float blind = step(c.y, half_.y * (2. * r - 1.6)); a = mix(vec3(.42, .40, .36), a, blind); glass = mix(.3, 1., blind); }
        if (m > -.07 || abs(c.x) < .035) { a = vec3(.42); glass = 0.; lit = 0.; }
        a *= mix(.45, 1., smoothstep(0., .28, half_.y - c.y));
    } else if (c.y < -half_.y && c.y > -half_.y - .12 && e.x < .1) a = base * 1.12;
    if (mod(u.y, tall) < .1) a *= .75;
}
void main() {
    vec3 n = normalize(N), v = normalize(eye - P), a = C;
    float glass = 0., lit = 0., shine = 0., dim = 1., through = 0.;
    if (K.x < .5) a = ground(P.xy, shine, dim);
    else if (K.x < 1.5) { facade(U, K.y, C, a, glass, lit); dim = .6 + .4 * smoothstep(0., 3., P.z); }
    else if (K.x < 2.5) {
        vec2 q = U * 6., i = floor(q), f = fract(q) - .5; float k = hash(i + K.y * 7.);
        f -= (vec2(hash(i + 3. + K.y), hash(i + 8.)) - .5) * .4;
        f = mat2(cos(k * 6.28), -sin(k * 6.28), sin(k * 6.28), cos(k * 6.28)) * f;
        if (length(f * vec2(1., 1.8)) > .42 || length(U - .5) > .5) discard;
        a = C * (.6 + .8 * k); through = .55; dim = .7;
    } else if (K.x < 3.5) a = C * (.86 + .28 * noise(P.xz * 5. + P.y * 4.));
    else if (K.x < 4.5) {
        float worn = smoothstep(.30, .64, clouds(P.xy * 1.6) + .28 * noise(P.xy * 21.));
        if (worn * .8 + .2 < hash(floor(P.xy * 90.)) * .55) discard;
        a = mix(vec3(.14), C, .35 + .65 * worn); shine = .6;
    }
    if (depthOnly == 1) { outAmbient = vec4(0); outSun = vec4(0); return; }
    if (K.x > 4.5) { outAmbient = vec4(C * mix(.3, 6., glow), 1); outSun = vec4(0, 0, 0, 1); return; }
    a *= mix(1., .50, wet * step(.01, n.z));
    float nl = dot(n, sunDir);
    if (through > 0.) { if (dot(n, v) < 0.) n = -n; nl = dot(n, sunDir); nl = (nl > 0. ? nl : -nl * .7) * .8 + .25; }
    vec3 light = ambient(n) * dim;
    for (int i = 0; i < lampCount; i++) {
        vec3 l = lamps[i] - P; float d2 = dot(l, l); l *= inversesqrt(d2);
        light += lampCol * max(dot(n, l), through * .4) * smoothstep(.12, .75, l.z) / (d2 + 40.);
    }
    vec3 A = a * light, S = vec3(0);
    if (sunCol.g > 0.) S = a * sunCol * max(nl, 0.) * shadow(P + n * .03) * dim; else S = a;
    float edge = pow(1. - clamp(dot(n, v), 0., 1.), 5.);  // pow of a negative is no number
    if (glass > 0.) {
        vec3 r = reflect(-v, n) + (vec3(hash(floor(U * .6)), hash(floor(U * .6) + 9.), 0.) - .5) * .05;
        A = A * (1. - glass * .5) + surroundings(normalize(r), 1.5) * (edge * .9 + .10) * glass;
        A += lit * glow * glass * vec3(1., .72, .40) * .5 * (.4 + .6 * hash(floor(U * .37)));
    }
    if (shine > 0.) {
        vec3 r = reflect(-v, n);
        A += surroundings(r, 5.5) * edge * shine * mix(.40, .55, wet);
        if (wet > 0.) {
            float puddle = smoothstep(.45, .6, clouds(P.xy * .45 + 9.));
            r.xy += (vec2(noise(P.xy * 9.), noise(P.yx * 9.)) - .5) * .06;
            A += surroundings(normalize(r), mix(3.5, 1.5, puddle)) * (.03 + .38 * edge) * (.25 + .75 * puddle) * wet;
        }
        if (sunCol.g > 0.) S += sunCol * .10 * pow(clamp(dot(n, normalize(v + sunDir)), 0., 1.), 26.) * shadow(P) * (.04 + edge) * 3.;
    }
    float f = exp(-length(eye - P) / fogM);
    A = A * f + fogCol * (1. - f); S *= f;
    outAmbient = vec4(A, 1); outSun = vec4(S, 1);
}
