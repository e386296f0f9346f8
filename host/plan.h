/* SPDX-License-Identifier: MIT */
/*
 * plan: the secure memory that a partition takes, known before the secure world
 * is asked: computed here with the very code that lays a model out there.
 */
#ifndef PLAN_H
#define PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "network.h"
#include "nn_footprint.h"
#include "partition.h"

/* What to plan for. */
struct plan_request {
	const struct network *network;
	bool train;		/* else predict */
	uint32_t micro_batch;	/* this one; 0: the largest that fits */
	uint64_t room;		/* bytes that a model may take; UINT64_MAX: any */
};

/* A network as nn/ wants it, and what a partition of it takes. */
struct plan {
	struct plan_request request;
	uint32_t samples;		/* between two updates; predicting 1 */
	struct nn_room room;
	uint32_t first, last;		/* the partition */
	uint32_t micro_batch;		/* 0: not even one sample fits */
	struct nn_spec spec;		/* of the partition, with it or with 1 */
	struct nn_plan total;
	struct nn_layer_plan layers[NN_MAX_LAYERS];	/* of the partition */
	struct nn_layer_spec specs[NN_MAX_LAYERS];	/* of the network */
	struct nn_shape inputs[NN_MAX_LAYERS];
};

/*
 * Report the first layer, in either world, that cannot be computed at all.
 * @plan: room to work in
 */
int plan_check_layers(struct plan *plan, const struct network *network);

/*
 * Plan layers @first..@last. One that does not fit is no failure: then
 * plan->micro_batch is 0. A layer that cannot be computed is reported.
 */
int plan_partition(struct plan *plan, const struct plan_request *request,
		   uint32_t first, uint32_t last);

/* The largest partition that fits; false if none does. */
bool plan_largest(struct plan *plan, const struct plan_request *request,
		  const struct nn_choice *choice,
		  struct nn_partition *partition);

/*
 * Say that the planned partition does not fit, how much it needs, and what would
 * fit. Return the exit status.
 */
int plan_report_misfit(const struct plan *plan);

/* Bytes of the model with @plan's micro-batch, as the application allocates them. */
uint64_t plan_bytes(const struct plan *plan);

/* TA_DATA_SIZE of an application that holds it, in whole pages. */
uint64_t plan_heap(const struct plan *plan);

/* Layers @first.. (@count of them) as a specification, copied to @layers. */
struct nn_spec plan_spec(const struct network *network, uint32_t first,
			 uint32_t count, struct nn_layer_spec *layers);

#endif /* PLAN_H */
