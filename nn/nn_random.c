/* SPDX-License-Identifier: MIT */
#include "nn_random.h"

#include "nn_math.h"

#include <string.h>

#define DOUBLE_ROUNDS	10
#define KEY_AT		4	/* words of the state: constants, key, counter, nonce */
#define COUNTER_AT	12
#define NONCE_AT	13

static uint32_t rotate_left(uint32_t x, unsigned int bits)
{
	return x << bits | x >> (32 - bits);
}

static void quarter_round(uint32_t x[NN_RANDOM_BLOCK], unsigned int a,
			  unsigned int b, unsigned int c, unsigned int d)
{
	x[a] += x[b];
	x[d] = rotate_left(x[d] ^ x[a], 16);
	x[c] += x[d];
	x[b] = rotate_left(x[b] ^ x[c], 12);
	x[a] += x[b];
	x[d] = rotate_left(x[d] ^ x[a], 8);
	x[c] += x[d];
	x[b] = rotate_left(x[b] ^ x[c], 7);
}

static void chacha20_block(uint32_t out[NN_RANDOM_BLOCK],
			   const uint32_t state[NN_RANDOM_BLOCK])
{
	unsigned int i = 0;

	memcpy(out, state, NN_RANDOM_BLOCK * sizeof(*out));
	for (i = 0; i < DOUBLE_ROUNDS; i++) {
		quarter_round(out, 0, 4, 8, 12);
		quarter_round(out, 1, 5, 9, 13);
		quarter_round(out, 2, 6, 10, 14);
		quarter_round(out, 3, 7, 11, 15);
		quarter_round(out, 0, 5, 10, 15);
		quarter_round(out, 1, 6, 11, 12);
		quarter_round(out, 2, 7, 8, 13);
		quarter_round(out, 3, 4, 9, 14);
	}
	for (i = 0; i < NN_RANDOM_BLOCK; i++)
		out[i] += state[i];
}

static void set_state(uint32_t state[NN_RANDOM_BLOCK],
		      const uint32_t key[NN_KEY_WORDS], const uint32_t nonce[3])
{
	/* "expand 32-byte k" */
	static const uint32_t constants[KEY_AT] = {
		0x61707865, 0x3320646e, 0x79622d32, 0x6b206574,
	};

	memcpy(state, constants, sizeof(constants));
	memcpy(state + KEY_AT, key, NN_KEY_WORDS * sizeof(*key));
	state[COUNTER_AT] = 0;
	memcpy(state + NONCE_AT, nonce, 3 * sizeof(*nonce));
}

void nn_random_derive(uint32_t key[NN_KEY_WORDS],
		      const uint32_t seed[NN_KEY_WORDS],
		      enum nn_random_purpose purpose, uint32_t index)
{
	const uint32_t nonce[3] = { (uint32_t)purpose, index, 0 };
	uint32_t state[NN_RANDOM_BLOCK] = { 0 };
	uint32_t block[NN_RANDOM_BLOCK] = { 0 };

	set_state(state, seed, nonce);
	chacha20_block(block, state);
	memcpy(key, block, NN_KEY_WORDS * sizeof(*key));
}

void nn_random_start(struct nn_random *random, const uint32_t key[NN_KEY_WORDS],
		     uint64_t iteration, uint32_t sample)
{
	const uint32_t nonce[3] = {
		sample, (uint32_t)iteration, (uint32_t)(iteration >> 32),
	};

	set_state(random->state, key, nonce);
	random->used = NN_RANDOM_BLOCK;
}

uint32_t nn_random_word(struct nn_random *random)
{
	if (random->used == NN_RANDOM_BLOCK) {
		chacha20_block(random->words, random->state);
		random->state[COUNTER_AT]++;
		random->used = 0;
	}
	return random->words[random->used++];
}

float nn_random_unit(struct nn_random *random)
{
	return (float)(nn_random_word(random) >> 8) * 0x1p-24f;
}

/* Box and Muller's transform; one of its two numbers is enough. */
float nn_random_normal(struct nn_random *random)
{
	float radius = (float)(((double)nn_random_word(random) + 1) * 0x1p-32);
	double angle = (double)nn_random_word(random) * 0x1p-32;

	return nn_sqrt(-2 * nn_log(radius)) * nn_cos_turns(angle);
}
