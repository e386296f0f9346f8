/* SPDX-License-Identifier: MIT */
/*
 * The layers of residual networks: shortcut, route, batch normalisation and
 * activation by themselves. Forward against loops written for the purpose,
 * backward against differences of the forward pass, and the same bits wherever
 * such a network may be cut.
 */
#include "nn_support.h"

#include "check.h"
#include "nn_internal.h"

#define BATCH	4

static const struct nn_step step = { .iteration = 5, .count = BATCH, .train = true };

/* ---- Forward ---- */

#define CONVOLUTION(n, s)							\
	{ .kind = NN_CONVOLUTIONAL, .activation = NN_TANH, .filters = (n),	\
	  .size = 3, .stride = (s), .padding = 1, .groups = 1, .learning_rate = 1 }
#define SHORTCUT(from)								\
	{ .kind = NN_SHORTCUT, .activation = NN_LINEAR, .n_sources = 1,		\
	  .sources = { (from) }, .alpha = 1, .beta = 1 }

/* Layers after one in front, as one_layer() has it. */
static struct nn_spec several(const struct nn_layer_spec *layers, uint32_t n,
			      uint32_t edge, uint32_t channels)
{
	struct nn_spec spec = one_layer(layers, edge, edge, channels, BATCH);

	spec.n_layers = n;
	return spec;
}

/* Output of layer @layer, (BATCH, floats), after a forward pass. */
static const float *output_of(const struct segment *segment, uint32_t layer)
{
	return segment->net->layers[layer].output;
}

static struct segment run(const struct nn_spec *spec, float **input)
{
	struct segment segment = segment_open(spec);

	fill_parameters(segment.net, spec->n_layers, 3);
	*input = uniform((size_t)BATCH * nn_inputs(segment.net), 4);
	nn_forward(segment.net, &step, *input, NULL);
	return segment;
}

static void shortcut_adds_with_factors(void **state)
{
	const struct nn_layer_spec layers[] = {
		CONVOLUTION(3, 1), CONVOLUTION(3, 1),
		{ .kind = NN_SHORTCUT, .activation = NN_RELU, .n_sources = 1,
		  .sources = { 1 }, .alpha = 0.5f, .beta = -2 },
	};
	struct nn_spec spec = several(layers, ARRAY_SIZE(layers), 5, 2);
	float *input = NULL;
	struct segment segment = run(&spec, &input);
	const float *source = output_of(&segment, 0);
	const float *before = output_of(&segment, 1);
	const float *out = nn_output(segment.net);
	double expected = 0;
	size_t i = 0;

	(void)state;
	for (i = 0; i < (size_t)BATCH * 75; i++) {
		expected = 0.5 * (double)before[i] - 2 * (double)source[i];
		check_near(out[i], expected > 0 ? expected : 0, 1e-6);
	}
	segment_close(&segment);
	free(input);
}

/*
 * What is added to pixel (x, y) of an image of @out pixels along the edge: where
 * the source is finer every step-th pixel of it, where it is coarser only every
 * step-th pixel of the output gets one.
 */
static double met(const float *plane, int in, int out, int x, int y)
{
	int fine = in > out ? in / out : 1;
	int coarse = out > in ? out / in : 1;

	if (x % coarse || y % coarse || x / coarse >= in || y / coarse >= in)
		return 0;
	return (double)plane[y / coarse * fine * in + x / coarse * fine];
}

/* Layer 0 makes @in x @in x @in_channels, the layer before @out x @out x @channels. */
static void check_meeting(const struct nn_layer_spec layers[3], int edge, int in,
			  int in_channels, int out, int channels)
{
	struct nn_spec spec = several(layers, 3, (uint32_t)edge, 2);
	float *input = NULL;
	struct segment segment = run(&spec, &input);
	const float *source = output_of(&segment, 0);
	const float *before = output_of(&segment, 1);
	const float *got = nn_output(segment.net);
	double expected = 0;
	int i = 0;
	int c = 0;

	assert_int_equal(nn_outputs(segment.net), out * out * channels);
	for (i = 0; i < BATCH * out * out * channels; i++) {
		c = i / (out * out) % channels;
		expected = (double)before[i];
		if (c < in_channels)
			expected += met(source + (i / (out * out * channels)
						  * in_channels + c) * in * in,
					in, out, i % out, i / out % out);
		check_near(got[i], expected, 1e-6);
	}
	segment_close(&segment);
	free(input);
}

