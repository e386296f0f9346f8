/* SPDX-License-Identifier: MIT */
/*
 * Cost of the prediction against the truth; the end of a network. It passes its
 * input on and keeps nothing: losses are summed forward, gradients are computed
 * from input and truth backward.
 */
#include "nn_internal.h"

#define MASK_VALUE	-1234	/* truth that Darknet's masked cost leaves out */

static enum nn_status cost_layout(struct nn_layer *layer,
				  const struct nn_spec *spec,
				  struct nn_arena *arena)
{
	(void)spec;
	(void)arena;
	if (!nn_is_finite(layer->spec.scale))
		return NN_ERR_SPEC;
	if ((uint32_t)layer->spec.cost > NN_COST_SMOOTH)
		return NN_ERR_UNSUPPORTED;
	layer->passes = true;
	layer->owns_loss = true;
	layer->reports_loss = true;
	return nn_layout_shape(layer, layer->in);
}

/* truth - prediction, or nothing where the truth is masked */
static float difference(enum nn_cost_type cost, float truth, float prediction)
{
	bool masked = !(truth < MASK_VALUE || truth > MASK_VALUE);

	return cost == NN_COST_MASKED && masked ? 0 : truth - prediction;
}

static float error_of(enum nn_cost_type cost, float d)
{
	float size = __builtin_fabsf(d);

	if (cost == NN_COST_L1)
		return size;
	if (cost == NN_COST_SMOOTH && size >= 1)
		return 2 * size - 1;
	return d * d;
}

/*
 * Half the negative derivative of the squares, the whole one of L1. Darknet's
 * smooth cost has the wrong sign from 1 on, so that what is far off never
 * learns; here it leads to the truth.
 */
static float delta_of(enum nn_cost_type cost, float d)
{
	if (cost == NN_COST_L1
	    || (cost == NN_COST_SMOOTH && __builtin_fabsf(d) >= 1))
		return d > 0 ? 1 : -1;
	return d;
}

static void cost_forward(struct nn_layer *layer, const struct nn_call *call)
{
	enum nn_cost_type cost = layer->spec.cost;
	const float *input = call->input;
	const float *truth = call->truth;
	uint32_t sample = 0;
	double sum = 0;
	size_t i = 0;

	if (!truth)
		return;
	for (sample = 0; sample < call->step->count; sample++) {
		sum = 0;
		for (i = 0; i < layer->inputs; i++)
			sum += (double)error_of(cost, difference(cost, truth[i],
								 input[i]));
		layer->loss += sum;
		input += layer->inputs;
		truth += layer->inputs;
	}
}

static void cost_backward(struct nn_layer *layer, const struct nn_call *call)
{
	enum nn_cost_type cost = layer->spec.cost;
	size_t n = (size_t)call->step->count * layer->inputs;
	const float *truth = call->truth;
	float *delta = call->input_delta;
	size_t i = 0;

	if (!delta)
		return;
	for (i = 0; i < n; i++)
		delta[i] = truth ? layer->spec.scale
				   * delta_of(cost, difference(cost, truth[i],
							       call->input[i]))
				 : 0;
}

const struct nn_layer_ops nn_cost_ops = {
	.layout = cost_layout,
	.forward = cost_forward,
	.backward = cost_backward,
};
