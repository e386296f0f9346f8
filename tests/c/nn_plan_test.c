/* SPDX-License-Identifier: MIT */
/* What a segment needs, that it uses just that, and what is refused. */
#include "nn_support.h"

#include "check.h"
#include "nn_internal.h"

static enum nn_status plan_of(const struct nn_spec *spec)
{
	struct nn_plan plan = { 0 };

	return nn_plan(spec, &plan, NULL);
}

/* ---- Plan and use ---- */

static void check_sums(const struct nn_plan *plan)
{
	assert_int_equal(plan->total, plan->weights + plan->gradients
				      + plan->activations + plan->deltas
				      + plan->workspace + plan->bookkeeping);
}

/* The workspace is laid out last: its end is the end of the arena. */
static void plan_is_use_to_the_byte(void **state)
{
	struct nn_spec spec = lenet_segment(0, LENET_LAYERS - 1, 3, true);
	struct segment segment = segment_open(&spec);
	const uint8_t *end = (const uint8_t *)segment.net->workspace
			     + segment.plan.workspace;

	(void)state;
	check_sums(&segment.plan);
	assert_true(segment.plan.workspace > 0);
	assert_ptr_equal(end, (const uint8_t *)segment.arena + segment.plan.total);
	segment_close(&segment);
}

/* Parameters of the network in nn_support.c: (weights + biases) floats. */
#define LENET_WEIGHTS ((6 * 75 + 6) + (7 * 150 + 7) + (30 * 63 + 30) \
		       + (21 * 30 + 21) + (10 * 21 + 10))

static size_t padding_of(unsigned int tensors)
{
	return tensors * (NN_ARENA_ALIGNMENT - 1);
}

static void predicting_needs_weights_and_two_buffers(void **state)
{
	struct nn_spec spec = lenet_segment(0, LENET_LAYERS - 1, 1, false);
	struct nn_plan plan = { 0 };
	size_t weights = LENET_WEIGHTS * sizeof(float);
	/* the largest pair of neighbours: outputs of layers 0 and 1 */
	size_t buffers = (6 * 12 * 12 + 6 * 6 * 6) * sizeof(float);

	(void)state;
	assert_int_equal(nn_plan(&spec, &plan, NULL), NN_OK);
	check_sums(&plan);
	assert_int_equal(plan.gradients, 0);
	assert_int_equal(plan.deltas, 0);
	assert_in_range(plan.weights, weights, weights + padding_of(10));
	assert_in_range(plan.activations, buffers, buffers + padding_of(2));
}

static void training_adds_gradients_and_outputs(void **state)
{
	struct nn_spec spec = lenet_segment(0, LENET_LAYERS - 1, 2, true);
	struct nn_plan plan = { 0 };
	size_t outputs = 2 * sizeof(float)
			 * (864 + 216 + 252 + 63 + 30 + 30 + 21 + 21 + 10 + 10);
	size_t deltas = 2 * sizeof(float) * (864 + 216);

	(void)state;
	assert_int_equal(nn_plan(&spec, &plan, NULL), NN_OK);
	assert_int_equal(plan.gradients, plan.weights);
	assert_in_range(plan.activations, outputs, outputs + padding_of(10));
	assert_in_range(plan.deltas, deltas, deltas + padding_of(2));
	assert_int_equal(plan.inputs, LENET_EDGE * LENET_EDGE * 3);
	assert_int_equal(plan.outputs, LENET_CLASSES);
	assert_int_equal(plan.truths, LENET_CLASSES);
}

/* Dropout and cost pass on when predicting: no memory but their structure. */
static void passing_layers_are_free(void **state)
{
	const struct nn_layer_spec passing[] = {
		{ .kind = NN_DROPOUT, .probability = 0.5f },
		{ .kind = NN_COST, .scale = 1 },
	};
	struct nn_spec spec = one_layer(passing, 5, 1, 1, 4);
	struct nn_plan plan = { 0 };

	(void)state;
	spec.n_layers = ARRAY_SIZE(passing);
	spec.train = false;
	assert_int_equal(nn_plan(&spec, &plan, NULL), NN_OK);
	assert_int_equal(plan.total, plan.bookkeeping);
}

