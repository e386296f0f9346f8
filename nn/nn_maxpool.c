/* SPDX-License-Identifier: MIT */
/*
 * Maximum over a window. The backward pass looks for the maximum again instead
 * of keeping an index per output: memory is what a secure world lacks.
 */
#include "nn_internal.h"

static enum nn_status maxpool_layout(struct nn_layer *layer,
				     const struct nn_spec *spec,
				     struct nn_arena *arena)
{
	const struct nn_layer_spec *own = &layer->spec;

	(void)spec;
	(void)arena;
	if (own->size == 0 || own->stride == 0)
		return NN_ERR_SPEC;
	if (own->size > NN_MAX_TENSOR_FLOATS)
		return NN_ERR_SIZE;
	/* More padding on one side and a window would see nothing but padding. */
	if (own->padding / 2 + own->padding % 2 >= own->size)
		return NN_ERR_SPEC;
	return nn_layout_shape(layer, (struct nn_shape){
		.width = nn_window_positions(layer->in.width, own->padding,
					     own->size, own->stride),
		.height = nn_window_positions(layer->in.height, own->padding,
					      own->size, own->stride),
		.channels = layer->in.channels,
	});
}

/* The part [first, end) of window @at that lies on an edge of @length pixels. */
struct extent {
	size_t first, end;
};

static struct extent extent_at(const struct nn_layer *layer, size_t at,
			       size_t length)
{
	int64_t first = (int64_t)(at * layer->spec.stride)
			- (int64_t)(layer->spec.padding / 2);
	int64_t end = first + (int64_t)layer->spec.size;

	first = first > 0 ? first : 0;
	end = end < (int64_t)length ? end : (int64_t)length;
	return (struct extent){ (size_t)first, (size_t)end };
}

/* Index in @plane of the first of the largest values in a window. */
static size_t find_maximum(const struct nn_layer *layer, const float *plane,
			   struct extent rows, struct extent columns)
{
	size_t best = rows.first * layer->in.width + columns.first;
	size_t y = 0;
	size_t x = 0;
	size_t at = 0;

	for (y = rows.first; y < rows.end; y++) {
		for (x = columns.first; x < columns.end; x++) {
			at = y * layer->in.width + x;
			if (plane[at] > plane[best])
				best = at;
		}
	}
	return best;
}

/* One channel of one sample: either read maxima or scatter the gradient. */
static void pool_plane(const struct nn_layer *layer, const float *plane,
		       float *out, const float *delta, float *plane_delta)
{
	struct extent rows = { 0 };
	struct extent columns = { 0 };
	size_t best = 0;
	size_t y = 0;
	size_t x = 0;
	size_t at = 0;

	for (y = 0; y < layer->out.height; y++) {
		rows = extent_at(layer, y, layer->in.height);
		for (x = 0; x < layer->out.width; x++, at++) {
			columns = extent_at(layer, x, layer->in.width);
			best = find_maximum(layer, plane, rows, columns);
			if (out)
				out[at] = plane[best];
			else
				plane_delta[best] += delta[at];
		}
	}
}

/* Samples [first, end). */
static void forward_samples(struct nn_layer *layer, const struct nn_call *call,
			    size_t first, size_t end)
{
	size_t channels = layer->in.channels;
	size_t i = 0;

	for (i = first * channels; i < end * channels; i++)
		pool_plane(layer, call->input + i * nn_pixels(layer->in),
			   layer->output + i * nn_pixels(layer->out),
			   NULL, NULL);
}

static void maxpool_forward(struct nn_layer *layer, const struct nn_call *call)
{
	nn_share_samples(layer, call, layer->inputs, forward_samples);
}

static void backward_samples(struct nn_layer *layer, const struct nn_call *call,
			     size_t first, size_t end)
{
	size_t channels = layer->in.channels;
	size_t in = nn_pixels(layer->in);
	size_t i = 0;

	for (i = first * channels; i < end * channels; i++)
		pool_plane(layer, call->input + i * in, NULL,
			   call->delta + i * nn_pixels(layer->out),
			   call->input_delta + i * in);
}

static void maxpool_backward(struct nn_layer *layer, const struct nn_call *call)
{
	if (call->input_delta)
		nn_share_samples(layer, call, layer->inputs, backward_samples);
}

const struct nn_layer_ops nn_maxpool_ops = {
	.layout = maxpool_layout,
	.forward = maxpool_forward,
	.backward = maxpool_backward,
};
