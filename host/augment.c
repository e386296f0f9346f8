/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "augment.h"

/* ---- Drawing ---- */

static float draw_between(struct nn_random *random, float from, float to)
{
	return from + nn_random_unit(random) * (to - from);
}

static bool draw_coin(struct nn_random *random)
{
	return nn_random_word(random) & 1;
}

/* Uniform from 1 to @factor, or its inverse: as often up as down. */
static float draw_factor(struct nn_random *random, float factor)
{
	float drawn = draw_between(random, 1.0f, factor);

	return draw_coin(random) ? drawn : 1.0f / drawn;
}

static uint32_t draw_crop(struct nn_random *random,
			  const struct network_augmentation *limits)
{
	uint32_t low = limits->min_crop;
	uint32_t high = limits->max_crop;

	if (low > high) {
		low = limits->max_crop;
		high = limits->min_crop;
	}
	return low + nn_random_word(random) % (high - low + 1);
}

/* The order of draws is Darknet's. */
struct augmentation
augmentation_draw(struct nn_random *random,
		  const struct network_augmentation *limits,
		  const struct image *image, struct nn_shape shape)
{
	struct augmentation a = { 0 };
	float width = (float)image->width;
	float height = (float)image->height;
	float crop = 0.0f;
	float angle = 0.0f;
	float dx = 0.0f;
	float dy = 0.0f;

	a.aspect = draw_factor(random, limits->aspect);
	crop = (float)draw_crop(random, limits);
	a.scale = crop / fminf(height, width * a.aspect);
	angle = draw_between(random, -limits->angle, limits->angle);
	a.radians = angle * (float)(M_PI / 180.0);
	/* The crop's width in both, as in Darknet. */
	dx = (width * a.scale / a.aspect - (float)shape.width) / 2.0f;
	dy = (height * a.scale - (float)shape.width) / 2.0f;
	a.dx = draw_between(random, -dx, dx);
	a.dy = draw_between(random, -dy, dy);
	a.mirror = draw_coin(random) && limits->flip;
	a.hue = draw_between(random, -limits->hue, limits->hue);
	a.saturation = draw_factor(random, limits->saturation);
	a.exposure = draw_factor(random, limits->exposure);
	return a;
}

/* ---- Geometry ---- */

/* One of the four pixels that a point lies between. */
struct corner {
	float weight;
	uint32_t x, y;
	bool black;		/* outside of the picture */
};

static struct corner corner_at(const struct image *image, float x, float y,
			       float weight)
{
	if (x < 0.0f || y < 0.0f || x >= (float)image->width ||
	    y >= (float)image->height)
		return (struct corner){ .weight = weight, .black = true };
	return (struct corner){
		.weight = weight,
		.x = (uint32_t)x,
		.y = (uint32_t)y,
	};
}

static float corner_value(const struct corner *corner, const struct image *image,
			  uint32_t channel)
{
	if (corner->black)
		return 0.0f;
	return corner->weight * image_pixel(image, corner->x, corner->y, channel);
}

/*
 * The picture at a point, bilinear, one float per plane of @area; not a number
 * counts as outside.
 */
static void sample(const struct image *image, float x, float y, size_t area,
		   float *out)
{
	float left = floorf(x);
	float top = floorf(y);
	float right_part = x - left;
	float lower_part = y - top;
	struct corner corners[4];
	uint32_t channel = 0;

	if (!(x > -1.0f && y > -1.0f && x < (float)image->width &&
	      y < (float)image->height)) {
		for (channel = 0; channel < image->channels; channel++)
			out[channel * area] = 0.0f;
		return;
	}
	corners[0] = corner_at(image, left, top,
			       (1.0f - lower_part) * (1.0f - right_part));
	corners[1] = corner_at(image, left, top + 1.0f,
			       lower_part * (1.0f - right_part));
	corners[2] = corner_at(image, left + 1.0f, top,
			       (1.0f - lower_part) * right_part);
	corners[3] = corner_at(image, left + 1.0f, top + 1.0f,
			       lower_part * right_part);
	for (channel = 0; channel < image->channels; channel++)
		out[channel * area] = corner_value(&corners[0], image, channel) +
				      corner_value(&corners[1], image, channel) +
				      corner_value(&corners[2], image, channel) +
				      corner_value(&corners[3], image, channel);
}

