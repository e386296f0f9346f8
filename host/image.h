/* SPDX-License-Identifier: MIT */
/*
 * image: pictures from PNG, JPEG and BMP files, and fitting them to a network.
 *
 * Networks take floats from 0 to 1, planes of rows: (channels, height, width).
 */
#ifndef IMAGE_H
#define IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "nn.h"

/* A decoded picture; pixels are bytes, (height, width, channels). */
struct image {
	uint32_t width, height, channels;
	uint8_t *pixels;
};

/*
 * Decode @path, converted to @channels (1: grey, 3: colour); the caller ends
 * with image_free(). Pictures above 8192 pixels an edge or 2^24 pixels
 * altogether are refused.
 */
int image_read(struct image *image, const char *path, uint32_t channels);
void image_free(struct image *image);

/* Bytes of the decoded picture. */
size_t image_size(const struct image *image);

/* Value from 0 to 1 of a pixel inside the picture. */
float image_pixel(const struct image *image, uint32_t x, uint32_t y,
		  uint32_t channel);

/*
 * Fit the whole picture into @shape, keeping its proportions, centred on grey.
 * @out: floats of @shape, whose channels are those of the picture
 */
void image_letterbox(const struct image *image, struct nn_shape shape,
		     float *out);

/* Scale the whole picture to @shape, whatever its proportions. */
void image_stretch(const struct image *image, struct nn_shape shape,
		   float *out);

/* Scale the largest square in the middle of the picture to @shape. */
void image_center_square(const struct image *image, struct nn_shape shape,
			 float *out);

#endif /* IMAGE_H */
