/* SPDX-License-Identifier: MIT */
/* Segments in exact-size memory, so that AddressSanitizer sees every overrun. */
#ifndef NN_SUPPORT_H
#define NN_SUPPORT_H

#include "nn.h"

struct segment {
	struct nn_net *net;
	void *arena;
	struct nn_plan plan;
};

/* Plan and lay out; a refusal fails the test. */
struct segment segment_open(const struct nn_spec *spec);
void segment_close(struct segment *segment);

/* A specification of one layer between (w, h, c) and itself, training. */
struct nn_spec one_layer(const struct nn_layer_spec *layer, uint32_t width,
			 uint32_t height, uint32_t channels, uint32_t batch);

/* A malloc'ed array of uniform numbers in [-1, 1); the same for the same seed. */
float *uniform(size_t n, uint32_t seed);
void fill_uniform(float *x, size_t n, uint32_t seed);

/* Fill all parameters that @net has; scales around 1, variances above 0. */
void fill_parameters(struct nn_net *net, uint32_t n_layers, uint32_t seed);

/*
 * An 11-layer network of LeNet's shape for LENET_EDGE x LENET_EDGE x 3 images:
 * two convolutions with pools, three connected layers with dropout between,
 * softmax and cost.
 */
#define LENET_LAYERS	11
#define LENET_EDGE	12
#define LENET_CLASSES	10
extern const struct nn_layer_spec lenet[LENET_LAYERS];

/* Layers first..last of it; the input shape comes from a plan of those before. */
struct nn_spec lenet_segment(uint32_t first, uint32_t last, uint32_t micro_batch,
			     bool train);

#endif /* NN_SUPPORT_H */
