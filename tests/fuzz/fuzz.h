/* SPDX-License-Identifier: MIT */
/*
 * What the fuzzing harnesses have in common: reading structure from the input,
 * claims, and files that never touch a disk.
 *
 * An input is read from the front; what is not there reads as zeros, so that
 * every prefix of an input is an input.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nn.h"

/* libFuzzer's entry point; every harness defines it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- Claims ---- */

/* A claim that does not hold ends the process: a finding. */
#define fuzz_check(claim)						\
	do {								\
		if (!(claim))						\
			fuzz_fail(__FILE__, __LINE__, #claim);		\
	} while (0)

_Noreturn void fuzz_fail(const char *file, int line, const char *claim);

/* malloc() that does not fail: exactly @size bytes, so that ASan sees one more. */
void *fuzz_allocate(size_t size);

/* ---- Reading ---- */

struct fuzz_input {
	const uint8_t *at;
	size_t left;
};

uint8_t fuzz_byte(struct fuzz_input *input);

/* 0..@n-1 from one byte; @n is 1..256. */
uint32_t fuzz_below(struct fuzz_input *input, uint32_t n);

/*
 * A field of 32 bits, integer or float, so that one byte names the usual values:
 *
 *   00..bf  the integer itself
 *   c0..df  the float (byte - c0) / 16
 *   e0..ef  the power of two 2^(8 + byte - e0)
 *   f0..ff  the next four bytes, as they are
 */
uint32_t fuzz_word(struct fuzz_input *input);
float fuzz_float(struct fuzz_input *input);

/* A structure whose fields have all 32 bits. */
void fuzz_words(struct fuzz_input *input, void *to, size_t size);

/*
 * Fill @to with @n floats from a few words of the input, repeated: as special
 * as the input wants them, without costing it their number.
 */
void fuzz_floats(struct fuzz_input *input, float *to, size_t n);

/* The rest of the input up to @mark, which is skipped; or all of it. */
struct fuzz_input fuzz_part(struct fuzz_input *input, uint8_t mark);

/* ---- Files ---- */

/*
 * The path of a regular file with this content. It lives in memory and is the
 * same file for the same @slot (0..3), rewritten.
 */
const char *fuzz_file(unsigned int slot, const void *data, size_t size);

/* ---- Time ---- */

/*
 * Multiplications that one sample costs in a layer, at most: what keeps inputs
 * that are merely slow away from the time limit.
 */
uint64_t fuzz_layer_cost(struct nn_shape in, struct nn_shape out,
			 uint32_t weights, uint32_t window);

/* Beyond this an input is not computed. */
#define FUZZ_COST_MAX UINT64_C(2000000)

#endif /* FUZZ_H */
