/* SPDX-License-Identifier: MIT */
/*
 * Matrix products of every remainder of the tiles and lanes, in matrices with
 * rows longer than what is used of them, against plain sums.
 */
#include "nn_internal.h"
#include "nn_support.h"

#include "check.h"

#define SLACK	3	/* floats at the end of each row that must stay as they are */
#define MOST	9	/* one more than a tile, in both directions */
#define DEEP	600	/* more than two blocks of k */

static const size_t depths[] = {
	0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 15, 255, 256, 257, DEEP,
};

struct operands {
	float *a, *b, *c, *before;
	size_t a_row, b_row, c_row;
};

static struct operands operands_open(size_t a_rows, size_t a_columns,
				     size_t b_rows, size_t b_columns, size_t n)
{
	struct operands o = {
		.a_row = a_columns + SLACK,
		.b_row = b_columns + SLACK,
		.c_row = n + SLACK,
	};
	size_t c_floats = MOST * o.c_row;

	o.a = uniform(a_rows * o.a_row + 1, 1);
	o.b = uniform(b_rows * o.b_row + 1, 2);
	o.c = uniform(c_floats, 3);
	o.before = uniform(c_floats, 3);
	return o;
}

static void operands_close(struct operands *o)
{
	free(o->a);
	free(o->b);
	free(o->c);
	free(o->before);
}

/* Nothing but the m x n elements may have changed. */
static void check_surroundings(const struct operands *o, size_t m, size_t n)
{
	size_t i = 0;
	size_t j = 0;

	for (i = 0; i < MOST; i++)
		for (j = i < m ? n : 0; j < o->c_row; j++)
			assert_true(o->c[i * o->c_row + j]
				    == o->before[i * o->c_row + j]);
}

/* Exactly the sum in order: bit for bit what nn.h promises. */
static void check_gemm(size_t m, size_t n, size_t k, bool transposed_a)
{
	struct operands o = transposed_a ? operands_open(k, m, k, n, n)
					 : operands_open(m, k, k, n, n);
	const struct nn_matrix a = {
		.at = o.a,
		.row = transposed_a ? 1 : o.a_row,
		.column = transposed_a ? o.a_row : 1,
	};
	float sum = 0;
	size_t i = 0;
	size_t j = 0;
	size_t l = 0;

	nn_gemm(m, n, k, a, o.b, o.b_row, o.c, o.c_row);
	for (i = 0; i < m; i++) {
		for (j = 0; j < n; j++) {
			sum = o.before[i * o.c_row + j];
			for (l = 0; l < k; l++)
				sum += a.at[i * a.row + l * a.column]
				       * o.b[l * o.b_row + j];
			assert_true(o.c[i * o.c_row + j] == sum);
		}
	}
	check_surroundings(&o, m, n);
	operands_close(&o);
}

static void gemm(void **state)
{
	unsigned int d = 0;
	size_t m = 0;
	size_t n = 0;

	(void)state;
	for (d = 0; d < ARRAY_SIZE(depths); d++) {
		for (m = 1; m <= MOST; m++) {
			for (n = 1; n <= 2 * MOST; n++) {
				check_gemm(m, n, depths[d], false);
				check_gemm(m, n, depths[d], true);
			}
		}
	}
}

/* A product sum in the order that nn_internal.h promises, to the bit. */
static float product_sum(const float *a, const float *b, size_t k)
{
	float s[8] = { 0 };
	size_t l = 0;

	for (l = 0; l < k; l++)
		s[l % 8] += a[l] * b[l];
	return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

static void check_transposed(size_t m, size_t n, size_t k)
{
	struct operands o = operands_open(m, k, n, k, n);
	float expected = 0;
	size_t i = 0;
	size_t j = 0;

	nn_gemm_transposed(m, n, k, o.a, o.a_row, o.b, o.b_row, o.c, o.c_row);
	for (i = 0; i < m; i++) {
		for (j = 0; j < n; j++) {
			expected = o.before[i * o.c_row + j]
				   + product_sum(o.a + i * o.a_row,
						 o.b + j * o.b_row, k);
			assert_memory_equal(&o.c[i * o.c_row + j], &expected,
					    sizeof(expected));
		}
	}
	check_surroundings(&o, m, n);
	operands_close(&o);
}

static void gemm_transposed(void **state)
{
	unsigned int d = 0;
	size_t m = 0;
	size_t n = 0;

	(void)state;
	for (d = 0; d < ARRAY_SIZE(depths); d++)
		for (m = 1; m <= MOST; m++)
			for (n = 1; n <= MOST; n++)
				check_transposed(m, n, depths[d]);
}

/* Which rows are computed together must not change a product sum's bits. */
static void gemm_transposed_is_independent_of_tiles(void **state)
{
	struct operands together = operands_open(1, 23, MOST, 23, MOST);
	struct operands alone = operands_open(1, 23, MOST, 23, MOST);
	size_t j = 0;

	(void)state;
	nn_gemm_transposed(1, MOST, 23, together.a, together.a_row, together.b,
			   together.b_row, together.c, together.c_row);
	for (j = 0; j < MOST; j++)
		nn_gemm_transposed(1, 1, 23, alone.a, alone.a_row,
				   alone.b + j * alone.b_row, alone.b_row,
				   alone.c + j, alone.c_row);
	assert_memory_equal(together.c, alone.c, MOST * sizeof(float));
	operands_close(&together);
	operands_close(&alone);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gemm),
		cmocka_unit_test(gemm_transposed),
		cmocka_unit_test(gemm_transposed_is_independent_of_tiles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
