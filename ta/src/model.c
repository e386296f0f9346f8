/* SPDX-License-Identifier: MIT */
#include "model.h"

#include "darknetp_ta.h"

#include <string.h>

_Static_assert(sizeof(struct darknetp_step) == 40, "layout of the contract");

#define STEP_FLAGS	(DARKNETP_STEP_UPDATE | DARKNETP_STEP_REPORT)

void model_open(struct model *model, const struct model_host *host)
{
	*model = (struct model){ .host = host };
	host->trace("secure world opened!");
}

/* A store that the compiler cannot leave out. */
void model_wipe(void *block, size_t size)
{
	if (!block)
		return;
	memset(block, 0, size);
	__asm__ volatile("" : : "r"(block) : "memory");
}

void model_close(struct model *model)
{
	const struct model_host *host = model->host;

	model_wipe(model->block, model->block_size);
	host->release(model->block);
	*model = (struct model){ .host = host };
	host->trace("Goodbye!");
}

/* ---- Tensors ---- */

static bool wants_momentum(const struct model_piece *piece)
{
	return piece->tensor & DARKNETP_TENSOR_MOMENTUM;
}

/* What both directions ask first. */
static uint32_t check_piece(const struct model *model,
			    const struct model_piece *piece)
{
	if (model->state == MODEL_EMPTY)
		return RESULT_BAD_STATE;
	if (piece->form != DARKNETP_FORM_PLAIN)
		return RESULT_NOT_SUPPORTED;
	if (wants_momentum(piece) && model->state == MODEL_FORWARDED)
		return RESULT_BAD_STATE;
	return RESULT_SUCCESS;
}

/* The @bytes of a tensor that a piece names, or NULL. */
static float *find_piece(struct model *model, const struct model_piece *piece,
			 size_t bytes)
{
	size_t n = bytes / sizeof(float);
	uint32_t layer = piece->layer - model->first_layer;
	uint32_t kind = piece->tensor & ~DARKNETP_TENSOR_MOMENTUM;
	uint32_t count = 0;
	float *tensor = NULL;

	if (bytes == 0 || bytes % sizeof(float) != 0)
		return NULL;
	if (piece->layer < model->first_layer)
		return NULL;
	if (wants_momentum(piece))
		tensor = nn_momentum(model->net, layer,
				     (enum nn_tensor_kind)kind, &count);
	else
		tensor = nn_tensor(model->net, layer, (enum nn_tensor_kind)kind,
				   &count);
	if (!tensor || piece->first > count || n > count - piece->first)
		return NULL;
	return tensor + piece->first;
}

uint32_t model_load(struct model *model, const struct model_piece *piece,
		    struct request *data)
{
	uint32_t result = check_piece(model, piece);
	float *to = NULL;

	if (result != RESULT_SUCCESS)
		return result;
	to = find_piece(model, piece, data->left);
	if (!to || !request_take(data, to, data->left))
		return RESULT_BAD_PARAMETERS;
	return RESULT_SUCCESS;
}

uint32_t model_save(struct model *model, const struct model_piece *piece,
		    const struct answer *data)
{
	uint32_t result = check_piece(model, piece);
	const float *from = NULL;

	if (result != RESULT_SUCCESS)
		return result;
	if (!model->train)
		return RESULT_ACCESS_DENIED;
	from = find_piece(model, piece, data->size);
	if (!from)
		return RESULT_BAD_PARAMETERS;
	answer_put(data, 0, from, data->size);
	return RESULT_SUCCESS;
}

/* ---- Steps ---- */

static bool is_finite(float x)
{
	return !__builtin_isnan(x) && !__builtin_isinf(x);
}

static bool step_is_sound(const struct model *model,
			  const struct darknetp_step *step)
{
	if (step->flags & ~STEP_FLAGS)
		return false;
	if (step->count == 0 || step->count > model->micro_batch
	    || step->sample > UINT32_MAX - step->count)
		return false;
	if (step->flags & DARKNETP_STEP_UPDATE
	    && (step->samples == 0 || !is_finite(step->learning_rate)
		|| !is_finite(step->momentum) || !is_finite(step->decay)))
		return false;
	return !(step->flags & DARKNETP_STEP_REPORT) || step->report_samples > 0;
}

static bool take_step(const struct model *model, struct request *request,
		      struct darknetp_step *step)
{
	return request->left == sizeof(*step)
	       && request_take(request, step, sizeof(*step))
	       && step_is_sound(model, step);
}

static struct nn_step nn_step_of(const struct model *model,
				 const struct darknetp_step *step)
{
	return (struct nn_step){
		.iteration = (uint64_t)step->iteration_high << 32
			     | step->iteration_low,
		.sample = step->sample,
		.count = step->count,
		.train = model->train,
	};
}

static bool same_samples(const struct nn_step *a, const struct nn_step *b)
{
	return a->iteration == b->iteration && a->sample == b->sample
	       && a->count == b->count;
}

/* Bytes of @count samples; bounded, because nn_plan() bounded a whole batch. */
static size_t bytes_of(uint32_t count, uint32_t floats)
{
	return (size_t)count * floats * sizeof(float);
}

/* The sizes that the two calls with samples have in common. */
static bool sizes_match(const struct model *model, uint32_t count,
			const struct request *input, const struct request *truth)
{
	uint32_t truths = model->train ? model->truths : 0;

	return input->left == bytes_of(count, model->inputs)
	       && truth->left == bytes_of(count, truths);
}

