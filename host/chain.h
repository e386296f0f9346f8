/* SPDX-License-Identifier: MIT */
/*
 * chain: the whole network, as the segments that a partition cuts it into. Each
 * hands its output to the next; training, the gradient of its input goes back.
 */
#ifndef CHAIN_H
#define CHAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "partition.h"
#include "segment.h"

/* Frozen layers, then before, in and after the secure world. */
#define CHAIN_SEGMENTS 4

struct chain {
	const struct network *network;
	const struct partition *partition;
	uint32_t micro_batch;		/* most samples in one step */
	uint32_t n_segments;
	struct segment segments[CHAIN_SEGMENTS];
};

/*
 * Build the network; the secure part only if the partition has one. A
 * micro-batch is a whole subdivision of the batch (predicting: one image), or
 * the largest even part of it with which the secure part fits its memory.
 * Weights are random (training) or zero. On success the caller ends with
 * chain_free(); network, partition, tee and workers must outlive the chain.
 * @workers: share the normal world's work
 */
int chain_build(struct chain *chain, const struct network *network,
		const struct partition *partition, struct tee *tee,
		const struct seed *seed, const struct nn_workers *workers,
		bool train);
void chain_free(struct chain *chain);

/* Run one sample; *output (outputs of the network) is good until the next. */
int chain_predict(struct chain *chain, const float *input,
		  const float **output);

/*
 * One training step: forward, backward, and the update if the step has one.
 * @input: (count, inputs), @truth: (count, classes)
 */
int chain_train(struct chain *chain, const struct segment_step *step,
		const float *input, const float *truth);

/*
 * Loss in the normal world since the last call: mean over its layers that
 * nn_loss() counts, summed over samples; 0 if the secure world has them all.
 */
double chain_take_loss(struct chain *chain);

/* Parameters of a layer, counted in the whole network; see struct segment_world. */
int chain_load(struct chain *chain, uint32_t layer, uint32_t tensor,
	       uint32_t first, const float *values, uint32_t count);
int chain_save(struct chain *chain, uint32_t layer, uint32_t tensor,
	       uint32_t first, float *values, uint32_t count);

#endif /* CHAIN_H */
