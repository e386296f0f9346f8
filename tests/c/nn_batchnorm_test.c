/* SPDX-License-Identifier: MIT */
/* Batch normalisation, forward and backward, against sums in double precision. */
#include "nn_support.h"

#include "check.h"
#include "nn_internal.h"

#define BATCH		4
#define NORM_CHANNELS	3
#define NORM_EDGE	4
#define NORM_PIXELS	(NORM_EDGE * NORM_EDGE)
#define NORM_FLOATS	(NORM_CHANNELS * NORM_PIXELS)

static const struct nn_step train_step = { .iteration = 5, .count = BATCH,
					   .train = true };
static const struct nn_step predict_step = { .count = BATCH };

/* A pointwise convolution with the identity as its weights: only the norm acts. */
static struct segment norm_open(bool train)
{
	static const struct nn_layer_spec layer = {
		.kind = NN_CONVOLUTIONAL, .activation = NN_LINEAR,
		.filters = NORM_CHANNELS, .size = 1, .stride = 1, .groups = 1,
		.batch_normalize = true, .learning_rate = 1,
	};
	struct nn_spec spec = one_layer(&layer, NORM_EDGE, NORM_EDGE,
					NORM_CHANNELS, BATCH);
	struct segment segment = { 0 };
	uint32_t count = 0;
	float *weights = NULL;
	uint32_t i = 0;

	spec.train = train;
	segment = segment_open(&spec);
	fill_parameters(segment.net, 1, 2);
	weights = nn_tensor(segment.net, 0, NN_WEIGHTS, &count);
	for (i = 0; i < count; i++)
		weights[i] = i % NORM_CHANNELS == i / NORM_CHANNELS ? 1 : 0;
	return segment;
}

static double tensor_at(const struct segment *segment, enum nn_tensor_kind kind,
			uint32_t i)
{
	uint32_t count = 0;

	return (double)nn_tensor(segment->net, 0, kind, &count)[i];
}

/* Sum over one channel of the batch of a[i] * b[i]; NULL: ones. */
static double channel_sum(const double *a, const double *b, uint32_t channel)
{
	double sum = 0;
	uint32_t sample = 0;
	uint32_t i = 0;
	size_t at = 0;

	for (sample = 0; sample < BATCH; sample++) {
		for (i = 0; i < NORM_PIXELS; i++) {
			at = sample * NORM_FLOATS + channel * NORM_PIXELS + i;
			sum += a[at] * (b ? b[at] : 1);
		}
	}
	return sum;
}

/* x minus its channel's mean; the variance (divisor n - 1) of each channel. */
static void centre(const float *x, double *centred, double *variance)
{
	const double n = BATCH * NORM_PIXELS;
	double mean[NORM_CHANNELS] = { 0 };
	size_t i = 0;
	uint32_t c = 0;

	for (i = 0; i < BATCH * NORM_FLOATS; i++)
		centred[i] = (double)x[i];
	for (c = 0; c < NORM_CHANNELS; c++)
		mean[c] = channel_sum(centred, NULL, c) / n;
	for (i = 0; i < BATCH * NORM_FLOATS; i++)
		centred[i] -= mean[i / NORM_PIXELS % NORM_CHANNELS];
	for (c = 0; c < NORM_CHANNELS; c++)
		variance[c] = channel_sum(centred, centred, c) / (n - 1);
}

static void batchnorm_forward(void **state)
{
	struct segment segment = norm_open(true);
	float *input = uniform(BATCH * NORM_FLOATS, 1);
	double centred[BATCH * NORM_FLOATS] = { 0 };
	double variance[NORM_CHANNELS] = { 0 };
	double rolling = tensor_at(&segment, NN_ROLLING_VARIANCE, 1);
	size_t i = 0;
	uint32_t c = 0;

	(void)state;
	centre(input, centred, variance);
	nn_forward(segment.net, &train_step, input, NULL);
	for (i = 0; i < BATCH * NORM_FLOATS; i++) {
		c = i / NORM_PIXELS % NORM_CHANNELS;
		check_near(nn_output(segment.net)[i],
			   centred[i] / (sqrt(variance[c]) + 1e-6)
			   * tensor_at(&segment, NN_SCALES, c)
			   + tensor_at(&segment, NN_BIASES, c), 1e-5);
	}
	check_near(tensor_at(&segment, NN_ROLLING_VARIANCE, 1),
		   0.99 * rolling + 0.01 * variance[1], 1e-6);
	free(input);
	segment_close(&segment);
}

