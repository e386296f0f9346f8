/* SPDX-License-Identifier: MIT */
/*
 * Claim: workers change no bit of what a segment computes, for every kind of
 * layer, however many they are and in whatever order parts are done; and each
 * has its own workspace, which the plan counts.
 *
 * The workers here are an imitation: parts are done one after the other, from
 * the last to the first. Real threads: host_workers_test.c.
 */
#include "nn_support.h"

#include "check.h"

#define BATCH	9
#define EDGE	16	/* so that there is work worth sharing */
#define CLASSES	10
#define INPUTS	(EDGE * EDGE * 6)

static unsigned int parts_done;

static void run_backwards(void *context, nn_job *job, void *argument,
			  uint32_t parts)
{
	const struct nn_workers *workers = context;
	uint32_t i = 0;

	for (i = parts; i-- > 0; parts_done++)
		job(argument, i, i % workers->count);
}

/* All kinds of layers, convolutions of all kinds. */
static const struct nn_layer_spec layers[] = {
	{ .kind = NN_CONVOLUTIONAL, .activation = NN_LEAKY, .filters = 8,
	  .size = 3, .stride = 1, .padding = 1, .groups = 2,
	  .batch_normalize = true, .learning_rate = 1 },
	{ .kind = NN_CONVOLUTIONAL, .activation = NN_RELU, .filters = 8,
	  .size = 1, .stride = 1, .groups = 1, .learning_rate = 1 },
	{ .kind = NN_SHORTCUT, .activation = NN_TANH, .n_sources = 1,
	  .sources = { 0 }, .alpha = 1, .beta = 0.5f },
	{ .kind = NN_BATCHNORM },
	{ .kind = NN_ACTIVATION, .activation = NN_ELU },
	{ .kind = NN_MAXPOOL, .size = 3, .stride = 2, .padding = 2 },
	{ .kind = NN_CONVOLUTIONAL, .activation = NN_LOGISTIC, .filters = 11,
	  .size = 5, .stride = 2, .padding = 2, .groups = 1, .learning_rate = 1 },
	{ .kind = NN_ROUTE, .n_sources = 2, .sources = { 6, 6 } },
	{ .kind = NN_DROPOUT, .probability = 0.4f },
	{ .kind = NN_CONNECTED, .activation = NN_RELU, .outputs = 50,
	  .batch_normalize = true, .learning_rate = 1 },
	{ .kind = NN_CONNECTED, .activation = NN_LEAKY, .outputs = 600,
	  .learning_rate = 1 },
	{ .kind = NN_DROPOUT, .probability = 0.5f },
	{ .kind = NN_CONVOLUTIONAL, .activation = NN_LINEAR, .filters = CLASSES,
	  .size = 1, .stride = 1, .groups = 1, .learning_rate = 1 },
	{ .kind = NN_AVGPOOL },
	{ .kind = NN_SOFTMAX, .groups = 1, .temperature = 1 },
	{ .kind = NN_COST, .cost = NN_COST_SMOOTH, .scale = 1 },
};

static struct nn_spec spec_for(const struct nn_workers *workers, bool train)
{
	return (struct nn_spec){
		.width = EDGE,
		.height = EDGE,
		.channels = 6,
		.n_layers = ARRAY_SIZE(layers),
		.micro_batch = BATCH,
		.train = train,
		.seed = { 3 },
		.layers = layers,
		.workers = workers,
	};
}

/* Two iterations; what is left in the parameters and their gradients. */
static void train(struct nn_net *net)
{
	const struct nn_update update = {
		.learning_rate = 0.05f, .momentum = 0.9f, .decay = 1e-3f,
		.samples = BATCH,
	};
	struct nn_step step = { .count = BATCH, .train = true };
	float *images = uniform((size_t)BATCH * INPUTS, 1);
	float truths[BATCH * CLASSES] = { 0 };
	uint32_t i = 0;

	for (i = 0; i < BATCH; i++)
		truths[i * CLASSES + i] = 1;
	nn_randomize(net);
	for (step.iteration = 0; step.iteration < 2; step.iteration++) {
		nn_forward(net, &step, images, truths);
		nn_backward(net, &step, images, truths);
		nn_update(net, &update);
	}
	free(images);
}

typedef float *tensor_of(struct nn_net *net, uint32_t layer,
			 enum nn_tensor_kind kind, uint32_t *count);

