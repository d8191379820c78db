#version 330
#include develop.glsl