static void input_delta_only_where_wanted(void **state)
{
	const struct nn_layer_spec connected = {
		.kind = NN_CONNECTED, .outputs = 2, .learning_rate = 1,
		.activation = NN_LINEAR,
	};
	struct nn_spec spec = one_layer(&connected, 100, 1, 1, 1);
	struct segment wanted = segment_open(&spec);
	struct segment unwanted = { 0 };
	struct segment first = { 0 };

	(void)state;
	spec.input_delta = false;
	unwanted = segment_open(&spec);
	spec.input_delta = true;
	spec.first_layer = 0;
	first = segment_open(&spec);
	assert_non_null(nn_input_delta(wanted.net));
	assert_null(nn_input_delta(unwanted.net));
	assert_null(nn_input_delta(first.net));
	assert_int_equal(wanted.plan.total - unwanted.plan.total,
			 100 * sizeof(float));
	assert_int_equal(first.plan.total, unwanted.plan.total);
	segment_close(&wanted);
	segment_close(&unwanted);
	segment_close(&first);
}

static void arena_must_hold_the_plan(void **state)
{
	struct nn_spec spec = lenet_segment(4, LENET_LAYERS - 1, 2, true);
	struct nn_plan plan = { 0 };
	struct nn_net *net = NULL;
	uint8_t *arena = NULL;

	(void)state;
	assert_int_equal(nn_plan(&spec, &plan, NULL), NN_OK);
	arena = aligned_alloc(NN_ARENA_ALIGNMENT, plan.total + NN_ARENA_ALIGNMENT);
	assert_non_null(arena);
	assert_int_equal(nn_init(&net, &spec, arena, plan.total - 1), NN_ERR_ARENA);
	assert_null(net);
	assert_int_equal(nn_init(&net, &spec, NULL, plan.total), NN_ERR_ARENA);
	assert_int_equal(nn_init(&net, &spec, arena + 4, plan.total), NN_ERR_ARENA);
	assert_int_equal(nn_init(&net, &spec, arena, plan.total), NN_OK);
	free(arena);
}

static void tensors_are_found(void **state)
{
	const struct nn_layer_spec layers[] = {
		{ .kind = NN_CONVOLUTIONAL, .filters = 4, .size = 3, .stride = 1,
		  .groups = 2, .batch_normalize = true, .learning_rate = 1 },
		{ .kind = NN_MAXPOOL, .size = 2, .stride = 2 },
	};
	static const uint32_t counts[NN_TENSOR_KINDS] = { 4, 4 * 3 * 9, 4, 4, 4 };
	struct nn_spec spec = one_layer(layers, 8, 8, 6, 2);
	struct segment segment = { 0 };
	uint32_t kind = 0;
	uint32_t count = 0;

	(void)state;
	spec.n_layers = ARRAY_SIZE(layers);
	segment = segment_open(&spec);
	for (kind = 0; kind < NN_TENSOR_KINDS; kind++) {
		assert_non_null(nn_tensor(segment.net, 0, kind, &count));
		assert_int_equal(count, counts[kind]);
		assert_null(nn_tensor(segment.net, 1, kind, &count));
		assert_int_equal(count, 0);
	}
	assert_true(nn_tensor(segment.net, 0, NN_SCALES, &count)[3] == 1);
	assert_true(nn_tensor(segment.net, 0, NN_WEIGHTS, &count)[0] == 0);
	assert_null(nn_tensor(segment.net, 0, NN_TENSOR_KINDS, &count));
	assert_null(nn_tensor(segment.net, 2, NN_BIASES, &count));
	assert_null(nn_tensor(segment.net, UINT32_MAX, NN_BIASES, &count));
	segment_close(&segment);
}

/* ---- Refusals ---- */

static const struct nn_layer_spec good_convolutional = {
	.kind = NN_CONVOLUTIONAL, .filters = 4, .size = 3, .stride = 1,
	.groups = 2, .activation = NN_RELU, .learning_rate = 1,
};
static const struct nn_layer_spec good_connected = {
	.kind = NN_CONNECTED, .outputs = 5, .activation = NN_RELU,
	.learning_rate = 1,
};
static const struct nn_layer_spec good_maxpool = {
	.kind = NN_MAXPOOL, .size = 2, .stride = 2, .padding = 1,
};
static const struct nn_layer_spec good_dropout = {
	.kind = NN_DROPOUT, .probability = 0.5f,
};
static const struct nn_layer_spec good_softmax = {
	.kind = NN_SOFTMAX, .groups = 2, .temperature = 1,
};
static const struct nn_layer_spec good_cost = { .kind = NN_COST, .scale = 1 };

/* One field of a good layer set to a bad value, between 8 x 8 x 6 inputs. */
#define REFUSED(good, field, value, expected)					\
	do {									\
		struct nn_layer_spec bad = (good);				\
		struct nn_spec spec = one_layer(&bad, 8, 8, 6, 2);		\
										\
		assert_int_equal(plan_of(&spec), NN_OK);			\
		bad.field = (value);						\
		assert_int_equal(plan_of(&spec), (expected));			\
	} while (0)

