/* SPDX-License-Identifier: MIT */
/* Losses, dropout, the update rule, initial weights. */
#include "nn_support.h"

#include "check.h"
#include "nn_internal.h"

#define BATCH	4
#define CLASSES	6

static const struct nn_step train_step = { .iteration = 5, .count = BATCH,
					   .train = true };
static const struct nn_step predict_step = { .count = BATCH };

static const struct nn_layer_spec softmax = {
	.kind = NN_SOFTMAX, .groups = 1, .temperature = 1,
};

/* ---- Softmax and cost ---- */

static void fill_truth(float truth[BATCH * CLASSES])
{
	uint32_t i = 0;

	memset(truth, 0, BATCH * CLASSES * sizeof(*truth));
	for (i = 0; i < BATCH; i++)
		truth[i * CLASSES + i * 2 % CLASSES] = 1;
}

/* p (n) of logits x, in double precision. */
static void reference_softmax(const float *x, uint32_t n, double temperature,
			      double *p)
{
	double sum = 0;
	uint32_t i = 0;

	for (i = 0; i < n; i++) {
		p[i] = exp((double)x[i] / temperature);
		sum += p[i];
	}
	for (i = 0; i < n; i++)
		p[i] /= sum;
}

static void softmax_of_groups(void **state)
{
	struct nn_layer_spec layer = softmax;
	struct nn_spec spec = one_layer(&layer, CLASSES, 1, 1, BATCH);
	struct segment segment = { 0 };
	float *input = uniform(BATCH * CLASSES, 1);
	double p[CLASSES] = { 0 };
	uint32_t i = 0;
	uint32_t j = 0;

	(void)state;
	layer.groups = 3;
	layer.temperature = 0.5f;
	segment = segment_open(&spec);
	nn_forward(segment.net, &predict_step, input, NULL);
	for (i = 0; i < BATCH * CLASSES; i += 2) {
		reference_softmax(input + i, 2, 0.5, p);
		for (j = 0; j < 2; j++)
			check_near(nn_output(segment.net)[i + j], p[j], 1e-6);
	}
	free(input);
	segment_close(&segment);
}

/* Logits far apart: no overflow, and a certain mistake costs infinitely much. */
static void softmax_of_extremes(void **state)
{
	struct nn_spec spec = one_layer(&softmax, CLASSES, 1, 1, BATCH);
	struct segment segment = segment_open(&spec);
	float input[BATCH * CLASSES] = { 3e38f, -3e38f };
	float truth[BATCH * CLASSES] = { 0, 1 };
	double loss = 0;

	(void)state;
	nn_forward(segment.net, &train_step, input, truth);
	assert_true(nn_output(segment.net)[0] == 1);
	assert_true(nn_output(segment.net)[1] == 0);
	assert_int_equal(nn_loss(segment.net, &loss), 1);
	assert_true(loss == INFINITY);
	nn_loss_reset(segment.net);
	input[0] = NAN;
	nn_forward(segment.net, &train_step, input, truth);
	assert_int_equal(nn_loss(segment.net, &loss), 1);
	assert_true(isnan(loss));
	segment_close(&segment);
}

/* Both owners of a loss add t - p: the logits get 2 (t - p). */
static void softmax_and_cost_both_pull(void **state)
{
	const struct nn_layer_spec layers[] = {
		softmax, { .kind = NN_COST, .cost = NN_COST_SSE, .scale = 1 },
	};
	struct nn_spec spec = one_layer(layers, CLASSES, 1, 1, BATCH);
	struct segment segment = { 0 };
	float *input = uniform(BATCH * CLASSES, 1);
	float truth[BATCH * CLASSES] = { 0 };
	double p[CLASSES] = { 0 };
	double entropy = 0;
	double squares = 0;
	double loss = 0;
	uint32_t i = 0;
	uint32_t j = 0;

	(void)state;
	fill_truth(truth);
	spec.n_layers = 2;
	segment = segment_open(&spec);
	assert_null(nn_output_delta(segment.net));
	nn_forward(segment.net, &train_step, input, truth);
	nn_backward(segment.net, &train_step, input, truth);
	for (i = 0; i < BATCH * CLASSES; i += CLASSES) {
		reference_softmax(input + i, CLASSES, 1, p);
		for (j = 0; j < CLASSES; j++) {
			check_near(nn_input_delta(segment.net)[i + j],
				   2 * ((double)truth[i + j] - p[j]), 1e-6);
			entropy -= truth[i + j] > 0 ? log(p[j]) : 0;
			squares += pow((double)truth[i + j] - p[j], 2);
		}
	}
	assert_int_equal(nn_loss(segment.net, &loss), 2);
	check_near(loss, entropy + squares, 1e-6);
	free(input);
	segment_close(&segment);
}

