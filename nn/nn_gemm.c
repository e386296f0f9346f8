/* SPDX-License-Identifier: MIT */
/*
 * Matrix products for machines without a BLAS. Tiles of c are held in
 * registers, as vectors along its rows. The vectors are a type of the
 * compiler's: left to itself it may as well gather them along the columns of a
 * tile, which is several times slower. No sum is reordered for them, as the
 * order is part of the result (see nn.h); where the machine's vectors would
 * round otherwise (AArch32), the compiler takes scalars.
 */
#include "nn_internal.h"

#include <string.h>

#define LANES		4	/* floats of a vector */
#ifdef __arm__
#define TILE_ROWS	4	/* as scalars: few enough for its registers */
#define TILE_VECTORS	1
#else
#define TILE_ROWS	NN_TILE_ROWS
#define TILE_VECTORS	2
#endif
#define EDGE_ROWS	2	/* tiles for what whole ones leave */
#define BLOCK_DEPTH	256	/* of k at a time: this much of b stays in the L1 cache */

typedef float vector __attribute__((vector_size(LANES * sizeof(float))));

static inline vector load(const float *from)
{
	vector v = { 0 };

	memcpy(&v, from, sizeof(v));
	return v;
}

static inline void store(float *to, vector v)
{
	memcpy(to, &v, sizeof(v));
}

/* c (rows, vectors) += a (rows, k) b (k, vectors), for constant rows, vectors. */
static inline __attribute__((always_inline)) void
gemm_tile(const size_t rows, const size_t vectors, size_t k, struct nn_matrix a,
	  const float *b, size_t b_row, float *c, size_t c_row)
{
	vector sum[TILE_ROWS][TILE_VECTORS];
	vector from_b[TILE_VECTORS];
	size_t i = 0;
	size_t j = 0;
	size_t l = 0;

	for (i = 0; i < rows; i++)
		for (j = 0; j < vectors; j++)
			sum[i][j] = load(c + i * c_row + j * LANES);
	for (l = 0; l < k; l++) {
		for (j = 0; j < vectors; j++)
			from_b[j] = load(b + l * b_row + j * LANES);
		for (i = 0; i < rows; i++)
			for (j = 0; j < vectors; j++)
				sum[i][j] += a.at[i * a.row + l * a.column]
					     * from_b[j];
	}
	for (i = 0; i < rows; i++)
		for (j = 0; j < vectors; j++)
			store(c + i * c_row + j * LANES, sum[i][j]);
}

/* Rows [*i, m) of c, as far as tiles of @rows fill them. */
static inline __attribute__((always_inline)) void
gemm_rows(const size_t rows, size_t *i, size_t m, const size_t vectors, size_t k,
	  struct nn_matrix a, const float *b, size_t b_row, float *c,
	  size_t c_row)
{
	const float *from = a.at;

	for (; *i + rows <= m; *i += rows) {
		a.at = from + *i * a.row;
		gemm_tile(rows, vectors, k, a, b, b_row, c + *i * c_row, c_row);
	}
}

/* All rows of c for @vectors of its columns. */
static inline __attribute__((always_inline)) void
gemm_panel(size_t m, const size_t vectors, size_t k, struct nn_matrix a,
	   const float *b, size_t b_row, float *c, size_t c_row)
{
	size_t i = 0;

	gemm_rows(TILE_ROWS, &i, m, vectors, k, a, b, b_row, c, c_row);
	gemm_rows(EDGE_ROWS, &i, m, vectors, k, a, b, b_row, c, c_row);
	gemm_rows(1, &i, m, vectors, k, a, b, b_row, c, c_row);
}

/* All rows of one column. */
static void gemm_column(size_t m, size_t k, struct nn_matrix a, const float *b,
			size_t b_row, float *c, size_t c_row)
{
	float sum = 0;
	size_t i = 0;
	size_t l = 0;

	for (i = 0; i < m; i++) {
		sum = c[i * c_row];
		for (l = 0; l < k; l++)
			sum += a.at[i * a.row + l * a.column] * b[l * b_row];
		c[i * c_row] = sum;
	}
}

/* A depth of k for which the columns of b stay in the cache. */
static void gemm_block(size_t m, size_t n, size_t k, struct nn_matrix a,
		       const float *b, size_t b_row, float *c, size_t c_row)
{
	size_t j = 0;

	for (; j + TILE_VECTORS * LANES <= n; j += TILE_VECTORS * LANES)
		gemm_panel(m, TILE_VECTORS, k, a, b + j, b_row, c + j, c_row);
	for (; j + LANES <= n; j += LANES)
		gemm_panel(m, 1, k, a, b + j, b_row, c + j, c_row);
	for (; j < n; j++)
		gemm_column(m, k, a, b + j, b_row, c + j, c_row);
}

void nn_gemm(size_t m, size_t n, size_t k, struct nn_matrix a, const float *b,
	     size_t b_row, float *c, size_t c_row)
{
	size_t depth = 0;

	for (; k > 0; k -= depth) {
		depth = k < BLOCK_DEPTH ? k : BLOCK_DEPTH;
		gemm_block(m, n, depth, a, b, b_row, c, c_row);
		a.at += depth * a.column;
		b += depth * b_row;
	}
}

/* @n floats, fewer than LANES, and zeros: they add nothing to a sum begun at 0. */
static inline vector load_rest(const float *from, size_t n)
{
	return (vector){
		n > 0 ? from[0] : 0, n > 1 ? from[1] : 0, n > 2 ? from[2] : 0, 0,
	};
}

static inline float add_lanes(vector low, vector high)
{
	vector sum = low + high;

	return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

/*
 * c[j] += a (k) . b[j] (k) for `rows` rows of b. Conditions are inside of the
 * loops: around them, the sums would not stay in registers.
 */
static inline __attribute__((always_inline)) void
dot_tile(const size_t rows, size_t k, const float *a, const float *b,
	 size_t b_row, float *c)
{
	vector low[TILE_ROWS] = { 0 };
	vector high[TILE_ROWS] = { 0 };
	vector rest = load_rest(a + k - k % LANES, k % LANES);
	size_t j = 0;
	size_t l = 0;

	for (l = 0; l + 2 * LANES <= k; l += 2 * LANES)
		for (j = 0; j < rows; j++) {
			low[j] += load(a + l) * load(b + j * b_row + l);
			high[j] += load(a + l + LANES)
				   * load(b + j * b_row + l + LANES);
		}
	for (j = 0; j < rows && k % (2 * LANES) >= LANES; j++)
		low[j] += load(a + l) * load(b + j * b_row + l);
	for (j = 0; j < rows && k % LANES > 0; j++) {
		vector product = rest * load_rest(b + j * b_row + k - k % LANES,
						  k % LANES);

		if (k % (2 * LANES) >= LANES)
			high[j] += product;
		else
			low[j] += product;
	}
	for (j = 0; j < rows; j++)
		c[j] += add_lanes(low[j], high[j]);
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

void nn_add(float *to, const float *from, size_t n)
{
	size_t i = 0;

	for (i = 0; i < n; i++)
		to[i] += from[i];
}

void nn_add_scaled(float *to, const float *from, float factor, size_t n)
{
	size_t i = 0;

	for (i = 0; i < n; i++)
		to[i] += factor * from[i];
}
