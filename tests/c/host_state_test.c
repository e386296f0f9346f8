/* SPDX-License-Identifier: MIT */
/* The state of a checkpoint: momentum of both worlds, and hostile files. */
#include "message.h"
#include "state.h"
#include "tee.h"

#include "check.h"
#include "host_support.h"

/* A convolution and a connected layer, one with batch normalisation. */
static const char cfg_text_net[] =
	"[net]\nbatch=2\nwidth=3\nheight=3\nchannels=2\n"
	"[conv]\nfilters=2\nsize=2\nbatch_normalize=1\nactivation=relu\n"
	"[connected]\noutput=3\nactivation=linear\n"
	"[softmax]\n";

/* In the order of the file: biases, scales and weights; biases and weights. */
#define CONV_FLOATS (2 + 2 + 2 * 2 * 2 * 2)
#define FLOATS	    (CONV_FLOATS + 3 + 3 * 8)
#define HEADER	    104
#define SIZE	    (HEADER + 4 * FLOATS + 8)

/* Build for training; @end 0: all in the normal world. */
static void open_fixture(struct support_chain *f, uint32_t start, uint32_t end,
			 uint32_t frozen)
{
	const struct partition partition = {
		.secure = end != 0, .start = start, .end = end, .frozen = frozen,
	};

	support_chain_open(f, cfg_text_net, &partition);
}

static const struct tensor_place {
	uint32_t layer;
	enum nn_tensor_kind kind;
	uint32_t count;
} places[] = {
	{ 0, NN_BIASES, 2 },  { 0, NN_SCALES, 2 },   { 0, NN_WEIGHTS, 16 },
	{ 1, NN_BIASES, 3 },  { 1, NN_WEIGHTS, 24 },
};

/* Read or write all momentum, in the order of the file. */
static void momentum(struct support_chain *f, bool load, float values[FLOATS])
{
	size_t i = 0;

	for (i = 0; i < ARRAY_SIZE(places); i++) {
		uint32_t tensor = places[i].kind | DARKNETP_TENSOR_MOMENTUM;

		assert_int_equal(
			load ? chain_load(&f->chain, places[i].layer, tensor, 0,
					  values, places[i].count) :
			       chain_save(&f->chain, places[i].layer, tensor, 0,
					  values, places[i].count),
			0);
		values += places[i].count;
	}
}

static struct state make_state(void)
{
	return (struct state){
		.n_files = 2,
		.files = { { 11, 12 }, { 13, 14 } },
		.batch = 8,
		.seen = 1234567890123,
		.seeded = true,
		.seed = UINT64_MAX,
		.cfg_end = 100,
		.end = 200,
		.started = true,
		.average = 1.0 / 3,
	};
}

static void fill(float values[FLOATS])
{
	size_t i = 0;

	for (i = 0; i < FLOATS; i++)
		values[i] = (float)i + .25f;
}

/* A file as a partition @start..@end writes it, at support_path("s.state"). */
static void write_state(uint32_t start, uint32_t end)
{
	struct state state = make_state();
	struct support_chain f = { 0 };
	float values[FLOATS] = { 0 };

	open_fixture(&f, start, end, 0);
	fill(values);
	momentum(&f, true, values);
	assert_int_equal(state_save(&state, &f.chain, support_path("s.state")), 0);
	support_chain_close(&f);
}

static void everything_comes_back(void **state)
{
	struct state expected = make_state();
	struct state read = { 0 };

	(void)state;
	write_state(0, 0);
	assert_int_equal(state_read(&read, support_path("s.state")), 0);
	assert_memory_equal(read.files, expected.files, sizeof(read.files));
	assert_int_equal(read.n_files, 2);
	assert_int_equal(read.batch, 8);
	assert_true(read.seen == expected.seen && read.seed == expected.seed);
	assert_true(read.seeded && read.started);
	assert_true(read.cfg_end == 100 && read.end == 200);
	assert_true(read.average == expected.average);
}

/* The layout of state.h, byte by byte. */
static void the_file_is_laid_out_as_documented(void **state)
{
	size_t size = 0;
	uint8_t *file = NULL;
	float values[FLOATS] = { 0 };
	uint64_t numbers[2] = { 0 };

	(void)state;
	write_state(0, 2);
	file = support_read("s.state", &size);
	assert_int_equal(size, SIZE);
	assert_memory_equal(file, "dnpstate\x01\0\0\0\x03\0\0\0\x02\0\0\0\x08\0\0\0",
			    24);
	memcpy(numbers, file + 96, 8);
	assert_true(numbers[0] == FLOATS);
	fill(values);
	assert_memory_equal(file + HEADER, values, sizeof(values));
	memcpy(numbers, file + SIZE - 8, 8);
	assert_true(numbers[0] == file_sum(FILE_SUM_START, file, SIZE - 8));
	free(file);
}

/* FNV-1a's own test values. */
static void sums_are_fnv1a(void **state)
{
	(void)state;
	assert_true(file_sum(FILE_SUM_START, "", 0) == 0xcbf29ce484222325);
	assert_true(file_sum(FILE_SUM_START, "a", 1) == 0xaf63dc4c8601ec8c);
	assert_true(file_sum(FILE_SUM_START, "foobar", 6) == 0x85944171f73967e8);
}

