/* SPDX-License-Identifier: MIT */
/* Random small models that the application must accept, and what they are made of. */
#ifndef CAMPAIGN_MODEL_H
#define CAMPAIGN_MODEL_H

#include "darknetp_ta.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_LAYERS	7
#define MODEL_BATCH	4
#define MODEL_TENSORS	(5 * MODEL_LAYERS)

struct model_tensor {
	uint32_t layer;		/* counted in the whole network */
	uint32_t kind;		/* enum darknetp_tensor */
	uint32_t count;		/* floats */
	bool learned;		/* by descent: it has a momentum */
};

struct random_model {
	struct darknetp_model header;
	struct darknetp_layer layers[MODEL_LAYERS];
	struct model_tensor tensors[MODEL_TENSORS];
	uint32_t n_tensors;
	uint32_t inputs, outputs;	/* floats per sample */
	uint32_t truths;		/* when training, else 0 */
	bool train;
	bool reaches_end;
	bool input_delta;		/* it has a gradient of its input to give */
	bool whole_batches;		/* batch norm wants several samples at once */
};

void random_model(struct random_model *model);
size_t random_model_size(const struct random_model *model);	/* of the request */

#endif /* CAMPAIGN_MODEL_H */
