/* SPDX-License-Identifier: MIT */
/* The activations against their formulas, the gradients against the slopes. */
#include "nn_internal.h"

#include "check.h"

#define ACTIVATIONS	14
#define STEP		1e-6
#define KINK_MARGIN	1e-3

struct activation_case {
	enum nn_activation activation;
	double (*formula)(double x);
	double kinks[6];	/* where the slope jumps; NAN ends the list */
};

static double f_logistic(double x) { return 1 / (1 + exp(-x)); }
static double f_loggy(double x) { return 2 / (1 + exp(-x)) - 1; }
static double f_relu(double x) { return x > 0 ? x : 0; }
static double f_elu(double x) { return x >= 0 ? x : exp(x) - 1; }
static double f_selu(double x)
{
	return x >= 0 ? 1.0507 * x : 1.0507 * 1.6732 * (exp(x) - 1);
}
static double f_relie(double x) { return x > 0 ? x : 0.01 * x; }
static double f_ramp(double x) { return (x > 0 ? x : 0) + 0.1 * x; }
static double f_linear(double x) { return x; }
static double f_tanh(double x) { return (exp(2 * x) - 1) / (exp(2 * x) + 1); }
static double f_plse(double x)
{
	return x < -4 ? 0.01 * (x + 4) : x > 4 ? 0.01 * (x - 4) + 1 : 0.125 * x + 0.5;
}
static double f_leaky(double x) { return x > 0 ? x : 0.1 * x; }
static double f_stair(double x)
{
	double n = floor(x);

	return fmod(n, 2) == 0 ? floor(x / 2) : x - n + floor(x / 2);
}
static double f_hardtan(double x) { return fmax(-1, fmin(1, x)); }
static double f_lhtan(double x)
{
	return x < 0 ? 0.001 * x : x > 1 ? 0.001 * (x - 1) + 1 : x;
}

static const struct activation_case cases[ACTIVATIONS] = {
	{ NN_LOGISTIC, f_logistic, { NAN } },
	{ NN_LOGGY, f_loggy, { NAN } },
	{ NN_RELU, f_relu, { 0, NAN } },
	{ NN_ELU, f_elu, { 0, NAN } },
	{ NN_SELU, f_selu, { 0, NAN } },
	{ NN_RELIE, f_relie, { 0, NAN } },
	{ NN_LINEAR, f_linear, { NAN } },
	{ NN_TANH, f_tanh, { NAN } },
	{ NN_PLSE, f_plse, { -4, 4, NAN } },
	{ NN_LEAKY, f_leaky, { 0, NAN } },
	{ NN_STAIR, f_stair, { -3, -2, -1, 1, 2, 3 } },
	{ NN_HARDTAN, f_hardtan, { -1, 1, NAN } },
	{ NN_LHTAN, f_lhtan, { 0, 1, NAN } },
	{ NN_RAMP, f_ramp, { 0, NAN } },
};

static bool near_kink(const struct activation_case *c, double x)
{
	unsigned int i = 0;

	for (i = 0; i < ARRAY_SIZE(c->kinks) && !isnan(c->kinks[i]); i++)
		if (fabs(x - c->kinks[i]) < KINK_MARGIN)
			return true;
	return false;
}

static void values(void **state)
{
	unsigned int i = 0;
	double x = 0;
	float y = 0;

	(void)state;
	for (i = 0; i < ACTIVATIONS; i++) {
		for (x = -6; x <= 6; x += 0.0371) {
			y = (float)x;
			nn_activate(cases[i].activation, &y, 1);
			check_near(y, cases[i].formula((float)x), 1e-6);
		}
	}
}

static void gradients(void **state)
{
	unsigned int i = 0;
	double x = 0;
	double slope = 0;
	float y = 0;
	float delta = 0;

	(void)state;
	for (i = 0; i < ACTIVATIONS; i++) {
		for (x = -3.97; x <= 3.97; x += 0.0371) {
			if (near_kink(&cases[i], x))
				continue;
			slope = (cases[i].formula(x + STEP)
				 - cases[i].formula(x - STEP)) / (2 * STEP);
			y = (float)x;
			nn_activate(cases[i].activation, &y, 1);
			delta = 3;
			nn_activation_gradient(cases[i].activation, &y, &delta, 1);
			check_near(delta, 3 * slope, 2e-5);
		}
	}
}

/* Outside of what gradients() can reach: plse is flat beyond 4. */
static void plse_gradient_beyond_its_kinks(void **state)
{
	const float y[] = { -0.01f, 1.01f, 0.5f };
	float delta[] = { 1, 1, 1 };

	(void)state;
	nn_activation_gradient(NN_PLSE, y, delta, 3);
	check_near(delta[0], 0.01, 1e-6);
	check_near(delta[1], 0.01, 1e-6);
	check_near(delta[2], 0.125, 1e-6);
}

static void nan_stays_visible(void **state)
{
	unsigned int i = 0;
	float x = 0;

	(void)state;
	for (i = 0; i < ACTIVATIONS; i++) {
		x = NAN;
		nn_activate(cases[i].activation, &x, 1);
		assert_true(isnan(x));
	}
}

static void infinities_are_handled(void **state)
{
	unsigned int i = 0;
	float x = 0;

	(void)state;
	for (i = 0; i < ACTIVATIONS; i++) {
		x = INFINITY;
		nn_activate(cases[i].activation, &x, 1);
		assert_true(x > 0);
		x = -INFINITY;
		nn_activate(cases[i].activation, &x, 1);
		assert_true(x <= 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values),
		cmocka_unit_test(gradients),
		cmocka_unit_test(plse_gradient_beyond_its_kinks),
		cmocka_unit_test(nan_stays_visible),
		cmocka_unit_test(infinities_are_handled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