static void shortcut_meets_other_shapes(void **state)
{
	const struct nn_layer_spec finer[] = {
		CONVOLUTION(2, 1), CONVOLUTION(4, 2), SHORTCUT(1),
	};
	const struct nn_layer_spec more_channels[] = {
		CONVOLUTION(5, 1), CONVOLUTION(3, 1), SHORTCUT(1),
	};
	/* a padded pool makes the image larger again */
	const struct nn_layer_spec coarser[] = {
		CONVOLUTION(3, 2),
		{ .kind = NN_CONVOLUTIONAL, .activation = NN_TANH, .filters = 2,
		  .size = 1, .stride = 1, .padding = 2, .groups = 1,
		  .learning_rate = 1 },
		SHORTCUT(1),
	};

	(void)state;
	check_meeting(finer, 6, 6, 2, 3, 4);
	check_meeting(more_channels, 4, 4, 5, 4, 3);
	check_meeting(coarser, 8, 4, 3, 8, 2);
}

static void route_joins_channels(void **state)
{
	const struct nn_layer_spec layers[] = {
		CONVOLUTION(3, 1), CONVOLUTION(2, 1),
		{ .kind = NN_ROUTE, .n_sources = 3, .sources = { 2, 0, 1 } },
	};
	struct nn_spec spec = several(layers, ARRAY_SIZE(layers), 3, 4);
	float *input = NULL;
	struct segment segment = run(&spec, &input);
	const float *parts[] = { output_of(&segment, 1), input,
				 output_of(&segment, 0) };
	static const size_t floats[] = { 2 * 9, 4 * 9, 3 * 9 };
	const float *out = nn_output(segment.net);
	unsigned int sample = 0;
	unsigned int i = 0;

	(void)state;
	assert_int_equal(nn_layer_output(segment.net, 2).channels, 9);
	for (sample = 0; sample < BATCH; sample++)
		for (i = 0; i < ARRAY_SIZE(parts); out += floats[i], i++)
			assert_memory_equal(out, parts[i] + sample * floats[i],
					    floats[i] * sizeof(float));
	segment_close(&segment);
	free(input);
}

/* Mean 0 and deviation 1 per channel, times the scale; statistics roll on. */
static void batchnorm_normalizes(void **state)
{
	const struct nn_layer_spec layer = { .kind = NN_BATCHNORM };
	struct nn_spec spec = one_layer(&layer, 3, 3, 2, BATCH);
	struct segment segment = segment_open(&spec);
	float *input = uniform(BATCH * 18, 8);
	uint32_t count = 0;
	float *scales = nn_tensor(segment.net, 0, NN_SCALES, &count);
	const float *rolling = nn_tensor(segment.net, 0, NN_ROLLING_MEAN, &count);
	double mean = 0;
	double variance = 0;
	int i = 0;

	(void)state;
	assert_int_equal(count, 2);
	assert_null(nn_tensor(segment.net, 0, NN_BIASES, &count));
	assert_null(nn_momentum(segment.net, 0, NN_SCALES, &count));
	scales[1] = 3;
	nn_forward(segment.net, &step, input, NULL);
	for (i = 0; i < BATCH * 9; i++)
		mean += (double)input[i / 9 * 18 + 9 + i % 9] / (BATCH * 9);
	for (i = 0; i < BATCH * 9; i++)
		variance += pow((double)input[i / 9 * 18 + 9 + i % 9] - mean, 2)
			    / (BATCH * 9 - 1);
	for (i = 0; i < BATCH * 9; i++)
		check_near(nn_output(segment.net)[i / 9 * 18 + 9 + i % 9],
			   3 * ((double)input[i / 9 * 18 + 9 + i % 9] - mean)
			   / sqrt(variance), 1e-4);
	check_near(rolling[1], 0.01 * mean, 1e-6);
	segment_close(&segment);
	free(input);
}

static void activation_stands_alone(void **state)
{
	const struct nn_layer_spec layer = {
		.kind = NN_ACTIVATION, .activation = NN_LEAKY,
	};
	struct nn_spec spec = one_layer(&layer, 4, 4, 2, BATCH);
	float *input = NULL;
	struct segment segment = run(&spec, &input);
	int i = 0;

	(void)state;
	for (i = 0; i < BATCH * 32; i++)
		check_near(nn_output(segment.net)[i],
			   (double)input[i] * (input[i] < 0 ? 0.1 : 1), 1e-6);
	segment_close(&segment);
	free(input);
}