static void momentum_passes_between_the_worlds(void **state)
{
	static const uint32_t cuts[][2] = { { 0, 0 }, { 0, 2 }, { 1, 2 }, { 1, 1 } };
	struct support_chain f = { 0 };
	float expected[FLOATS] = { 0 };
	float values[FLOATS] = { 0 };
	size_t i = 0;
	size_t j = 0;

	(void)state;
	fill(expected);
	for (i = 0; i < ARRAY_SIZE(cuts); i++)
		for (j = 0; j < ARRAY_SIZE(cuts); j++) {
			write_state(cuts[i][0], cuts[i][1]);
			open_fixture(&f, cuts[j][0], cuts[j][1], 0);
			assert_int_equal(state_load_momentum(
						 &f.chain, support_path("s.state")),
					 0);
			momentum(&f, false, values);
			assert_memory_equal(values, expected, sizeof(values));
			support_chain_close(&f);
		}
}

static void frozen_layers_keep_out_of_it(void **state)
{
	struct support_chain f = { 0 };
	struct state written = make_state();
	static const float zeros[CONV_FLOATS];
	float values[FLOATS] = { 0 };
	size_t size = 0;
	uint8_t *file = NULL;

	(void)state;
	write_state(0, 0);
	open_fixture(&f, 0, 0, 1);
	assert_int_equal(state_load_momentum(&f.chain, support_path("s.state")), 0);
	momentum(&f, false, values);
	assert_memory_equal(values, zeros, sizeof(zeros));
	check_near((double)values[CONV_FLOATS], CONV_FLOATS + .25, 0);
	assert_int_equal(state_save(&written, &f.chain, support_path("s.state")), 0);
	support_chain_close(&f);
	file = support_read("s.state", &size);
	assert_memory_equal(file + HEADER, zeros, sizeof(zeros));
	free(file);
}

static int read_bytes(const uint8_t *file, size_t size)
{
	struct state read = { 0 };

	return state_read(&read, support_write("t.state", file, size));
}

static void every_other_length_is_refused(void **state)
{
	size_t size = 0;
	size_t length = 0;
	uint8_t *file = NULL;
	uint8_t longer[SIZE + 4] = { 0 };

	(void)state;
	write_state(0, 0);
	file = support_read("s.state", &size);
	memcpy(longer, file, SIZE);
	free(file);
	for (length = 0; length <= sizeof(longer); length++)
		support_assert_status(read_bytes(longer, length),
				      length == SIZE ? 0 : STATUS_FAILED);
}

static void every_changed_bit_is_found(void **state)
{
	size_t size = 0;
	size_t bit = 0;
	uint8_t *file = NULL;

	(void)state;
	write_state(0, 0);
	file = support_read("s.state", &size);
	for (bit = 0; bit < 8 * size; bit++) {
		file[bit / 8] ^= (uint8_t)(1u << bit % 8);
		support_assert_status(read_bytes(file, size), STATUS_FAILED);
		file[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_int_equal(read_bytes(file, size), 0);
	free(file);
}

/* Fields that lie, in files whose sum is right. */
static void forged_fields_are_refused(void **state)
{
	static const struct {
		size_t at, bytes;
		uint64_t value;
		const char *said;
	} cases[] = {
		{ 0, 8, 0, "not the state of a checkpoint" },
		{ 8, 4, 2, "written by another version" },
		{ 12, 4, 4, "damaged" },
		{ 16, 4, 0, "damaged" },
		{ 16, 4, 3, "damaged" },
		{ 16, 4, UINT32_MAX, "damaged" },
		{ 96, 8, FLOATS - 1, "its length is wrong" },
		{ 96, 8, FLOATS + (UINT64_C(1) << 62), "its length is wrong" },
		{ 96, 8, UINT64_MAX, "its length is wrong" },
	};
	size_t size = 0;
	size_t i = 0;

	(void)state;
	write_state(0, 0);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t *file = support_read("s.state", &size);
		uint64_t sum = 0;

		memcpy(file + cases[i].at, &cases[i].value, cases[i].bytes);
		sum = file_sum(FILE_SUM_START, file, SIZE - 8);
		memcpy(file + SIZE - 8, &sum, 8);
		support_assert_status(read_bytes(file, size), STATUS_FAILED);
		support_assert_said(cases[i].said);
		free(file);
	}
}

static void the_momentum_of_another_network_is_refused(void **state)
{
	struct support_chain f = { 0 };

	(void)state;
	write_state(0, 0);
	open_fixture(&f, 0, 0, 0);
	f.network.n_layers = 1;
	support_assert_status(
		state_load_momentum(&f.chain, support_path("s.state")),
		STATUS_FAILED);
	support_assert_said("belongs to another network");
	f.network.n_layers = 3;
	support_chain_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_comes_back),
		cmocka_unit_test(the_file_is_laid_out_as_documented),
		cmocka_unit_test(sums_are_fnv1a),
		cmocka_unit_test(momentum_passes_between_the_worlds),
		cmocka_unit_test(frozen_layers_keep_out_of_it),
		cmocka_unit_test(every_other_length_is_refused),
		cmocka_unit_test(every_changed_bit_is_found),
		cmocka_unit_test(forged_fields_are_refused),
		cmocka_unit_test(the_momentum_of_another_network_is_refused),
	};

	return cmocka_run_group_tests(tests, support_make_directory,
				      support_remove_directory);
}
