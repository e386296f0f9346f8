/* SPDX-License-Identifier: MIT */
/*
 * Each layer with weights and each pool: forward against a plain loop in double
 * precision, backward against differences of the forward pass.
 */
#include "nn_support.h"

#include "check.h"
#include "nn_internal.h"

#define BATCH	3
#define STEP	0.01

static const struct nn_step step = { .iteration = 5, .count = BATCH, .train = true };

/* ---- Numerical gradients ---- */

struct probe {
	struct nn_net *net;
	float *input;
	float *weight;		/* on the outputs: the gradient handed back */
	size_t inputs, outputs;	/* floats in the batch */
};

/* The scalar whose gradient is checked: sum of weight * output. */
static double scalar(const struct probe *probe)
{
	const float *output = NULL;
	double sum = 0;
	size_t i = 0;

	nn_forward(probe->net, &step, probe->input, NULL);
	output = nn_output(probe->net);
	for (i = 0; i < probe->outputs; i++)
		sum += (double)probe->weight[i] * (double)output[i];
	return sum;
}

/* Its slope when *x moves. */
static double slope(const struct probe *probe, float *x)
{
	float middle = *x;
	double above = 0;
	double below = 0;

	*x = (float)(middle + STEP);
	above = scalar(probe);
	*x = (float)(middle - STEP);
	below = scalar(probe);
	*x = middle;
	return (above - below) / (2 * STEP);
}

static void check_input_gradient(const struct probe *probe, double tolerance)
{
	float *gradient = malloc(probe->inputs * sizeof(*gradient));
	size_t i = 0;

	assert_non_null(gradient);
	memcpy(gradient, nn_input_delta(probe->net),
	       probe->inputs * sizeof(*gradient));
	for (i = 0; i < probe->inputs; i++)
		check_near(gradient[i], slope(probe, &probe->input[i]), tolerance);
	free(gradient);
}

static void check_parameter_gradient(const struct probe *probe,
				     enum nn_tensor_kind kind, double tolerance)
{
	const struct nn_parameter *parameter =
		&probe->net->layers[0].parameter[kind];
	uint32_t i = 0;

	for (i = 0; i < parameter->count; i++)
		check_near(parameter->gradient[i],
			   slope(probe, &parameter->value[i]), tolerance);
}

static struct probe probe_open(const struct segment *segment)
{
	struct probe probe = {
		.net = segment->net,
		.inputs = (size_t)BATCH * segment->plan.inputs,
		.outputs = (size_t)BATCH * segment->plan.outputs,
	};

	probe.input = uniform(probe.inputs, 3);
	probe.weight = uniform(probe.outputs, 4);
	return probe;
}

static void probe_backward(const struct probe *probe)
{
	nn_forward(probe->net, &step, probe->input, NULL);
	memcpy(nn_output_delta(probe->net), probe->weight,
	       probe->outputs * sizeof(float));
	nn_backward(probe->net, &step, probe->input, NULL);
}

static void probe_close(struct probe *probe)
{
	free(probe->input);
	free(probe->weight);
}

static void check_gradients(const struct nn_spec *spec, double tolerance)
{
	struct segment segment = segment_open(spec);
	struct probe probe = { 0 };

	fill_parameters(segment.net, 1, 1);
	probe = probe_open(&segment);
	probe_backward(&probe);
	check_input_gradient(&probe, tolerance);
	check_parameter_gradient(&probe, NN_BIASES, tolerance);
	check_parameter_gradient(&probe, NN_WEIGHTS, tolerance);
	if (spec->layers[0].batch_normalize)
		check_parameter_gradient(&probe, NN_SCALES, tolerance);
	probe_close(&probe);
	segment_close(&segment);
}

/* ---- Convolution ---- */

struct convolution_case {
	uint32_t width, height, channels;
	uint32_t filters, size, stride, padding, groups;
};

static const struct convolution_case convolutions[] = {
	{ 6, 5, 3, 4, 3, 1, 1, 1 },	/* the common one */
	{ 7, 6, 4, 6, 3, 2, 1, 2 },	/* groups, stride */
	{ 5, 5, 2, 3, 5, 1, 2, 1 },	/* window as large as the image */
	{ 4, 3, 3, 5, 1, 1, 0, 1 },	/* pointwise */
	{ 5, 4, 4, 4, 1, 2, 0, 4 },	/* a stride through a 1x1 window */
	{ 3, 3, 1, 1, 2, 3, 3, 1 },	/* windows that see only padding */
	{ 9, 4, 1, 9, 4, 1, 0, 1 },	/* even window, no padding */
	{ 1, 1, 1, 1, 1, 1, 0, 1 },	/* nothing to speak of */
};

static struct nn_layer_spec convolution(const struct convolution_case *c)
{
	return (struct nn_layer_spec){
		.kind = NN_CONVOLUTIONAL, .activation = NN_TANH,
		.filters = c->filters, .size = c->size, .stride = c->stride,
		.padding = c->padding, .groups = c->groups, .learning_rate = 1,
	};
}

