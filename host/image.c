/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include <stb/stb_image.h>

#include "files.h"
#include "image.h"
#include "message.h"

#define MAX_PIXELS (UINT64_C(1) << 24)

/* ---- Files ---- */

static int decode(struct image *image, FILE *stream, const char *path,
		  uint32_t channels)
{
	int width = 0;
	int height = 0;
	int stored_channels = 0;

	/* Size first: decoding a hostile file must not fill the memory. */
	if (!stbi_info_from_file(stream, &width, &height, &stored_channels))
		return message_failed("%s: not a PNG, JPEG or BMP picture (%s)",
				      path, stbi_failure_reason());
	if (width < 1 || height < 1 ||
	    (uint64_t)width * (uint64_t)height > MAX_PIXELS)
		return message_failed("%s: pictures of %d x %d pixels are not accepted",
				      path, width, height);
	image->pixels = stbi_load_from_file(stream, &width, &height,
					    &stored_channels, (int)channels);
	if (!image->pixels)
		return message_failed("%s: damaged picture (%s)", path,
				      stbi_failure_reason());
	image->width = (uint32_t)width;
	image->height = (uint32_t)height;
	image->channels = channels;
	return 0;
}

int image_read(struct image *image, const char *path, uint32_t channels)
{
	FILE *stream = file_open(path, NULL);
	int status = 0;

	*image = (struct image){ 0 };
	if (!stream)
		return STATUS_FAILED;
	status = decode(image, stream, path, channels);
	fclose(stream);
	return status;
}

void image_free(struct image *image)
{
	stbi_image_free(image->pixels);
	*image = (struct image){ 0 };
}

size_t image_size(const struct image *image)
{
	return (size_t)image->width * image->height * image->channels;
}

float image_pixel(const struct image *image, uint32_t x, uint32_t y,
		  uint32_t channel)
{
	size_t at = ((size_t)y * image->width + x) * image->channels + channel;

	return (float)image->pixels[at] / 255.0f;
}

/* ---- Fitting ---- */

struct rectangle {
	uint32_t x, y, width, height;
};

/* One coordinate of a scaled picture back in the original. */
struct position {
	uint32_t at, next;	/* the two pixels it lies between */
	float rest;		/* how far from the first to the second */
};

static struct position locate(uint32_t scaled, uint32_t scaled_length,
			      uint32_t start, uint32_t length)
{
	/* First pixel on first, last on last. */
	float step = scaled_length > 1 ? (float)(length - 1) /
						 (float)(scaled_length - 1) :
					 0.0f;
	float exact = (float)scaled * step;
	uint32_t whole = (uint32_t)exact;

	if (whole >= length - 1)
		return (struct position){ start + length - 1,
					  start + length - 1, 0.0f };
	return (struct position){ start + whole, start + whole + 1,
				  exact - (float)whole };
}

static float blend(const struct image *image, struct position x,
		   struct position y, uint32_t channel)
{
	float top = (1.0f - x.rest) * image_pixel(image, x.at, y.at, channel) +
		    x.rest * image_pixel(image, x.next, y.at, channel);
	float bottom =
		(1.0f - x.rest) * image_pixel(image, x.at, y.next, channel) +
		x.rest * image_pixel(image, x.next, y.next, channel);

	return (1.0f - y.rest) * top + y.rest * bottom;
}

/* Scale rectangle @from of the picture into rectangle @to of @out. */
static void scale(const struct image *image, struct rectangle from,
		  struct nn_shape shape, struct rectangle to, float *out)
{
	uint32_t channel = 0;
	uint32_t x = 0;
	uint32_t y = 0;

	for (channel = 0; channel < image->channels; channel++)
		for (y = 0; y < to.height; y++) {
			struct position row = locate(y, to.height, from.y,
						     from.height);
			float *line = out + ((size_t)channel * shape.height +
					     to.y + y) * shape.width + to.x;

			for (x = 0; x < to.width; x++)
				line[x] = blend(image,
						locate(x, to.width, from.x,
						       from.width),
						row, channel);
		}
}

/* @length * @numerator / @denominator, at least 1. */
static uint32_t proportion(uint32_t length, uint32_t numerator,
			   uint32_t denominator)
{
	uint32_t scaled = (uint32_t)((uint64_t)length * numerator /
				     denominator);

	return scaled ? scaled : 1;
}

void image_letterbox(const struct image *image, struct nn_shape shape,
		     float *out)
{
	struct rectangle whole = { 0, 0, image->width, image->height };
	struct rectangle inside = { 0, 0, shape.width, shape.height };
	size_t floats = (size_t)shape.width * shape.height * shape.channels;
	size_t i = 0;

	if ((uint64_t)shape.width * image->height <
	    (uint64_t)shape.height * image->width)
		inside.height = proportion(image->height, shape.width,
					   image->width);
	else
		inside.width = proportion(image->width, shape.height,
					  image->height);
	inside.x = (shape.width - inside.width) / 2;
	inside.y = (shape.height - inside.height) / 2;
	for (i = 0; i < floats; i++)
		out[i] = 0.5f;
	scale(image, whole, shape, inside, out);
}

void image_stretch(const struct image *image, struct nn_shape shape,
		   float *out)
{
	struct rectangle whole = { 0, 0, image->width, image->height };
	struct rectangle all = { 0, 0, shape.width, shape.height };

	scale(image, whole, shape, all, out);
}

void image_center_square(const struct image *image, struct nn_shape shape,
			 float *out)
{
	uint32_t edge = image->width < image->height ? image->width :
						       image->height;
	struct rectangle square = {
		.x = (image->width - edge) / 2,
		.y = (image->height - edge) / 2,
		.width = edge,
		.height = edge,
	};
	struct rectangle all = { 0, 0, shape.width, shape.height };

	scale(image, square, shape, all, out);
}
