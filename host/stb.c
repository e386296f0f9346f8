/* SPDX-License-Identifier: MIT */
/*
 * The one place where stb_image's code is compiled: the formats and limits of
 * image.h, and no SIMD, so that a JPEG has the same pixels on every machine.
 */
#include <stdlib.h>

/*
 * A picture of the most pixels takes 128 MiB at most, 16 bits for each of four
 * channels. A small file may claim to unpack to far more. Zeros, because one may
 * leave out a part of its picture, too: it would show what was there before.
 */
#define MAX_BLOCK ((size_t)1 << 28)

static void *allocate(size_t size)
{
	return size > MAX_BLOCK ? NULL : calloc(1, size);
}

static void *reallocate(void *block, size_t size)
{
	return size > MAX_BLOCK ? NULL : realloc(block, size);
}

#define STBI_MALLOC allocate
#define STBI_REALLOC reallocate
#define STBI_FREE free
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_ONLY_BMP
#define STBI_NO_SIMD
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#define STBI_MAX_DIMENSIONS 8192
#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>
