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

/* Outputs [first, end) of all samples. */
static void forward_outputs(struct nn_layer *layer, const struct nn_call *call,
			    size_t first, size_t end)
{
	const float *weights = layer->parameter[NN_WEIGHTS].value;

	nn_gemm_transposed(call->step->count, end - first, layer->inputs,
			   call->input, layer->inputs,
			   weights + first * layer->inputs, layer->inputs,
			   layer->output + first, layer->outputs);
}

static void connected_forward(struct nn_layer *layer, const struct nn_call *call)
{
	memset(layer->output, 0, (size_t)call->step->count * layer->outputs
				 * sizeof(*layer->output));
	nn_share(layer, call, layer->outputs, NN_TILE_ROWS, forward_outputs);
	nn_affine_forward(layer, call);
}

/* Rows [first, end) of the weights' gradient. */
static void weight_gradient(struct nn_layer *layer, const struct nn_call *call,
			    size_t first, size_t end)
{
	const struct nn_matrix delta_transposed = {
		.at = call->delta + first, .row = 1, .column = layer->outputs,
	};
	float *gradient = layer->parameter[NN_WEIGHTS].gradient;

	nn_gemm(end - first, layer->inputs, call->step->count,
		delta_transposed, call->input, layer->inputs,
		gradient + first * layer->inputs, layer->inputs);
}

/* Samples [first, end). */
static void input_delta(struct nn_layer *layer, const struct nn_call *call,
			size_t first, size_t end)
{
	const struct nn_matrix delta = {
		.at = call->delta + first * layer->outputs,
		.row = layer->outputs,
		.column = 1,
	};

	nn_gemm(end - first, layer->inputs, layer->outputs, delta,
		layer->parameter[NN_WEIGHTS].value, layer->inputs,
		call->input_delta + first * layer->inputs, layer->inputs);
}

static void connected_backward(struct nn_layer *layer, const struct nn_call *call)
{
	nn_affine_backward(layer, call);
	nn_share(layer, call, layer->outputs, NN_TILE_ROWS, weight_gradient);
	if (call->input_delta)
		nn_share(layer, call, call->step->count, NN_TILE_ROWS,
			 input_delta);
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
