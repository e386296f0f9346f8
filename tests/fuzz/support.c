/* SPDX-License-Identifier: MIT */
/* Not instrumented: which way the input is read must not look like progress. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FILES	  4
#define PATTERN	  7	/* words that are repeated; no multiple of a row */

/* ---- Claims ---- */

_Noreturn void fuzz_fail(const char *file, int line, const char *claim)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, claim);
	abort();
}

void *fuzz_allocate(size_t size)
{
	void *block = malloc(size);

	fuzz_check(block || !size);
	return block;
}

/* ---- Reading ---- */

uint8_t fuzz_byte(struct fuzz_input *input)
{
	if (!input->left)
		return 0;
	input->left--;
	return *input->at++;
}

uint32_t fuzz_below(struct fuzz_input *input, uint32_t n)
{
	return fuzz_byte(input) % n;
}

static uint32_t bits_of(float value)
{
	uint32_t bits = 0;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

uint32_t fuzz_word(struct fuzz_input *input)
{
	uint32_t word = fuzz_byte(input);
	unsigned int i = 0;

	if (word < 0xc0)
		return word;
	if (word < 0xe0)
		return bits_of((float)(word - 0xc0) / 16.0f);
	if (word < 0xf0)
		return UINT32_C(1) << (8 + word - 0xe0);
	word = 0;
	for (i = 0; i < 4; i++)
		word |= (uint32_t)fuzz_byte(input) << (8 * i);
	return word;
}

float fuzz_float(struct fuzz_input *input)
{
	uint32_t word = fuzz_word(input);
	float value = 0.0f;

	memcpy(&value, &word, sizeof(value));
	return value;
}

void fuzz_words(struct fuzz_input *input, void *to, size_t size)
{
	uint8_t *at = to;
	uint32_t word = 0;

	fuzz_check(size % sizeof(word) == 0);
	for (; size; size -= sizeof(word), at += sizeof(word)) {
		word = fuzz_word(input);
		memcpy(at, &word, sizeof(word));
	}
}

void fuzz_floats(struct fuzz_input *input, float *to, size_t n)
{
	float pattern[PATTERN] = { 0.0f };
	size_t done = n < PATTERN ? n : PATTERN;
	size_t more = 0;

	fuzz_words(input, pattern, sizeof(pattern));
	memcpy(to, pattern, done * sizeof(*to));
	for (; done < n; done += more) {
		more = done < n - done ? done : n - done;
		memcpy(to + done, to, more * sizeof(*to));
	}
}

struct fuzz_input fuzz_part(struct fuzz_input *input, uint8_t mark)
{
	struct fuzz_input part = *input;
	const uint8_t *end = part.left ? memchr(part.at, mark, part.left) : NULL;
	size_t skipped = 0;

	if (end)
		part.left = (size_t)(end - part.at);
	skipped = part.left + (end != NULL);
	if (skipped)
		input->at += skipped;
	input->left -= skipped;
	return part;
}

/* ---- Files ---- */

const char *fuzz_file(unsigned int slot, const void *data, size_t size)
{
	static struct {
		int fd;
		char path[32];
	} files[FILES];

	fuzz_check(slot < FILES);
	if (!files[slot].fd) {
		files[slot].fd = memfd_create("fuzz", MFD_CLOEXEC);
		fuzz_check(files[slot].fd > 0);
		snprintf(files[slot].path, sizeof(files[slot].path),
			 "/proc/self/fd/%d", files[slot].fd);
	}
	fuzz_check(ftruncate(files[slot].fd, 0) == 0);
	fuzz_check(!size || pwrite(files[slot].fd, data, size, 0) == (ssize_t)size);
	return files[slot].path;
}

/* ---- Time ---- */

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

uint64_t fuzz_layer_cost(struct nn_shape in, struct nn_shape out,
			 uint32_t weights, uint32_t window)
{
	uint64_t pixels = (uint64_t)out.width * out.height;
	uint64_t seen = (uint64_t)smaller(window, in.width)
			* smaller(window, in.height);

	return pixels * (weights + out.channels * (seen + 1))
	       + (uint64_t)in.width * in.height * in.channels;
}
