/* SPDX-License-Identifier: MIT */
/* plan_table: a plan for people, layer by layer, and for programs. */
#ifndef PLAN_TABLE_H
#define PLAN_TABLE_H

#include "plan.h"

/* What a plan is held against; sizes are bytes. */
struct plan_limits {
	uint64_t room;		/* for a model; UINT64_MAX: no limit */
	const struct nn_platform *platform;	/* NULL: unknown */
};

/* Does the plan keep to the limits? */
bool plan_fits(const struct plan *plan, const struct plan_limits *limits);

/* The table on stdout, the totals, and the line at the limits. */
void plan_print(const struct plan *plan, const struct plan_limits *limits);

/*
 * The event "plan" of the JSON stream; sizes are bytes:
 *   mode          "train" or "predict"
 *   partition     {"start", "end"}
 *   samples       images to compute between two updates; predict: 1
 *   micro_batch   of them in one step; 0: not even the smallest part fits, and
 *                 the sizes are those of it
 *   layers        [{"index", "kind", "world", "weights", "gradients",
 *                 "activations", "deltas", "workspace"}]; sizes: secure ones
 *   weights, gradients, activations, deltas, workspace, bookkeeping
 *                 of the model: the layers share activations or deltas
 *   model         all of it, as one block
 *   heap          TA_DATA_SIZE that holds the model
 *   room          bytes that the model may take, or null
 *   platform      {"stack", "code", "total", "pages", "tables", "budget",
 *                 "fits_budget", "fits_tables"}, or null
 *   fits          true or false
 */
void plan_tell(const struct plan *plan, const struct plan_limits *limits);

#endif /* PLAN_TABLE_H */
