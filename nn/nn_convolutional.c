/* SPDX-License-Identifier: MIT */
/*
 * Convolution as a matrix product. The columns of the product, one per output
 * pixel, hold the input pixels under its window. They are made for a strip of
 * output rows at a time, so that they stay in the cache and cost little memory.
 */
#include "nn_internal.h"
#include "nn_math.h"

#include <string.h>

#define STRIP_FLOATS	8192	/* aim for the columns of one strip: 32 KiB */

/* Input channels of one group times the window: rows of the column matrix. */
static size_t window_floats(const struct nn_layer *layer)
{
	return (size_t)(layer->in.channels / layer->spec.groups)
	       * layer->spec.size * layer->spec.size;
}

/* A 1x1 window over every pixel: the input is the column matrix already. */
static bool is_pointwise(const struct nn_layer *layer)
{
	return layer->spec.size == 1 && layer->spec.stride == 1
	       && layer->spec.padding == 0;
}

/* Output rows computed at a time. */
static size_t strip_rows(const struct nn_layer *layer)
{
	uint64_t row_floats = (uint64_t)window_floats(layer) * layer->out.width;
	uint64_t rows = STRIP_FLOATS / row_floats;

	if (is_pointwise(layer) || rows > layer->out.height)
		return layer->out.height;
	return rows > 0 ? (size_t)rows : 1;
}

static size_t strips_of(const struct nn_layer *layer)
{
	size_t rows = strip_rows(layer);

	return (layer->out.height + rows - 1) / rows;
}

static enum nn_status convolutional_check(const struct nn_layer *layer)
{
	const struct nn_layer_spec *spec = &layer->spec;

	if (spec->filters == 0 || spec->size == 0 || spec->stride == 0
	    || spec->groups == 0)
		return NN_ERR_SPEC;
	if (layer->in.channels % spec->groups || spec->filters % spec->groups)
		return NN_ERR_SPEC;
	if (spec->size > NN_MAX_TENSOR_FLOATS
	    || spec->padding > NN_MAX_TENSOR_FLOATS)
		return NN_ERR_SIZE;
	return NN_OK;
}

static enum nn_status convolutional_layout(struct nn_layer *layer,
					   const struct nn_spec *spec,
					   struct nn_arena *arena)
{
	const struct nn_layer_spec *own = &layer->spec;
	enum nn_status status = convolutional_check(layer);
	uint64_t padding = 2 * (uint64_t)own->padding;
	uint64_t window = 0;
	uint64_t columns = 0;

	if (status != NN_OK)
		return status;
	status = nn_layout_shape(layer, (struct nn_shape){
		.width = nn_window_positions(layer->in.width, padding,
					     own->size, own->stride),
		.height = nn_window_positions(layer->in.height, padding,
					      own->size, own->stride),
		.channels = own->filters,
	});
	if (status != NN_OK)
		return status;
	window = (uint64_t)own->size * own->size;	/* below 2^56: checked */
	if (window > NN_MAX_TENSOR_FLOATS)
		return NN_ERR_SIZE;
	window *= layer->in.channels / own->groups;
	if (window > NN_MAX_TENSOR_FLOATS)
		return NN_ERR_SIZE;
	columns = is_pointwise(layer) ? 0 : window * strip_rows(layer)
					    * layer->out.width;
	if (columns > NN_MAX_TENSOR_FLOATS)
		return NN_ERR_SIZE;
	nn_layout_parameter(layer, spec, arena, NN_WEIGHTS,
			    window * own->filters, true);
	layer->workspace_floats = (uint32_t)columns;
	return nn_layout_affine(layer, spec, arena);
}

/* ---- Columns ---- */

/* Output pixels [first, end) of a row whose window column lies in the image. */
struct span {
	size_t first, end;
};

static struct span valid_span(const struct nn_layer *layer, size_t kernel_x)
{
	int64_t stride = layer->spec.stride;
	int64_t shift = (int64_t)layer->spec.padding - (int64_t)kernel_x;
	int64_t first = shift > 0 ? (shift + stride - 1) / stride : 0;
	int64_t right = (int64_t)layer->in.width + shift;
	int64_t end = right > 0 ? (right + stride - 1) / stride : 0;
	int64_t width = layer->out.width;

	end = end < width ? end : width;
	first = first < end ? first : end;
	return (struct span){ (size_t)first, (size_t)end };
}

/*
 * The input row under window row @kernel_y of output row @y, shifted so that
 * output pixel x finds its input at [x * stride]; false if it is padding.
 */
static bool input_row(const struct nn_layer *layer, size_t y, size_t kernel_y,
		      size_t *row)
{
	int64_t at = (int64_t)(y * layer->spec.stride + kernel_y)
		     - (int64_t)layer->spec.padding;

	if (at < 0 || at >= (int64_t)layer->in.height)
		return false;
	*row = (size_t)at;
	return true;
}

/* Index, within an input row, of what is under window column @kernel_x of x. */
static size_t input_column(const struct nn_layer *layer, size_t x, size_t kernel_x)
{
	return x * layer->spec.stride + kernel_x - layer->spec.padding;
}