static void convolutional_refuses(void **state)
{
	(void)state;
	REFUSED(good_convolutional, filters, 0, NN_ERR_SPEC);
	REFUSED(good_convolutional, size, 0, NN_ERR_SPEC);
	REFUSED(good_convolutional, size, 9, NN_ERR_SPEC);
	REFUSED(good_convolutional, size, UINT32_MAX, NN_ERR_SIZE);
	REFUSED(good_convolutional, stride, 0, NN_ERR_SPEC);
	REFUSED(good_convolutional, groups, 0, NN_ERR_SPEC);
	REFUSED(good_convolutional, groups, 3, NN_ERR_SPEC);
	REFUSED(good_convolutional, groups, 4, NN_ERR_SPEC);
	REFUSED(good_convolutional, filters, UINT32_MAX - 1, NN_ERR_SIZE);
	REFUSED(good_convolutional, padding, UINT32_MAX, NN_ERR_SIZE);
	REFUSED(good_convolutional, padding, 1u << 20, NN_ERR_SIZE);
	REFUSED(good_convolutional, activation, (enum nn_activation)14,
		NN_ERR_UNSUPPORTED);
	REFUSED(good_convolutional, learning_rate, NAN, NN_ERR_SPEC);
	REFUSED(good_convolutional, learning_rate, INFINITY, NN_ERR_SPEC);
}

static void connected_refuses(void **state)
{
	(void)state;
	REFUSED(good_connected, outputs, 0, NN_ERR_SPEC);
	REFUSED(good_connected, outputs, NN_MAX_TENSOR_FLOATS + 1, NN_ERR_SIZE);
	REFUSED(good_connected, outputs, NN_MAX_TENSOR_FLOATS / 384 + 1, NN_ERR_SIZE);
	REFUSED(good_connected, activation, (enum nn_activation)UINT32_MAX,
		NN_ERR_UNSUPPORTED);
	REFUSED(good_connected, learning_rate, -INFINITY, NN_ERR_SPEC);
}

static void other_kinds_refuse(void **state)
{
	(void)state;
	REFUSED(good_maxpool, size, 0, NN_ERR_SPEC);
	REFUSED(good_maxpool, size, 10, NN_ERR_SPEC);
	REFUSED(good_maxpool, size, UINT32_MAX, NN_ERR_SIZE);
	REFUSED(good_maxpool, stride, 0, NN_ERR_SPEC);
	REFUSED(good_maxpool, padding, 3, NN_ERR_SPEC);
	REFUSED(good_maxpool, padding, UINT32_MAX, NN_ERR_SPEC);
	REFUSED(good_dropout, probability, 1, NN_ERR_SPEC);
	REFUSED(good_dropout, probability, -0.1f, NN_ERR_SPEC);
	REFUSED(good_dropout, probability, NAN, NN_ERR_SPEC);
	REFUSED(good_softmax, groups, 0, NN_ERR_SPEC);
	REFUSED(good_softmax, groups, 5, NN_ERR_SPEC);
	REFUSED(good_softmax, temperature, 0, NN_ERR_SPEC);
	REFUSED(good_softmax, temperature, -1, NN_ERR_SPEC);
	REFUSED(good_softmax, temperature, NAN, NN_ERR_SPEC);
	REFUSED(good_softmax, temperature, INFINITY, NN_ERR_SPEC);
	REFUSED(good_cost, scale, NAN, NN_ERR_SPEC);
	REFUSED(good_cost, cost, (enum nn_cost_type)4, NN_ERR_UNSUPPORTED);
	REFUSED(good_cost, kind, (enum nn_layer_kind)0, NN_ERR_UNSUPPORTED);
	REFUSED(good_cost, kind, (enum nn_layer_kind)12, NN_ERR_UNSUPPORTED);
	REFUSED(good_cost, n_sources, 1, NN_ERR_SPEC);
}

/* One field of the segment set to a bad value. */
#define SEGMENT_REFUSED(field, value, expected)					\
	do {									\
		struct nn_spec spec = one_layer(&good_connected, 8, 8, 6, 2);	\
										\
		assert_int_equal(plan_of(&spec), NN_OK);			\
		spec.field = (value);						\
		assert_int_equal(plan_of(&spec), (expected));			\
	} while (0)

