#version 330
in vec2 U;
uniform sampler2D stuff; uniform int wheels;
layout(location = 0) out float outMark;
void main() {
    if (wheels == 0 && texture(stuff, U).a > .5) discard;
    outMark = 1.;
}