/* One place in the window: a row of the column matrix. */
struct tap {
	size_t plane_at;	/* of its input channel, within the group */
	size_t row, column;	/* in the window */
	struct span span;
};

static struct tap tap_at(const struct nn_layer *layer, size_t k)
{
	size_t size = layer->spec.size;
	size_t column = k % size;

	return (struct tap){
		.plane_at = k / (size * size) * nn_pixels(layer->in),
		.row = k / size % size,
		.column = column,
		.span = valid_span(layer, column),
	};
}

static void gather_row(const struct nn_layer *layer, const struct tap *tap,
		       const float *image, size_t y, float *out)
{
	struct span span = tap->span;
	size_t width = layer->out.width;
	size_t stride = layer->spec.stride;
	const float *in = NULL;
	size_t row = 0;
	size_t x = 0;

	if (!input_row(layer, y, tap->row, &row) || span.first == span.end) {
		memset(out, 0, width * sizeof(*out));
		return;
	}
	in = image + tap->plane_at + row * layer->in.width
	     + input_column(layer, span.first, tap->column);
	for (x = 0; x < span.first; x++)
		out[x] = 0;
	if (stride == 1)
		memcpy(out + span.first, in,
		       (span.end - span.first) * sizeof(*out));
	else
		for (x = 0; x < span.end - span.first; x++)
			out[span.first + x] = in[x * stride];
	for (x = span.end; x < width; x++)
		out[x] = 0;
}

/* The transpose of gather_row(): add @columns where they came from. */
static void scatter_row(const struct nn_layer *layer, const struct tap *tap,
			const float *columns, size_t y, float *image)
{
	struct span span = tap->span;
	size_t stride = layer->spec.stride;
	float *to = NULL;
	size_t row = 0;
	size_t x = 0;

	if (!input_row(layer, y, tap->row, &row) || span.first == span.end)
		return;
	to = image + tap->plane_at + row * layer->in.width
	     + input_column(layer, span.first, tap->column);
	columns += span.first;
	if (stride == 1)
		nn_add(to, columns, span.end - span.first);
	else
		for (x = 0; x < span.end - span.first; x++)
			to[x * stride] += columns[x];
}

/* One strip of output rows of one sample and group. */
struct strip {
	size_t first_row, rows;
	size_t pixels;		/* rows * width */
};

/* Rows [first, end) of the column matrix of a strip. */
static void gather(const struct nn_layer *layer, const float *image,
		   const struct strip *strip, size_t first, size_t end,
		   float *columns)
{
	size_t width = layer->out.width;
	struct tap tap = { 0 };
	size_t k = 0;
	size_t y = 0;

	for (k = first; k < end; k++) {
		tap = tap_at(layer, k);
		for (y = 0; y < strip->rows; y++, columns += width)
			gather_row(layer, &tap, image, strip->first_row + y,
				   columns);
	}
}

static void scatter(const struct nn_layer *layer, const float *columns,
		    const struct strip *strip, float *image)
{
	size_t width = layer->out.width;
	size_t window = window_floats(layer);
	struct tap tap = { 0 };
	size_t k = 0;
	size_t y = 0;

	for (k = 0; k < window; k++) {
		tap = tap_at(layer, k);
		for (y = 0; y < strip->rows; y++, columns += width)
			scatter_row(layer, &tap, columns, strip->first_row + y,
				    image);
	}
}

/* ---- The dynamics ---- */

/* One group of one sample: pointers into the tensors. */
struct group {
	size_t filters;
	size_t window;
	size_t weights_at;	/* into the weights and their gradient */
	size_t input_at;	/* into input and input_delta */
	size_t output_at;	/* into output and delta */
};

/* @index: sample * groups + group */
static struct group group_of(const struct nn_layer *layer, size_t index)
{
	size_t groups = layer->spec.groups;
	struct group group = {
		.filters = layer->spec.filters / groups,
		.window = window_floats(layer),
		.input_at = index * (layer->inputs / groups),
		.output_at = index * (layer->outputs / groups),
	};

	group.weights_at = index % groups * group.filters * group.window;
	return group;
}

static struct strip strip_at(const struct nn_layer *layer, size_t first_row)
{
	struct strip strip = { .first_row = first_row, .rows = strip_rows(layer) };

	if (strip.rows > layer->out.height - first_row)
		strip.rows = layer->out.height - first_row;
	strip.pixels = strip.rows * layer->out.width;
	return strip;
}

/* Rows [first, end) of the column matrix of a strip: (end - first, pixels). */
static const float *columns_of(const struct nn_layer *layer,
			       const struct nn_call *call,
			       const struct group *group,
			       const struct strip *strip, size_t first,
			       size_t end)
{
	const float *image = call->input + group->input_at;

	if (is_pointwise(layer))
		return image + first * nn_pixels(layer->in);
	gather(layer, image, strip, first, end, call->workspace);
	return call->workspace;
}

static void clear_strip(const struct nn_layer *layer, const struct group *group,
			const struct strip *strip, float *output)
{
	size_t i = 0;

	for (i = 0; i < group->filters; i++)
		memset(output + i * nn_pixels(layer->out), 0,
		       strip->pixels * sizeof(*output));
}