static size_t input_delta_bytes(const struct model *model, uint32_t count)
{
	return nn_input_delta(model->net) ? bytes_of(count, model->inputs) : 0;
}

/* Copy the samples into our own memory and run them; sizes were checked. */
static void run_forward(struct model *model, const struct nn_step *step,
			struct request *input, struct request *truth)
{
	request_take(input, nn_input(model->net), input->left);
	request_take(truth, nn_truth(model->net), truth->left);
	nn_forward(model->net, step, nn_input(model->net),
		   nn_truth(model->net));
}

static void trace_loss(struct model *model, uint32_t samples)
{
	char line[LOSS_REPORT_LINE] = "";
	double sum = 0;
	uint32_t layers = nn_loss(model->net, &sum);

	if (model->truths == 0)
		return;
	loss_report_add(&model->report, sum / layers / samples, line);
	model->host->trace(line);
	nn_loss_reset(model->net);
}

static void finish_step(struct model *model, const struct darknetp_step *step)
{
	const struct nn_update update = {
		.learning_rate = step->learning_rate,
		.momentum = step->momentum,
		.decay = step->decay,
		.samples = step->samples,
	};

	if (step->flags & DARKNETP_STEP_UPDATE)
		nn_update(model->net, &update);
	if (step->flags & DARKNETP_STEP_REPORT)
		trace_loss(model, step->report_samples);
	model->state = MODEL_READY;
}

static void put_input_delta(const struct model *model,
			    const struct answer *input_delta)
{
	if (input_delta->size > 0)
		answer_put(input_delta, 0, nn_input_delta(model->net),
			   input_delta->size);
}

/* First index of the largest value; 0 if nothing compares. */
static uint32_t best_of(const float *x, uint32_t n)
{
	uint32_t best = 0;
	uint32_t i = 0;

	for (i = 1; i < n; i++)
		if (x[i] > x[best])
			best = i;
	return best;
}

/* The output with everything removed but which class came out on top. */
static void put_best(const struct model *model, uint32_t count,
		     const struct answer *output)
{
	const float *x = nn_output(model->net);
	uint32_t best = 0;
	uint32_t sample = 0;
	uint32_t i = 0;
	size_t at = 0;
	float value = 0;

	for (sample = 0; sample < count; sample++, x += model->outputs) {
		best = best_of(x, model->outputs);
		for (i = 0; i < model->outputs; i++, at += sizeof(value)) {
			value = i == best ? 1 : 0;
			answer_put(output, at, &value, sizeof(value));
		}
	}
}

uint32_t model_forward(struct model *model, struct request *step,
		       struct request *input, struct request *truth,
		       const struct answer *output)
{
	struct darknetp_step wire = { 0 };
	struct nn_step nn_step = { 0 };

	if (model->state == MODEL_EMPTY || (model->train && model->reaches_end))
		return RESULT_BAD_STATE;
	if (!take_step(model, step, &wire) || wire.flags != 0
	    || !sizes_match(model, wire.count, input, truth)
	    || output->size != bytes_of(wire.count, model->outputs))
		return RESULT_BAD_PARAMETERS;
	nn_step = nn_step_of(model, &wire);
	run_forward(model, &nn_step, input, truth);
	if (model->hides_confidence)
		put_best(model, wire.count, output);
	else
		answer_put(output, 0, nn_output(model->net), output->size);
	if (model->train) {
		model->pending = nn_step;
		model->state = MODEL_FORWARDED;
	}
	return RESULT_SUCCESS;
}

uint32_t model_backward(struct model *model, struct request *step,
			struct request *output_delta,
			const struct answer *input_delta)
{
	struct darknetp_step wire = { 0 };
	struct nn_step nn_step = { 0 };

	if (model->state != MODEL_FORWARDED)
		return RESULT_BAD_STATE;
	if (!take_step(model, step, &wire)
	    || output_delta->left != bytes_of(wire.count, model->outputs)
	    || input_delta->size != input_delta_bytes(model, wire.count))
		return RESULT_BAD_PARAMETERS;
	nn_step = nn_step_of(model, &wire);
	if (!same_samples(&nn_step, &model->pending))
		return RESULT_BAD_STATE;
	request_take(output_delta, nn_output_delta(model->net),
		     output_delta->left);
	nn_backward(model->net, &nn_step, nn_input(model->net),
		    nn_truth(model->net));
	put_input_delta(model, input_delta);
	finish_step(model, &wire);
	return RESULT_SUCCESS;
}

uint32_t model_train(struct model *model, struct request *step,
		     struct request *input, struct request *truth,
		     const struct answer *input_delta)
{
	struct darknetp_step wire = { 0 };
	struct nn_step nn_step = { 0 };

	if (model->state != MODEL_READY || !model->train || !model->reaches_end)
		return RESULT_BAD_STATE;
	if (!take_step(model, step, &wire)
	    || !sizes_match(model, wire.count, input, truth)
	    || input_delta->size != input_delta_bytes(model, wire.count))
		return RESULT_BAD_PARAMETERS;
	nn_step = nn_step_of(model, &wire);
	run_forward(model, &nn_step, input, truth);
	if (nn_output_delta(model->net))
		memset(nn_output_delta(model->net), 0,
		       bytes_of(wire.count, model->outputs));
	nn_backward(model->net, &nn_step, nn_input(model->net),
		    nn_truth(model->net));
	put_input_delta(model, input_delta);
	finish_step(model, &wire);
	return RESULT_SUCCESS;
}
