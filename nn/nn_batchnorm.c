/* SPDX-License-Identifier: MIT */
/*
 * Batch normalisation, as a layer of its own and as what follows the product in
 * convolutional and connected layers, there before biases and activation. A
 * tensor is (count, channels, pixels); a connected layer has one pixel per
 * channel.
 *
 * The layer of its own learns nothing: as in Darknet, whose layer has no update,
 * its scales stay what the weights file says, and it has no biases.
 */
#include "nn_internal.h"
#include "nn_math.h"

#include <string.h>

#define ROLLING_KEEP	0.99f	/* of the rolling statistics, per call */
#define FORWARD_EPSILON	1e-6f	/* added to the standard deviation */
#define BACKWARD_EPSILON 1e-5f	/* added to the variance */

static size_t channels(const struct nn_layer *layer)
{
	return layer->out.channels;
}

/* ---- Forward ---- */

/* Mean and variance (divisor n - 1) of one channel over the whole call. */
static void channel_statistics(const struct nn_layer *layer, size_t channel,
			       size_t count, float *mean, float *variance)
{
	size_t pixels = nn_pixels(layer->out);
	size_t n = count * pixels;
	const float *x = NULL;
	double sum = 0;
	double squares = 0;
	size_t sample = 0;
	size_t i = 0;

	for (sample = 0; sample < count; sample++) {
		x = layer->output + sample * layer->outputs + channel * pixels;
		for (i = 0; i < pixels; i++)
			sum += (double)x[i];
	}
	sum /= (double)n;
	for (sample = 0; sample < count; sample++) {
		x = layer->output + sample * layer->outputs + channel * pixels;
		for (i = 0; i < pixels; i++)
			squares += ((double)x[i] - sum) * ((double)x[i] - sum);
	}
	*mean = (float)sum;
	*variance = n > 1 ? (float)(squares / (double)(n - 1)) : 0;
}

static void take_statistics(struct nn_layer *layer, size_t c, size_t count)
{
	float *rolling_mean = layer->parameter[NN_ROLLING_MEAN].value;
	float *rolling_variance = layer->parameter[NN_ROLLING_VARIANCE].value;

	channel_statistics(layer, c, count, &layer->mean[c], &layer->variance[c]);
	rolling_mean[c] = ROLLING_KEEP * rolling_mean[c]
			  + (1 - ROLLING_KEEP) * layer->mean[c];
	rolling_variance[c] = ROLLING_KEEP * rolling_variance[c]
			      + (1 - ROLLING_KEEP) * layer->variance[c];
}

static void normalize(struct nn_layer *layer, size_t c, size_t count, float mean,
		      float variance)
{
	float scale = layer->parameter[NN_SCALES].value[c];
	float deviation = nn_sqrt(variance) + FORWARD_EPSILON;
	size_t pixels = nn_pixels(layer->out);
	float *x = layer->output + c * pixels;
	size_t sample = 0;
	size_t i = 0;

	for (sample = 0; sample < count; sample++, x += layer->outputs)
		for (i = 0; i < pixels; i++)
			x[i] = (x[i] - mean) / deviation * scale;
}

/* With the statistics of the call when training, else the rolling ones. */
static void normalize_channels(struct nn_layer *layer, const struct nn_call *call,
			       size_t first, size_t end)
{
	const struct nn_step *step = call->step;
	bool train = layer->mean && step->train;
	const float *mean = train ? layer->mean
				  : layer->parameter[NN_ROLLING_MEAN].value;
	const float *variance = train ? layer->variance
				: layer->parameter[NN_ROLLING_VARIANCE].value;
	size_t c = 0;

	for (c = first; c < end; c++) {
		if (train)
			take_statistics(layer, c, step->count);
		normalize(layer, c, step->count, mean[c], variance[c]);
	}
}

static void share_channels(struct nn_layer *layer, const struct nn_call *call,
			   nn_part *part)
{
	size_t floats = (size_t)call->step->count * nn_pixels(layer->out);

	nn_share(layer, call, channels(layer), nn_grain(floats), part);
}

/* Samples [first, end). */
static void add_biases(struct nn_layer *layer, size_t first, size_t end)
{
	const float *biases = layer->parameter[NN_BIASES].value;
	size_t pixels = nn_pixels(layer->out);
	float *x = layer->output + first * layer->outputs;
	size_t sample = 0;
	size_t c = 0;
	size_t i = 0;

	for (sample = first; sample < end; sample++)
		for (c = 0; c < channels(layer); c++, x += pixels)
			for (i = 0; i < pixels; i++)
				x[i] += biases[c];
}

static void finish_samples(struct nn_layer *layer, const struct nn_call *call,
			   size_t first, size_t end)
{
	(void)call;
	add_biases(layer, first, end);
	nn_activate(layer->spec.activation,
		    layer->output + first * layer->outputs,
		    (end - first) * layer->outputs);
}

void nn_affine_forward(struct nn_layer *layer, const struct nn_call *call)
{
	size_t bytes = (size_t)call->step->count * layer->outputs * sizeof(float);

	if (layer->unnormalized && call->step->train)
		memcpy(layer->unnormalized, layer->output, bytes);
	if (layer->spec.batch_normalize)
		share_channels(layer, call, normalize_channels);
	nn_share_samples(layer, call, layer->outputs, finish_samples);
}