/* As in Darknet, its loss of 0 counts in the mean all the same. */
static void softmax_without_loss_passes_the_gradient(void **state)
{
	struct nn_layer_spec layer = softmax;
	struct nn_spec spec = one_layer(&layer, CLASSES, 1, 1, BATCH);
	struct segment segment = { 0 };
	float *input = uniform(BATCH * CLASSES, 1);
	float truth[BATCH * CLASSES] = { 0 };
	double loss = 0;

	(void)state;
	layer.noloss = true;
	segment = segment_open(&spec);
	assert_int_equal(nn_truths(segment.net), 0);
	nn_forward(segment.net, &train_step, input, truth);
	memcpy(nn_output_delta(segment.net), input, sizeof(truth));
	nn_backward(segment.net, &train_step, input, truth);
	assert_memory_equal(nn_input_delta(segment.net), input, sizeof(truth));
	assert_int_equal(nn_loss(segment.net, &loss), 1);
	assert_true(loss == 0);
	free(input);
	segment_close(&segment);
}

/* Error and delta of one prediction under each cost, d = truth - prediction. */
struct cost_case {
	enum nn_cost_type cost;
	float truth, prediction;
	double error, delta;
};

static void costs(void **state)
{
	static const struct cost_case cases[] = {
		{ NN_COST_SSE, 1, 0.25f, 0.5625, 0.75 },
		{ NN_COST_SSE, 0, 3, 9, -3 },
		{ NN_COST_MASKED, 1, 0.25f, 0.5625, 0.75 },
		{ NN_COST_MASKED, -1234, 0.25f, 0, 0 },
		{ NN_COST_SSE, -1234, 0, 1234.0 * 1234, -1234 },
		{ NN_COST_L1, 1, 0.25f, 0.75, 1 },
		{ NN_COST_L1, 0, 0.25f, 0.25, -1 },
		{ NN_COST_SMOOTH, 1, 0.25f, 0.5625, 0.75 },
		{ NN_COST_SMOOTH, 3, 0.5f, 4, 1 },
		{ NN_COST_SMOOTH, 0, 2.5f, 4, -1 },
	};
	struct nn_layer_spec layer = { .kind = NN_COST, .scale = 0.5f };
	struct nn_spec spec = one_layer(&layer, 1, 1, 1, 1);
	const struct nn_step one = { .count = 1, .train = true };
	struct segment segment = { 0 };
	double loss = 0;
	unsigned int i = 0;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		layer.cost = cases[i].cost;
		segment = segment_open(&spec);
		nn_forward(segment.net, &one, &cases[i].prediction, &cases[i].truth);
		nn_backward(segment.net, &one, &cases[i].prediction, &cases[i].truth);
		assert_ptr_equal(nn_output(segment.net), &cases[i].prediction);
		assert_int_equal(nn_loss(segment.net, &loss), 1);
		check_near(loss, cases[i].error, 1e-6);
		check_near(nn_input_delta(segment.net)[0], 0.5 * cases[i].delta, 1e-6);
		segment_close(&segment);
	}
}

/* ---- Dropout ---- */

#define UNITS 5000

