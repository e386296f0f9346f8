/* SPDX-License-Identifier: MIT */
/* Route: the channels of earlier layers, one after the other. */
#include "nn_internal.h"

#include <string.h>

static enum nn_status route_layout(struct nn_layer *layer,
				   const struct nn_spec *spec,
				   struct nn_arena *arena)
{
	const struct nn_shape *shape = NULL;
	struct nn_shape out = { 0 };
	uint32_t i = 0;

	for (i = 0; i < layer->spec.n_sources; i++) {
		shape = &nn_layout_source(layer, spec, arena, i)->shape;
		if (i > 0 && (shape->width != out.width
			      || shape->height != out.height))
			return NN_ERR_SPEC;
		out.width = shape->width;
		out.height = shape->height;
		out.channels += shape->channels;	/* each below 2^28 */
	}
	return nn_layout_shape(layer, out);
}

static void route_forward(struct nn_layer *layer, const struct nn_call *call)
{
	const struct nn_source *source = NULL;
	size_t at = 0;
	uint32_t sample = 0;
	uint32_t i = 0;

	for (sample = 0; sample < call->step->count; sample++) {
		for (i = 0; i < layer->spec.n_sources; i++) {
			source = &call->source[i];
			memcpy(layer->output + at,
			       source->value + (size_t)sample * source->floats,
			       source->floats * sizeof(float));
			at += source->floats;
		}
	}
}

static void route_backward(struct nn_layer *layer, const struct nn_call *call)
{
	const struct nn_source *source = NULL;
	size_t at = 0;
	uint32_t sample = 0;
	uint32_t i = 0;

	for (sample = 0; sample < call->step->count; sample++) {
		for (i = 0; i < layer->spec.n_sources; i++) {
			source = &call->source[i];
			if (source->delta)
				nn_add(source->delta
				       + (size_t)sample * source->floats,
				       call->delta + at, source->floats);
			at += source->floats;
		}
	}
}

const struct nn_layer_ops nn_route_ops = {
	.layout = route_layout,
	.forward = route_forward,
	.backward = route_backward,
};