/* ---- Backward ---- */

static void activation_gradient(struct nn_layer *layer,
				const struct nn_call *call, size_t first,
				size_t end)
{
	size_t at = first * layer->outputs;

	nn_activation_gradient(layer->spec.activation, layer->output + at,
			       call->delta + at, (end - first) * layer->outputs);
}

/* Channels [first, end). */
static void bias_gradient(struct nn_layer *layer, const struct nn_call *call,
			  size_t first, size_t end)
{
	float *gradient = layer->parameter[NN_BIASES].gradient;
	size_t pixels = nn_pixels(layer->out);
	const float *delta = NULL;
	size_t sample = 0;
	size_t c = 0;
	size_t i = 0;
	double sum = 0;

	for (sample = 0; sample < call->step->count; sample++) {
		delta = call->delta + sample * layer->outputs + first * pixels;
		for (c = first; c < end; c++, delta += pixels) {
			sum = 0;
			for (i = 0; i < pixels; i++)
				sum += (double)delta[i];
			gradient[c] += (float)sum;
		}
	}
}

/* What one channel's backward pass needs to know about the whole call. */
struct channel_sums {
	double delta;			/* sum of delta */
	double delta_centred;		/* sum of delta * (x - mean) */
};

/* @x: what was normalised */
static struct channel_sums sum_channel(const struct nn_layer *layer,
				       const struct nn_call *call,
				       const float *x, size_t c)
{
	struct channel_sums sums = { 0 };
	size_t pixels = nn_pixels(layer->out);
	size_t at = 0;
	size_t sample = 0;
	size_t i = 0;

	for (sample = 0; sample < call->step->count; sample++) {
		at = sample * layer->outputs + c * pixels;
		for (i = at; i < at + pixels; i++) {
			sums.delta += (double)call->delta[i];
			sums.delta_centred += (double)call->delta[i]
				* ((double)x[i] - (double)layer->mean[c]);
		}
	}
	return sums;
}

/*
 * delta is scaled, then three terms: through the value itself, through the
 * variance, through the mean.
 */
static void channel_delta(const struct nn_layer *layer,
			  const struct nn_call *call, const float *x, size_t c,
			  const struct channel_sums *sums)
{
	size_t pixels = nn_pixels(layer->out);
	double n = (double)call->step->count * (double)pixels;
	double scale = (double)layer->parameter[NN_SCALES].value[c];
	double variance = (double)(layer->variance[c] + BACKWARD_EPSILON);
	double inverse = 1 / (double)nn_sqrt((float)variance);
	double mean_delta = -sums->delta * scale * inverse;
	double variance_delta = -0.5 * sums->delta_centred * scale * inverse
				/ variance;
	double centred = 0;
	size_t at = 0;
	size_t sample = 0;
	size_t i = 0;

	for (sample = 0; sample < call->step->count; sample++) {
		at = sample * layer->outputs + c * pixels;
		for (i = at; i < at + pixels; i++) {
			centred = (double)x[i] - (double)layer->mean[c];
			call->delta[i] = (float)((double)call->delta[i] * scale * inverse
						 + variance_delta * 2 * centred / n
						 + mean_delta / n);
		}
	}
}

/* Turn call->delta into the gradient of what was normalised. */
static void normalize_backward(struct nn_layer *layer, const struct nn_call *call,
			       size_t first, size_t end)
{
	const float *x = layer->unnormalized ? layer->unnormalized : call->input;
	float *gradient = layer->parameter[NN_SCALES].gradient;
	struct channel_sums sums = { 0 };
	float deviation = 0;
	size_t c = 0;

	for (c = first; c < end; c++) {
		sums = sum_channel(layer, call, x, c);
		deviation = nn_sqrt(layer->variance[c]) + FORWARD_EPSILON;
		if (gradient)
			gradient[c] += (float)(sums.delta_centred
					       / (double)deviation);
		channel_delta(layer, call, x, c, &sums);
	}
}

void nn_affine_backward(struct nn_layer *layer, const struct nn_call *call)
{
	nn_share_samples(layer, call, layer->outputs, activation_gradient);
	share_channels(layer, call, bias_gradient);
	if (layer->spec.batch_normalize)
		share_channels(layer, call, normalize_backward);
}

/* ---- The layer of its own ---- */

static enum nn_status batchnorm_layout(struct nn_layer *layer,
				       const struct nn_spec *spec,
				       struct nn_arena *arena)
{
	enum nn_status status = nn_layout_shape(layer, layer->in);

	if (status != NN_OK)
		return status;
	return nn_layout_normalization(layer, spec, arena, false);
}

static void batchnorm_forward(struct nn_layer *layer, const struct nn_call *call)
{
	memcpy(layer->output, call->input,
	       (size_t)call->step->count * layer->inputs * sizeof(float));
	share_channels(layer, call, normalize_channels);
}

static void batchnorm_backward(struct nn_layer *layer, const struct nn_call *call)
{
	if (!call->input_delta)
		return;
	share_channels(layer, call, normalize_backward);
	nn_add(call->input_delta, call->delta,
	       (size_t)call->step->count * layer->inputs);
}

const struct nn_layer_ops nn_batchnorm_ops = {
	.layout = batchnorm_layout,
	.forward = batchnorm_forward,
	.backward = batchnorm_backward,
};
