/* SPDX-License-Identifier: MIT */
/*
 * Elementary functions without libm: a trusted application has none, and the
 * same bits must come out in both worlds.
 *
 * Results are within 1 ulp of the exact value over the whole range of float,
 * denormals included; NaN gives NaN. There is no loop and no jump that depends
 * on the value, so that the time taken tells no more about it than what the
 * processor itself needs for a division or for denormals.
 */
#ifndef NN_MATH_H
#define NN_MATH_H

float nn_exp(float x);		/* overflow: inf; underflow: 0 */
float nn_log(float x);		/* 0: -inf; below: NaN */
float nn_tanh(float x);
float nn_sqrt(float x);		/* correctly rounded; below 0: NaN */
float nn_floor(float x);
float nn_cos_turns(double t);	/* cosine of t turns (2 pi t), 0 <= t < 1 */

#endif /* NN_MATH_H */