static void dropout_drops_its_share(void **state)
{
	const struct nn_layer_spec layer = { .kind = NN_DROPOUT, .probability = 0.3f };
	struct nn_spec spec = one_layer(&layer, UNITS, 1, 1, BATCH);
	struct segment segment = segment_open(&spec);
	float *input = uniform(BATCH * UNITS, 1);
	const float *output = NULL;
	const float *delta = NULL;
	unsigned int dropped = 0;
	size_t i = 0;

	(void)state;
	nn_forward(segment.net, &train_step, input, NULL);
	output = nn_output(segment.net);
	memcpy(nn_output_delta(segment.net), input, BATCH * UNITS * sizeof(*input));
	nn_backward(segment.net, &train_step, input, NULL);
	delta = nn_input_delta(segment.net);
	for (i = 0; i < BATCH * UNITS; i++) {
		/* the mask of the way back is that of the way forth */
		assert_true(delta[i] == output[i]);
		dropped += output[i] == 0;
		if (output[i] != 0)
			check_near(output[i], (double)input[i] / 0.7, 1e-6);
	}
	check_near(dropped / (double)(BATCH * UNITS), 0.3, 0.02);
	free(input);
	segment_close(&segment);
}

static void dropout_masks_differ(void **state)
{
	const struct nn_layer_spec layer = { .kind = NN_DROPOUT, .probability = 0.5f };
	struct nn_spec spec = one_layer(&layer, UNITS, 1, 1, 2);
	struct segment segment = segment_open(&spec);
	struct nn_step step = { .iteration = 1, .count = 2, .train = true };
	float *ones = malloc(2 * UNITS * sizeof(*ones));
	float *first = malloc(2 * UNITS * sizeof(*first));
	size_t bytes = UNITS * sizeof(*first);
	size_t i = 0;

	(void)state;
	assert_true(ones && first);
	for (i = 0; i < 2 * UNITS; i++)
		ones[i] = 1;
	nn_forward(segment.net, &step, ones, NULL);
	memcpy(first, nn_output(segment.net), 2 * bytes);
	/* between samples of a call */
	assert_memory_not_equal(first, first + UNITS, bytes);
	/* by position in the batch, not in the call */
	step.sample = 1;
	step.count = 1;
	nn_forward(segment.net, &step, ones, NULL);
	assert_memory_equal(nn_output(segment.net), first + UNITS, bytes);
	/* between iterations */
	step.iteration = 2;
	nn_forward(segment.net, &step, ones, NULL);
	assert_memory_not_equal(nn_output(segment.net), first + UNITS, bytes);
	/* not at all when not training */
	step.train = false;
	nn_forward(segment.net, &step, ones, NULL);
	assert_memory_equal(nn_output(segment.net), ones, bytes);
	free(first);
	free(ones);
	segment_close(&segment);
}

