/* SPDX-License-Identifier: MIT */
/*
 * The one place where stb_image's code is compiled: the formats and limits of
 * image.h, and no SIMD, so that a JPEG has the same pixels on every machine.
 */
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_ONLY_BMP
#define STBI_NO_SIMD
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#define STBI_MAX_DIMENSIONS 8192
#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>
