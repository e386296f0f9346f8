/* SPDX-License-Identifier: MIT */
#include "nn_support.h"

#include "check.h"
#include "nn_random.h"

struct segment segment_open(const struct nn_spec *spec)
{
	struct segment segment = { 0 };

	assert_int_equal(nn_plan(spec, &segment.plan, NULL), NN_OK);
	segment.arena = aligned_alloc(NN_ARENA_ALIGNMENT, segment.plan.total);
	assert_non_null(segment.arena);
	memset(segment.arena, 0xa5, segment.plan.total);
	assert_int_equal(nn_init(&segment.net, spec, segment.arena,
				 segment.plan.total), NN_OK);
	return segment;
}

void segment_close(struct segment *segment)
{
	free(segment->arena);
	*segment = (struct segment){ 0 };
}

struct nn_spec one_layer(const struct nn_layer_spec *layer, uint32_t width,
			 uint32_t height, uint32_t channels, uint32_t batch)
{
	return (struct nn_spec){
		.width = width,
		.height = height,
		.channels = channels,
		.first_layer = 1,
		.n_layers = 1,
		.micro_batch = batch,
		.train = true,
		.input_delta = true,
		.seed = { 42 },
		.layers = layer,
	};
}

void fill_uniform(float *x, size_t n, uint32_t seed)
{
	const uint32_t key[NN_KEY_WORDS] = { 0x7e57, seed };
	struct nn_random random = { 0 };
	size_t i = 0;

	nn_random_start(&random, key, 0, 0);
	for (i = 0; i < n; i++)
		x[i] = 2 * nn_random_unit(&random) - 1;
}

float *uniform(size_t n, uint32_t seed)
{
	float *x = malloc(n * sizeof(*x));

	assert_non_null(x);
	fill_uniform(x, n, seed);
	return x;
}

void fill_parameters(struct nn_net *net, uint32_t n_layers, uint32_t seed)
{
	uint32_t layer = 0;
	uint32_t kind = 0;
	uint32_t count = 0;
	uint32_t i = 0;
	float *x = NULL;

	for (layer = 0; layer < n_layers; layer++) {
		for (kind = 0; kind < NN_TENSOR_KINDS; kind++) {
			x = nn_tensor(net, layer, kind, &count);
			if (!x)
				continue;
			fill_uniform(x, count, seed + 16 * layer + kind);
			for (i = 0; kind == NN_SCALES && i < count; i++)
				x[i] = 1 + 0.5f * x[i];
			for (i = 0; kind == NN_ROLLING_VARIANCE && i < count; i++)
				x[i] = 1.5f + x[i];
		}
	}
}

const struct nn_layer_spec lenet[LENET_LAYERS] = {
	{ .kind = NN_CONVOLUTIONAL, .activation = NN_RELU, .filters = 6,
	  .size = 5, .stride = 1, .padding = 2, .groups = 1, .learning_rate = 1 },
	{ .kind = NN_MAXPOOL, .size = 2, .stride = 2, .padding = 1 },
	{ .kind = NN_CONVOLUTIONAL, .activation = NN_LEAKY, .filters = 7,
	  .size = 5, .stride = 1, .padding = 2, .groups = 1, .learning_rate = 1 },
	{ .kind = NN_MAXPOOL, .size = 2, .stride = 2, .padding = 1 },
	{ .kind = NN_CONNECTED, .activation = NN_RELU, .outputs = 30,
	  .learning_rate = 1 },
	{ .kind = NN_DROPOUT, .probability = 0.3f },
	{ .kind = NN_CONNECTED, .activation = NN_LOGISTIC, .outputs = 21,
	  .learning_rate = 0.5f },
	{ .kind = NN_DROPOUT, .probability = 0.5f },
	{ .kind = NN_CONNECTED, .activation = NN_LINEAR, .outputs = LENET_CLASSES,
	  .learning_rate = 1 },
	{ .kind = NN_SOFTMAX, .groups = 1, .temperature = 1 },
	{ .kind = NN_COST, .cost = NN_COST_SSE, .scale = 1 },
};

struct nn_spec lenet_segment(uint32_t first, uint32_t last, uint32_t micro_batch,
			     bool train)
{
	struct nn_spec spec = {
		.width = LENET_EDGE,
		.height = LENET_EDGE,
		.channels = 3,
		.n_layers = first,
		.micro_batch = micro_batch,
		.train = train,
		.input_delta = true,
		.seed = { 1, 2 },
		.layers = lenet,
	};
	struct segment before = { 0 };
	struct nn_shape shape = { 0 };

	if (first > 0) {
		before = segment_open(&spec);
		shape = nn_layer_output(before.net, first - 1);
		segment_close(&before);
		spec.width = shape.width;
		spec.height = shape.height;
		spec.channels = shape.channels;
	}
	spec.first_layer = first;
	spec.n_layers = last - first + 1;
	spec.layers = lenet + first;
	return spec;
}
