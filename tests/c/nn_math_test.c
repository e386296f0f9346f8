/* SPDX-License-Identifier: MIT */
/* nn_math against libm in double precision, over the whole range of float. */
#include "nn_math.h"

#include "check.h"

#define STEP 4001u	/* through the 2^32 bit patterns: a million of them */

static float from_bits(uint32_t bits)
{
	float x = 0;

	memcpy(&x, &bits, sizeof(x));
	return x;
}

/* |got - exact| in units of the last place of the float next to @exact. */
static double error_in_ulp(float got, double exact)
{
	float nearest = (float)exact;
	double ulp = fabs((double)nextafterf(nearest, INFINITY) - (double)nearest);

	if (isinf(nearest) || isinf(got))
		return got == nearest ? 0 : INFINITY;
	return fabs((double)got - exact) / ulp;
}

static void sweep(float (*ours)(float), double (*exact)(double), double most)
{
	uint64_t bits = 0;
	float x = 0;
	double error = 0;

	for (bits = 0; bits <= UINT32_MAX; bits += STEP) {
		x = from_bits((uint32_t)bits);
		if (isnan(exact(x))) {
			assert_true(isnan(ours(x)));
			continue;
		}
		error = error_in_ulp(ours(x), exact(x));
		if (error > most)
			fail_msg("f(%a) = %a, %g ulp from %a", x, ours(x), error,
				 exact(x));
	}
}

static void exp_is_accurate(void **state)
{
	(void)state;
	sweep(nn_exp, exp, 0.51);
}

static void log_is_accurate(void **state)
{
	(void)state;
	sweep(nn_log, log, 0.51);
}

static void tanh_is_accurate(void **state)
{
	(void)state;
	sweep(nn_tanh, tanh, 0.52);
}

static void sqrt_is_exact(void **state)
{
	uint64_t bits = 0;
	float x = 0;

	(void)state;
	for (bits = 0; bits <= UINT32_MAX; bits += STEP) {
		x = from_bits((uint32_t)bits);
		if (isnan(sqrtf(x)))
			assert_true(isnan(nn_sqrt(x)));
		else
			assert_true(nn_sqrt(x) == sqrtf(x));
	}
}

static void floor_is_exact(void **state)
{
	uint64_t bits = 0;
	float x = 0;

	(void)state;
	for (bits = 0; bits <= UINT32_MAX; bits += STEP) {
		x = from_bits((uint32_t)bits);
		if (isnan(x))
			assert_true(isnan(nn_floor(x)));
		else
			assert_true(nn_floor(x) == floorf(x));
	}
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
