/* SPDX-License-Identifier: MIT */
#include "request.h"

#include "check.h"

/* Exactly @size bytes on the heap, counting up. */
static uint8_t *bytes_of(size_t size)
{
	uint8_t *bytes = malloc(size);
	size_t i = 0;

	assert_non_null(bytes);
	for (i = 0; i < size; i++)
		bytes[i] = (uint8_t)i;
	return bytes;
}

static void takes_in_order(void **state)
{
	uint8_t *bytes = bytes_of(7);
	struct request request = { 0 };
	uint8_t got[4] = { 0 };

	(void)state;
	request_init(&request, bytes, 7);
	assert_true(request_take(&request, got, 4));
	assert_memory_equal(got, bytes, 4);
	assert_int_equal(request.left, 3);
	assert_true(request_take(&request, got, 3));
	assert_memory_equal(got, bytes + 4, 3);
	assert_int_equal(request.left, 0);
	free(bytes);
}

static void refuses_more_than_there_is(void **state)
{
	uint8_t *bytes = bytes_of(3);
	struct request request = { 0 };
	uint8_t got[4] = { 9, 9, 9, 9 };

	(void)state;
	request_init(&request, bytes, 3);
	assert_false(request_take(&request, got, 4));
	assert_false(request_take(&request, got, SIZE_MAX));
	assert_int_equal(got[0], 9);
	assert_int_equal(request.left, 3);
	assert_true(request_take(&request, got, 3));
	assert_false(request_take(&request, got, 1));
	free(bytes);
}

/* A client may pass NULL with any size; so may the TEE below us. */
static void null_is_empty(void **state)
{
	struct request request = { 0 };
	struct answer answer = { 0 };
	uint8_t byte = 9;

	(void)state;
	request_init(&request, NULL, 1000);
	assert_int_equal(request.left, 0);
	assert_false(request_take(&request, &byte, 1));
	assert_true(request_take(&request, &byte, 0));
	assert_int_equal(byte, 9);
	answer_init(&answer, NULL, 1000);
	assert_int_equal(answer.size, 0);
}

static void answers_in_place(void **state)
{
	uint8_t *bytes = bytes_of(5);
	const uint8_t from[2] = { 77, 78 };
	const uint8_t expected[5] = { 0, 1, 2, 77, 78 };
	struct answer answer = { 0 };

	(void)state;
	answer_init(&answer, bytes, 5);
	answer_put(&answer, 3, from, 2);
	assert_memory_equal(bytes, expected, 5);
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_in_order),
		cmocka_unit_test(refuses_more_than_there_is),
		cmocka_unit_test(null_is_empty),
		cmocka_unit_test(answers_in_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
