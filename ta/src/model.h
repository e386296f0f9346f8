/* SPDX-License-Identifier: MIT */
/*
 * A session's model: what the commands of darknetp_ta.h do, without TEE types.
 *
 * The order of calls is kept here: EMPTY until a build succeeds, then READY;
 * FORWARDED between the two halves of a training step. Functions return a code
 * of result.h; after any but RESULT_SUCCESS the model is as it was before.
 */
#ifndef MODEL_H
#define MODEL_H

#include "loss_report.h"
#include "nn.h"
#include "request.h"
#include "result.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the model needs from the world around it. */
struct model_host {
	void *(*allocate)(size_t size);		/* NULL: no memory */
	void (*release)(void *block);		/* NULL: nothing */
	void (*random)(void *to, size_t size);	/* unpredictable bytes */
	void (*trace)(const char *line);	/* to the secure console */
	size_t heap;	/* bytes that one model may take */
};

enum model_state {
	MODEL_EMPTY = 0,
	MODEL_READY,
	MODEL_FORWARDED,
};

/* One per session. Members are private to model.c and model_build.c. */
struct model {
	const struct model_host *host;
	enum model_state state;
	void *block;		/* all memory of the model, one allocation */
	size_t block_size;
	struct nn_net *net;	/* in block */
	uint32_t inputs, outputs, truths;	/* floats per sample */
	uint32_t first_layer;	/* index in the whole network */
	uint32_t micro_batch;
	bool train;
	bool reaches_end;	/* the partition ends where the network does */
	bool hides_confidence;	/* predicting behind a softmax */
	struct nn_step pending;	/* FORWARDED: the step to go back over */
	struct loss_report report;
};

/* @host must outlive the model. */
void model_open(struct model *model, const struct model_host *host);

/* Wipe and release everything. */
void model_close(struct model *model);

/* Overwrite @size bytes of secrets; @block may be NULL. */
void model_wipe(void *block, size_t size);

/*
 * DARKNETP_CMD_BUILD.
 * @numbers: as parameter [1] of the command
 */
uint32_t model_build(struct model *model, struct request *request,
		     uint32_t numbers[2]);

/* A piece of a parameter tensor; @layer counts in the whole network. */
struct model_piece {
	uint32_t layer;
	uint32_t tensor;	/* enum darknetp_tensor, or its momentum */
	uint32_t first;		/* element */
	uint32_t form;		/* enum darknetp_form */
};

/* DARKNETP_CMD_TENSOR_LOAD and _SAVE. */
uint32_t model_load(struct model *model, const struct model_piece *piece,
		    struct request *data);
uint32_t model_save(struct model *model, const struct model_piece *piece,
		    const struct answer *data);

/* DARKNETP_CMD_FORWARD; an absent @truth is an empty request. */
uint32_t model_forward(struct model *model, struct request *step,
		       struct request *input, struct request *truth,
		       const struct answer *output);

/* DARKNETP_CMD_BACKWARD; an absent @input_delta has no room. */
uint32_t model_backward(struct model *model, struct request *step,
			struct request *output_delta,
			const struct answer *input_delta);

/* DARKNETP_CMD_TRAIN */
uint32_t model_train(struct model *model, struct request *step,
		     struct request *input, struct request *truth,
		     const struct answer *input_delta);

#endif /* MODEL_H */
