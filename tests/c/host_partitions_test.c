/* SPDX-License-Identifier: MIT */
/*
 * Issue 4, 1 and 6, natively and with the real networks: wherever a network is
 * cut and however small the secure memory, the same bits; and what the plan says
 * is what the application allocates, at its peak, to the byte.
 */
#include "chain.h"
#include "message.h"
#include "nn_random.h"
#include "plan.h"

#include "check.h"
#include "host_support.h"
#include "inprocess_tee.h"

#define ITERATIONS	2

/* ---- A network, some data, and the weights of all layers ---- */

struct fixture {
	struct network network;
	struct seed seed;
	uint32_t inputs, classes;	/* floats per sample */
	float *images, *truths;		/* of a batch */
};

static void fill(float *x, size_t n, uint32_t seed)
{
	const uint32_t key[NN_KEY_WORDS] = { 0xda7a, seed };
	struct nn_random random = { 0 };
	size_t i = 0;

	nn_random_start(&random, key, 0, 0);
	for (i = 0; i < n; i++)
		x[i] = nn_random_unit(&random);
}

static struct fixture fixture_open(const char *name)
{
	struct fixture f = { 0 };
	char path[512] = "";
	uint32_t i = 0;
	int status = 0;

	snprintf(path, sizeof(path), "%s/%s.cfg", TESTS_CFG, name);
	support_capture();
	status = network_read(&f.network, path);
	support_captured();
	assert_int_equal(status, 0);
	seed_from_number(&f.seed, 11);
	f.inputs = network_floats(f.network.layers[0].input);
	f.classes = network_floats(
		f.network.layers[f.network.n_layers - 1].output);
	f.images = calloc(f.network.batch, f.inputs * sizeof(float));
	f.truths = calloc(f.network.batch, f.classes * sizeof(float));
	assert_true(f.images && f.truths);
	fill(f.images, (size_t)f.network.batch * f.inputs, 1);
	for (i = 0; i < f.network.batch; i++)
		f.truths[i * f.classes + i * 7 % f.classes] = 1;
	return f;
}

static void fixture_close(struct fixture *f)
{
	free(f->images);
	free(f->truths);
	network_free(&f->network);
}

struct weights {
	float *values;
	size_t count;
};

/* All tensors that a segment of the layer's world has, one after the other. */
static void move_weights(struct chain *chain, struct weights *weights, bool save)
{
	uint32_t layer = 0;
	uint32_t kind = 0;

	for (layer = 0; layer < chain->network->n_layers; layer++) {
		const struct network_layer *at = &chain->network->layers[layer];
		bool connected = at->spec.kind == NN_CONNECTED;
		uint32_t counts[] = {
			at->output.channels,
			connected ? network_floats(at->input) * at->spec.outputs :
				    at->spec.filters * at->spec.size *
					    at->spec.size * at->input.channels,
		};

		if (!connected && at->spec.kind != NN_CONVOLUTIONAL)
			continue;
		for (kind = NN_BIASES; kind <= NN_WEIGHTS; kind++) {
			weights->values = realloc(weights->values,
						  (weights->count + counts[kind]) *
							  sizeof(float));
			assert_non_null(weights->values);
			assert_int_equal(
				(save ? chain_save(chain, layer, kind, 0,
						   weights->values + weights->count,
						   counts[kind]) :
					chain_load(chain, layer, kind, 0,
						   weights->values + weights->count,
						   counts[kind])), 0);
			weights->count += counts[kind];
		}
	}
}

/* ---- Training ---- */

static void train_batch(const struct fixture *f, struct chain *chain,
			uint64_t iteration)
{
	uint32_t batch = f->network.batch;
	struct segment_step step = {
		.at = { .iteration = iteration, .train = true },
		.rates = { .learning_rate = 0.01f, .momentum = 0.9f,
			   .decay = 5e-4f, .samples = batch },
	};
	uint32_t first = 0;

	for (first = 0; first < batch; first += step.at.count) {
		step.at.sample = first;
		step.at.count = batch - first < chain->micro_batch ?
					batch - first : chain->micro_batch;
		step.update = first + step.at.count == batch;
		assert_int_equal(chain_train(chain, &step,
					     f->images + (size_t)first * f->inputs,
					     f->truths + (size_t)first * f->classes),
				 0);
	}
}

