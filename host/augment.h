/* SPDX-License-Identifier: MIT */
/*
 * augment: a training picture, varied at random: turned, scaled, shifted,
 * mirrored, and its colours changed. Darknet's distributions, drawn from a
 * stream that can be repeated.
 */
#ifndef AUGMENT_H
#define AUGMENT_H

#include "image.h"
#include "network.h"
#include "nn_random.h"

/* What was drawn for one picture. */
struct augmentation {
	float aspect;			/* width over height is multiplied by this */
	float scale;			/* pixels of the crop per pixel of the picture */
	float radians;
	float dx, dy;			/* shift of the crop, in pixels of the crop */
	bool mirror;
	float hue;			/* turns, added */
	float saturation, exposure;	/* factors */
};

/* Draw the twelve numbers of one picture; @shape is the network's input. */
struct augmentation
augmentation_draw(struct nn_random *random,
		  const struct network_augmentation *limits,
		  const struct image *image, struct nn_shape shape);

/*
 * Make the varied picture; what lies outside the original is black.
 * @out: floats of @shape, whose channels are those of the picture
 */
void augmentation_apply(const struct augmentation *augmentation,
			const struct image *image, struct nn_shape shape,
			float *out);

#endif /* AUGMENT_H */
