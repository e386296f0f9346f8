/* SPDX-License-Identifier: MIT */
/* Fully connected layer: output = weights (outputs, inputs) times input. */
#include "nn_internal.h"
#include "nn_math.h"

#include <string.h>

static enum nn_status connected_layout(struct nn_layer *layer,
				       const struct nn_spec *spec,
				       struct nn_arena *arena)
{
	uint64_t outputs = layer->spec.outputs;
	enum nn_status status = NN_ERR_SPEC;

	status = nn_layout_shape(layer, (struct nn_shape){
		.width = 1, .height = 1, .channels = layer->spec.outputs,
	});
	if (status != NN_OK)
		return status;
	nn_layout_parameter(layer, spec, arena, NN_WEIGHTS,
			    outputs * layer->inputs, true);
	return nn_layout_affine(layer, spec, arena);
}

static void connected_forward(struct nn_layer *layer, const struct nn_call *call)
{
	size_t count = call->step->count;

	memset(layer->output, 0,
	       count * layer->outputs * sizeof(*layer->output));
	nn_gemm_transposed(count, layer->outputs, layer->inputs, call->input,
			   layer->inputs, layer->parameter[NN_WEIGHTS].value,
			   layer->inputs, layer->output, layer->outputs);
	nn_affine_forward(layer, call);
}

static void connected_backward(struct nn_layer *layer, const struct nn_call *call)
{
	const struct nn_parameter *weights = &layer->parameter[NN_WEIGHTS];
	const struct nn_matrix delta = {
		.at = call->delta, .row = layer->outputs, .column = 1,
	};
	const struct nn_matrix delta_transposed = {
		.at = call->delta, .row = 1, .column = layer->outputs,
	};
	size_t count = call->step->count;

	nn_affine_backward(layer, call);
	nn_gemm(layer->outputs, layer->inputs, count, delta_transposed,
		call->input, layer->inputs, weights->gradient, layer->inputs);
	if (!call->input_delta)
		return;
	nn_gemm(count, layer->inputs, layer->outputs, delta, weights->value,
		layer->inputs, call->input_delta, layer->inputs);
}

/* Uniform, as wide as Darknet makes it. */
static void connected_randomize(struct nn_layer *layer, struct nn_random *random)
{
	struct nn_parameter *weights = &layer->parameter[NN_WEIGHTS];
	float bound = nn_sqrt(2.0f / (float)layer->inputs);
	size_t i = 0;

	for (i = 0; i < weights->count; i++)
		weights->value[i] = bound * (2 * nn_random_unit(random) - 1);
}

const struct nn_layer_ops nn_connected_ops = {
	.layout = connected_layout,
	.forward = connected_forward,
	.backward = connected_backward,
	.randomize = connected_randomize,
};
