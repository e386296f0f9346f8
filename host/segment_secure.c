/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "message.h"
#include "segment.h"

/* The position; a call that ends a training step adds update and report. */
static struct darknetp_step position(const struct segment_step *step)
{
	return (struct darknetp_step){
		.iteration_low = (uint32_t)step->at.iteration,
		.iteration_high = (uint32_t)(step->at.iteration >> 32),
		.sample = step->at.sample,
		.count = step->at.count,
	};
}

static struct darknetp_step learning(const struct segment_step *step)
{
	struct darknetp_step request = position(step);

	if (step->update) {
		request.flags |= DARKNETP_STEP_UPDATE;
		request.learning_rate = step->rates.learning_rate;
		request.momentum = step->rates.momentum;
		request.decay = step->rates.decay;
		request.samples = step->rates.samples;
	}
	if (step->report) {
		request.flags |= DARKNETP_STEP_REPORT;
		request.report_samples = step->report_samples;
	}
	return request;
}

static struct tee_floats input_delta_space(const struct segment *segment,
					   uint32_t samples)
{
	return tee_output(segment->input_delta,
			  (size_t)samples * segment->inputs);
}

/*
 * Where the network ends here, one call does the whole training step: backward()
 * then only hands out what it left.
 */
static bool trains_in_one_call(const struct segment *segment,
			       const struct segment_step *step)
{
	return step->at.train && segment->last;
}

static int forward(struct segment *segment, const struct segment_step *step,
		   const float *input, const float *truth, const float **output)
{
	size_t samples = step->at.count;
	struct tee_floats inputs = tee_input(input, samples * segment->inputs);
	struct tee_floats truths = tee_input(truth, samples * segment->truths);
	struct darknetp_step request = { 0 };

	*output = segment->output;
	if (trains_in_one_call(segment, step)) {
		request = learning(step);
		return tee_train(segment->tee, &request, inputs, truths,
				 input_delta_space(segment, step->at.count));
	}
	request = position(step);
	return tee_forward(segment->tee, &request, inputs, truths,
			   tee_output(segment->output,
				      samples * segment->outputs));
}

static int backward(struct segment *segment, const struct segment_step *step,
		    const float *input, const float *truth,
		    const float *output_delta, const float **input_delta)
{
	size_t samples = step->at.count;
	struct darknetp_step request = learning(step);

	(void)input; /* the TA has kept both since forward() */
	(void)truth;
	*input_delta = segment->input_delta;
	if (trains_in_one_call(segment, step))
		return 0;
	return tee_backward(segment->tee, &request,
			    tee_input(output_delta, samples * segment->outputs),
			    input_delta_space(segment, step->at.count));
}

static int load(struct segment *segment, uint32_t layer,
		uint32_t tensor, uint32_t first, const float *values,
		uint32_t count)
{
	return tee_tensor_load(segment->tee, layer, tensor, first, values, count);
}

static int save(struct segment *segment, uint32_t layer,
		uint32_t tensor, uint32_t first, float *values, uint32_t count)
{
	return tee_tensor_save(segment->tee, layer, tensor, first, values, count);
}

static void release(struct segment *segment)
{
	free(segment->output);
	free(segment->input_delta);
}

static const struct segment_world secure_world = {
	.forward = forward,
	.backward = backward,
	.load = load,
	.save = save,
	.release = release,
};

static struct darknetp_layer describe(const struct nn_layer_spec *spec)
{
	struct darknetp_layer layer = {
		.kind = spec->kind,
		.activation = spec->activation,
		.cost = spec->cost,
		.filters = spec->filters,
		.size = spec->size,
		.stride = spec->stride,
		.padding = spec->padding,
		.groups = spec->groups,
		.outputs = spec->outputs,
		.batch_normalize = spec->batch_normalize,
		.noloss = spec->noloss,
		.probability = spec->probability,
		.temperature = spec->temperature,
		.scale = spec->scale,
		.learning_rate = spec->learning_rate,
		.alpha = spec->alpha,
		.beta = spec->beta,
		.n_sources = spec->n_sources,
	};
	uint32_t i = 0;

	for (i = 0; i < spec->n_sources; i++)
		layer.sources[i] = spec->sources[i];
	return layer;
}

static struct darknetp_model describe_model(const struct segment *segment,
					    const struct segment_build *build)
{
	const struct nn_shape *input =
		&build->network->layers[segment->first].input;
	struct darknetp_model model = {
		.abi = DARKNETP_TA_ABI,
		.flags = build->train ? DARKNETP_MODEL_TRAIN : 0,
		.layers = segment->count,
		.first_layer = segment->first,
		.network_layers = build->network->n_layers,
		.micro_batch = build->micro_batch,
		.width = input->width,
		.height = input->height,
		.channels = input->channels,
	};

	/* A seed that is not the user's stays in this world: the TA has its own. */
	if (build->seed->given) {
		model.flags |= DARKNETP_MODEL_SEEDED;
		model.seed_low = (uint32_t)build->seed->number;
		model.seed_high = (uint32_t)(build->seed->number >> 32);
	}
	return model;
}

static int ask_for_model(struct segment *segment,
			 const struct segment_build *build,
			 struct tee_memory *memory)
{
	struct darknetp_model model = describe_model(segment, build);
	struct darknetp_layer *layers = calloc(segment->count, sizeof(*layers));
	uint32_t refused = UINT32_MAX;
	uint32_t i = 0;
	int status = 0;

	if (!layers)
		return message_no_memory("the description of the partition");
	for (i = 0; i < segment->count; i++)
		layers[i] = describe(
			&build->network->layers[segment->first + i].spec);
	status = tee_build(segment->tee, &model, layers, memory, &refused);
	free(layers);
	if (status && refused < build->network->n_layers)
		status = network_refuse_layer(build->network, refused,
					      "the application in the TEE refuses it");
	return status;
}

int segment_build_secure(struct segment *segment,
			 const struct segment_build *build, struct tee *tee,
			 struct tee_memory *memory)
{
	/* Even if nothing before it learns. */
	bool gives_input_delta = build->train && segment->first;
	int status = 0;

	segment->world = &secure_world;
	segment->tee = tee;
	status = ask_for_model(segment, build, memory);
	if (status || !memory->fits)
		return status;
	segment->output = calloc(build->micro_batch,
				 segment->outputs * sizeof(float));
	if (gives_input_delta)
		segment->input_delta = calloc(build->micro_batch,
					      segment->inputs * sizeof(float));
	if (!segment->output || (gives_input_delta && !segment->input_delta))
		return message_no_memory("the partition's inputs and outputs");
	return 0;
}
