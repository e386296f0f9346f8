/* SPDX-License-Identifier: MIT */
#include "top.h"

void top_choose(const float *values, uint32_t n, uint32_t k, uint32_t *best)
{
	uint32_t filled = 0;
	uint32_t i = 0;

	for (i = 0; i < n; i++) {
		uint32_t moving = i;
		uint32_t at = 0;

		for (at = 0; at < filled; at++) {
			uint32_t held = best[at];

			if (values[moving] > values[held]) {
				best[at] = moving;
				moving = held;
			}
		}
		if (filled < k)
			best[filled++] = moving;
	}
}
