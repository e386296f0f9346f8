/* SPDX-License-Identifier: MIT */
/*
 * nn_math against libm in long double, over the whole range of float: every
 * NN_MATH_STEP-th bit pattern, 1 for all of them.
 */
#include "nn_math.h"

#include <stdlib.h>

#include "check.h"

#define STEP 1999	/* through the 2^32 bit patterns: two million of them */

static uint64_t sweep_step(void)
{
	const char *text = getenv("NN_MATH_STEP");
	uint64_t step = text ? strtoull(text, NULL, 10) : 0;

	return step > 0 ? step : STEP;
}

static float from_bits(uint32_t bits)
{
	float x = 0;

	memcpy(&x, &bits, sizeof(x));
	return x;
}

/* |got - exact| in units of the last place of the float next to @exact. */
static double error_in_ulp(float got, long double exact)
{
	float nearest = (float)exact;
	float next = nextafterf(fabsf(nearest), INFINITY);
	long double ulp = (long double)next - fabsl((long double)nearest);

	if (isinf(nearest) || isinf(got))
		return got == nearest ? 0 : INFINITY;
	return (double)(fabsl((long double)got - exact) / ulp);
}

static double error_at(float x, float got, long double exact)
{
	double error = INFINITY;

	if (isnan(exact))
		return isnan(got) ? 0 : INFINITY;
	error = error_in_ulp(got, exact);
	if (signbit(got) != signbit((float)exact))
		fail_msg("f(%a) = %a: wrong sign", (double)x, (double)got);
	return error;
}

static void sweep(const char *name, float (*ours)(float),
		  long double (*exact)(long double), double most)
{
	uint64_t step = sweep_step();
	uint64_t bits = 0;
	double largest = 0;
	double error = 0;
	float at = 0;
	float x = 0;

	for (bits = 0; bits <= UINT32_MAX; bits += step) {
		x = from_bits((uint32_t)bits);
		error = error_at(x, ours(x), exact((long double)x));
		if (error > largest) {
			largest = error;
			at = x;
		}
	}
	print_message("%s: at most %.6f ulp, at %a\n", name, largest, (double)at);
	assert_true(largest <= most);
}

static void exp_is_accurate(void **state)
{
	(void)state;
	sweep("exp", nn_exp, expl, 0.501);
}

static void log_is_accurate(void **state)
{
	(void)state;
	sweep("log", nn_log, logl, 0.501);
}

static void tanh_is_accurate(void **state)
{
	(void)state;
	sweep("tanh", nn_tanh, tanhl, 0.52);
}

static void sqrt_is_exact(void **state)
{
	(void)state;
	sweep("sqrt", nn_sqrt, sqrtl, 0.5);
}

static void floor_is_exact(void **state)
{
	(void)state;
	sweep("floor", nn_floor, floorl, 0);
}

static void cos_is_accurate(void **state)
{
	double t = 0;

	(void)state;
	for (t = 0; t < 1; t += 1e-5)
		check_near(nn_cos_turns(t), cos(2 * M_PI * t), 1e-7);
}

/* The ends of the ranges, where a series or a cut-off could be off by one. */
static void edges(void **state)
{
	const float largest = 88.72283172607421875f;	/* exp() still finite */

	(void)state;
	assert_true(nn_exp(0) == 1);
	assert_true(nn_exp(INFINITY) == INFINITY);
	assert_true(nn_exp(-INFINITY) == 0);
	assert_true(isfinite(nn_exp(largest)));
	assert_true(nn_exp(nextafterf(largest, INFINITY)) == INFINITY);
	assert_true(nn_exp(-103.97f) == 0x1p-149f);
	assert_true(nn_exp(-103.98f) == 0);
	assert_true(nn_log(1) == 0);
	assert_true(nn_log(0) == -INFINITY);
	assert_true(nn_log(-0.0f) == -INFINITY);
	assert_true(nn_log(INFINITY) == INFINITY);
	assert_true(isnan(nn_log(-1)));
	assert_true(isnan(nn_log(-0x1p-149f)));
	check_near(nn_log(0x1p-149f), log(0x1p-149), 1e-7);
	assert_true(nn_tanh(INFINITY) == 1);
	assert_true(nn_tanh(-INFINITY) == -1);
	assert_true(nn_tanh(0x1p-149f) == 0x1p-149f);
	assert_true(isnan(nn_exp(NAN)));
	assert_true(isnan(nn_log(NAN)));
	assert_true(isnan(nn_tanh(NAN)));
	assert_true(nn_sqrt(0) == 0);
	assert_true(nn_sqrt(INFINITY) == INFINITY);
	assert_true(nn_sqrt(0x1p-148f) == 0x1p-74f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exp_is_accurate),
		cmocka_unit_test(log_is_accurate),
		cmocka_unit_test(tanh_is_accurate),
		cmocka_unit_test(sqrt_is_exact),
		cmocka_unit_test(floor_is_exact),
		cmocka_unit_test(cos_is_accurate),
		cmocka_unit_test(edges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
