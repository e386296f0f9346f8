/* SPDX-License-Identifier: MIT */
/*
 * Shortcut: output = activation(alpha * the layer before + beta * the source).
 *
 * The output has the shape of the layer before. A source of another shape is
 * added where the two meet: to the channels that both have, and pixel by pixel
 * on the coarser grid; what the source does not reach passes unscaled. Darknet
 * then takes alpha for the gradient of those pixels, too, which is right for
 * alpha = 1 only: other ones are refused.
 *
 * A source that a dropout follows is read as it was before. In Darknet dropout
 * works in place, so that there, training, the shortcut sees what is left of it.
 */
#include "nn_internal.h"

/* How the pixels of two images along an edge meet: @n pairs. */
struct grid {
	uint32_t n;
	uint32_t in_step, out_step;	/* pixels between two pairs */
};

static uint32_t at_least_one(uint32_t x)
{
	return x > 0 ? x : 1;
}

static struct grid meet(uint32_t in, uint32_t out)
{
	return (struct grid){
		.n = in < out ? in : out,
		.in_step = at_least_one(in / out),
		.out_step = at_least_one(out / in),
	};
}

static bool same_shape(struct nn_shape a, struct nn_shape b)
{
	return a.width == b.width && a.height == b.height
	       && a.channels == b.channels;
}

static enum nn_status shortcut_layout(struct nn_layer *layer,
				      const struct nn_spec *spec,
				      struct nn_arena *arena)
{
	const struct nn_layer_spec *own = &layer->spec;
	struct nn_shape in = { 0 };

	if (own->n_sources != 1 || !nn_is_finite(own->alpha)
	    || !nn_is_finite(own->beta))
		return NN_ERR_SPEC;
	if ((uint32_t)own->activation > NN_LHTAN)
		return NN_ERR_UNSUPPORTED;
	in = nn_layout_source(layer, spec, arena, 0)->shape;
	/* The same step along both edges. */
	if (in.width / layer->in.width != in.height / layer->in.height
	    || layer->in.width / in.width != layer->in.height / in.height)
		return NN_ERR_SPEC;
	if (!same_shape(in, layer->in) && (own->alpha < 1 || own->alpha > 1))
		return NN_ERR_UNSUPPORTED;
	return nn_layout_shape(layer, layer->in);
}

/* One sample's planes of different shapes; a step of 1 in either of them. */
static void add_planes(float *to, struct nn_shape to_shape, const float *from,
		       struct nn_shape from_shape, float factor)
{
	struct grid rows = meet(from_shape.height, to_shape.height);
	struct grid columns = meet(from_shape.width, to_shape.width);
	uint32_t channels = from_shape.channels < to_shape.channels
			    ? from_shape.channels : to_shape.channels;
	float *to_row = NULL;
	const float *from_row = NULL;
	size_t c = 0;
	size_t y = 0;
	size_t x = 0;

	for (c = 0; c < channels; c++) {
		for (y = 0; y < rows.n; y++) {
			to_row = to + (c * to_shape.height + y * rows.out_step)
				      * to_shape.width;
			from_row = from + (c * from_shape.height + y * rows.in_step)
					  * from_shape.width;
			for (x = 0; x < columns.n; x++)
				to_row[x * columns.out_step] +=
					factor * from_row[x * columns.in_step];
		}
	}
}

static void forward_samples(struct nn_layer *layer, const struct nn_call *call,
			    size_t first, size_t end)
{
	const struct nn_source *source = &call->source[0];
	size_t at = first * layer->outputs;
	size_t sample = 0;
	size_t i = 0;

	for (i = at; i < end * layer->outputs; i++)
		layer->output[i] = layer->spec.alpha * call->input[i];
	for (sample = first; sample < end; sample++)
		add_planes(layer->output + sample * layer->outputs, layer->out,
			   source->value + sample * source->floats,
			   source->shape, layer->spec.beta);
	nn_activate(layer->spec.activation, layer->output + at,
		    (end - first) * layer->outputs);
}

static void shortcut_forward(struct nn_layer *layer, const struct nn_call *call)
{
	nn_share_samples(layer, call, layer->outputs, forward_samples);
}

static void backward_samples(struct nn_layer *layer, const struct nn_call *call,
			     size_t first, size_t end)
{
	const struct nn_source *source = &call->source[0];
	size_t at = first * layer->outputs;
	size_t n = (end - first) * layer->outputs;
	size_t sample = 0;

	nn_activation_gradient(layer->spec.activation, layer->output + at,
			       call->delta + at, n);
	if (call->input_delta)
		nn_add_scaled(call->input_delta + at, call->delta + at,
			      layer->spec.alpha, n);
	if (!source->delta)
		return;
	for (sample = first; sample < end; sample++)
		add_planes(source->delta + sample * source->floats,
			   source->shape, call->delta + sample * layer->outputs,
			   layer->out, layer->spec.beta);
}

static void shortcut_backward(struct nn_layer *layer, const struct nn_call *call)
{
	nn_share_samples(layer, call, layer->outputs, backward_samples);
}

const struct nn_layer_ops nn_shortcut_ops = {
	.layout = shortcut_layout,
	.forward = shortcut_forward,
	.backward = shortcut_backward,
};
