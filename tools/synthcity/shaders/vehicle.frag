#version 330
#include common.glsl
in vec3 P; in vec3 N; in vec2 U; in vec3 O;
layout(location = 0) out vec4 outColour;
layout(location = 1) out uint outId;
uniform sampler2D skin; uniform sampler2D stuff;  // stuff: glass, gloss, lamp, hole
uniform sampler2DShadow sunMap; uniform mat4 toSun; uniform sampler2DShadow carMap; uniform mat4 toCarSun;
uniform mat4 pose; uniform int wheels; uniform int id; uniform float metallic; uniform float height;
uniform vec3 lampsOn;  // head, brake, tail
uniform vec3 street;   // light of street lamps here
uniform vec3 beamDir; uniform vec3 beamCol;  // the strongest head lamps shining on it
uniform vec4 cabin;    // front seats' x, rear seats' x, belt height, half width
uniform vec3 crew;     // roof height, darkness of the glass, who sits inside

float shadow(sampler2DShadow m, mat4 to, vec3 q, float bias) {
    vec3 u = (to * vec4(q, 1)).xyz * .5 + .5;
    if (any(lessThan(u, vec3(0))) || any(greaterThan(u, vec3(1)))) return 1.;
    return texture(m, vec3(u.xy, u.z - bias));
}
float ball(vec3 o, vec3 d, vec3 c, vec3 r) {  // where a ray meets an ellipsoid, or -1
    vec3 a = (o - c) / r, b = d / r;
    float k = dot(b, b), h = dot(a, b), g = h * h - k * (dot(a, a) - 1.);
    return g < 0. ? -1. : (-h - sqrt(g)) / k;
}
// What is seen through the glass: seats, people, and daylight from the other windows.
vec3 inside(vec3 o, vec3 d, vec3 day) {
    vec3 c = day * .05;
    float w = cabin.w * .92;
    float side = d.y > 0. ? (w - o.y) / d.y : (-w - o.y) / min(d.y, -1e-4);
    vec3 e = o + d * side;
    bool window = e.z > cabin.z + .04 && e.z < crew.x - .16 && e.x < cabin.x + .75 && e.x > cabin.y - .55 && abs(e.x - (cabin.x + cabin.y) * .5 + .05) > .07;
    float end = d.x < 0. ? (cabin.y - .9 - o.x) / min(d.x, -1e-4) : (cabin.x + 1.1 - o.x) / max(d.x, 1e-4);
    vec3 f = o + d * end;
    if (side < end ? window : (f.z > cabin.z + .10 && f.z < crew.x - .12)) c = day * (.55 + .2 * d.z);
    float best = min(side, end);
    for (int row = 0; row < 2; row++) {
        float x = row == 0 ? cabin.x : cabin.y;
        float t = (x - o.x) / (abs(d.x) < 1e-3 ? 1e-3 : d.x);
        vec3 s = o + d * t; float y = abs(abs(s.y) - .37);
        bool seat = (y < .26 && s.z < cabin.z + .14) || (y < .13 && s.z < cabin.z + .32);
        if (t > 0. && t < best && seat) { best = t; c = day * (.035 + .02 * float(row)); }
    }
    for (int k = 0; k < 2; k++) {
        float y = k == 0 ? .37 : -.37;
        if (k == 1 && mod(crew.z, 2.) < 1.) break;
        vec3 shirt = .03 + .22 * vec3(hash(vec2(crew.z, 1. + y)), hash(vec2(crew.z, 2. + y)), hash(vec2(crew.z, 3. + y)));
        float t = ball(o, d, vec3(cabin.x + .14, y, cabin.z - .06), vec3(.14, .24, .26));
        if (t > 0. && t < best) { best = t; c = day * shirt * .55; }
        t = ball(o, d, vec3(cabin.x + .17, y, cabin.z + .28), vec3(.11, .09, .13));
        if (t > 0. && t < best) { best = t; c = day * mix(vec3(.24, .13, .09), vec3(.06, .04, .03), step(.33, (o + d * t).z - cabin.z)) * .9; }
    }
    float dash = (cabin.z - .02 - o.z) / min(d.z, -1e-4);
    if (dash > 0. && dash < best) { vec3 q = o + d * dash; c = q.x > cabin.x + .55 ? day * .045 : c; }
    return c;
}
void main() {
    vec4 t = texture(skin, U); vec3 a = pow(t.rgb, vec3(2.2)); float glass = 0., gloss = t.a * .8, lamp = 0.;
    if (wheels == 0) {
        vec4 m = texture(stuff, U);
        if (m.a > .5) discard;
        glass = smoothstep(.3, .7, m.r); gloss = m.g; lamp = m.b;
    }
    vec3 n = normalize(N), v = normalize(eye - P);
    float nv = clamp(dot(n, v), .02, 1.), nl = max(dot(n, sunDir), 0.), s = 0.;
    if (nl > 0. && sunCol.g > 0.)
        s = min(shadow(sunMap, toSun, P + n * .05, .0010), shadow(carMap, toCarSun, P + n * .06, .0008));
    float open = clamp(.26 + O.z / (height * .55) * .74, .26, 1.);
    open = mix(open, 1., max(n.z, 0.) * .6) * (wheels == 1 ? .7 : 1.);
    vec3 sun = sunCol * nl * s, near = street * (.35 + .65 * max(n.z, 0.)) + beamCol * max(dot(n, beamDir), 0.);
    vec3 light = ambient(n) * open + sun + near;
    vec3 c = a * (1. - glass) * light;
    float edge = pow(1. - nv, 5.), mirror = .04 + .96 * edge;
    mirror = mix(mirror * .2, mirror, gloss) + glass * .045;
    vec3 r = reflect(-v, n);
    vec3 seen = surroundings(r, mix(6., mix(2., 1., glass), gloss)) * mix(1., open, step(r.z, 0.));
    if (r.z < .0) seen *= .75;
    c += seen * mirror;
    if (glass > .01) {
        vec3 d = transpose(mat3(pose)) * refract(-v, n, 1. / 1.25);
        vec3 day = ambient(vec3(0, 0, .4)) * .8 + sunCol * .10 * smoothstep(0., .4, sunDir.z) + street * .3 + beamCol * .1;
        c += glass * inside(O, normalize(d), day) * mix(.85, .12, crew.y);
    }
    if (metallic > 0. && glass < .5) {
        vec3 h = normalize(v + sunDir);
        c += (surroundings(r, 4.5) * .40 * open + sunCol * s * pow(max(dot(n, h), 0.), 26.)) * a * metallic * gloss;
    }
    if (s > 0.) {
        float sharp = mix(20., 700., gloss * gloss);
        c += sunCol * s * mirror * (sharp + 8.) / 25. * pow(max(dot(n, normalize(v + sunDir)), 0.), sharp) * nl * .5;
    }
    if (lamp > .75) c += vec3(1., .96, .86) * lampsOn.x * 3. * t.rgb;
    else if (lamp > .5) c += vec3(1., .55, .10) * lampsOn.z * .6;
    else if (lamp > .25 && O.x < 0.) c += vec3(1., .05, .03) * (lampsOn.y * 1.6 + lampsOn.z * .45);
    float f = exp(-length(eye - P) / fogM);
    outColour = vec4(c * f + fogCol * (1. - f), 1);
    outId = uint(id);
}
