/* SPDX-License-Identifier: MIT */
/*
 * Pictures: the input is four bytes that choose a network's input and how the
 * picture is varied, then the file. The decoder is stb_image, compiled with
 * host/'s settings; ours is what stands before and behind it.
 *
 * Claims: reading ends; an accepted picture has the size that image.h promises
 * and the bytes to go with it; fitting and varying it gives one float in 0..1
 * for each of the network's inputs.
 */
#include "fuzz.h"

#include "augment.h"
#include "image.h"
#include "message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stb/stb_image.h>

#define HEADER	   4
#define EDGE_MAX   8192u
#define PIXELS_MAX (1u << 24)
/* Larger pictures only take longer; host_image_test.c has the limits. */
#define PIXELS_FUZZED (1u << 16)

static bool too_slow(const uint8_t *file, size_t size)
{
	int width = 0;
	int height = 0;
	int channels = 0;

	return stbi_info_from_memory(file, (int)size, &width, &height, &channels)
	       && (uint64_t)width * (uint64_t)height > PIXELS_FUZZED;
}

static void check_picture(const struct image *image, uint32_t channels)
{
	volatile uint8_t last = 0;

	fuzz_check(image->width >= 1 && image->width <= EDGE_MAX);
	fuzz_check(image->height >= 1 && image->height <= EDGE_MAX);
	fuzz_check((uint64_t)image->width * image->height <= PIXELS_MAX);
	fuzz_check(image->channels == channels);
	last = image->pixels[image_size(image) - 1];
	(void)last;
}

static void check_floats(const float *x, size_t n)
{
	size_t i = 0;

	for (i = 0; i < n; i++)
		fuzz_check(x[i] >= 0.0f && x[i] <= 1.0f);
}

static float usual_or_extreme(uint8_t byte, float usual)
{
	static const float extremes[] = { 1e-38f, 1e38f, 1e9f, 1e-3f };

	return byte < 0xf0 ? usual : extremes[byte % 4];
}

static struct network_augmentation variation(uint8_t byte)
{
	return (struct network_augmentation){
		.min_crop = 1 + byte % 7,
		.max_crop = byte & 1 ? 65535 : 9,
		.angle = usual_or_extreme(byte, 7.0f),
		.aspect = usual_or_extreme(byte, 0.75f),
		.hue = usual_or_extreme(byte, 0.1f),
		.saturation = usual_or_extreme(byte, 0.75f),
		.exposure = usual_or_extreme(byte, 0.75f),
		.flip = byte & 2,
	};
}

static void vary(const struct image *image, struct nn_shape shape, uint8_t byte,
		 float *out, size_t n)
{
	const struct network_augmentation limits = variation(byte);
	const uint32_t key[NN_KEY_WORDS] = { byte };
	struct augmentation augmentation = { 0 };
	struct nn_random random = { 0 };

	nn_random_start(&random, key, 0, 0);
	augmentation = augmentation_draw(&random, &limits, image, shape);
	augmentation_apply(&augmentation, image, shape, out);
	check_floats(out, n);
}

static void use(const struct image *image, const uint8_t header[HEADER])
{
	struct nn_shape shape = {
		.width = 1u + header[1] % 64,
		.height = 1u + header[2] % 64,
		.channels = image->channels,
	};
	size_t n = (size_t)shape.width * shape.height * shape.channels;
	float *out = fuzz_allocate(n * sizeof(*out));

	image_letterbox(image, shape, out);
	check_floats(out, n);
	image_center_square(image, shape, out);
	check_floats(out, n);
	vary(image, shape, header[3], out, n);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image image = { 0 };
	uint32_t channels = 0;
	int status = 0;

	if (size < HEADER || too_slow(data + HEADER, size - HEADER))
		return 0;
	channels = data[0] & 1 ? 1 : 3;
	status = image_read(&image, fuzz_file(0, data + HEADER, size - HEADER),
			    channels);
	if (status) {
		fuzz_check(status == STATUS_FAILED && !image.pixels);
		return 0;
	}
	check_picture(&image, channels);
	use(&image, data);
	image_free(&image);
	return 0;
}
