/* SPDX-License-Identifier: MIT */
/*
 * The state file of a checkpoint, for the network of small.h: the input is a
 * byte, then the file. Bit 0 of the byte: the connected layer is secure; bit 1:
 * the right sum is put behind the file, which no fuzzer would find.
 *
 * Claims: reading ends, in a status that is documented; an accepted state names
 * one or two weights files; momentum that was loaded, in either world, is what
 * stands at its place in the file.
 */
#include "fuzz.h"
#include "small.h"

#include "darknetp_ta.h"
#include "message.h"
#include "state.h"

#include <stdlib.h>
#include <string.h>

#define SECURE 1
#define SUMMED 2
#define HEADER 104	/* bytes, as in state.h */
#define TENSORS 6

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	small_build();
	return 0;
}

static void check_momentum(struct chain *chain, const uint8_t *at)
{
	/* Layer, tensor, floats: in the order of the file. */
	static const uint32_t tensors[TENSORS][3] = {
		{ 0, NN_BIASES, 2 }, { 0, NN_SCALES, 2 }, { 0, NN_WEIGHTS, 16 },
		{ 1, NN_BIASES, 3 }, { 1, NN_WEIGHTS, 24 }, { 1, NN_SCALES, 3 },
	};
	float loaded[24] = { 0.0f };
	unsigned int i = 0;

	for (i = 0; i < TENSORS; i++) {
		uint32_t count = tensors[i][2];

		fuzz_check(!chain_save(chain, tensors[i][0],
				       tensors[i][1] | DARKNETP_TENSOR_MOMENTUM, 0,
				       loaded, count));
		fuzz_check(!memcmp(loaded, at, count * sizeof(float)));
		at += count * sizeof(float);
	}
}

static void use(const char *path, struct chain *chain, const uint8_t *file)
{
	struct state state = { 0 };
	int status = state_read(&state, path);

	if (status) {
		fuzz_check(status == STATUS_FAILED);
		return;
	}
	fuzz_check(state.n_files >= 1 && state.n_files <= WEIGHTS_FILES);
	status = state_load_momentum(chain, path);
	fuzz_check(!status || status == STATUS_FAILED);
	if (!status)
		check_momentum(chain, file + HEADER);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	uint8_t how = fuzz_byte(&input);
	size_t file_size = input.left + (how & SUMMED ? sizeof(uint64_t) : 0);
	uint8_t *file = fuzz_allocate(file_size);
	uint64_t sum = FILE_SUM_START;

	if (input.left)
		memcpy(file, input.at, input.left);
	sum = file_sum(sum, file, input.left);
	if (how & SUMMED)
		memcpy(file + input.left, &sum, sizeof(sum));
	use(fuzz_file(0, file, file_size), small_chain(how & SECURE), file);
	free(file);
	return 0;
}