static void crop(const struct augmentation *a, const struct image *image,
		 struct nn_shape shape, float *out)
{
	size_t area = (size_t)shape.width * shape.height;
	float cosine = cosf(a->radians);
	float sine = sinf(a->radians);
	uint32_t y = 0;
	uint32_t x = 0;

	for (y = 0; y < shape.height; y++, out += shape.width) {
		float v = ((float)y - (float)shape.height / 2.0f + a->dy) /
			  a->scale;

		for (x = 0; x < shape.width; x++) {
			float u = ((float)x - (float)shape.width / 2.0f + a->dx) /
				  a->scale * a->aspect;
			uint32_t at = a->mirror ? shape.width - 1 - x : x;

			sample(image,
			       cosine * u - sine * v + (float)image->width / 2.0f,
			       sine * u + cosine * v + (float)image->height / 2.0f,
			       area, out + at);
		}
	}
}

/* ---- Colour ---- */

struct hsv {
	float hue;		/* sixths of a turn, 0 to 6 */
	float saturation, value;
};

static struct hsv to_hsv(float red, float green, float blue)
{
	float high = fmaxf(red, fmaxf(green, blue));
	float span = high - fminf(red, fminf(green, blue));
	struct hsv hsv = { 0.0f, 0.0f, high };

	if (span <= 0.0f || high <= 0.0f)
		return hsv;
	hsv.saturation = span / high;
	if (red == high)
		hsv.hue = (green - blue) / span;
	else if (green == high)
		hsv.hue = 2.0f + (blue - red) / span;
	else
		hsv.hue = 4.0f + (red - green) / span;
	if (hsv.hue < 0.0f)
		hsv.hue += 6.0f;
	return hsv;
}

static float clamp(float value)
{
	return fminf(fmaxf(value, 0.0f), 1.0f);
}

/*
 * One of red, green, blue of a colour: its distance from its own hue on the
 * circle says how much of the saturation is taken away.
 */
static float primary(const struct hsv *hsv, float own_hue)
{
	float away = fabsf(hsv->hue - own_hue);
	float share = 0.0f;

	if (away > 3.0f)
		away = 6.0f - away;
	share = clamp(away - 1.0f);
	return clamp(hsv->value * (1.0f - hsv->saturation * share));
}

static void change_colour(const struct augmentation *a, float *red,
			  float *green, float *blue)
{
	struct hsv hsv = to_hsv(*red, *green, *blue);

	hsv.hue = fmodf(hsv.hue + 6.0f * a->hue, 6.0f);
	if (hsv.hue < 0.0f)
		hsv.hue += 6.0f;
	hsv.saturation *= a->saturation;
	hsv.value *= a->exposure;
	*red = primary(&hsv, 0.0f);
	*green = primary(&hsv, 2.0f);
	*blue = primary(&hsv, 4.0f);
}

static void distort(const struct augmentation *a, struct nn_shape shape,
		    float *out)
{
	size_t area = (size_t)shape.width * shape.height;
	size_t i = 0;

	if (shape.channels == 3)
		for (i = 0; i < area; i++)
			change_colour(a, &out[i], &out[area + i],
				      &out[2 * area + i]);
	else
		for (i = 0; i < area * shape.channels; i++)
			out[i] = clamp(out[i] * a->exposure);
}

void augmentation_apply(const struct augmentation *a,
			const struct image *image, struct nn_shape shape,
			float *out)
{
	crop(a, image, shape, out);
	if (a->hue != 0.0f || a->saturation != 1.0f || a->exposure != 1.0f)
		distort(a, shape, out);
}
