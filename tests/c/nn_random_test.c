/* SPDX-License-Identifier: MIT */
/* The generator against RFC 8439, and the distributions drawn from it. */
#include "nn_random.h"

#include "check.h"

#define DRAWS 200000

static const uint32_t rfc_key[NN_KEY_WORDS] = {
	0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c,
	0x13121110, 0x17161514, 0x1b1a1918, 0x1f1e1d1c,
};

/* RFC 8439, 2.3.2: nonce 00 00 00 09 00 00 00 4a 00 00 00 00, block 1. */
static void block_function_is_chacha20(void **state)
{
	static const uint32_t expected[NN_RANDOM_BLOCK] = {
		0xe4e7f110, 0x15593bd1, 0x1fdd0f50, 0xc47120a3,
		0xc7f4d1c7, 0x0368c033, 0x9aaa2204, 0x4e6cd4c3,
		0x466482d2, 0x09aa9f07, 0x05d7c214, 0xa2028bd9,
		0xd19c12b5, 0xb94e16de, 0xe883d0cb, 0x4e3c50a2,
	};
	struct nn_random random = { 0 };
	unsigned int i = 0;

	(void)state;
	nn_random_start(&random, rfc_key, 0x4a000000, 0x09000000);
	for (i = 0; i < NN_RANDOM_BLOCK; i++)
		nn_random_word(&random);
	for (i = 0; i < NN_RANDOM_BLOCK; i++)
		assert_int_equal(nn_random_word(&random), expected[i]);
}

static uint32_t first_word(const uint32_t key[NN_KEY_WORDS], uint64_t iteration,
			   uint32_t sample)
{
	struct nn_random random = { 0 };

	nn_random_start(&random, key, iteration, sample);
	return nn_random_word(&random);
}

static void positions_are_independent(void **state)
{
	uint32_t base = first_word(rfc_key, 1, 2);

	(void)state;
	assert_int_equal(first_word(rfc_key, 1, 2), base);
	assert_int_not_equal(first_word(rfc_key, 2, 2), base);
	assert_int_not_equal(first_word(rfc_key, 1, 3), base);
	assert_int_not_equal(first_word(rfc_key, 1 + (UINT64_C(1) << 32), 2), base);
}

static void keys_are_independent(void **state)
{
	uint32_t a[NN_KEY_WORDS] = { 0 };
	uint32_t b[NN_KEY_WORDS] = { 0 };

	(void)state;
	nn_random_derive(a, rfc_key, NN_RANDOM_DROPOUT, 3);
	nn_random_derive(b, rfc_key, NN_RANDOM_DROPOUT, 3);
	assert_memory_equal(a, b, sizeof(a));
	nn_random_derive(b, rfc_key, NN_RANDOM_DROPOUT, 4);
	assert_memory_not_equal(a, b, sizeof(a));
	nn_random_derive(b, rfc_key, NN_RANDOM_WEIGHTS, 3);
	assert_memory_not_equal(a, b, sizeof(a));
	assert_memory_not_equal(a, rfc_key, sizeof(a));
}

static void unit_is_uniform(void **state)
{
	struct nn_random random = { 0 };
	double sum = 0;
	double squares = 0;
	double x = 0;
	int i = 0;

	(void)state;
	nn_random_start(&random, rfc_key, 0, 0);
	for (i = 0; i < DRAWS; i++) {
		x = nn_random_unit(&random);
		assert_true(x >= 0 && x < 1);
		sum += x;
		squares += x * x;
	}
	check_near(sum / DRAWS, 0.5, 0.003);
	check_near(squares / DRAWS, 1.0 / 3, 0.003);
}

static void normal_is_normal(void **state)
{
	struct nn_random random = { 0 };
	double moment[5] = { 0 };
	double x = 0;
	int i = 0;

	(void)state;
	nn_random_start(&random, rfc_key, 0, 0);
	for (i = 0; i < DRAWS; i++) {
		x = nn_random_normal(&random);
		moment[1] += x;
		moment[2] += x * x;
		moment[3] += x * x * x;
		moment[4] += x * x * x * x;
	}
	check_near(moment[1] / DRAWS, 0, 0.01);
	check_near(moment[2] / DRAWS, 1, 0.02);
	check_near(moment[3] / DRAWS, 0, 0.05);
	check_near(moment[4] / DRAWS, 3, 0.03);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(block_function_is_chacha20),
		cmocka_unit_test(positions_are_independent),
		cmocka_unit_test(keys_are_independent),
		cmocka_unit_test(unit_is_uniform),
		cmocka_unit_test(normal_is_normal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
