/* SPDX-License-Identifier: MIT */
/*
 * Darknet's activation functions, and the layer that is nothing but one. The
 * gradient is a function of the *output*, as there: nothing else is kept.
 *
 * NaN stays NaN wherever Darknet keeps it, so that a training run that has
 * diverged shows.
 */
#include "nn_internal.h"
#include "nn_math.h"

#include <string.h>

#define SELU_SCALE	1.0507f
#define SELU_ALPHA	1.6732f

static float logistic(float x)
{
	return 1 / (1 + nn_exp(-x));
}

static float elu(float x)
{
	return x < 0 ? nn_exp(x) - 1 : x;
}

static float plse(float x)
{
	if (x < -4)
		return 0.01f * (x + 4);
	if (x > 4)
		return 0.01f * (x - 4) + 1;
	return 0.125f * x + 0.5f;
}

/* Flat between an even integer and the next, rising by 1 over odd ones. */
static float stair(float x)
{
	float whole = nn_floor(x);
	float half = nn_floor(0.5f * whole);
	bool even = !(whole - 2 * half > 0);

	return even ? half : x - whole + half;
}

static float hardtan(float x)
{
	if (x < -1)
		return -1;
	return x > 1 ? 1 : x;
}

static float lhtan(float x)
{
	if (x < 0)
		return 0.001f * x;
	return x > 1 ? 0.001f * (x - 1) + 1 : x;
}

/* One loop per function, so that the simple ones vectorise. */
#define ACTIVATE(expression)				\
	do {						\
		for (i = 0; i < n; i++)			\
			x[i] = (expression);		\
	} while (0)

void nn_activate(enum nn_activation activation, float *x, size_t n)
{
	size_t i = 0;

	switch (activation) {
	case NN_LOGISTIC:
		ACTIVATE(logistic(x[i]));
		break;
	case NN_LOGGY:
		ACTIVATE(2 * logistic(x[i]) - 1);
		break;
	case NN_RELU:
		ACTIVATE(x[i] < 0 ? 0 : x[i]);
		break;
	case NN_ELU:
		ACTIVATE(elu(x[i]));
		break;
	case NN_SELU:
		ACTIVATE(SELU_SCALE * (x[i] < 0 ? SELU_ALPHA * elu(x[i]) : x[i]));
		break;
	case NN_RELIE:
		ACTIVATE(x[i] < 0 ? 0.01f * x[i] : x[i]);
		break;
	case NN_RAMP:
		ACTIVATE((x[i] < 0 ? 0 : x[i]) + 0.1f * x[i]);
		break;
	case NN_TANH:
		ACTIVATE(nn_tanh(x[i]));
		break;
	case NN_PLSE:
		ACTIVATE(plse(x[i]));
		break;
	case NN_LEAKY:
		ACTIVATE(x[i] < 0 ? 0.1f * x[i] : x[i]);
		break;
	case NN_STAIR:
		ACTIVATE(stair(x[i]));
		break;
	case NN_HARDTAN:
		ACTIVATE(hardtan(x[i]));
		break;
	case NN_LHTAN:
		ACTIVATE(lhtan(x[i]));
		break;
	case NN_LINEAR:
	default:
		break;
	}
}

static float loggy_gradient(float y)
{
	float half = (y + 1) / 2;

	return 2 * (1 - half) * half;
}

static float stair_gradient(float y)
{
	return y > nn_floor(y) ? 1 : 0;
}

#define GRADIENT(expression)				\
	do {						\
		for (i = 0; i < n; i++)			\
			delta[i] *= (expression);	\
	} while (0)

void nn_activation_gradient(enum nn_activation activation, const float *y,
			    float *delta, size_t n)
{
	size_t i = 0;

	switch (activation) {
	case NN_LOGISTIC:
		GRADIENT((1 - y[i]) * y[i]);
		break;
	case NN_LOGGY:
		GRADIENT(loggy_gradient(y[i]));
		break;
	case NN_RELU:
		GRADIENT(y[i] > 0 ? 1.0f : 0.0f);
		break;
	case NN_ELU:
		GRADIENT(y[i] < 0 ? y[i] + 1 : 1);
		break;
	case NN_SELU:
		GRADIENT(y[i] < 0 ? y[i] + SELU_SCALE * SELU_ALPHA : SELU_SCALE);
		break;
	case NN_RELIE:
		GRADIENT(y[i] > 0 ? 1 : 0.01f);
		break;
	case NN_RAMP:
		GRADIENT((y[i] > 0 ? 1 : 0) + 0.1f);
		break;
	case NN_TANH:
		GRADIENT(1 - y[i] * y[i]);
		break;
	case NN_PLSE:
		GRADIENT(y[i] < 0 || y[i] > 1 ? 0.01f : 0.125f);
		break;
	case NN_LEAKY:
		GRADIENT(y[i] > 0 ? 1 : 0.1f);
		break;
	case NN_STAIR:
		GRADIENT(stair_gradient(y[i]));
		break;
	case NN_HARDTAN:
		GRADIENT(y[i] > -1 && y[i] < 1 ? 1.0f : 0.0f);
		break;
	case NN_LHTAN:
		GRADIENT(y[i] > 0 && y[i] < 1 ? 1 : 0.001f);
		break;
	case NN_LINEAR:
	default:
		break;
	}
}

/* ---- The layer ---- */

static enum nn_status activation_layout(struct nn_layer *layer,
					const struct nn_spec *spec,
					struct nn_arena *arena)
{
	(void)spec;
	(void)arena;
	if ((uint32_t)layer->spec.activation > NN_LHTAN)
		return NN_ERR_UNSUPPORTED;
	return nn_layout_shape(layer, layer->in);
}

static void forward_samples(struct nn_layer *layer, const struct nn_call *call,
			    size_t first, size_t end)
{
	size_t n = (end - first) * layer->inputs;
	float *output = layer->output + first * layer->inputs;

	memcpy(output, call->input + first * layer->inputs, n * sizeof(float));
	nn_activate(layer->spec.activation, output, n);
}

static void activation_forward(struct nn_layer *layer, const struct nn_call *call)
{
	nn_share_samples(layer, call, layer->inputs, forward_samples);
}

static void backward_samples(struct nn_layer *layer, const struct nn_call *call,
			     size_t first, size_t end)
{
	size_t at = first * layer->inputs;
	size_t n = (end - first) * layer->inputs;

	nn_activation_gradient(layer->spec.activation, layer->output + at,
			       call->delta + at, n);
	nn_add(call->input_delta + at, call->delta + at, n);
}

static void activation_backward(struct nn_layer *layer, const struct nn_call *call)
{
	if (call->input_delta)
		nn_share_samples(layer, call, layer->inputs, backward_samples);
}

const struct nn_layer_ops nn_activation_ops = {
	.layout = activation_layout,
	.forward = activation_forward,
	.backward = activation_backward,
};
