/* SPDX-License-Identifier: MIT */
/* The dynamics of a segment, and what can be asked about it. */
#include "nn_internal.h"

#include <string.h>

const char *nn_strerror(enum nn_status status)
{
	switch (status) {
	case NN_OK:
		return "success";
	case NN_ERR_SPEC:
		return "the layer's parameters make no sense";
	case NN_ERR_UNSUPPORTED:
		return "this kind of layer is not computed here";
	case NN_ERR_SIZE:
		return "it is too large: a tensor may have 2^28 values";
	case NN_ERR_ARENA:
		return "the memory given does not hold the segment";
	case NN_ERR_SOURCE:
		return "the layer reads one that is outside of the partition";
	default:
		return "unknown status";
	}
}

/* ---- What can be asked ---- */

uint32_t nn_inputs(const struct nn_net *net)
{
	return net->inputs;
}

uint32_t nn_outputs(const struct nn_net *net)
{
	return net->outputs;
}

struct nn_shape nn_layer_input(const struct nn_net *net, uint32_t layer)
{
	return net->layers[layer].in;
}

struct nn_shape nn_layer_output(const struct nn_net *net, uint32_t layer)
{
	return net->layers[layer].out;
}

uint32_t nn_truths(const struct nn_net *net)
{
	return net->truths;
}

static const struct nn_parameter *find_parameter(const struct nn_net *net,
						 uint32_t layer,
						 enum nn_tensor_kind kind)
{
	if (layer >= net->n_layers || (uint32_t)kind >= NN_TENSOR_KINDS)
		return NULL;
	return &net->layers[layer].parameter[kind];
}

float *nn_tensor(struct nn_net *net, uint32_t layer, enum nn_tensor_kind kind,
		 uint32_t *count)
{
	const struct nn_parameter *parameter = find_parameter(net, layer, kind);

	*count = parameter ? parameter->count : 0;
	return parameter ? parameter->value : NULL;
}

float *nn_momentum(struct nn_net *net, uint32_t layer, enum nn_tensor_kind kind,
		   uint32_t *count)
{
	const struct nn_parameter *parameter = find_parameter(net, layer, kind);
	float *gradient = parameter ? parameter->gradient : NULL;

	*count = gradient ? parameter->count : 0;
	return gradient;
}

const float *nn_output(const struct nn_net *net)
{
	return net->result;
}

float *nn_output_delta(struct nn_net *net)
{
	return net->layers[net->n_layers - 1].delta;
}

const float *nn_input_delta(const struct nn_net *net)
{
	return net->input_delta;
}

float *nn_input(struct nn_net *net)
{
	return net->input;
}

float *nn_truth(struct nn_net *net)
{
	return net->truth;
}

/* ---- The dynamics ---- */

void nn_randomize(struct nn_net *net)
{
	struct nn_random random = { 0 };
	uint32_t key[NN_KEY_WORDS] = { 0 };
	uint32_t i = 0;

	for (i = 0; i < net->n_layers; i++) {
		if (!net->layers[i].ops->randomize)
			continue;
		nn_random_derive(key, net->seed, NN_RANDOM_WEIGHTS,
				 net->first_layer + i);
		nn_random_start(&random, key, 0, 0);
		net->layers[i].ops->randomize(&net->layers[i], &random);
	}
}

/* Value @value of a call whose value 0 is @input; see struct nn_value. */
static const float *value_of(const struct nn_net *net, uint32_t value,
			     const float *input)
{
	const float *output = value > 0 ? net->layers[value - 1].output : NULL;

	return output ? output : input;
}

static float *delta_of(const struct nn_net *net, uint32_t value)
{
	return value > 0 ? net->layers[value - 1].delta : net->input_delta;
}

static uint32_t source_value(const struct nn_net *net,
			     const struct nn_layer *layer, uint32_t source)
{
	return layer->spec.sources[source] + 1u - net->first_layer;
}

static void find_sources(const struct nn_net *net, const struct nn_layer *layer,
			 const float *input, struct nn_call *call)
{
	struct nn_source *source = NULL;
	uint32_t value = 0;
	uint32_t i = 0;

	for (i = 0; i < layer->spec.n_sources; i++) {
		source = &call->source[i];
		value = source_value(net, layer, i);
		source->value = value_of(net, value, input);
		source->delta = net->train ? delta_of(net, value) : NULL;
		source->shape = value > 0 ? net->layers[value - 1].out
					  : net->layers[0].in;
		source->floats = value > 0 ? net->layers[value - 1].outputs
					   : net->inputs;
	}
}

