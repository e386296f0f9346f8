/* SPDX-License-Identifier: MIT */
/* Values that are alive together never share memory, and the region is small. */
#include "nn_internal.h"

#include "check.h"

#define MOST	60

static struct nn_value value(uint16_t born, uint16_t last, uint32_t units)
{
	return (struct nn_value){ .born = born, .last = last, .units = units };
}

static void check_apart(const struct nn_value *values, uint32_t n, uint64_t region)
{
	uint32_t i = 0;
	uint32_t j = 0;

	for (i = 0; i < n; i++) {
		assert_true(values[i].at + (uint64_t)values[i].units <= region);
		for (j = 0; j < i; j++)
			assert_true(values[i].units == 0 || values[j].units == 0
				    || values[i].born > values[j].last
				    || values[i].at + values[i].units <= values[j].at
				    || values[j].at + values[j].units <= values[i].at);
	}
}

static uint64_t most_together(const struct nn_value *values, uint32_t n)
{
	uint64_t most = 0;
	uint64_t sum = 0;
	uint32_t time = 0;
	uint32_t i = 0;

	for (time = 0; time <= n + 1; time++) {
		sum = 0;
		for (i = 0; i < n; i++)
			if (values[i].born <= time && time <= values[i].last)
				sum += values[i].units;
		most = sum > most ? sum : most;
	}
	return most;
}

/* Issue 4: inference keeps weights and two activation buffers, nothing else. */
static void a_chain_takes_two_neighbours(void **state)
{
	const uint32_t key[NN_KEY_WORDS] = { 11 };
	struct nn_random random = { 0 };
	struct nn_value values[MOST] = { 0 };
	uint64_t region = 0;
	uint32_t round = 0;
	uint16_t i = 0;

	(void)state;
	nn_random_start(&random, key, 0, 0);
	for (round = 0; round < 2000; round++) {
		for (i = 0; i < MOST; i++)
			values[i] = value(i, (uint16_t)(i + 1),
					  nn_random_word(&random) % 50);
		region = nn_place(values, MOST);
		check_apart(values, MOST, region);
		assert_int_equal(region, most_together(values, MOST));
	}
}

static void branches_stay_apart(void **state)
{
	const uint32_t key[NN_KEY_WORDS] = { 12 };
	struct nn_random random = { 0 };
	struct nn_value values[MOST] = { 0 };
	uint64_t region = 0;
	uint32_t round = 0;
	uint32_t life = 0;
	uint16_t i = 0;

	(void)state;
	nn_random_start(&random, key, 0, 0);
	for (round = 0; round < 2000; round++) {
		for (i = 0; i < MOST; i++) {
			life = nn_random_word(&random) % (1 + round % 9);
			values[i] = value(i, (uint16_t)(i + life),
					  nn_random_word(&random) % 50);
		}
		region = nn_place(values, MOST);
		check_apart(values, MOST, region);
		assert_true(region <= 2 * most_together(values, MOST));
	}
}

/* A block of ResNet's holds its input, and two outputs at a time. */
static void a_residual_block_takes_three(void **state)
{
	struct nn_value values[] = {
		value(0, 3, 10), value(1, 2, 10), value(2, 3, 10), value(3, 6, 10),
		value(4, 5, 10), value(5, 6, 10), value(6, 7, 10),
	};

	(void)state;
	assert_int_equal(nn_place(values, ARRAY_SIZE(values)), 30);
	check_apart(values, ARRAY_SIZE(values), 30);
}

static void regions_beyond_the_limit_are_told(void **state)
{
	struct nn_value values[] = {
		value(0, 9, 1u << 31), value(1, 9, 1u << 31), value(2, 9, 1),
	};

	(void)state;
	assert_true(nn_place(values, ARRAY_SIZE(values)) > UINT32_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_chain_takes_two_neighbours),
		cmocka_unit_test(branches_stay_apart),
		cmocka_unit_test(a_residual_block_takes_three),
		cmocka_unit_test(regions_beyond_the_limit_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
