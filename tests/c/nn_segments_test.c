/* SPDX-License-Identifier: MIT */
/*
 * The promise of nn.h: the same bits come out wherever a network is cut into
 * segments and however a batch is cut into micro-batches.
 */
#include "nn_support.h"

#include "check.h"

#define BATCH		6
#define ITERATIONS	3
#define IMAGE		(LENET_EDGE * LENET_EDGE * 3)
#define MOST_SEGMENTS	3

/* The network in one to three segments, in order. */
struct chain {
	struct segment segment[MOST_SEGMENTS];
	uint32_t first[MOST_SEGMENTS + 1];	/* layer; the last entry: the end */
	unsigned int n;
};

static void add_segment(struct chain *chain, uint32_t first, uint32_t end,
			uint32_t micro_batch, bool train)
{
	struct nn_spec spec = { 0 };

	if (first == end)
		return;
	spec = lenet_segment(first, end - 1, micro_batch, train);
	chain->segment[chain->n] = segment_open(&spec);
	nn_randomize(chain->segment[chain->n].net);
	chain->first[chain->n] = first;
	chain->n++;
	chain->first[chain->n] = end;
}

/* Cut around the partition first:last. */
static struct chain chain_open(uint32_t first, uint32_t last,
			       uint32_t micro_batch, bool train)
{
	struct chain chain = { 0 };

	add_segment(&chain, 0, first, micro_batch, train);
	add_segment(&chain, first, last + 1, micro_batch, train);
	add_segment(&chain, last + 1, LENET_LAYERS, micro_batch, train);
	return chain;
}

static void chain_close(struct chain *chain)
{
	unsigned int i = 0;

	for (i = 0; i < chain->n; i++)
		segment_close(&chain->segment[i]);
}

static const float *chain_forward(struct chain *chain, const struct nn_step *step,
				  const float *input, const float *truth,
				  const float *inputs[MOST_SEGMENTS])
{
	unsigned int i = 0;

	for (i = 0; i < chain->n; i++) {
		inputs[i] = input;
		nn_forward(chain->segment[i].net, step, input, truth);
		input = nn_output(chain->segment[i].net);
	}
	return input;
}

static void chain_backward(struct chain *chain, const struct nn_step *step,
			   const float *truth,
			   const float *const inputs[MOST_SEGMENTS])
{
	const float *from = NULL;
	struct nn_net *net = NULL;
	float *delta = NULL;
	size_t bytes = 0;
	unsigned int i = 0;

	for (i = chain->n; i-- > 0;) {
		net = chain->segment[i].net;
		delta = nn_output_delta(net);
		bytes = (size_t)step->count * nn_outputs(net) * sizeof(float);
		if (from)
			memcpy(delta, from, bytes);
		else if (delta)
			memset(delta, 0, bytes);
		nn_backward(net, step, inputs[i], truth);
		from = nn_input_delta(net);
		if (chain->first[i] == 0)
			assert_null(from);
		else
			assert_non_null(from);
	}
}

static void train_batch(struct chain *chain, uint64_t iteration,
			uint32_t micro_batch, const float *images,
			const float *truths)
{
	struct nn_step step = { .iteration = iteration, .train = true };
	const struct nn_update update = {
		.learning_rate = 0.1f, .momentum = 0.9f, .decay = 5e-4f,
		.samples = BATCH,
	};
	const float *inputs[MOST_SEGMENTS] = { NULL };
	const float *truth = NULL;
	unsigned int i = 0;

	for (step.sample = 0; step.sample < BATCH; step.sample += step.count) {
		step.count = BATCH - step.sample < micro_batch
			     ? BATCH - step.sample : micro_batch;
		truth = truths + step.sample * LENET_CLASSES;
		chain_forward(chain, &step, images + step.sample * IMAGE, truth,
			      inputs);
		chain_backward(chain, &step, truth, inputs);
	}
	for (i = 0; i < chain->n; i++)
		nn_update(chain->segment[i].net, &update);
}

static void train_chain(struct chain *chain, uint32_t micro_batch)
{
	float *images = uniform(BATCH * IMAGE, 7);
	float truths[BATCH * LENET_CLASSES] = { 0 };
	uint64_t iteration = 0;
	uint32_t i = 0;

	for (i = 0; i < BATCH; i++)
		truths[i * LENET_CLASSES + i * 3 % LENET_CLASSES] = 1;
	for (iteration = 0; iteration < ITERATIONS; iteration++)
		train_batch(chain, iteration, micro_batch, images, truths);
	free(images);
}

static void check_same_parameters(struct chain *a, struct chain *whole)
{
	const float *x = NULL;
	const float *y = NULL;
	uint32_t x_count = 0;
	uint32_t y_count = 0;
	unsigned int i = 0;
	uint32_t layer = 0;
	uint32_t kind = 0;

	for (i = 0; i < a->n; i++) {
		for (layer = a->first[i]; layer < a->first[i + 1]; layer++) {
			for (kind = 0; kind < NN_TENSOR_KINDS; kind++) {
				x = nn_tensor(a->segment[i].net,
					      layer - a->first[i], kind, &x_count);
				y = nn_tensor(whole->segment[0].net, layer, kind,
					      &y_count);
				assert_int_equal(x_count, y_count);
				if (x)
					assert_memory_equal(x, y, x_count * sizeof(*x));
			}
		}
	}
}

