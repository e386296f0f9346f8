/* SPDX-License-Identifier: MIT */
#include "campaign_random.h"

#include <string.h>

static uint64_t state;

void random_seed(uint64_t seed)
{
	state = seed;
}

uint32_t random_word(void)
{
	uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)((z ^ (z >> 31)) >> 32);
}

uint32_t random_below(uint32_t limit)
{
	return (uint32_t)((uint64_t)random_word() * limit >> 32);
}

uint32_t random_between(uint32_t least, uint32_t most)
{
	return least + random_below(most - least + 1);
}

bool random_percent(uint32_t percent)
{
	return random_below(100) < percent;
}

uint32_t random_edge(void)
{
	static const uint32_t edges[] = {
		0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 16, 31, 64, 127, 255, 256, 257,
		0xffff, 0x10000, 0x3fffffff, 0x40000000, 0x40000001, 0x7fffffff,
		0x80000000, 0x80000001, 0xfffffffb, 0xffffffff,
		0x3f800000,	/* 1 */
		0x7f800000,	/* infinity, and the other one */
		0xff800000,
		0x7fc00000,	/* not a number, quiet and signalling */
		0x7fa00000,
		0x7f7fffff,	/* the largest number */
		0x00800000,	/* the smallest normal one */
	};

	if (random_percent(10))
		return random_word();
	return edges[random_below(sizeof(edges) / sizeof(edges[0]))];
}

float random_float(void)
{
	uint32_t word = 0;
	float x = 0;

	if (!random_percent(2))
		return (float)random_below(2001) / 1000 - 1;
	word = random_edge();
	memcpy(&x, &word, sizeof(x));
	return x;
}
