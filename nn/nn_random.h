/* SPDX-License-Identifier: MIT */
/*
 * Counter-based random numbers: the ChaCha20 block function (RFC 8439) over a
 * key and a position. What is drawn depends on these two only, never on what
 * was drawn before, elsewhere or by whom: both worlds, and every cut of a batch
 * into micro-batches, see the same numbers.
 */
#ifndef NN_RANDOM_H
#define NN_RANDOM_H

#include <stdint.h>

#define NN_KEY_WORDS		8	/* as NN_SEED_WORDS */
#define NN_RANDOM_BLOCK		16	/* words per call of the block function */

/* What a key is for; independent keys come out for each. */
enum nn_random_purpose {
	NN_RANDOM_WEIGHTS = 1,	/* index: layer */
	NN_RANDOM_DROPOUT = 2,	/* index: layer */
	NN_RANDOM_DATA = 3,	/* drawing and augmenting samples; index: free */
	NN_RANDOM_RATE = 4,	/* learning-rate policy; index: free */
};

/* One stream of numbers; fill by nn_random_start(). */
struct nn_random {
	uint32_t state[NN_RANDOM_BLOCK];
	uint32_t words[NN_RANDOM_BLOCK];
	uint32_t used;		/* of words */
};

/* Derive the key of one @purpose and @index from a seed. */
void nn_random_derive(uint32_t key[NN_KEY_WORDS],
		      const uint32_t seed[NN_KEY_WORDS],
		      enum nn_random_purpose purpose, uint32_t index);

/*
 * Begin the stream at @iteration and @sample under @key. It repeats after 2^36
 * words.
 */
void nn_random_start(struct nn_random *random, const uint32_t key[NN_KEY_WORDS],
		     uint64_t iteration, uint32_t sample);

uint32_t nn_random_word(struct nn_random *random);
float nn_random_unit(struct nn_random *random);		/* uniform in [0, 1), 24 bits */
float nn_random_normal(struct nn_random *random);	/* mean 0, variance 1 */

#endif /* NN_RANDOM_H */
