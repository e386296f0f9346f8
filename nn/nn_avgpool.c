/* SPDX-License-Identifier: MIT */
/* Mean of each channel. */
#include "nn_internal.h"

static enum nn_status avgpool_layout(struct nn_layer *layer,
				     const struct nn_spec *spec,
				     struct nn_arena *arena)
{
	(void)spec;
	(void)arena;
	return nn_layout_shape(layer, (struct nn_shape){
		.width = 1, .height = 1, .channels = layer->in.channels,
	});
}

static void avgpool_forward(struct nn_layer *layer, const struct nn_call *call)
{
	size_t planes = (size_t)call->step->count * layer->in.channels;
	size_t pixels = nn_pixels(layer->in);
	const float *plane = call->input;
	double sum = 0;
	size_t i = 0;
	size_t j = 0;

	for (i = 0; i < planes; i++, plane += pixels) {
		sum = 0;
		for (j = 0; j < pixels; j++)
			sum += (double)plane[j];
		layer->output[i] = (float)(sum / (double)pixels);
	}
}

static void avgpool_backward(struct nn_layer *layer, const struct nn_call *call)
{
	size_t planes = (size_t)call->step->count * layer->in.channels;
	size_t pixels = nn_pixels(layer->in);
	float *plane = call->input_delta;
	float share = 0;
	size_t i = 0;
	size_t j = 0;

	if (!plane)
		return;
	for (i = 0; i < planes; i++, plane += pixels) {
		share = call->delta[i] / (float)pixels;
		for (j = 0; j < pixels; j++)
			plane[j] += share;
	}
}

const struct nn_layer_ops nn_avgpool_ops = {
	.layout = avgpool_layout,
	.forward = avgpool_forward,
	.backward = avgpool_backward,
};
