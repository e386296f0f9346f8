/* SPDX-License-Identifier: MIT */
#include "nn_math.h"

#include <stdbool.h>
#include <stdint.h>

#define LN2		0.69314718055994530942
#define LOG2_E		1.4426950408889634074
#define SQRT_2		1.41421356237309504880
#define TWO_PI		6.28318530717958647693

#define EXP_LARGEST	89.0f	/* the first float whose exp() overflows is 88.72284 */
#define EXP_SMALLEST	-104.0f	/* exp() here: less than half the least denormal */
#define TANH_SMALL	1e-3f	/* below: two terms of the series suffice */
#define TANH_ONE	10.0f	/* from here on: 1 to the last bit */
#define FLOAT_LARGEST	0x1.fffffep127f
#define FLOAT_INTEGERS	8388608.0f	/* 2^23: from here on every float is an integer */

#define DOUBLE_MANTISSA_BITS	52
#define DOUBLE_BIAS		1023

static uint32_t float_bits(float x)
{
	uint32_t bits = 0;

	__builtin_memcpy(&bits, &x, sizeof(bits));
	return bits;
}

static float bits_float(uint32_t bits)
{
	float x = 0;

	__builtin_memcpy(&x, &bits, sizeof(x));
	return x;
}

static uint64_t double_bits(double x)
{
	uint64_t bits = 0;

	__builtin_memcpy(&bits, &x, sizeof(bits));
	return bits;
}

static double bits_double(uint64_t bits)
{
	double x = 0;

	__builtin_memcpy(&x, &bits, sizeof(x));
	return x;
}

/*
 * All ones if @condition, else 0. The compiler may not know which: it would make
 * a jump of it, and then the time taken tells something about the value.
 */
static uint64_t mask_of(bool condition)
{
	uint64_t mask = -(uint64_t)condition;

	__asm__("" : "+r"(mask));
	return mask;
}

static double choose_double(bool condition, double yes, double no)
{
	uint64_t mask = mask_of(condition);

	return bits_double((double_bits(yes) & mask) | (double_bits(no) & ~mask));
}

static float choose(bool condition, float yes, float no)
{
	uint32_t mask = (uint32_t)mask_of(condition);

	return bits_float((float_bits(yes) & mask) | (float_bits(no) & ~mask));
}

/* @x, at least @low and at most @high; NaN becomes @low. */
static float clamp(float x, float low, float high)
{
	float raised = choose(x > low, x, low);

	return choose(raised < high, raised, high);
}

/* The nearest integer; |x| must be below 2^31. */
static int nearest(double x)
{
	return (int)(x + choose_double(x < 0, -0.5, 0.5));
}

/* e^x for |x| small enough that 2^(x / ln 2) is a normal double. */
static double exp_double(double x)
{
	int power = nearest(x * LOG2_E);
	double r = x - power * LN2;	/* |r| <= ln 2 / 2 */
	double scale = bits_double((uint64_t)(DOUBLE_BIAS + power)
				   << DOUBLE_MANTISSA_BITS);
	double sum = 1.0 / 362880;	/* Taylor, to r^9 / 9!: relative error 1e-11 */

	sum = sum * r + 1.0 / 40320;
	sum = sum * r + 1.0 / 5040;
	sum = sum * r + 1.0 / 720;
	sum = sum * r + 1.0 / 120;
	sum = sum * r + 1.0 / 24;
	sum = sum * r + 1.0 / 6;
	sum = sum * r + 1.0 / 2;
	sum = sum * r + 1.0;
	sum = sum * r + 1.0;
	return sum * scale;
}

float nn_exp(float x)
{
	float y = (float)exp_double((double)clamp(x, EXP_SMALLEST, EXP_LARGEST));

	return choose(__builtin_isnan(x), x, y);
}

/* Natural logarithm of a positive, finite, normal double; of others, anything. */
static double log_double(double x)
{
	uint64_t bits = double_bits(x);
	int power = (int)(bits >> DOUBLE_MANTISSA_BITS) - DOUBLE_BIAS;
	uint64_t mantissa = bits & ((UINT64_C(1) << DOUBLE_MANTISSA_BITS) - 1);
	double m = bits_double(mantissa | (uint64_t)DOUBLE_BIAS
			       << DOUBLE_MANTISSA_BITS);
	bool upper = m > SQRT_2;
	double s = 0;
	double z = 0;
	double sum = 0;

	m = choose_double(upper, m * 0.5, m);
	power += upper;
	s = (m - 1) / (m + 1);	/* ln m = 2 artanh s, |s| < 0.172 */
	z = s * s;
	sum = 1.0 / 11;		/* of the series: relative error 1e-10 */
	sum = sum * z + 1.0 / 9;
	sum = sum * z + 1.0 / 7;
	sum = sum * z + 1.0 / 5;
	sum = sum * z + 1.0 / 3;
	sum = sum * z + 1.0;
	return 2 * s * sum + power * LN2;
}

float nn_log(float x)
{
	float y = (float)log_double((double)x);

	y = choose(x > 0, y, -__builtin_inff());
	y = choose(x < 0, __builtin_nanf(""), y);
	/* Infinity and NaN */
	return choose(x <= FLOAT_LARGEST, y, x);
}

/* Two terms near 0, where (e^2x - 1) / (e^2x + 1) would cancel. */
float nn_tanh(float x)
{
	double d = (double)clamp(x, -TANH_ONE, TANH_ONE);
	double e = exp_double(2 * d);
	float small = (float)(d * (1 - d * d / 3));
	float y = (float)((e - 1) / (e + 1));

	y = choose(__builtin_fabsf(x) < TANH_SMALL, small, y);
	return choose(__builtin_isnan(x), x, y);
}

float nn_sqrt(float x)
{
	return __builtin_sqrtf(x);
}

float nn_floor(float x)
{
	/* Others, NaN and infinities too, have no fraction to cut off. */
	bool cut = __builtin_fabsf(x) < FLOAT_INTEGERS;
	float whole = (float)(int32_t)choose(cut, x, 0);

	whole -= choose(whole > x, 1, 0);
	return choose(cut, whole, x);
}

float nn_cos_turns(double t)
{
	int quarter = nearest(4 * t);	/* of a turn */
	double a = (t - quarter * 0.25) * TWO_PI;	/* |a| <= pi / 4 */
	double z = a * a;
	double cosine = 1 + z * (-1.0 / 2 + z * (1.0 / 24 + z * (-1.0 / 720
			  + z * (1.0 / 40320 + z * (-1.0 / 3628800)))));
	double sine = a * (1 + z * (-1.0 / 6 + z * (1.0 / 120 + z * (-1.0 / 5040
			  + z * (1.0 / 362880)))));
	double turned = choose_double(quarter & 1, sine, cosine);

	return (float)choose_double((quarter + 1) & 2, -turned, turned);
}