void nn_forward(struct nn_net *net, const struct nn_step *step,
		const float *input, const float *truth)
{
	struct nn_call call = {
		.step = step,
		.truth = truth,
		.workspace = net->workspace,
		.workers = net->workers,
	};
	struct nn_layer *layer = NULL;
	uint32_t i = 0;

	for (i = 0; i < net->n_layers; i++) {
		layer = &net->layers[i];
		call.input = value_of(net, i, input);
		find_sources(net, layer, input, &call);
		layer->ops->forward(layer, &call);
	}
	net->result = value_of(net, net->n_layers, input);
}

/*
 * Zero the delta of @value when time comes back to the last layer that reads
 * it, or to its own if none does: from there on it is added to.
 */
static void start_delta(const struct nn_net *net, uint32_t value, uint32_t now,
			uint32_t count)
{
	uint16_t last = value > 0 ? net->layers[value - 1].last : net->input_last;
	uint32_t floats = value > 0 ? net->layers[value - 1].outputs : net->inputs;
	float *delta = delta_of(net, value);

	if (last == now && delta)
		memset(delta, 0, (size_t)count * floats * sizeof(*delta));
}

static void start_deltas(const struct nn_net *net, uint32_t index, uint32_t count)
{
	const struct nn_layer *layer = &net->layers[index];
	uint32_t i = 0;

	start_delta(net, index + 1, index + 1, count);
	if (nn_reads_previous(&layer->spec))
		start_delta(net, index, index + 1, count);
	for (i = 0; i < layer->spec.n_sources; i++)
		start_delta(net, source_value(net, layer, i), index + 1, count);
}

void nn_backward(struct nn_net *net, const struct nn_step *step,
		 const float *input, const float *truth)
{
	struct nn_call call = {
		.step = step,
		.truth = truth,
		.workspace = net->workspace,
		.workers = net->workers,
	};
	struct nn_layer *layer = NULL;
	uint32_t i = 0;

	for (i = net->n_layers; i-- > 0;) {
		layer = &net->layers[i];
		start_deltas(net, i, step->count);
		call.input = value_of(net, i, input);
		call.delta = layer->delta;
		call.input_delta = delta_of(net, i);
		find_sources(net, layer, input, &call);
		layer->ops->backward(layer, &call);
	}
}

/* Descend along one tensor's gradient, then keep @momentum of it. */
static void update_parameter(const struct nn_parameter *parameter, float rate,
			     float momentum, float decay)
{
	float *value = parameter->value;
	float *gradient = parameter->gradient;
	uint32_t i = 0;

	if (!gradient)
		return;
	for (i = 0; i < parameter->count; i++) {
		gradient[i] -= decay * value[i];
		value[i] += rate * gradient[i];
		gradient[i] *= momentum;
	}
}

void nn_update(struct nn_net *net, const struct nn_update *update)
{
	float samples = (float)update->samples;
	const struct nn_layer *layer = NULL;
	float decay = 0;
	float rate = 0;
	uint32_t i = 0;
	uint32_t kind = 0;

	for (i = 0; i < net->n_layers; i++) {
		layer = &net->layers[i];
		rate = update->learning_rate * layer->spec.learning_rate / samples;
		for (kind = 0; kind < NN_TENSOR_KINDS; kind++) {
			decay = kind == NN_WEIGHTS ? update->decay * samples : 0;
			update_parameter(&layer->parameter[kind], rate,
					 update->momentum, decay);
		}
	}
}

uint32_t nn_loss(const struct nn_net *net, double *sum)
{
	uint32_t reporting = 0;
	uint32_t i = 0;

	*sum = 0;
	for (i = 0; i < net->n_layers; i++) {
		*sum += net->layers[i].loss;
		reporting += net->layers[i].reports_loss;
	}
	return reporting;
}

void nn_loss_reset(struct nn_net *net)
{
	uint32_t i = 0;

	for (i = 0; i < net->n_layers; i++)
		net->layers[i].loss = 0;
}