/* @tee: NULL if the partition has nothing in it */
static struct weights train(const struct fixture *f,
			    const struct partition *partition, struct tee *tee)
{
	struct weights weights = { 0 };
	struct chain chain = { 0 };
	uint64_t i = 0;
	int status = 0;

	support_capture();
	status = chain_build(&chain, &f->network, partition, tee, &f->seed, NULL,
			     true);
	support_captured();
	assert_int_equal(status, 0);
	for (i = 0; i < ITERATIONS; i++)
		train_batch(f, &chain, i);
	move_weights(&chain, &weights, true);
	chain_free(&chain);
	return weights;
}

static struct weights train_normal(const struct fixture *f)
{
	const struct partition nothing = { 0 };

	return train(f, &nothing, NULL);
}

/* ---- Memory ---- */

static void plan_for(struct plan *plan, const struct fixture *f, uint32_t first,
		     uint32_t last, bool train_it, uint32_t micro_batch)
{
	const struct plan_request request = {
		.network = &f->network, .train = train_it, .room = UINT64_MAX,
		.micro_batch = micro_batch,
	};

	assert_int_equal(plan_partition(plan, &request, first, last), 0);
}

static struct tee *session_with(uint64_t heap)
{
	struct tee *tee = NULL;
	char text[24] = "";

	snprintf(text, sizeof(text), "%llu", (unsigned long long)heap);
	setenv("INPROCESS_TEE_HEAP", text, 1);
	assert_int_equal(tee_open(&tee), 0);
	return tee;
}

static struct partition secure(uint32_t first, uint32_t last)
{
	return (struct partition){ .secure = true, .start = first, .end = last };
}

/* With exactly the heap that the plan asks for; it is all used at the peak. */
static void check_training(const struct fixture *f, const struct weights *expected,
			   uint32_t first, uint32_t last, uint32_t micro_batch)
{
	struct partition partition = secure(first, last);
	struct plan *plan = malloc(sizeof(*plan));
	struct weights got = { 0 };
	struct tee *tee = NULL;

	assert_non_null(plan);
	plan_for(plan, f, first, last, true, micro_batch);
	inprocess_forget_peak();
	tee = session_with(plan_bytes(plan));
	got = train(f, &partition, tee);
	assert_int_equal(tee_last_memory(tee).needed, plan_bytes(plan));
	assert_int_equal(inprocess_memory().peak, plan_bytes(plan));
	assert_int_equal(got.count, expected->count);
	assert_memory_equal(got.values, expected->values,
			    got.count * sizeof(float));
	tee_close(tee);
	assert_int_equal(inprocess_memory().now, 0);
	free(got.values);
	free(plan);
}

static void training_is_the_same_everywhere(void **state)
{
	static const uint32_t ranges[][2] = {
		{ 0, 10 }, { 0, 5 }, { 5, 5 }, { 9, 9 }, { 10, 10 }, { 2, 6 },
	};
	static const uint32_t micro_batches[] = { 1, 3, 7, 10, 100 };
	struct fixture f = fixture_open("mnist_lenet");
	struct weights expected = train_normal(&f);
	unsigned int i = 0;
	unsigned int j = 0;

	(void)state;
	assert_int_equal(expected.count, 47776);
	for (i = 0; i < ARRAY_SIZE(ranges); i++)
		for (j = 0; j < ARRAY_SIZE(micro_batches); j++)
			check_training(&f, &expected, ranges[i][0], ranges[i][1],
				       micro_batches[j]);
	free(expected.values);
	fixture_close(&f);
}

static void residual_blocks_train_the_same_everywhere(void **state)
{
	static const uint32_t ranges[][2] = {
		{ 0, 12 }, { 1, 3 }, { 4, 7 }, { 4, 12 }, { 8, 9 },
	};
	struct fixture f = fixture_open("residual");
	struct weights expected = train_normal(&f);
	unsigned int i = 0;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(ranges); i++) {
		check_training(&f, &expected, ranges[i][0], ranges[i][1], 8);
		check_training(&f, &expected, ranges[i][0], ranges[i][1], 3);
	}
	free(expected.values);
	fixture_close(&f);
}

/* ---- Predicting ---- */

static void predict(const struct fixture *f, const struct partition *partition,
		    struct tee *tee, struct weights *weights, float *output)
{
	struct chain chain = { 0 };
	const float *got = NULL;

