#version 330
#define MOVING
#include develop.glsl