/* An input pixel, or 0 in the padding. */
static double pixel(const float *plane, const struct convolution_case *c,
		    int64_t y, int64_t x)
{
	if (y < 0 || x < 0 || y >= c->height || x >= c->width)
		return 0;
	return (double)plane[y * c->width + x];
}

/* One output: weights (channels / groups, size, size) over the input. */
static double convolve(const float *image, const float *weights,
		       const struct convolution_case *c, uint32_t filter,
		       uint32_t y, uint32_t x)
{
	uint32_t depth = c->channels / c->groups;
	uint32_t group = filter / (c->filters / c->groups);
	double sum = 0;
	uint32_t d = 0;
	uint32_t v = 0;
	uint32_t u = 0;

	for (d = 0; d < depth; d++)
		for (v = 0; v < c->size; v++)
			for (u = 0; u < c->size; u++)
				sum += (double)*weights++
				       * pixel(image + (size_t)(group * depth + d)
						       * c->width * c->height,
					       c,
					       (int64_t)y * c->stride + v - c->padding,
					       (int64_t)x * c->stride + u - c->padding);
	return sum;
}

static void check_convolution(const struct convolution_case *c)
{
	struct nn_layer_spec layer = convolution(c);
	struct nn_spec spec = one_layer(&layer, c->width, c->height, c->channels,
					BATCH);
	struct segment segment = segment_open(&spec);
	struct nn_shape out = nn_layer_output(segment.net, 0);
	uint32_t window = c->channels / c->groups * c->size * c->size;
	uint32_t count = 0;
	const float *weights = NULL;
	const float *biases = NULL;
	const float *got = NULL;
	float *input = uniform((size_t)BATCH * segment.plan.inputs, 5);
	uint32_t sample = 0;
	uint32_t f = 0;
	uint32_t y = 0;
	uint32_t x = 0;

	fill_parameters(segment.net, 1, 6);
	weights = nn_tensor(segment.net, 0, NN_WEIGHTS, &count);
	biases = nn_tensor(segment.net, 0, NN_BIASES, &count);
	nn_forward(segment.net, &step, input, NULL);
	got = nn_output(segment.net);
	for (sample = 0; sample < BATCH; sample++)
		for (f = 0; f < out.channels; f++)
			for (y = 0; y < out.height; y++)
				for (x = 0; x < out.width; x++)
					check_near(*got++,
						   tanh((double)biases[f] +
							convolve(input + sample * segment.plan.inputs,
								 weights + f * window,
								 c, f, y, x)),
						   1e-5);
	free(input);
	segment_close(&segment);
}

static void convolution_forward(void **state)
{
	/* more than one strip of output rows, and a last one that is shorter */
	static const struct convolution_case strips = { 31, 23, 6, 5, 3, 1, 1, 1 };
	unsigned int i = 0;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(convolutions); i++)
		check_convolution(&convolutions[i]);
	check_convolution(&strips);
}

static void convolution_backward(void **state)
{
	struct nn_layer_spec layer = { 0 };
	struct nn_spec spec = { 0 };
	unsigned int i = 0;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(convolutions); i++) {
		layer = convolution(&convolutions[i]);
		spec = one_layer(&layer, convolutions[i].width,
				 convolutions[i].height,
				 convolutions[i].channels, BATCH);
		check_gradients(&spec, 2e-3);
	}
}

/* Enough columns that a strip is less than the image, in both directions. */
static void convolution_backward_in_strips(void **state)
{
	struct nn_layer_spec layer = {
		.kind = NN_CONVOLUTIONAL, .activation = NN_LINEAR, .filters = 2,
		.size = 7, .stride = 1, .padding = 3, .groups = 1,
		.learning_rate = 1,
	};
	struct nn_spec spec = one_layer(&layer, 12, 9, 4, BATCH);

	(void)state;
	check_gradients(&spec, 5e-3);
}

/* ---- Connected ---- */

static void connected_forward(void **state)
{
	/* odd sizes: every remainder of the blocked loops */
	struct nn_layer_spec layer = {
		.kind = NN_CONNECTED, .activation = NN_LINEAR, .outputs = 23,
		.learning_rate = 1,
	};
	struct nn_spec spec = one_layer(&layer, 13, 3, 1, BATCH);
	struct segment segment = segment_open(&spec);
	float *input = uniform((size_t)BATCH * 39, 5);
	uint32_t count = 0;
	const float *weights = NULL;
	const float *biases = NULL;
	double sum = 0;
	uint32_t sample = 0;
	uint32_t o = 0;
	uint32_t i = 0;

	(void)state;
	fill_parameters(segment.net, 1, 6);
	weights = nn_tensor(segment.net, 0, NN_WEIGHTS, &count);
	biases = nn_tensor(segment.net, 0, NN_BIASES, &count);
	nn_forward(segment.net, &step, input, NULL);
	for (sample = 0; sample < BATCH; sample++) {
		for (o = 0; o < 23; o++) {
			sum = (double)biases[o];
			for (i = 0; i < 39; i++)
				sum += (double)weights[o * 39 + i]
				       * (double)input[sample * 39 + i];
			check_near(nn_output(segment.net)[sample * 23 + o], sum, 1e-5);
		}
	}
	free(input);
	segment_close(&segment);
}