/* ---- Backward ---- */

/* Every layer here is read by one, two or three others, one by none. */
static const struct nn_layer_spec branches[] = {
	CONVOLUTION(3, 1),						/* 1 */
	{ .kind = NN_BATCHNORM },					/* 2 */
	{ .kind = NN_ACTIVATION, .activation = NN_TANH },		/* 3 */
	CONVOLUTION(3, 2),						/* 4 */
	{ .kind = NN_SHORTCUT, .activation = NN_LOGISTIC, .n_sources = 1,
	  .sources = { 1 }, .alpha = 1, .beta = 0.5f },			/* 5 */
	{ .kind = NN_SHORTCUT, .activation = NN_LINEAR, .n_sources = 1,
	  .sources = { 4 }, .alpha = 0.25f, .beta = 2 },		/* 6 */
	CONVOLUTION(2, 1),						/* 7: read by none */
	{ .kind = NN_ROUTE, .n_sources = 3, .sources = { 6, 4, 6 } },	/* 8 */
	{ .kind = NN_CONNECTED, .activation = NN_LINEAR, .outputs = 4,
	  .learning_rate = 1 },						/* 9 */
};

/* Sum of weight * output: the scalar whose gradient is taken. */
static double scalar(struct nn_net *net, const float *input, const float *weight)
{
	double sum = 0;
	size_t i = 0;

	nn_forward(net, &step, input, NULL);
	for (i = 0; i < (size_t)BATCH * nn_outputs(net); i++)
		sum += (double)weight[i] * (double)nn_output(net)[i];
	return sum;
}

static double slope(struct nn_net *net, const float *input, const float *weight,
		    float *x)
{
	float middle = *x;
	double above = 0;
	double below = 0;

	*x = middle + 0.01f;
	above = scalar(net, input, weight);
	*x = middle - 0.01f;
	below = scalar(net, input, weight);
	*x = middle;
	return (above - below) / 0.02;
}

static void branches_sum_their_gradients(void **state)
{
	struct nn_spec spec = several(branches, ARRAY_SIZE(branches), 6, 2);
	float *input = NULL;
	struct segment segment = run(&spec, &input);
	float *weight = uniform(BATCH * 4, 9);
	float gradient[BATCH * 72] = { 0 };
	float *values = NULL;
	const float *slopes = NULL;
	uint32_t count = 0;
	uint32_t i = 0;

	(void)state;
	memcpy(nn_output_delta(segment.net), weight, BATCH * 4 * sizeof(*weight));
	nn_backward(segment.net, &step, input, NULL);
	memcpy(gradient, nn_input_delta(segment.net), sizeof(gradient));
	values = nn_tensor(segment.net, 0, NN_WEIGHTS, &count);
	slopes = nn_momentum(segment.net, 0, NN_WEIGHTS, &count);
	for (i = 0; i < ARRAY_SIZE(gradient); i++)
		check_near(gradient[i], slope(segment.net, input, weight,
					      &input[i]), 5e-3);
	for (i = 0; i < count; i++)
		check_near(slopes[i], slope(segment.net, input, weight,
					    &values[i]), 1e-2);
	segment_close(&segment);
	free(input);
	free(weight);
}

/* A layer's backward pass over what is in its input's gradient already. */
static void backward_onto(struct nn_net *net, const float *input, float start)
{
	struct nn_layer *layer = &net->layers[0];
	const struct nn_call call = {
		.step = &step, .input = input, .delta = layer->delta,
		.input_delta = net->input_delta, .workspace = net->workspace,
	};
	size_t i = 0;

	for (i = 0; i < (size_t)BATCH * layer->inputs; i++)
		net->input_delta[i] = start;
	fill_uniform(layer->delta, (size_t)BATCH * layer->outputs, 9);
	layer->ops->backward(layer, &call);
}