/* @tensor: nn_tensor or nn_momentum. Return how many floats were compared. */
static uint32_t assert_same(tensor_of *tensor, struct nn_net *a, struct nn_net *b)
{
	const float *of_a = NULL;
	const float *of_b = NULL;
	uint32_t compared = 0;
	uint32_t count = 0;
	uint32_t i = 0;

	for (i = 0; i < ARRAY_SIZE(layers) * NN_TENSOR_KINDS; i++) {
		of_a = tensor(a, i / NN_TENSOR_KINDS, i % NN_TENSOR_KINDS, &count);
		of_b = tensor(b, i / NN_TENSOR_KINDS, i % NN_TENSOR_KINDS, &count);
		if (count > 0)
			assert_memory_equal(of_a, of_b, count * sizeof(*of_a));
		compared += count;
	}
	return compared;
}

static void training_does_not_depend_on_workers(void **state)
{
	static const uint32_t counts[] = { 1, 2, 3, 8, NN_MAX_WORKERS };
	struct nn_workers workers = { .run = run_backwards, .context = &workers };
	struct nn_spec spec = spec_for(NULL, true);
	struct segment alone = segment_open(&spec);
	struct segment shared = { 0 };
	double loss_alone = 0;
	double loss = 0;
	size_t i = 0;

	(void)state;
	train(alone.net);
	assert_true(nn_loss(alone.net, &loss_alone));
	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		workers.count = counts[i];
		parts_done = 0;
		spec = spec_for(&workers, true);
		shared = segment_open(&spec);
		train(shared.net);
		assert_true(assert_same(nn_tensor, alone.net, shared.net) > 10000);
		assert_true(assert_same(nn_momentum, alone.net, shared.net) > 10000);
		assert_true(nn_loss(shared.net, &loss));
		assert_memory_equal(&loss, &loss_alone, sizeof(loss));
		/* And they had something to do, unless the caller is alone. */
		if (counts[i] == 1)
			assert_int_equal(parts_done, 0);
		else
			assert_true(parts_done > 100);
		segment_close(&shared);
	}
	segment_close(&alone);
}

static void a_prediction_does_not_depend_on_workers(void **state)
{
	struct nn_workers workers = {
		.run = run_backwards, .context = &workers, .count = 3,
	};
	const struct nn_step step = { .count = 1 };
	struct nn_spec spec = spec_for(NULL, false);
	struct segment alone = segment_open(&spec);
	struct segment shared = { 0 };
	float *image = uniform(INPUTS, 2);

	(void)state;
	spec = spec_for(&workers, false);
	shared = segment_open(&spec);
	fill_parameters(alone.net, ARRAY_SIZE(layers), 5);
	fill_parameters(shared.net, ARRAY_SIZE(layers), 5);
	nn_forward(alone.net, &step, image, NULL);
	nn_forward(shared.net, &step, image, NULL);
	assert_memory_equal(nn_output(alone.net), nn_output(shared.net),
			    CLASSES * sizeof(float));
	free(image);
	segment_close(&alone);
	segment_close(&shared);
}

static void the_plan_counts_a_workspace_for_each(void **state)
{
	struct nn_workers workers = { .run = run_backwards, .context = &workers };
	struct nn_spec spec = spec_for(NULL, true);
	struct nn_plan alone = { 0 };
	struct nn_plan shared = { 0 };

	(void)state;
	assert_int_equal(nn_plan(&spec, &alone, NULL), NN_OK);
	spec.workers = &workers;
	workers.count = 1;
	assert_int_equal(nn_plan(&spec, &shared, NULL), NN_OK);
	assert_memory_equal(&alone, &shared, sizeof(alone));
	workers.count = 8;
	assert_int_equal(nn_plan(&spec, &shared, NULL), NN_OK);
	assert_true(alone.workspace > 0);
	assert_int_equal(shared.workspace, 8 * alone.workspace);
	assert_int_equal(shared.total - shared.workspace,
			 alone.total - alone.workspace);
	workers.count = 0;
	assert_int_equal(nn_plan(&spec, &shared, NULL), NN_ERR_SPEC);
	workers.count = NN_MAX_WORKERS + 1;
	assert_int_equal(nn_plan(&spec, &shared, NULL), NN_ERR_SPEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(training_does_not_depend_on_workers),
		cmocka_unit_test(a_prediction_does_not_depend_on_workers),
		cmocka_unit_test(the_plan_counts_a_workspace_for_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
