#version 330
in vec2 q;
uniform mat4 fromClip; uniform vec3 eye; uniform sampler2D sky;
layout(location = 0) out vec4 outAmbient;
layout(location = 1) out vec4 outSun;
void main() {
    vec4 a = fromClip * vec4(q, 1, 1);
    vec3 d = normalize(a.xyz / a.w - eye);
    outAmbient = vec4(textureLod(sky, vec2(atan(d.y, d.x) / 6.28318 + .5, acos(clamp(d.z, -1., 1.)) / 3.14159), 0.).rgb, 1);
    outSun = vec4(0, 0, 0, 1);
    gl_FragDepth = .999999;
}
