/* SPDX-License-Identifier: MIT */
/*
 * segment: consecutive layers of the network in one world. The normal world's
 * compute here through nn/; the secure world's through the trusted application.
 * Chained by chain.h, which does not care which is which.
 */
#ifndef SEGMENT_H
#define SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "network.h"
#include "nn.h"
#include "seed.h"
#include "tee.h"

/* One micro-batch of a training run, or one image to predict. */
struct segment_step {
	struct nn_step at;
	bool update;			/* training: update the weights after it */
	struct nn_update rates;		/* with update */
	bool report;			/* training: the secure world shows its loss */
	uint32_t report_samples;	/* samples since its last report */
};

struct segment;

/* What a world can do; functions return 0 or an exit status. */
struct segment_world {
	/*
	 * @input (count, inputs), @truth (count, truths) or NULL;
	 * *output (count, outputs) is good until the next forward().
	 */
	int (*forward)(struct segment *segment, const struct segment_step *step,
		       const float *input, const float *truth,
		       const float **output);
	/*
	 * Same arguments as the forward() before it. @output_delta: gradient
	 * from the segment that follows, NULL for the last one. *input_delta
	 * is good until the next backward(), NULL if the segment has none.
	 */
	int (*backward)(struct segment *segment,
			const struct segment_step *step, const float *input,
			const float *truth, const float *output_delta,
			const float **input_delta);
	/*
	 * @layer counts in the whole network; values go to or come from @first
	 * on. @tensor: enum darknetp_tensor; training and between two batches
	 * also | DARKNETP_TENSOR_MOMENTUM, for tensors that nn_momentum() has.
	 */
	int (*load)(struct segment *segment, uint32_t layer, uint32_t tensor,
		    uint32_t first, const float *values, uint32_t count);
	int (*save)(struct segment *segment, uint32_t layer, uint32_t tensor,
		    uint32_t first, float *values, uint32_t count);
	void (*release)(struct segment *segment);
};

struct segment {
	const struct segment_world *world;
	uint32_t first, count;		/* layers of the network */
	uint32_t inputs, outputs;	/* floats per sample */
	uint32_t truths;		/* floats per sample; 0: owns no loss */
	bool learns;			/* backward() is wanted */
	bool passes_back;		/* and the gradient of its input, too */
	bool last;			/* ends with the network */
	/* Normal world */
	struct nn_net *net;
	void *arena;			/* net lives in it */
	/* Secure world */
	struct tee *tee;
	float *output;			/* (micro_batch, outputs) */
	float *input_delta;		/* (micro_batch, inputs) */
};

/* What a segment is built for. */
struct segment_build {
	const struct network *network;
	const struct seed *seed;
	uint32_t micro_batch;		/* most samples in a step */
	bool train;
	const struct nn_workers *workers;	/* of the normal world */
};

/*
 * Build a segment in the normal world; its shape (first, count, learns,
 * passes_back) is filled in already. Weights are drawn at random if training.
 */
int segment_build_normal(struct segment *segment,
			 const struct segment_build *build);

/*
 * The same in the secure world. A segment that does not fit there is no
 * failure: 0 is returned with memory->fits false.
 */
int segment_build_secure(struct segment *segment,
			 const struct segment_build *build, struct tee *tee,
			 struct tee_memory *memory);

#endif /* SEGMENT_H */