static void forward_strip(struct nn_layer *layer, const struct nn_call *call,
			  const struct group *group, const struct strip *strip)
{
	const struct nn_matrix weights = {
		.at = layer->parameter[NN_WEIGHTS].value + group->weights_at,
		.row = group->window,
		.column = 1,
	};
	const float *columns = columns_of(layer, call, group, strip, 0,
					  group->window);
	float *output = layer->output + group->output_at
			+ strip->first_row * layer->out.width;

	clear_strip(layer, group, strip, output);
	nn_gemm(group->filters, strip->pixels, group->window, weights, columns,
		strip->pixels, output, nn_pixels(layer->out));
}

/* Strips [first, end) of all samples and groups. */
static void forward_strips(struct nn_layer *layer, const struct nn_call *call,
			   size_t first, size_t end)
{
	size_t strips = strips_of(layer);
	struct group group = { 0 };
	struct strip strip = { 0 };
	size_t i = 0;

	for (i = first; i < end; i++) {
		group = group_of(layer, i / strips);
		strip = strip_at(layer, i % strips * strip_rows(layer));
		forward_strip(layer, call, &group, &strip);
	}
}

static size_t groups_of_call(const struct nn_layer *layer,
			     const struct nn_call *call)
{
	return (size_t)call->step->count * layer->spec.groups;
}

static void convolutional_forward(struct nn_layer *layer,
				  const struct nn_call *call)
{
	nn_share(layer, call, groups_of_call(layer, call) * strips_of(layer), 1,
		 forward_strips);
	nn_affine_forward(layer, call);
}

/*
 * Columns [first, end) of the weights' gradient, for every filter: what is
 * under these places of the window, in all samples.
 */
static void weight_gradient(struct nn_layer *layer, const struct nn_call *call,
			    size_t first, size_t end)
{
	size_t groups = groups_of_call(layer, call);
	size_t pixels = nn_pixels(layer->out);
	struct group group = { 0 };
	struct strip strip = { 0 };
	size_t index = 0;
	size_t row = 0;

	for (index = 0; index < groups; index++) {
		group = group_of(layer, index);
		for (row = 0; row < layer->out.height; row += strip.rows) {
			strip = strip_at(layer, row);
			nn_gemm_transposed(group.filters, end - first,
					   strip.pixels,
					   call->delta + group.output_at
					   + row * layer->out.width, pixels,
					   columns_of(layer, call, &group,
						      &strip, first, end),
					   strip.pixels,
					   layer->parameter[NN_WEIGHTS].gradient
					   + group.weights_at + first,
					   group.window);
		}
	}
}

static void delta_strip(struct nn_layer *layer, const struct nn_call *call,
			const struct group *group, const struct strip *strip)
{
	/* Transposed: (window, filters). */
	const struct nn_matrix weights = {
		.at = layer->parameter[NN_WEIGHTS].value + group->weights_at,
		.row = 1,
		.column = group->window,
	};
	const float *delta = call->delta + group->output_at
			     + strip->first_row * layer->out.width;
	float *input_delta = call->input_delta + group->input_at;
	bool in_place = is_pointwise(layer);
	float *columns = in_place ? input_delta : call->workspace;

	if (!in_place)
		memset(columns, 0,
		       group->window * strip->pixels * sizeof(*columns));
	nn_gemm(group->window, strip->pixels, group->filters, weights, delta,
		nn_pixels(layer->out), columns, strip->pixels);
	if (!in_place)
		scatter(layer, columns, strip, input_delta);
}

/* Groups [first, end) of all samples: their strips meet in the input. */
static void delta_groups(struct nn_layer *layer, const struct nn_call *call,
			 size_t first, size_t end)
{
	struct group group = { 0 };
	struct strip strip = { 0 };
	size_t index = 0;
	size_t row = 0;

	for (index = first; index < end; index++) {
		group = group_of(layer, index);
		for (row = 0; row < layer->out.height; row += strip.rows) {
			strip = strip_at(layer, row);
			delta_strip(layer, call, &group, &strip);
		}
	}
}

static void convolutional_backward(struct nn_layer *layer,
				   const struct nn_call *call)
{
	nn_affine_backward(layer, call);
	nn_share(layer, call, window_floats(layer), NN_TILE_ROWS,
		 weight_gradient);
	if (call->input_delta)
		nn_share(layer, call, groups_of_call(layer, call), 1,
			 delta_groups);
}

/* Normal, with the variance that keeps the outputs' near that of the inputs. */
static void convolutional_randomize(struct nn_layer *layer,
				    struct nn_random *random)
{
	struct nn_parameter *weights = &layer->parameter[NN_WEIGHTS];
	float deviation = nn_sqrt(2.0f / (float)window_floats(layer));
	size_t i = 0;

	for (i = 0; i < weights->count; i++)
		weights->value[i] = deviation * nn_random_normal(random);
}

const struct nn_layer_ops nn_convolutional_ops = {
	.layout = convolutional_layout,
	.forward = convolutional_forward,
	.backward = convolutional_backward,
	.randomize = convolutional_randomize,
};