static void connected_backward(void **state)
{
	struct nn_layer_spec layer = {
		.kind = NN_CONNECTED, .activation = NN_LOGISTIC, .outputs = 9,
		.learning_rate = 1,
	};
	struct nn_spec spec = one_layer(&layer, 5, 3, 1, BATCH);

	(void)state;
	check_gradients(&spec, 1e-3);
}

/* ---- Pools ---- */

/* Distinct values a tenth apart, so that no maximum changes under STEP. */
static void shuffle(float *x, size_t n)
{
	size_t i = 0;

	for (i = 0; i < n; i++)
		x[i] = (float)(i * 31 % n) * 0.1f;
}

struct pool_case {
	uint32_t width, height, size, stride, padding;
};

static const struct pool_case pools[] = {
	{ 6, 4, 2, 2, 1 },	/* Darknet's default padding, size - 1 */
	{ 7, 5, 2, 2, 1 },	/* odd edges: the last window hangs over */
	{ 5, 5, 3, 1, 2 },	/* overlapping windows */
	{ 6, 6, 3, 2, 3 },	/* padding on both sides, unequally */
	{ 4, 4, 2, 2, 0 },
	{ 5, 3, 1, 2, 0 },
};

static double pool_maximum(const float *plane, const struct pool_case *c,
			   uint32_t y, uint32_t x)
{
	int64_t top = (int64_t)y * c->stride - c->padding / 2;
	int64_t left = (int64_t)x * c->stride - c->padding / 2;
	double best = -INFINITY;
	int64_t v = 0;
	int64_t u = 0;

	for (v = top; v < top + c->size; v++)
		for (u = left; u < left + c->size; u++)
			if (v >= 0 && u >= 0 && v < c->height && u < c->width)
				best = fmax(best, (double)plane[v * c->width + u]);
	return best;
}

static void check_pool(const struct pool_case *c)
{
	struct nn_layer_spec layer = {
		.kind = NN_MAXPOOL, .size = c->size, .stride = c->stride,
		.padding = c->padding,
	};
	struct nn_spec spec = one_layer(&layer, c->width, c->height, 2, BATCH);
	struct segment segment = segment_open(&spec);
	struct probe probe = probe_open(&segment);
	struct nn_shape out = nn_layer_output(segment.net, 0);
	const float *got = NULL;
	uint32_t plane = 0;
	uint32_t y = 0;
	uint32_t x = 0;

	assert_int_equal(out.width,
			 (c->width + c->padding - c->size) / c->stride + 1);
	shuffle(probe.input, probe.inputs);
	probe_backward(&probe);
	got = nn_output(segment.net);
	for (plane = 0; plane < 2 * BATCH; plane++)
		for (y = 0; y < out.height; y++)
			for (x = 0; x < out.width; x++)
				assert_true(*got++ == (float)pool_maximum(
					probe.input + plane * c->width * c->height,
					c, y, x));
	check_input_gradient(&probe, 2e-3);
	probe_close(&probe);
	segment_close(&segment);
}

static void maxpool(void **state)
{
	unsigned int i = 0;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(pools); i++)
		check_pool(&pools[i]);
}

/* A window of NaN has no maximum: the gradient still goes somewhere inside. */
static void maxpool_of_nan(void **state)
{
	struct nn_layer_spec layer = { .kind = NN_MAXPOOL, .size = 2, .stride = 2 };
	struct nn_spec spec = one_layer(&layer, 2, 2, 1, BATCH);
	struct segment segment = segment_open(&spec);
	struct probe probe = probe_open(&segment);
	size_t i = 0;

	(void)state;
	for (i = 0; i < probe.inputs; i++)
		probe.input[i] = NAN;
	probe_backward(&probe);
	assert_true(isnan(nn_output(segment.net)[0]));
	assert_true(nn_input_delta(segment.net)[0] == probe.weight[0]);
	probe_close(&probe);
	segment_close(&segment);
}

static void avgpool(void **state)
{
	struct nn_layer_spec layer = { .kind = NN_AVGPOOL };
	struct nn_spec spec = one_layer(&layer, 5, 3, 2, BATCH);
	struct segment segment = segment_open(&spec);
	struct probe probe = probe_open(&segment);
	double sum = 0;
	uint32_t plane = 0;
	uint32_t i = 0;

	(void)state;
	probe_backward(&probe);
	for (plane = 0; plane < 2 * BATCH; plane++) {
		sum = 0;
		for (i = 0; i < 15; i++)
			sum += (double)probe.input[plane * 15 + i];
		check_near(nn_output(segment.net)[plane], sum / 15, 1e-6);
	}
	check_input_gradient(&probe, 1e-3);
	probe_close(&probe);
	segment_close(&segment);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(convolution_forward),
		cmocka_unit_test(convolution_backward),
		cmocka_unit_test(convolution_backward_in_strips),
		cmocka_unit_test(connected_forward),
		cmocka_unit_test(connected_backward),
		cmocka_unit_test(maxpool),
		cmocka_unit_test(maxpool_of_nan),
		cmocka_unit_test(avgpool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