/* Whoever reads a value last must leave what the others have added. */
static void every_kind_adds_to_its_gradient(void **state)
{
	const struct nn_layer_spec kinds[] = {
		CONVOLUTION(3, 1),
		{ .kind = NN_CONVOLUTIONAL, .activation = NN_LINEAR, .filters = 3,
		  .size = 1, .stride = 1, .groups = 1, .learning_rate = 1 },
		{ .kind = NN_MAXPOOL, .size = 2, .stride = 2 },
		{ .kind = NN_AVGPOOL },
		{ .kind = NN_CONNECTED, .activation = NN_LINEAR, .outputs = 5,
		  .learning_rate = 1 },
		{ .kind = NN_DROPOUT, .probability = 0.5f },
		{ .kind = NN_SOFTMAX, .groups = 1, .temperature = 1 },
		{ .kind = NN_BATCHNORM },
		{ .kind = NN_ACTIVATION, .activation = NN_TANH },
	};
	struct nn_spec spec = { 0 };
	struct segment segment = { 0 };
	float *input = NULL;
	float alone[BATCH * 32] = { 0 };
	unsigned int i = 0;
	unsigned int j = 0;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		spec = one_layer(&kinds[i], 4, 4, 2, BATCH);
		segment = run(&spec, &input);
		backward_onto(segment.net, input, 0);
		memcpy(alone, segment.net->input_delta, sizeof(alone));
		backward_onto(segment.net, input, 10);
		for (j = 0; j < ARRAY_SIZE(alone); j++)
			check_near(segment.net->input_delta[j],
				   10 + (double)alone[j], 1e-5);
		segment_close(&segment);
		free(input);
	}
}

/* ---- Where it is cut ---- */

#define LAYERS	12
#define EDGE	8
#define CLASSES	3
#define IMAGE	(EDGE * EDGE * 3)

/* Two blocks of ResNet's, then a class: cuts inside of a block are refused. */
static const struct nn_layer_spec residual[LAYERS] = {
	CONVOLUTION(4, 1),						/* 0 */
	CONVOLUTION(4, 1),						/* 1 */
	{ .kind = NN_DROPOUT, .probability = 0.2f },			/* 2 */
	SHORTCUT(0),							/* 3 */
	{ .kind = NN_ACTIVATION, .activation = NN_LEAKY },		/* 4 */
	CONVOLUTION(6, 2),						/* 5 */
	CONVOLUTION(6, 1),						/* 6 */
	SHORTCUT(4),							/* 7 */
	{ .kind = NN_ROUTE, .n_sources = 2, .sources = { 7, 6 } },	/* 8 */
	{ .kind = NN_CONNECTED, .activation = NN_LINEAR, .outputs = CLASSES,
	  .learning_rate = 1 },						/* 9 */
	{ .kind = NN_SOFTMAX, .groups = 1, .temperature = 1 },		/* 10 */
	{ .kind = NN_COST, .cost = NN_COST_SSE, .scale = 1 },		/* 11 */
};

/* Is the boundary before layer @first clear of what reaches over it? */
static bool may_cut(uint32_t first)
{
	uint32_t layer = 0;
	uint32_t i = 0;

	for (layer = first; layer < LAYERS; layer++)
		for (i = 0; i < residual[layer].n_sources; i++)
			if (residual[layer].sources[i] + 1u < first)
				return false;
	return true;
}

/* Segment first..last; the input shape of the network's layer @first. */
static struct nn_spec part(uint32_t first, uint32_t last, uint32_t micro_batch,
			   bool train)
{
	struct nn_spec spec = {
		.width = EDGE, .height = EDGE, .channels = 3,
		.n_layers = LAYERS, .micro_batch = micro_batch, .train = train,
		.input_delta = true, .seed = { 5 }, .layers = residual,
	};
	struct segment whole = segment_open(&spec);
	struct nn_shape in = nn_layer_input(whole.net, first);

	segment_close(&whole);
	spec.width = in.width;
	spec.height = in.height;
	spec.channels = in.channels;
	spec.first_layer = first;
	spec.n_layers = last - first + 1;
	spec.layers = residual + first;
	return spec;
}

struct cut {
	struct segment half[2];
	unsigned int n;
	uint32_t at;		/* first layer of the second half */
};

static struct cut cut_open(uint32_t at, uint32_t micro_batch, bool train)
{
	struct cut cut = { .at = at };
	struct nn_spec spec = { 0 };

	if (at > 0) {
		spec = part(0, at - 1, micro_batch, train);
		cut.half[cut.n++] = segment_open(&spec);
	}
	spec = part(at, LAYERS - 1, micro_batch, train);
	cut.half[cut.n++] = segment_open(&spec);
	nn_randomize(cut.half[0].net);
	nn_randomize(cut.half[cut.n - 1].net);
	return cut;
}

static void cut_close(struct cut *cut)
{
	while (cut->n > 0)
		segment_close(&cut->half[--cut->n]);
}