/* Darknet's TA lost the input here: a segment that begins with dropout. */
static void predicting_dropout_passes_on(void **state)
{
	const struct nn_layer_spec layer = { .kind = NN_DROPOUT, .probability = 0.5f };
	struct nn_spec spec = one_layer(&layer, 8, 1, 1, 1);
	struct segment segment = { 0 };
	const struct nn_step step = { .count = 1 };
	float input[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	(void)state;
	spec.train = false;
	segment = segment_open(&spec);
	nn_forward(segment.net, &step, input, NULL);
	assert_ptr_equal(nn_output(segment.net), input);
	segment_close(&segment);
}

/* ---- Update ---- */

static void update_is_sgd_with_momentum_and_decay(void **state)
{
	const struct nn_layer_spec layer = {
		.kind = NN_CONNECTED, .outputs = 2, .activation = NN_LINEAR,
		.batch_normalize = true, .learning_rate = 0.5f,
	};
	const struct nn_update update = {
		.learning_rate = 0.25f, .momentum = 0.75f, .decay = 0.125f,
		.samples = 8,
	};
	/* 0.25 * 0.5 / 8 per unit of gradient; decay 0.125 * 8 = 1 on weights */
	const double rate = 0.015625;
	struct nn_spec spec = one_layer(&layer, 3, 1, 1, BATCH);
	struct segment segment = segment_open(&spec);
	struct nn_parameter *parameter = NULL;
	double gradient = 0;
	uint32_t kind = 0;
	uint32_t i = 0;

	(void)state;
	for (kind = 0; kind < NN_TENSOR_KINDS; kind++) {
		parameter = &segment.net->layers[0].parameter[kind];
		for (i = 0; i < parameter->count; i++) {
			parameter->value[i] = 1 + i;
			if (parameter->gradient)
				parameter->gradient[i] = 10 + i;
		}
	}
	nn_update(segment.net, &update);
	for (kind = 0; kind < NN_TENSOR_KINDS; kind++) {
		parameter = &segment.net->layers[0].parameter[kind];
		assert_true(parameter->count > 0);
		for (i = 0; i < parameter->count; i++) {
			if (!parameter->gradient) {
				assert_true(parameter->value[i] == 1 + i);
				continue;
			}
			gradient = 10 + i - (kind == NN_WEIGHTS ? 1.0 + i : 0);
			check_near(parameter->value[i], 1 + i + rate * gradient, 1e-6);
			check_near(parameter->gradient[i], 0.75 * gradient, 1e-6);
		}
	}
	segment_close(&segment);
}

/* ---- Initial weights ---- */

static void moments(struct nn_net *net, uint32_t layer, double *mean,
		    double *deviation, double *largest)
{
	uint32_t count = 0;
	const float *x = nn_tensor(net, layer, NN_WEIGHTS, &count);
	double sum = 0;
	double squares = 0;
	uint32_t i = 0;

	*largest = 0;
	for (i = 0; i < count; i++) {
		sum += (double)x[i];
		squares += (double)x[i] * (double)x[i];
		*largest = fmax(*largest, fabs((double)x[i]));
	}
	*mean = sum / count;
	*deviation = sqrt(squares / count);
}

static void initial_weights(void **state)
{
	const struct nn_layer_spec layers[] = {
		{ .kind = NN_CONVOLUTIONAL, .filters = 400, .size = 5, .stride = 1,
		  .groups = 2, .activation = NN_RELU, .learning_rate = 1 },
		{ .kind = NN_CONNECTED, .outputs = 50, .activation = NN_RELU,
		  .learning_rate = 1 },
	};
	struct nn_spec spec = one_layer(layers, 5, 5, 4, 1);
	struct segment segment = { 0 };
	double mean = 0;
	double deviation = 0;
	double largest = 0;

	(void)state;
	spec.n_layers = 2;
	segment = segment_open(&spec);
	nn_randomize(segment.net);
	/* normal: sqrt(2 / (5 * 5 * 4 / 2)) = 0.2 */
	moments(segment.net, 0, &mean, &deviation, &largest);
	check_near(mean, 0, 0.005);
	check_near(deviation / 0.2, 1, 0.02);
	assert_true(largest > 0.6);
	/* uniform up to sqrt(2 / 400): deviation that over sqrt(3) */
	moments(segment.net, 1, &mean, &deviation, &largest);
	check_near(mean, 0, 0.001);
	check_near(deviation / sqrt(2.0 / 400 / 3), 1, 0.02);
	assert_true(largest <= sqrt(2.0 / 400));
	segment_close(&segment);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(softmax_of_groups),
		cmocka_unit_test(softmax_of_extremes),
		cmocka_unit_test(softmax_and_cost_both_pull),
		cmocka_unit_test(softmax_without_loss_passes_the_gradient),
		cmocka_unit_test(costs),
		cmocka_unit_test(dropout_drops_its_share),
		cmocka_unit_test(dropout_masks_differ),
		cmocka_unit_test(predicting_dropout_passes_on),
		cmocka_unit_test(update_is_sgd_with_momentum_and_decay),
		cmocka_unit_test(initial_weights),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