	support_capture();
	assert_int_equal(chain_build(&chain, &f->network, partition, tee, &f->seed,
				     NULL, false), 0);
	support_captured();
	weights->count = 0;
	move_weights(&chain, weights, false);
	assert_int_equal(chain_predict(&chain, f->images, &got), 0);
	memcpy(output, got, f->classes * sizeof(*output));
	chain_free(&chain);
}

/* All 66; behind a softmax only the best class may come out. */
static void predictions_are_the_same_everywhere(void **state)
{
	const struct partition nothing = { 0 };
	struct fixture f = fixture_open("mnist_lenet");
	struct weights weights = train_normal(&f);
	struct plan *plan = malloc(sizeof(*plan));
	float expected[10] = { 0 };
	float best[10] = { 0 };
	float got[10] = { 0 };
	struct partition partition = { 0 };
	struct tee *tee = NULL;
	uint32_t first = 0;
	uint32_t last = 0;
	uint32_t i = 0;

	(void)state;
	assert_non_null(plan);
	predict(&f, &nothing, NULL, &weights, expected);
	for (i = 1; i < 10; i++)
		first = expected[i] > expected[first] ? i : first;
	best[first] = 1;
	for (first = 0; first <= 10; first++) {
		for (last = first; last <= 10; last++) {
			plan_for(plan, &f, first, last, false, 0);
			inprocess_forget_peak();
			tee = session_with(plan_bytes(plan));
			partition = secure(first, last);
			predict(&f, &partition, tee, &weights, got);
			assert_int_equal(inprocess_memory().peak, plan_bytes(plan));
			tee_close(tee);
			assert_memory_equal(got,
					    first <= 9 && last >= 9 ? best : expected,
					    sizeof(got));
		}
	}
	free(plan);
	free(weights.values);
	fixture_close(&f);
}

/* ---- The plan of DarkneTZ's networks ---- */

/* Partitions of the contract's table of secure memory; it changes with layouts only. */
static const struct {
	const char *name;
	uint32_t first, last;
	bool train;
	uint32_t micro_batch;
	uint64_t bytes;
} plans[] = {
	{ "mnist_lenet", 10, 10, true, 1, 608 },
	{ "mnist_lenet", 10, 10, true, 100, 12464 },
	{ "mnist_lenet", 10, 10, false, 1, 512 },
	{ "mnist_lenet", 8, 10, true, 1, 8816 },
	{ "mnist_lenet", 8, 10, true, 100, 91152 },
	{ "mnist_lenet", 8, 10, false, 1, 4928 },
	{ "mnist_lenet", 5, 10, true, 1, 93008 },
	{ "mnist_lenet", 5, 10, true, 100, 361472 },
	{ "mnist_lenet", 5, 10, false, 1, 47024 },
	{ "mnist_lenet", 4, 8, true, 1, 377664 },
	{ "mnist_lenet", 4, 8, true, 100, 823536 },
	{ "mnist_lenet", 4, 8, false, 1, 189136 },
	{ "mnist_lenet", 4, 10, true, 1, 378432 },
	{ "mnist_lenet", 4, 10, true, 100, 832208 },
	{ "mnist_lenet", 4, 10, false, 1, 189808 },
	{ "mnist_lenet", 3, 10, true, 1, 387696 },
	{ "mnist_lenet", 3, 10, true, 100, 1725344 },
	{ "mnist_lenet", 3, 10, false, 1, 194368 },
	{ "mnist_lenet", 2, 10, true, 1, 428720 },
	{ "mnist_lenet", 2, 10, true, 100, 2581344 },
	{ "mnist_lenet", 2, 10, false, 1, 227056 },
	{ "mnist_lenet", 0, 3, true, 1, 99952 },
	{ "mnist_lenet", 0, 3, true, 100, 6270416 },
	{ "mnist_lenet", 0, 3, false, 1, 60368 },
	{ "mnist_lenet", 0, 10, true, 1, 475408 },
	{ "mnist_lenet", 0, 10, true, 100, 6819296 },
	{ "mnist_lenet", 0, 10, false, 1, 248384 },
	{ "vgg-7_cifar10", 9, 13, true, 50, 518880 },
	{ "vgg-7_cifar10", 9, 13, false, 1, 138048 },
	{ "vgg-7_cifar10", 4, 13, true, 50, 8437360 },
	{ "vgg-7_cifar10", 4, 13, false, 1, 341584 },
	{ "vgg-7_cifar10", 0, 13, true, 50, 19765424 },
	{ "vgg-7_cifar10", 0, 13, false, 1, 441552 },
	{ "vgg-7_cifar100", 9, 13, true, 50, 619664 },
	{ "vgg-7_cifar100", 9, 13, false, 1, 161440 },
	{ "vgg-7_cifar100", 4, 13, true, 50, 8538144 },
	{ "vgg-7_cifar100", 4, 13, false, 1, 364976 },
	{ "vgg-7_cifar100", 0, 13, true, 50, 19866208 },
	{ "vgg-7_cifar100", 0, 13, false, 1, 464944 },
	{ "cifar_small", 10, 12, true, 10, 81232 },
	{ "cifar_small", 10, 12, false, 1, 22800 },
	{ "cifar_small", 0, 5, true, 10, 2666592 },
	{ "cifar_small", 0, 5, false, 1, 111776 },
	{ "cifar_small", 0, 12, true, 10, 3220800 },
	{ "cifar_small", 0, 12, false, 1, 181696 },
};

