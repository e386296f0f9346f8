/* SPDX-License-Identifier: MIT */
/*
 * Softmax over groups of inputs, with the cross-entropy loss unless .noloss.
 *
 * As in Darknet the gradient of the loss with regard to the *input* is what is
 * handed back, together with whatever came from a cost layer behind.
 */
#include "nn_internal.h"
#include "nn_math.h"

static enum nn_status softmax_layout(struct nn_layer *layer,
				     const struct nn_spec *spec,
				     struct nn_arena *arena)
{
	(void)spec;
	(void)arena;
	if (layer->spec.groups == 0 || layer->inputs % layer->spec.groups)
		return NN_ERR_SPEC;
	if (!nn_is_finite(layer->spec.temperature)
	    || !(layer->spec.temperature > 0))
		return NN_ERR_SPEC;
	layer->owns_loss = !layer->spec.noloss;
	layer->reports_loss = true;
	return nn_layout_shape(layer, layer->in);
}

static void softmax(const float *in, size_t n, float temperature, float *out)
{
	float largest = in[0];
	double sum = 0;
	size_t i = 0;

	for (i = 1; i < n; i++)
		largest = in[i] > largest ? in[i] : largest;
	for (i = 0; i < n; i++) {
		out[i] = nn_exp((in[i] - largest) / temperature);
		sum += (double)out[i];
	}
	for (i = 0; i < n; i++)
		out[i] = (float)((double)out[i] / sum);
}

/* Cross entropy of one sample. */
static double cross_entropy(const float *output, const float *truth, size_t n)
{
	double sum = 0;
	size_t i = 0;

	for (i = 0; i < n; i++)
		if (truth[i] < 0 || truth[i] > 0)
			sum -= (double)nn_log(output[i]);
	return sum;
}

static void softmax_forward(struct nn_layer *layer, const struct nn_call *call)
{
	size_t group = layer->inputs / layer->spec.groups;
	size_t n = (size_t)call->step->count * layer->inputs;
	size_t i = 0;

	for (i = 0; i < n; i += group)
		softmax(call->input + i, group, layer->spec.temperature,
			layer->output + i);
	if (!layer->owns_loss || !call->truth)
		return;
	for (i = 0; i < n; i += layer->inputs)
		layer->loss += cross_entropy(layer->output + i, call->truth + i,
					     layer->inputs);
}

static void softmax_backward(struct nn_layer *layer, const struct nn_call *call)
{
	bool own = layer->owns_loss && call->truth;
	size_t n = (size_t)call->step->count * layer->inputs;
	size_t i = 0;

	if (!call->input_delta)
		return;
	for (i = 0; i < n; i++)
		call->input_delta[i] += call->delta[i]
			+ (own ? call->truth[i] - layer->output[i] : 0);
}

const struct nn_layer_ops nn_softmax_ops = {
	.layout = softmax_layout,
	.forward = softmax_forward,
	.backward = softmax_backward,
};
