/* SPDX-License-Identifier: MIT */
/*
 * The one place where stb_image's code is compiled: the formats and limits of
 * image.h, and no SIMD, so that a JPEG has the same pixels on every machine.
 *
 * Its memory comes from here: a file of a few bytes may claim chunks of a
 * gigabyte or inflate to several, and one that leaves out a part of its picture
 * would show what was in the memory before.
 */
#include <stdlib.h>

/* One block; the largest picture takes half of it, as 16-bit RGBA. */
#define BLOCK_MAX ((size_t)256 << 20)

static void *allocate(size_t size)
{
	return size <= BLOCK_MAX ? calloc(1, size) : NULL;
}

static void *reallocate(void *block, size_t size)
{
	return size <= BLOCK_MAX ? realloc(block, size) : NULL;
}

#define STBI_MALLOC(size) allocate(size)
#define STBI_REALLOC(block, size) reallocate(block, size)
#define STBI_FREE(block) free(block)
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_ONLY_BMP
#define STBI_NO_SIMD
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#define STBI_MAX_DIMENSIONS 8192
#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>
