/* SPDX-License-Identifier: MIT */
#include "nn_math.h"

#include <stdint.h>
#include <string.h>

#define LN2		0.69314718055994530942
#define LOG2_E		1.4426950408889634074
#define SQRT_2		1.41421356237309504880
#define TWO_PI		6.28318530717958647693

#define EXP_OVERFLOW	88.722835f	/* the largest float x with a finite exp(x) is just below */
#define EXP_UNDERFLOW	-104.0f		/* below: less than half the least denormal */
#define TANH_SMALL	1e-3f		/* below: two terms of the series suffice */
#define TANH_ONE	10.0f		/* above: 1 to the last bit */
#define FLOAT_INTEGERS	8388608.0f	/* 2^23: from here on every float is an integer */

#define DOUBLE_MANTISSA_BITS	52
#define DOUBLE_BIAS		1023

static uint64_t double_bits(double x)
{
	uint64_t bits = 0;

	memcpy(&bits, &x, sizeof(bits));
	return bits;
}

static double bits_double(uint64_t bits)
{
	double x = 0;

	memcpy(&x, &bits, sizeof(x));
	return x;
}

/* e^x for |x| small enough that 2^(x / ln 2) is a normal double. */
static double exp_double(double x)
{
	int power = (int)(x * LOG2_E + (x < 0 ? -0.5 : 0.5));
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
	if (__builtin_isnan(x))
		return x;
	if (x > EXP_OVERFLOW)
		return __builtin_inff();
	if (x < EXP_UNDERFLOW)
		return 0;
	return (float)exp_double((double)x);
}

/* Natural logarithm of a positive, finite, normal double. */
static double log_double(double x)
{
	uint64_t bits = double_bits(x);
	int power = (int)(bits >> DOUBLE_MANTISSA_BITS) - DOUBLE_BIAS;
	uint64_t mantissa = bits & ((UINT64_C(1) << DOUBLE_MANTISSA_BITS) - 1);
	double m = bits_double(mantissa | (uint64_t)DOUBLE_BIAS
			       << DOUBLE_MANTISSA_BITS);
	double s = 0;
	double z = 0;
	double sum = 0;

	if (m > SQRT_2) {
		m *= 0.5;
		power++;
	}
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
	if (__builtin_isnan(x))
		return x;
	if (x < 0)
		return __builtin_nanf("");
	if (!(x > 0))
		return -__builtin_inff();
	if (__builtin_isinf(x))
		return x;
	return (float)log_double((double)x);
}

float nn_tanh(float x)
{
	double e = 0;

	if (x > TANH_ONE)
		return 1;
	if (x < -TANH_ONE)
		return -1;
	if (__builtin_fabsf(x) < TANH_SMALL)
		return (float)((double)x - (double)x * x * x / 3);
	if (__builtin_isnan(x))
		return x;
	e = exp_double(2 * (double)x);
	return (float)((e - 1) / (e + 1));
}

float nn_sqrt(float x)
{
	return __builtin_sqrtf(x);
}

float nn_floor(float x)
{
	float whole = 0;

	/* Also NaN and infinities: no fraction to cut off. */
	if (!(__builtin_fabsf(x) < FLOAT_INTEGERS))
		return x;
	whole = (float)(int32_t)x;
	return whole > x ? whole - 1 : whole;
}

float nn_cos_turns(double t)
{
	int quarter = (int)(4 * t + 0.5);	/* the nearest quarter turn */
	double a = (t - quarter * 0.25) * TWO_PI;	/* |a| <= pi / 4 */
	double z = a * a;
	double cosine = 1 + z * (-1.0 / 2 + z * (1.0 / 24 + z * (-1.0 / 720
			  + z * (1.0 / 40320 + z * (-1.0 / 3628800)))));
	double sine = a * (1 + z * (-1.0 / 6 + z * (1.0 / 120 + z * (-1.0 / 5040
			  + z * (1.0 / 362880)))));

	switch (quarter & 3) {
	case 0:
		return (float)cosine;
	case 1:
		return (float)-sine;
	case 2:
		return (float)-cosine;
	default:
		return (float)sine;
	}
}