/* The segments' losses, summed over the layers. */
static double total_loss(const struct chain *chain)
{
	double total = 0;
	double sum = 0;
	unsigned int i = 0;
	uint32_t layers = 0;

	for (i = 0; i < chain->n; i++) {
		layers += nn_loss(chain->segment[i].net, &sum);
		total += sum;
	}
	assert_int_equal(layers, 2);
	return total;
}

static void training_is_independent_of_cuts(void **state)
{
	static const uint32_t micro_batches[] = { BATCH, 4, 3, 1 };
	struct chain whole = chain_open(0, LENET_LAYERS - 1, BATCH, true);
	struct chain cut = { 0 };
	double loss = 0;
	uint32_t first = 0;
	uint32_t last = 0;
	unsigned int i = 0;

	(void)state;
	train_chain(&whole, BATCH);
	loss = total_loss(&whole);
	assert_true(loss > 0);
	for (first = 0; first < LENET_LAYERS; first++) {
		for (last = first; last < LENET_LAYERS; last++) {
			for (i = 0; i < ARRAY_SIZE(micro_batches); i++) {
				cut = chain_open(first, last, micro_batches[i], true);
				train_chain(&cut, micro_batches[i]);
				check_same_parameters(&cut, &whole);
				assert_true(total_loss(&cut) == loss);
				chain_close(&cut);
			}
		}
	}
	chain_close(&whole);
}

static void prediction_is_independent_of_cuts(void **state)
{
	struct chain whole = chain_open(0, LENET_LAYERS - 1, 1, false);
	struct chain cut = { 0 };
	const struct nn_step step = { .count = 1 };
	const float *inputs[MOST_SEGMENTS] = { NULL };
	float *image = uniform(IMAGE, 8);
	const float *expected = NULL;
	uint32_t first = 0;
	uint32_t last = 0;

	(void)state;
	expected = chain_forward(&whole, &step, image, NULL, inputs);
	for (first = 0; first < LENET_LAYERS; first++) {
		for (last = first; last < LENET_LAYERS; last++) {
			cut = chain_open(first, last, 1, false);
			assert_memory_equal(chain_forward(&cut, &step, image, NULL,
							  inputs),
					    expected,
					    LENET_CLASSES * sizeof(*expected));
			chain_close(&cut);
		}
	}
	free(image);
	chain_close(&whole);
}

/* FNV-1a */
static uint64_t hash(uint64_t so_far, const void *bytes, size_t size)
{
	const uint8_t *at = bytes;
	size_t i = 0;

	for (i = 0; i < size; i++)
		so_far = (so_far ^ at[i]) * UINT64_C(0x100000001b3);
	return so_far;
}

/*
 * x86-64 and AArch64, gcc and clang, with and without optimisation: one number.
 * It changes with the arithmetic, and only with it.
 */
static void training_gives_the_same_bits_everywhere(void **state)
{
	struct chain whole = chain_open(0, LENET_LAYERS - 1, BATCH, true);
	uint64_t sum = UINT64_C(0xcbf29ce484222325);
	const float *x = NULL;
	uint32_t count = 0;
	uint32_t layer = 0;
	uint32_t kind = 0;

	(void)state;
	train_chain(&whole, BATCH);
	for (layer = 0; layer < LENET_LAYERS; layer++) {
		for (kind = 0; kind < NN_TENSOR_KINDS; kind++) {
			x = nn_tensor(whole.segment[0].net, layer, kind, &count);
			if (x)
				sum = hash(sum, x, count * sizeof(*x));
		}
	}
	if (sum != UINT64_C(0x21f954b838d9bfdc))
		fail_msg("hash of the parameters: 0x%016llx",
			 (unsigned long long)sum);
	chain_close(&whole);
}

/* A segment planned to train predicts the same as one planned to predict. */
static void training_segments_predict_alike(void **state)
{
	struct chain train = chain_open(0, LENET_LAYERS - 1, BATCH, true);
	struct chain predict = chain_open(0, LENET_LAYERS - 1, BATCH, false);
	const struct nn_step step = { .count = BATCH };
	const float *inputs[MOST_SEGMENTS] = { NULL };
	float *images = uniform(BATCH * IMAGE, 9);

	(void)state;
	assert_memory_equal(chain_forward(&train, &step, images, NULL, inputs),
			    chain_forward(&predict, &step, images, NULL, inputs),
			    BATCH * LENET_CLASSES * sizeof(float));
	free(images);
	chain_close(&train);
	chain_close(&predict);
}

/* Training must lead somewhere: the loss of a batch seen again and again falls. */
static void loss_falls(void **state)
{
	struct chain chain = chain_open(0, LENET_LAYERS - 1, BATCH, true);
	double first = 0;
	double last = 0;
	int i = 0;

	(void)state;
	for (i = 0; i < 40; i++) {
		nn_loss_reset(chain.segment[0].net);
		train_chain(&chain, BATCH);
		nn_loss(chain.segment[0].net, &last);
		if (i == 0)
			first = last;
	}
	assert_true(last < first / 4);
	chain_close(&chain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(training_is_independent_of_cuts),
		cmocka_unit_test(prediction_is_independent_of_cuts),
		cmocka_unit_test(training_gives_the_same_bits_everywhere),
		cmocka_unit_test(training_segments_predict_alike),
		cmocka_unit_test(loss_falls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