static void train_call(struct cut *cut, const struct nn_step *at,
		       const float *image, const float *truth)
{
	const float *inputs[2] = { image, NULL };
	struct nn_net *net = NULL;
	const float *delta = NULL;
	unsigned int i = 0;

	for (i = 0; i < cut->n; i++) {
		nn_forward(cut->half[i].net, at, inputs[i], truth);
		if (i == 0)
			inputs[1] = nn_output(cut->half[0].net);
	}
	for (i = cut->n; i-- > 0;) {
		net = cut->half[i].net;
		if (delta)
			memcpy(nn_output_delta(net), delta,
			       (size_t)at->count * nn_outputs(net) * sizeof(*delta));
		nn_backward(net, at, inputs[i], truth);
		delta = nn_input_delta(net);
	}
}

static void train_cut(struct cut *cut, uint32_t micro_batch)
{
	const struct nn_update update = {
		.learning_rate = 0.1f, .momentum = 0.9f, .decay = 1e-3f,
		.samples = BATCH,
	};
	float truth[BATCH * CLASSES] = { 1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0 };
	float *images = uniform(BATCH * IMAGE, 6);
	struct nn_step at = { .train = true };
	unsigned int i = 0;

	for (at.iteration = 0; at.iteration < 2; at.iteration++) {
		for (at.sample = 0; at.sample < BATCH; at.sample += at.count) {
			at.count = BATCH - at.sample < micro_batch
				   ? BATCH - at.sample : micro_batch;
			train_call(cut, &at, images + at.sample * IMAGE,
				   truth + at.sample * CLASSES);
		}
		for (i = 0; i < cut->n; i++)
			nn_update(cut->half[i].net, &update);
	}
	free(images);
}

static const float *weights_of(const struct cut *cut, uint32_t layer,
			       uint32_t *count)
{
	bool second = cut->n > 1 && layer >= cut->at;

	return nn_tensor(cut->half[second].net,
			 second ? layer - cut->at : layer, NN_WEIGHTS, count);
}

static void check_same(const struct cut *cut, const struct cut *whole)
{
	const float *x = NULL;
	const float *y = NULL;
	uint32_t count = 0;
	uint32_t layer = 0;

	for (layer = 0; layer < LAYERS; layer++) {
		x = weights_of(cut, layer, &count);
		y = weights_of(whole, layer, &count);
		if (y)
			assert_memory_equal(x, y, count * sizeof(*y));
	}
}

static void training_is_independent_of_cuts(void **state)
{
	static const uint32_t micro_batches[] = { BATCH, 3, 1 };
	struct cut whole = cut_open(0, BATCH, true);
	struct cut cut = { 0 };
	unsigned int cuts = 0;
	unsigned int i = 0;
	uint32_t at = 0;

	(void)state;
	train_cut(&whole, BATCH);
	for (at = 0; at < LAYERS; at++) {
		for (i = 0; may_cut(at) && i < ARRAY_SIZE(micro_batches); i++) {
			cut = cut_open(at, micro_batches[i], true);
			train_cut(&cut, micro_batches[i]);
			check_same(&cut, &whole);
			cut_close(&cut);
			cuts++;
		}
	}
	/* before layers 0, 1, 4, 5, 9, 10 and 11 */
	assert_int_equal(cuts, 7 * ARRAY_SIZE(micro_batches));
	cut_close(&whole);
}

static void predicting_is_independent_of_cuts(void **state)
{
	const struct nn_step one = { .count = 1 };
	struct cut whole = cut_open(0, 1, false);
	struct cut cut = { 0 };
	float *image = uniform(IMAGE, 6);
	float expected[CLASSES] = { 0 };
	const float *input = NULL;
	unsigned int i = 0;
	uint32_t at = 0;

	(void)state;
	nn_forward(whole.half[0].net, &one, image, NULL);
	memcpy(expected, nn_output(whole.half[0].net), sizeof(expected));
	for (at = 1; at < LAYERS; at++) {
		if (!may_cut(at))
			continue;
		cut = cut_open(at, 1, false);
		input = image;
		for (i = 0; i < cut.n; i++) {
			nn_forward(cut.half[i].net, &one, input, NULL);
			input = nn_output(cut.half[i].net);
		}
		assert_memory_equal(input, expected, sizeof(expected));
		cut_close(&cut);
	}
	cut_close(&whole);
	free(image);
}

/* ---- Refusals ---- */

