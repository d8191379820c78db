// Projection through a lens: radial distortion of the normalised image plane, as in lens.py.
uniform mat4 toClip;
uniform vec4 lens;  // focal lengths in clip units (x, y), k1, k2
vec4 project(vec3 p) {
    vec4 c = toClip * vec4(p, 1);
    vec2 q = c.xy / max(c.w, .05) / lens.xy;
    float r2 = min(dot(q, q), 4.);
    c.xy *= c.w > .05 ? 1. + r2 * (lens.z + lens.w * r2) : 1.;
    return c;
}
