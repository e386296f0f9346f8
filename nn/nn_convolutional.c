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

static void gather_row(const struct nn_layer *layer, const float *plane,
		       size_t y, size_t kernel_y, size_t kernel_x, float *out)
{
	struct span span = valid_span(layer, kernel_x);
	size_t width = layer->out.width;
	size_t stride = layer->spec.stride;
	const float *in = NULL;
	size_t row = 0;
	size_t x = 0;

	if (!input_row(layer, y, kernel_y, &row) || span.first == span.end) {
		memset(out, 0, width * sizeof(*out));
		return;
	}
	in = plane + row * layer->in.width
	     + input_column(layer, span.first, kernel_x);
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
static void scatter_row(const struct nn_layer *layer, const float *columns,
			size_t y, size_t kernel_y, size_t kernel_x, float *plane)
{
	struct span span = valid_span(layer, kernel_x);
	size_t stride = layer->spec.stride;
	float *to = NULL;
	size_t row = 0;
	size_t x = 0;

	if (!input_row(layer, y, kernel_y, &row) || span.first == span.end)
		return;
	to = plane + row * layer->in.width
	     + input_column(layer, span.first, kernel_x);
	for (x = 0; x < span.end - span.first; x++)
		to[x * stride] += columns[span.first + x];
}

/* One strip of output rows of one sample and group. */
struct strip {
	size_t first_row, rows;
	size_t pixels;		/* rows * width */
};

static void gather(const struct nn_layer *layer, const float *image,
		   const struct strip *strip, float *columns)
{
	size_t size = layer->spec.size;
	size_t width = layer->out.width;
	size_t window = window_floats(layer);
	size_t k = 0;
	size_t y = 0;

	for (k = 0; k < window; k++)
		for (y = 0; y < strip->rows; y++, columns += width)
			gather_row(layer,
				   image + k / (size * size) * nn_pixels(layer->in),
				   strip->first_row + y, k / size % size,
				   k % size, columns);
}

static void scatter(const struct nn_layer *layer, const float *columns,
		    const struct strip *strip, float *image)
{
	size_t size = layer->spec.size;
	size_t width = layer->out.width;
	size_t window = window_floats(layer);
	size_t k = 0;
	size_t y = 0;

	for (k = 0; k < window; k++)
		for (y = 0; y < strip->rows; y++, columns += width)
			scatter_row(layer, columns, strip->first_row + y,
				    k / size % size, k % size,
				    image + k / (size * size) * nn_pixels(layer->in));
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

static struct group group_of(const struct nn_layer *layer, size_t sample,
			     size_t index)
{
	struct group group = {
		.filters = layer->spec.filters / layer->spec.groups,
		.window = window_floats(layer),
	};

	group.weights_at = index * group.filters * group.window;
	group.input_at = sample * layer->inputs
			 + index * (layer->inputs / layer->spec.groups);
	group.output_at = sample * layer->outputs
			  + index * (layer->outputs / layer->spec.groups);
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

/* The column matrix of a strip: (window, pixels). */
static const float *columns_of(const struct nn_layer *layer,
			       const struct nn_call *call,
			       const struct group *group,
			       const struct strip *strip)
{
	if (is_pointwise(layer))
		return call->input + group->input_at;
	gather(layer, call->input + group->input_at, strip, call->workspace);
	return call->workspace;
}

static void forward_strip(struct nn_layer *layer, const struct nn_call *call,
			  const struct group *group, const struct strip *strip)
{
	const struct nn_matrix weights = {
		.at = layer->parameter[NN_WEIGHTS].value + group->weights_at,
		.row = group->window,
		.column = 1,
	};
	const float *columns = columns_of(layer, call, group, strip);
	float *output = layer->output + group->output_at
			+ strip->first_row * layer->out.width;

	nn_gemm(group->filters, strip->pixels, group->window, weights, columns,
		strip->pixels, output, nn_pixels(layer->out));
}

static void backward_strip(struct nn_layer *layer, const struct nn_call *call,
			   const struct group *group, const struct strip *strip)
{
	/* Transposed: (window, filters). */
	const struct nn_matrix weights = {
		.at = layer->parameter[NN_WEIGHTS].value + group->weights_at,
		.row = 1,
		.column = group->window,
	};
	const float *columns = columns_of(layer, call, group, strip);
	size_t pixels = nn_pixels(layer->out);
	const float *delta = call->delta + group->output_at
			     + strip->first_row * layer->out.width;
	float *gathered = NULL;

	nn_gemm_transposed(group->filters, group->window, strip->pixels, delta,
			   pixels, columns, strip->pixels,
			   layer->parameter[NN_WEIGHTS].gradient
			   + group->weights_at, group->window);
	if (!call->input_delta)
		return;
	if (is_pointwise(layer)) {
		nn_gemm(group->window, strip->pixels, group->filters, weights,
			delta, pixels, call->input_delta + group->input_at,
			strip->pixels);
		return;
	}
	gathered = call->workspace;
	memset(gathered, 0, group->window * strip->pixels * sizeof(*gathered));
	nn_gemm(group->window, strip->pixels, group->filters, weights, delta,
		pixels, gathered, strip->pixels);
	scatter(layer, gathered, strip, call->input_delta + group->input_at);
}

static void for_each_strip(struct nn_layer *layer, const struct nn_call *call,
			   void (*visit)(struct nn_layer *layer,
					 const struct nn_call *call,
					 const struct group *group,
					 const struct strip *strip))
{
	struct group group = { 0 };
	struct strip strip = { 0 };
	size_t sample = 0;
	size_t index = 0;
	size_t row = 0;

	for (sample = 0; sample < call->step->count; sample++) {
		for (index = 0; index < layer->spec.groups; index++) {
			group = group_of(layer, sample, index);
			for (row = 0; row < layer->out.height; row += strip.rows) {
				strip = strip_at(layer, row);
				visit(layer, call, &group, &strip);
			}
		}
	}
}

static void convolutional_forward(struct nn_layer *layer,
				  const struct nn_call *call)
{
	size_t outputs = (size_t)call->step->count * layer->outputs;

	memset(layer->output, 0, outputs * sizeof(*layer->output));
	for_each_strip(layer, call, forward_strip);
	nn_affine_forward(layer, call);
}

static void convolutional_backward(struct nn_layer *layer,
				   const struct nn_call *call)
{
	nn_affine_backward(layer, call);
	for_each_strip(layer, call, backward_strip);
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
