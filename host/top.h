/* SPDX-License-Identifier: MIT */
/*
 * top: the largest values of an output, best first.
 */
#ifndef TOP_H
#define TOP_H

#include <stdint.h>

/*
 * Fill @best with the indices of the @k largest of @n values (k <= n), in
 * Darknet's order: each value in turn is put before the first smaller one, and
 * what it displaces moves on in the same way. So of 0 0 0 1 0 the best are 3 1
 * 2 0 4.
 */
void top_choose(const float *values, uint32_t n, uint32_t k, uint32_t *best);

#endif /* TOP_H */
