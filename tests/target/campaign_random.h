/* SPDX-License-Identifier: MIT */
/* Numbers that a seed repeats: SplitMix64 (Steele, Lea, Flood 2014). */
#ifndef CAMPAIGN_RANDOM_H
#define CAMPAIGN_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

void random_seed(uint64_t seed);

uint32_t random_word(void);
uint32_t random_below(uint32_t limit);			/* 0..limit-1 */
uint32_t random_between(uint32_t least, uint32_t most);	/* both included */
bool random_percent(uint32_t percent);

/* A word at the edge of something: sizes, signs, infinities. */
uint32_t random_edge(void);

/* Small and ordinary, or (one in fifty) of any kind at all. */
float random_float(void);

#endif /* CAMPAIGN_RANDOM_H */