/* Plan, what is allocated, and its peak: one number, for a step with data in it. */
static void plan_is_allocated_is_peak(void **state)
{
	struct plan *plan = malloc(sizeof(*plan));
	unsigned int i = 0;

	(void)state;
	assert_non_null(plan);
	for (i = 0; i < ARRAY_SIZE(plans); i++) {
		struct fixture f = fixture_open(plans[i].name);
		struct partition partition = secure(plans[i].first, plans[i].last);
		struct chain chain = { 0 };
		struct tee *tee = NULL;

		plan_for(plan, &f, plans[i].first, plans[i].last, plans[i].train,
			 plans[i].micro_batch);
		if (plan_bytes(plan) != plans[i].bytes)
			fail_msg("%s %u:%u: %llu bytes planned, not %llu",
				 plans[i].name, plans[i].first, plans[i].last,
				 (unsigned long long)plan_bytes(plan),
				 (unsigned long long)plans[i].bytes);
		inprocess_forget_peak();
		tee = session_with(plan_bytes(plan));
		support_capture();
		assert_int_equal(chain_build(&chain, &f.network, &partition, tee,
					     &f.seed, NULL,
					     plans[i].train), 0);
		support_captured();
		/* Large networks are divided, so that no call takes long. */
		if (chain.micro_batch != plans[i].micro_batch)
			plan_for(plan, &f, plans[i].first, plans[i].last,
				 plans[i].train, chain.micro_batch);
		assert_true(chain.micro_batch == plans[i].micro_batch ||
			    !strncmp(plans[i].name, "vgg", 3));
		assert_int_equal(inprocess_memory().peak, plan_bytes(plan));
		chain_free(&chain);
		tee_close(tee);
		fixture_close(&f);
	}
	free(plan);
}

/*
 * Bytes that DarkneTZ's application allocates for a layer and @b samples: its
 * structure, parameters with gradients, outputs and deltas.
 */
static uint64_t darknetz_layer(const struct network_layer *layer, uint64_t b)
{
	const struct nn_layer_spec *spec = &layer->spec;
	uint64_t in = network_floats(layer->input);
	uint64_t out = network_floats(layer->output);
	uint64_t n = spec->filters;
	uint64_t weights = n * spec->size * spec->size * layer->input.channels;

	switch (spec->kind) {
	case NN_CONVOLUTIONAL:
		return 1160 + 4 * (2 * weights + 2 * n + 2 * b * out) +
		       (spec->batch_normalize ? 4 * (8 * n + 2 * b * out) : 0);
	case NN_CONNECTED:
		return 1160 + 4 * (2 * b * out + 2 * in * out + 2 * out);
	case NN_MAXPOOL:
		return 1160 + 12 * b * out;
	case NN_DROPOUT:
		return 1160 + 12 * b * in;
	default:
		return 1160 + 12 * b * in + 4;
	}
}

static uint64_t darknetz_bytes(const struct network *network, uint32_t first,
			       uint32_t last, uint64_t b)
{
	uint64_t bytes = 16 + 8 * b * network_floats(network->layers[first].input);
	uint64_t workspace = 0;
	uint32_t i = 0;

	for (i = first; i <= last; i++) {
		const struct network_layer *layer = &network->layers[i];
		uint64_t columns = (uint64_t)layer->spec.size * layer->spec.size *
				   layer->input.channels * layer->output.width *
				   layer->output.height * 4;

		bytes += darknetz_layer(layer, b);
		if (layer->spec.kind == NN_CONVOLUTIONAL && columns > workspace)
			workspace = columns;
	}
	return bytes + workspace;
}