static enum nn_status plan_part(uint32_t first, uint32_t last, uint32_t *bad)
{
	struct nn_spec spec = part(first, last, 1, false);
	struct nn_plan plan = { 0 };

	return nn_plan(&spec, &plan, bad);
}

static void cuts_inside_a_block_are_refused(void **state)
{
	uint32_t bad = 0;

	(void)state;
	assert_int_equal(plan_part(1, 3, &bad), NN_OK);
	assert_int_equal(plan_part(2, 8, &bad), NN_ERR_SOURCE);
	assert_int_equal(bad, 1);
	assert_int_equal(plan_part(6, 7, &bad), NN_ERR_SOURCE);
	assert_int_equal(bad, 1);
	assert_int_equal(plan_part(8, 8, &bad), NN_ERR_SOURCE);
	assert_int_equal(bad, 0);
}

static enum nn_status plan_last(struct nn_layer_spec last)
{
	const struct nn_layer_spec layers[] = {
		CONVOLUTION(3, 1), CONVOLUTION(3, 2), CONVOLUTION(3, 1), last,
	};
	struct nn_spec spec = several(layers, ARRAY_SIZE(layers), 9, 2);
	struct nn_plan plan = { 0 };

	return nn_plan(&spec, &plan, NULL);
}

#define REFUSED(good, field, value, expected)					\
	do {									\
		struct nn_layer_spec bad = (good);				\
										\
		assert_int_equal(plan_last(bad), NN_OK);			\
		bad.field = (value);						\
		assert_int_equal(plan_last(bad), (expected));			\
	} while (0)

static void sources_are_checked(void **state)
{
	const struct nn_layer_spec shortcut = SHORTCUT(2);
	const struct nn_layer_spec route = {
		.kind = NN_ROUTE, .n_sources = 2, .sources = { 2, 3 },
	};

	(void)state;
	REFUSED(shortcut, n_sources, 0, NN_ERR_SPEC);
	REFUSED(shortcut, n_sources, 2, NN_ERR_SPEC);
	REFUSED(shortcut, sources[0], 4, NN_ERR_SPEC);		/* itself */
	REFUSED(shortcut, sources[0], UINT16_MAX, NN_ERR_SPEC);
	REFUSED(shortcut, alpha, NAN, NN_ERR_SPEC);
	REFUSED(shortcut, beta, INFINITY, NN_ERR_SPEC);
	REFUSED(shortcut, activation, (enum nn_activation)14, NN_ERR_UNSUPPORTED);
	REFUSED(route, n_sources, 0, NN_ERR_SPEC);
	REFUSED(route, n_sources, NN_MAX_SOURCES + 1, NN_ERR_SPEC);
	REFUSED(route, sources[0], 1, NN_ERR_SPEC);		/* another size */
	REFUSED(route, sources[1], 4, NN_ERR_SPEC);
}

/* Twice as wide but not twice as high; or scaled where Darknet's gradient errs. */
static void shapes_must_meet(void **state)
{
	struct nn_layer_spec layers[] = {
		CONVOLUTION(3, 1),
		{ .kind = NN_MAXPOOL, .size = 2, .stride = 2 },
		SHORTCUT(1),
	};
	struct nn_spec spec = several(layers, ARRAY_SIZE(layers), 8, 2);
	struct nn_plan plan = { 0 };

	(void)state;
	assert_int_equal(nn_plan(&spec, &plan, NULL), NN_OK);
	spec.height = 3;
	assert_int_equal(nn_plan(&spec, &plan, NULL), NN_ERR_SPEC);
	spec.height = 8;
	layers[2].alpha = 0.5f;
	assert_int_equal(nn_plan(&spec, &plan, NULL), NN_ERR_UNSUPPORTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shortcut_adds_with_factors),
		cmocka_unit_test(shortcut_meets_other_shapes),
		cmocka_unit_test(route_joins_channels),
		cmocka_unit_test(batchnorm_normalizes),
		cmocka_unit_test(activation_stands_alone),
		cmocka_unit_test(branches_sum_their_gradients),
		cmocka_unit_test(every_kind_adds_to_its_gradient),
		cmocka_unit_test(training_is_independent_of_cuts),
		cmocka_unit_test(predicting_is_independent_of_cuts),
		cmocka_unit_test(cuts_inside_a_block_are_refused),
		cmocka_unit_test(sources_are_checked),
		cmocka_unit_test(shapes_must_meet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