static void segment_refuses(void **state)
{
	(void)state;
	SEGMENT_REFUSED(width, 0, NN_ERR_SPEC);
	SEGMENT_REFUSED(height, 0, NN_ERR_SPEC);
	SEGMENT_REFUSED(channels, 0, NN_ERR_SPEC);
	SEGMENT_REFUSED(width, UINT32_MAX, NN_ERR_SIZE);
	SEGMENT_REFUSED(n_layers, 0, NN_ERR_SPEC);
	SEGMENT_REFUSED(n_layers, NN_MAX_LAYERS + 1, NN_ERR_SIZE);
	SEGMENT_REFUSED(first_layer, UINT32_MAX, NN_ERR_SIZE);
	SEGMENT_REFUSED(first_layer, NN_MAX_NETWORK, NN_ERR_SIZE);
	SEGMENT_REFUSED(micro_batch, 0, NN_ERR_SPEC);
	SEGMENT_REFUSED(micro_batch, UINT32_MAX, NN_ERR_SIZE);
	SEGMENT_REFUSED(layers, NULL, NN_ERR_SPEC);
}

/* Each tensor within the limits, but not a batch of them. */
static void batches_are_bounded_too(void **state)
{
	struct nn_layer_spec wide = good_connected;
	struct nn_spec spec = one_layer(&wide, 1, 1, 1, 1u << 20);

	(void)state;
	wide.outputs = 256;
	assert_int_equal(plan_of(&spec), NN_OK);
	wide.outputs = 257;
	assert_int_equal(plan_of(&spec), NN_ERR_SIZE);
	/* predicting, too, where outputs share memory */
	spec.train = false;
	assert_int_equal(plan_of(&spec), NN_ERR_SIZE);
	wide.outputs = 1u << 14;	/* 2^32 units of 16 bytes */
	assert_int_equal(plan_of(&spec), NN_ERR_SIZE);
	wide.outputs = 256;
	assert_int_equal(plan_of(&spec), NN_OK);
}

/* Each batch within the limits, but not all that are alive together. */
static void what_is_alive_together_is_bounded(void **state)
{
	struct nn_layer_spec layers[140] = { { 0 } };
	struct nn_spec spec = one_layer(layers, 1, 1, 1, 1u << 20);
	struct nn_plan plan = { 0 };
	uint32_t bad = 0;
	uint32_t i = 0;

	(void)state;
	for (i = 0; i < 70; i++) {
		layers[i] = good_connected;
		layers[i].outputs = 256;
		layers[70 + i] = (struct nn_layer_spec){
			.kind = NN_SHORTCUT, .activation = NN_LINEAR, .alpha = 1,
			.beta = 1, .n_sources = 1, .sources = { (uint16_t)i },
		};
	}
	spec.train = false;
	spec.first_layer = 0;
	spec.n_layers = 120;
	assert_int_equal(nn_plan(&spec, &plan, &bad), NN_OK);
	spec.n_layers = 140;
	assert_int_equal(nn_plan(&spec, &plan, &bad), NN_ERR_SIZE);
	assert_int_equal(bad, 139);
}

static void combinations_refused(void **state)
{
	struct nn_layer_spec layers[] = { good_cost, good_cost };
	struct nn_layer_spec normalized = good_connected;
	struct nn_layer_spec losses[] = { good_softmax, good_connected, good_cost };
	struct nn_spec spec = one_layer(layers, 8, 8, 6, 2);
	struct nn_plan plan = { 0 };
	uint32_t bad = 99;

	(void)state;
	/* a cost layer ends a network */
	spec.n_layers = 2;
	assert_int_equal(nn_plan(&spec, &plan, &bad), NN_ERR_UNSUPPORTED);
	assert_int_equal(bad, 0);
	/* two losses over different numbers of classes */
	spec.n_layers = 3;
	spec.layers = losses;
	assert_int_equal(nn_plan(&spec, &plan, &bad), NN_ERR_UNSUPPORTED);
	assert_int_equal(bad, 2);
	losses[0].noloss = true;
	assert_int_equal(plan_of(&spec), NN_OK);
	/* the variance of one value */
	normalized.batch_normalize = true;
	spec = one_layer(&normalized, 8, 8, 6, 1);
	assert_int_equal(plan_of(&spec), NN_ERR_SPEC);
	spec.train = false;
	assert_int_equal(plan_of(&spec), NN_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plan_is_use_to_the_byte),
		cmocka_unit_test(predicting_needs_weights_and_two_buffers),
		cmocka_unit_test(training_adds_gradients_and_outputs),
		cmocka_unit_test(passing_layers_are_free),
		cmocka_unit_test(input_delta_only_where_wanted),
		cmocka_unit_test(arena_must_hold_the_plan),
		cmocka_unit_test(tensors_are_found),
		cmocka_unit_test(convolutional_refuses),
		cmocka_unit_test(connected_refuses),
		cmocka_unit_test(other_kinds_refuse),
		cmocka_unit_test(segment_refuses),
		cmocka_unit_test(batches_are_bounded_too),
		cmocka_unit_test(what_is_alive_together_is_bounded),
		cmocka_unit_test(combinations_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