/* The cfgs have DarkneTZ's shapes: its measured bytes come out; ours are fewer. */
static void shapes_are_darknetzs(void **state)
{
	static const struct {
		const char *name;
		uint32_t first, last, batch;
		uint64_t bytes;
	} measured[] = {
		{ "mnist_lenet", 0, 10, 100, 9419792 },
		{ "mnist_lenet", 0, 10, 1, 718088 },
		{ "mnist_lenet", 4, 10, 100, 1054656 },
		{ "mnist_lenet", 2, 10, 100, 3181024 },
		{ "mnist_lenet", 5, 10, 1, 99496 },
		{ "vgg-7_cifar100", 0, 13, 50, 27947560 },	/* 26.65 MiB */
		{ "vgg-7_cifar100", 4, 13, 50, 10795144 },	/* 10.30 MiB */
		{ "cifar_small", 0, 12, 10, 5258896 },		/* 5.0 MiB */
	};
	struct plan *plan = malloc(sizeof(*plan));
	unsigned int i = 0;

	(void)state;
	assert_non_null(plan);
	for (i = 0; i < ARRAY_SIZE(measured); i++) {
		struct fixture f = fixture_open(measured[i].name);

		assert_int_equal(darknetz_bytes(&f.network, measured[i].first,
						measured[i].last,
						measured[i].batch),
				 measured[i].bytes);
		plan_for(plan, &f, measured[i].first, measured[i].last, true,
			 measured[i].batch);
		assert_true(plan_bytes(plan) < measured[i].bytes);
		fixture_close(&f);
	}
	free(plan);
}

/* Issue 4, 7. */
static void whole_networks_train_in_little_memory(void **state)
{
	static const struct {
		const char *name;
		uint32_t last;
		uint64_t heap;
		uint32_t micro_batch;	/* of memory or of the longest call */
	} cases[] = {
		{ "mnist_lenet", 10, 2 << 20, 25 },
		{ "vgg-7_cifar100", 13, 12 << 20, 8 },
	};
	struct plan *plan = malloc(sizeof(*plan));
	unsigned int i = 0;

	(void)state;
	assert_non_null(plan);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture f = fixture_open(cases[i].name);
		const struct plan_request request = {
			.network = &f.network, .train = true,
			.room = nn_model_room(cases[i].heap),
		};

		assert_int_equal(plan_partition(plan, &request, 0, cases[i].last), 0);
		assert_int_equal(plan->micro_batch, cases[i].micro_batch);
		assert_true(plan_heap(plan) <= cases[i].heap);
		fixture_close(&f);
	}
	free(plan);
}

/* Issue 4, 7: inference keeps weights and two activation buffers. */
static void predicting_takes_weights_and_two_buffers(void **state)
{
	/* floats: parameters and the largest pair of neighbours */
	static const struct {
		const char *name;
		uint64_t parameters, pair;
	} cases[] = {
		{ "mnist_lenet", 47776, 28 * 28 * (3 + 6) },
		{ "vgg-7_cifar100", 74484, 32 * 32 * (16 + 16) },
		{ "cifar_small", 20552, 28 * 28 * (16 + 4) },
	};
	struct plan *plan = malloc(sizeof(*plan));
	unsigned int i = 0;

	(void)state;
	assert_non_null(plan);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture f = fixture_open(cases[i].name);

		plan_for(plan, &f, 0, f.network.n_layers - 1, false, 0);
		assert_int_equal(plan->total.activations, 4 * cases[i].pair);
		/* each tensor ends on 16 bytes */
		assert_in_range(plan->total.weights, 4 * cases[i].parameters,
				4 * cases[i].parameters + 32 * 15);
		assert_int_equal(plan->total.gradients + plan->total.deltas, 0);
		fixture_close(&f);
	}
	free(plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shapes_are_darknetzs),
		cmocka_unit_test(plan_is_allocated_is_peak),
		cmocka_unit_test(whole_networks_train_in_little_memory),
		cmocka_unit_test(predicting_takes_weights_and_two_buffers),
		cmocka_unit_test(predictions_are_the_same_everywhere),
		cmocka_unit_test(residual_blocks_train_the_same_everywhere),
		cmocka_unit_test(training_is_the_same_everywhere),
	};

	return cmocka_run_group_tests(tests, support_make_directory,
				      support_remove_directory);
}
