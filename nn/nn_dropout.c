/* SPDX-License-Identifier: MIT */
/*
 * Dropout: training, each unit is 0 with the given probability and scaled up
 * otherwise. The mask is drawn again for the backward pass instead of being
 * kept. A segment that only predicts passes its input on.
 */
#include "nn_internal.h"

#include <string.h>

static enum nn_status dropout_layout(struct nn_layer *layer,
				     const struct nn_spec *spec,
				     struct nn_arena *arena)
{
	(void)arena;
	if (!(layer->spec.probability >= 0 && layer->spec.probability < 1))
		return NN_ERR_SPEC;
	layer->passes = !spec->train;
	return nn_layout_shape(layer, layer->in);
}

/* out += in under the masks of samples [first, end); the same for deltas. */
static void apply_mask(const struct nn_layer *layer, const struct nn_step *step,
		       size_t first, size_t end, const float *in, float *out)
{
	float probability = layer->spec.probability;
	float scale = 1 / (1 - probability);
	struct nn_random random = { 0 };
	size_t sample = 0;
	size_t i = 0;

	in += first * layer->inputs;
	out += first * layer->inputs;
	for (sample = first; sample < end; sample++) {
		nn_random_start(&random, layer->dropout_key, step->iteration,
				step->sample + (uint32_t)sample);
		for (i = 0; i < layer->inputs; i++)
			out[i] += nn_random_unit(&random) < probability
				  ? 0 : in[i] * scale;
		in += layer->inputs;
		out += layer->inputs;
	}
}

static void mask_outputs(struct nn_layer *layer, const struct nn_call *call,
			 size_t first, size_t end)
{
	apply_mask(layer, call->step, first, end, call->input, layer->output);
}

static void mask_deltas(struct nn_layer *layer, const struct nn_call *call,
			size_t first, size_t end)
{
	apply_mask(layer, call->step, first, end, call->delta,
		   call->input_delta);
}

static void dropout_forward(struct nn_layer *layer, const struct nn_call *call)
{
	size_t bytes = (size_t)call->step->count * layer->inputs * sizeof(float);

	if (layer->passes)
		return;
	if (!call->step->train) {
		memcpy(layer->output, call->input, bytes);
		return;
	}
	memset(layer->output, 0, bytes);
	nn_share_samples(layer, call, layer->inputs, mask_outputs);
}

static void dropout_backward(struct nn_layer *layer, const struct nn_call *call)
{
	if (call->input_delta)
		nn_share_samples(layer, call, layer->inputs, mask_deltas);
}

const struct nn_layer_ops nn_dropout_ops = {
	.layout = dropout_layout,
	.forward = dropout_forward,
	.backward = dropout_backward,
};
