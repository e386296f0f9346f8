/* SPDX-License-Identifier: MIT */
/*
 * network: a cfg file as the rest of the program wants it: layers in order with
 * their shapes, and how to train them. No weights: those live in segments.
 */
#ifndef NETWORK_H
#define NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include "nn.h"
#include "schedule.h"

/* How training images are varied; see augment.h. */
struct network_augmentation {
	uint32_t min_crop, max_crop;	/* pixels, edge of the crop */
	float angle;			/* degrees, both ways */
	float aspect;			/* 1: keep */
	float hue;			/* turns, both ways */
	float saturation, exposure;	/* 1: keep */
	bool flip;			/* mirror every second image */
};

struct network_layer {
	const char *name;		/* of its kind, as in a cfg file */
	struct nn_layer_spec spec;
	struct nn_shape input, output;	/* of one sample */
	struct nn_shape source;		/* shortcut: of the layer that is added */
	unsigned int line;		/* in the cfg file */
	bool stopbackward;		/* no gradients from here to the input */
};

struct network {
	char *path;			/* of the cfg file */
	uint32_t width, height, channels;
	uint32_t batch;			/* samples between two updates, over subdivisions */
	uint32_t subdivisions;		/* parts of a batch computed one after the other */
	float momentum;
	float decay;
	struct schedule schedule;
	struct network_augmentation augmentation;
	uint32_t n_layers;
	struct network_layer *layers;
};

/*
 * Read a network; defaults in use are announced on stderr. Everything wrong
 * with the file is reported with its line. The caller ends with network_free().
 */
int network_read(struct network *network, const char *path);
/* Use another batch than the file's. Refused when smaller than subdivisions. */
int network_set_batch(struct network *network, uint32_t batch);
void network_free(struct network *network);

/* Floats in one sample of @shape. */
uint32_t network_floats(struct nn_shape shape);

/* Does the layer compare with the truth when training? */
bool network_owns_loss(const struct network_layer *layer);

/* Is there batch normalisation anywhere? */
bool network_normalizes(const struct network *network);

/* Say that a layer is refused, and where it stands; return the exit status. */
int network_refuse_layer(const struct network *network, uint32_t layer,
			 const char *reason);

#endif /* NETWORK_H */
