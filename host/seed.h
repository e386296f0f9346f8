/* SPDX-License-Identifier: MIT */
/*
 * seed: the one number (or secret) behind everything random in a run.
 */
#ifndef SEED_H
#define SEED_H

#include <stdbool.h>
#include <stdint.h>

#include "nn.h"

struct seed {
	bool given;			/* by the user: the run can be repeated */
	uint64_t number;		/* if given */
	uint32_t words[NN_SEED_WORDS];	/* what nn/ draws from */
};

/* The seed that @number stands for, in both worlds. */
void seed_from_number(struct seed *seed, uint64_t number);

/* A seed that nobody knows, from the kernel. */
int seed_from_system(struct seed *seed);

#endif /* SEED_H */
