/* SPDX-License-Identifier: MIT */
/*
 * What a segment costs as a trusted application on a platform, and the largest
 * micro-batch or partition that fits. Numbers only: nothing is allocated.
 */
#ifndef NN_FOOTPRINT_H
#define NN_FOOTPRINT_H

#include "nn.h"

/*
 * Of the application's heap (TA_DATA_SIZE), bytes that a model cannot have: its
 * allocator's bookkeeping and the session, together below 1 KiB in OP-TEE.
 */
#define NN_HEAP_RESERVE		4096u

/* Beside nn_plan().total: allocators align less than an arena must be. */
#define NN_MODEL_EXTRA		NN_ARENA_ALIGNMENT

/* Sizes are bytes. */
struct nn_platform {
	uint64_t budget;	/* secure memory for trusted applications */
	uint64_t stack;		/* TA_STACK_SIZE */
	uint64_t code;		/* of the application and its loader, with data */
	uint64_t page;
	uint64_t table_span;	/* virtual memory that one translation table maps */
	uint64_t tables;	/* translation tables for one application */
};

struct nn_footprint {
	uint64_t model;		/* the model's one block */
	uint64_t heap;		/* TA_DATA_SIZE for it, in whole pages */
	uint64_t stack, code;	/* in whole pages */
	uint64_t total;		/* of the three */
	uint64_t pages;		/* the same, in pages */
	uint64_t tables;	/* that map all of it, and a call's parameters */
	bool fits_budget, fits_tables;
};

/* The footprint of a planned segment. @platform: no member is 0. */
struct nn_footprint nn_footprint(const struct nn_platform *platform,
				 const struct nn_spec *spec,
				 const struct nn_plan *plan);

/*
 * The largest heap, in whole pages, that the platform has for an application
 * that passes @shared bytes in a call; 0 if there is none.
 */
uint64_t nn_largest_heap(const struct nn_platform *platform, uint64_t shared);

/* TA_DATA_SIZE for a planned segment, in whole pages of @page bytes. */
uint64_t nn_heap(const struct nn_plan *plan, uint64_t page);

/* Bytes that a model may take of a heap. */
uint64_t nn_model_room(uint64_t heap);

/* ---- Searching ---- */

/* What a model must fit into, and how its samples may be divided. */
struct nn_room {
	uint64_t model;		/* bytes: nn_model_room() */
	uint32_t samples;	/* to be computed between two updates */
	bool whole;		/* all in one call: batch normalisation, training */
	uint64_t work;		/* most multiplications in one call of several
				 * samples, not all of them needed at once; 0: any
				 */
};

/*
 * The largest micro-batch with which @spec fits, of those that divide the
 * samples evenly: ceil(samples / parts) for parts = 1, 2, ... What is needed is
 * taken to grow with the micro-batch, as it does but for a few bytes where
 * shortcuts and routes are placed otherwise. No more than 33 plans are made.
 * @spec: its .micro_batch is ignored
 * @plan: with that micro-batch, or with the smallest there is if none fits
 * @micro_batch: it, or 0 if none fits
 * Return NN_OK, or what nn_plan() returns when it refuses all.
 */
enum nn_status nn_fit_micro_batch(const struct nn_spec *spec,
				  const struct nn_room *room,
				  struct nn_plan *plan, uint32_t *micro_batch);

/*
 * Layers @first..@last of a whole network.
 * @inputs: the input shape of each of its layers
 */
struct nn_spec nn_part(const struct nn_spec *network,
		       const struct nn_shape *inputs, uint32_t first,
		       uint32_t last);

/* Partitions to choose from. */
struct nn_choice {
	uint32_t first_min, first_max;	/* first layer */
	uint32_t last_min, last_max;	/* last layer, included */
};

struct nn_partition {
	uint32_t first, last;
	uint32_t micro_batch;
};

/*
 * The partition with the most layers that fits; of several, the one that ends
 * last. A longer one with the same end is taken to need more, as above; so there
 * are at most two plans for each layer, and those for the micro-batch.
 * @network: all layers, for .train, .input_delta and .keeps_input
 * @inputs: the input shape of each of them
 * Return false if none fits.
 */
bool nn_fit_partition(const struct nn_spec *network,
		      const struct nn_shape *inputs, const struct nn_room *room,
		      const struct nn_choice *choice,
		      struct nn_partition *partition);

#endif /* NN_FOOTPRINT_H */
