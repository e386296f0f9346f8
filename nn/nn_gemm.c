/* SPDX-License-Identifier: MIT */
/*
 * Matrix products for machines without a BLAS. Tiles of c are held in
 * registers: the loops over a tile have constant bounds, so the compiler
 * unrolls them into vector instructions. It never has to reorder a sum for
 * that, and must not: the order is part of the result (see nn.h).
 */
#include "nn_internal.h"

#define TILE_ROWS	4
#define TILE_COLUMNS	8
#define BLOCK_DEPTH	256	/* of k at a time: this much of b stays in the L1 cache */
#define LANES		8	/* partial sums of a product sum */

/* c (rows, columns) += a (rows, k) b (k, columns), for constant rows, columns. */
static inline __attribute__((always_inline)) void
gemm_tile(const size_t rows, const size_t columns, size_t k, struct nn_matrix a,
	  const float *b, size_t b_row, float *c, size_t c_row)
{
	float sum[TILE_ROWS][TILE_COLUMNS];
	size_t i = 0;
	size_t j = 0;
	size_t l = 0;

	for (i = 0; i < rows; i++)
		for (j = 0; j < columns; j++)
			sum[i][j] = c[i * c_row + j];
	for (l = 0; l < k; l++)
		for (i = 0; i < rows; i++)
			for (j = 0; j < columns; j++)
				sum[i][j] += a.at[i * a.row + l * a.column]
					     * b[l * b_row + j];
	for (i = 0; i < rows; i++)
		for (j = 0; j < columns; j++)
			c[i * c_row + j] = sum[i][j];
}

/* All rows of c for `columns` of its columns. */
static inline __attribute__((always_inline)) void
gemm_panel(size_t m, const size_t columns, size_t k, struct nn_matrix a,
	   const float *b, size_t b_row, float *c, size_t c_row)
{
	size_t i = 0;

	for (; i + TILE_ROWS <= m; i += TILE_ROWS) {
		gemm_tile(TILE_ROWS, columns, k, a, b, b_row, c, c_row);
		a.at += TILE_ROWS * a.row;
		c += TILE_ROWS * c_row;
	}
	for (; i < m; i++) {
		gemm_tile(1, columns, k, a, b, b_row, c, c_row);
		a.at += a.row;
		c += c_row;
	}
}

void nn_gemm(size_t m, size_t n, size_t k, struct nn_matrix a, const float *b,
	     size_t b_row, float *c, size_t c_row)
{
	size_t depth = 0;
	size_t j = 0;

	for (; k > 0; k -= depth) {
		depth = k < BLOCK_DEPTH ? k : BLOCK_DEPTH;
		for (j = 0; j + TILE_COLUMNS <= n; j += TILE_COLUMNS)
			gemm_panel(m, TILE_COLUMNS, depth, a, b + j, b_row,
				   c + j, c_row);
		for (; j < n; j++)
			gemm_panel(m, 1, depth, a, b + j, b_row, c + j, c_row);
		a.at += depth * a.column;
		b += depth * b_row;
	}
}

static float add_lanes(const float sum[LANES])
{
	return ((sum[0] + sum[4]) + (sum[2] + sum[6]))
	       + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

/* c[j] += a (k) . b[j] (k) for `rows` rows of b. */
static inline __attribute__((always_inline)) void
dot_tile(const size_t rows, size_t k, const float *a, const float *b,
	 size_t b_row, float *c)
{
	float sum[TILE_ROWS][LANES] = { { 0 } };
	size_t j = 0;
	size_t l = 0;
	size_t lane = 0;

	for (l = 0; l + LANES <= k; l += LANES)
		for (j = 0; j < rows; j++)
			for (lane = 0; lane < LANES; lane++)
				sum[j][lane] += a[l + lane]
						* b[j * b_row + l + lane];
	for (lane = 0; l < k; l++, lane++)
		for (j = 0; j < rows; j++)
			sum[j][lane] += a[l] * b[j * b_row + l];
	for (j = 0; j < rows; j++)
		c[j] += add_lanes(sum[j]);
}

void nn_gemm_transposed(size_t m, size_t n, size_t k, const float *a,
			size_t a_row, const float *b, size_t b_row, float *c,
			size_t c_row)
{
	size_t i = 0;
	size_t j = 0;

	for (j = 0; j + TILE_ROWS <= n; j += TILE_ROWS)
		for (i = 0; i < m; i++)
			dot_tile(TILE_ROWS, k, a + i * a_row, b + j * b_row,
				 b_row, c + i * c_row + j);
	for (; j < n; j++)
		for (i = 0; i < m; i++)
			dot_tile(1, k, a + i * a_row, b + j * b_row, b_row,
				 c + i * c_row + j);
}

void nn_add_scaled(float *to, const float *from, float factor, size_t n)
{
	size_t i = 0;

	for (i = 0; i < n; i++)
		to[i] += factor * from[i];
}
