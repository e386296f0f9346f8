/* SPDX-License-Identifier: MIT */
/*
 * Weights files for one small network: the input is a byte for the way they are
 * loaded (enum way), and the file; with two files a word before them says how
 * long the first is, the secure world's.
 *
 * Claims: loading ends, in a status that is documented; only a file of exactly
 * the right size is accepted, and then every parameter, in either world, is the
 * one that stands at its place in the file, transposed files included.
 */
#include "fuzz.h"
#include "small.h"

#include "message.h"
#include "weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum way {
	WAY_NORMAL,	/* all layers in the normal world */
	WAY_SECURE,	/* the connected layer in the secure one */
	WAY_SPLIT,	/* the same, from two files */
	WAYS,
};

#define INPUTS	8	/* of the connected layer, as the next */
#define OUTPUTS 3

/* What the file holds, in order. */
static const struct {
	uint32_t layer;
	enum nn_tensor_kind kind;
	uint32_t count;
} tensors[] = {
	{ 0, NN_BIASES, 2 },
	{ 0, NN_SCALES, 2 },
	{ 0, NN_ROLLING_MEAN, 2 },
	{ 0, NN_ROLLING_VARIANCE, 2 },
	{ 0, NN_WEIGHTS, 2 * 2 * 2 * 2 },
	{ 1, NN_BIASES, OUTPUTS },
	{ 1, NN_WEIGHTS, OUTPUTS * INPUTS },
	{ 1, NN_SCALES, OUTPUTS },
	{ 1, NN_ROLLING_MEAN, OUTPUTS },
	{ 1, NN_ROLLING_VARIANCE, OUTPUTS },
};
#define TENSORS	      (sizeof(tensors) / sizeof(tensors[0]))
#define FIRST_SECURE  5	/* of the tensors */
#define NORMAL_FLOATS 24
#define FLOATS	      (NORMAL_FLOATS + 4 * OUTPUTS + OUTPUTS * INPUTS)

/* ---- Two files ---- */

static struct {
	char directory[64];	/* of links to the two files */
	char path[96];		/* theirs, without _ree and _tee */
} split;

static const char *split_link(const char *suffix)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s%s", split.path, suffix);
	return path;
}

static void remove_links(void)
{
	unlink(split_link("_tee"));
	unlink(split_link("_ree"));
	rmdir(split.directory);
}

static void make_links(void)
{
	const char *parent = getenv("TMPDIR");

	snprintf(split.directory, sizeof(split.directory), "%.40s/fuzz-XXXXXX",
		 parent ? parent : "/tmp");
	fuzz_check(mkdtemp(split.directory));
	snprintf(split.path, sizeof(split.path), "%s/weights", split.directory);
	atexit(remove_links);
	fuzz_check(!symlink(fuzz_file(0, "", 0), split_link("_tee")));
	fuzz_check(!symlink(fuzz_file(1, "", 0), split_link("_ree")));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	small_build();
	make_links();
	return 0;
}

/* ---- Claims ---- */

/* A file as weights.h describes it; false: its header says no. */
struct parsed {
	const uint8_t *values;	/* not aligned */
	size_t floats;
	bool transposed;
};

static bool parse(const uint8_t *file, size_t size, struct parsed *parsed)
{
	int32_t version[3] = { 0 };
	size_t header = sizeof(version);

	if (size < header + sizeof(uint32_t))
		return false;
	memcpy(version, file, sizeof(version));
	if (version[0] < 0 || version[1] < 0)
		return false;
	parsed->transposed = version[0] > 1000 || version[1] > 1000;
	header += version[0] < 1000 && version[1] < 1000
		  && (version[0] > 0 || version[1] >= 2) ? sizeof(uint64_t)
							 : sizeof(uint32_t);
	if (size < header || (size - header) % sizeof(float))
		return false;
	parsed->values = file + header;
	parsed->floats = (size - header) / sizeof(float);
	return true;
}

/* Where element @i of a tensor stands within it in the file. */
static uint32_t place(const struct parsed *parsed, size_t tensor, uint32_t i)
{
	if (!parsed->transposed || tensors[tensor].layer != 1
	    || tensors[tensor].kind != NN_WEIGHTS)
		return i;
	return i % INPUTS * OUTPUTS + i / INPUTS;
}

static void check_tensors(struct chain *chain, const struct parsed *parsed,
			  size_t first, size_t end)
{
	const uint8_t *at = parsed->values;
	float loaded[OUTPUTS * INPUTS] = { 0.0f };
	uint32_t i = 0;

	for (; first < end; first++) {
		uint32_t count = tensors[first].count;

		fuzz_check(!chain_save(chain, tensors[first].layer,
				       tensors[first].kind, 0, loaded, count));
		for (i = 0; i < count; i++)
			fuzz_check(!memcmp(&loaded[i],
					   at + sizeof(float) * place(parsed, first, i),
					   sizeof(float)));
		at += count * sizeof(float);
	}
}

static void check_status(int status)
{
	fuzz_check(status == STATUS_FAILED);
}

static void load_whole(struct chain *chain, const uint8_t *file, size_t size)
{
	struct parsed parsed = { 0 };
	bool fits = parse(file, size, &parsed) && parsed.floats == FLOATS;
	uint64_t seen = 0;
	int status = weights_load(chain, fuzz_file(0, file, size), SPLIT_NEVER,
				  &seen);

	fuzz_check(fits == !status);
	if (status)
		check_status(status);
	else
		check_tensors(chain, &parsed, 0, TENSORS);
}

static void load_split(struct chain *chain, const uint8_t *secure,
		       size_t secure_size, const uint8_t *normal,
		       size_t normal_size)
{
	struct parsed parts[2] = { { 0 } };
	uint64_t seen = 0;
	int status = 0;

	fuzz_file(0, secure, secure_size);
	fuzz_file(1, normal, normal_size);
	status = weights_load(chain, split.path, SPLIT_BOTH, &seen);
	if (status) {
		check_status(status);
		return;
	}
	fuzz_check(parse(secure, secure_size, &parts[0]));
	fuzz_check(parse(normal, normal_size, &parts[1]));
	fuzz_check(parts[0].floats == FLOATS - NORMAL_FLOATS);
	fuzz_check(parts[1].floats == NORMAL_FLOATS);
	check_tensors(chain, &parts[0], FIRST_SECURE, TENSORS);
	check_tensors(chain, &parts[1], 0, FIRST_SECURE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	enum way way = (enum way)fuzz_below(&input, WAYS);
	struct chain *chain = small_chain(way != WAY_NORMAL);
	size_t secure = 0;

	if (way != WAY_SPLIT) {
		load_whole(chain, input.at, input.left);
		return 0;
	}
	secure = fuzz_word(&input);
	if (secure > input.left)
		secure = input.left;
	load_split(chain, input.at, secure, input.at + secure,
		   input.left - secure);
	return 0;
}