static void check_rolling(struct segment *segment, const float *input)
{
	size_t i = 0;
	uint32_t c = 0;

	nn_forward(segment->net, &predict_step, input, NULL);
	for (i = 0; i < BATCH * NORM_FLOATS; i++) {
		c = i / NORM_PIXELS % NORM_CHANNELS;
		check_near(nn_output(segment->net)[i],
			   ((double)input[i] - tensor_at(segment, NN_ROLLING_MEAN, c))
			   / (sqrt(tensor_at(segment, NN_ROLLING_VARIANCE, c)) + 1e-6)
			   * tensor_at(segment, NN_SCALES, c)
			   + tensor_at(segment, NN_BIASES, c), 1e-5);
	}
}

static void batchnorm_predicts_with_rolling_statistics(void **state)
{
	struct segment predict = norm_open(false);
	struct segment train = norm_open(true);
	float *input = uniform(BATCH * NORM_FLOATS, 1);

	(void)state;
	check_rolling(&predict, input);
	check_rolling(&train, input);
	free(input);
	segment_close(&predict);
	segment_close(&train);
}

/*
 * Darknet's gradient: 1e-5 on the variance, power -3/2, divisor n although the
 * variance had n - 1.
 */
static void batchnorm_backward(void **state)
{
	const double n = BATCH * NORM_PIXELS;
	struct segment segment = norm_open(true);
	float *input = uniform(BATCH * NORM_FLOATS, 1);
	float *delta = uniform(BATCH * NORM_FLOATS, 2);
	double centred[BATCH * NORM_FLOATS] = { 0 };
	double scaled[BATCH * NORM_FLOATS] = { 0 };
	double variance[NORM_CHANNELS] = { 0 };
	double through_variance = 0;
	double through_mean = 0;
	size_t i = 0;
	uint32_t c = 0;

	(void)state;
	centre(input, centred, variance);
	nn_forward(segment.net, &train_step, input, NULL);
	memcpy(nn_output_delta(segment.net), delta, BATCH * NORM_FLOATS * sizeof(*delta));
	nn_backward(segment.net, &train_step, input, NULL);
	for (i = 0; i < BATCH * NORM_FLOATS; i++)
		scaled[i] = (double)delta[i]
			    * tensor_at(&segment, NN_SCALES,
					i / NORM_PIXELS % NORM_CHANNELS);
	for (i = 0; i < BATCH * NORM_FLOATS; i++) {
		c = i / NORM_PIXELS % NORM_CHANNELS;
		through_variance = channel_sum(scaled, centred, c) * -0.5
				   * pow(variance[c] + 1e-5, -1.5);
		through_mean = -channel_sum(scaled, NULL, c)
			       / sqrt(variance[c] + 1e-5);
		check_near(nn_input_delta(segment.net)[i],
			   scaled[i] / sqrt(variance[c] + 1e-5)
			   + through_variance * 2 * centred[i] / n
			   + through_mean / n, 1e-5);
	}
	for (c = 0; c < NORM_CHANNELS; c++)
		check_near(segment.net->layers[0].parameter[NN_SCALES].gradient[c],
			   channel_sum(scaled, centred, c)
			   / tensor_at(&segment, NN_SCALES, c)
			   / (sqrt(variance[c]) + 1e-6), 1e-5);
	free(input);
	free(delta);
	segment_close(&segment);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(batchnorm_forward),
		cmocka_unit_test(batchnorm_predicts_with_rolling_statistics),
		cmocka_unit_test(batchnorm_backward),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
