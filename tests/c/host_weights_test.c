/* SPDX-License-Identifier: MIT */
/* Weights files: bytes and their order, both worlds, and foreign files. */
#include "message.h"
#include "tee.h"
#include "weights.h"

#include "check.h"
#include "host_support.h"

/* A convolution and a connected layer with batch normalisation each. */
static const char cfg_text_both[] =
	"[net]\nbatch=2\nwidth=3\nheight=3\nchannels=2\n"
	"[conv]\nfilters=2\nsize=2\nbatch_normalize=1\nactivation=relu\n"
	"[connected]\noutput=3\nbatch_normalize=1\nactivation=linear\n"
	"[softmax]\n";

#define HEADER	     20
#define CONV_FLOATS  (4 * 2 + 2 * 2 * 2 * 2) /* b, s, m, v; (n, c, k, k) */
#define CONN_INPUTS  (2 * 2 * 2)
#define CONN_OUTPUTS 3
#define CONN_FLOATS  (4 * CONN_OUTPUTS + CONN_INPUTS * CONN_OUTPUTS)
#define FLOATS	     (CONV_FLOATS + CONN_FLOATS)

/* Build for training, layers @start..@end in the secure world (end 0: none). */
static void open_fixture(struct support_chain *f, uint32_t start, uint32_t end)
{
	const struct partition partition = {
		.secure = end != 0, .start = start, .end = end,
	};

	support_chain_open(f, cfg_text_both, &partition);
}

struct file {
	int32_t version[3];
	uint64_t seen;
	float values[FLOATS];
} __attribute__((packed));

/* Values that say where they stand. */
static struct file make_file(void)
{
	struct file file = { .version = { 0, 2, 0 }, .seen = 1234567890123 };
	size_t i = 0;

	for (i = 0; i < FLOATS; i++)
		file.values[i] = (float)i + .25f;
	return file;
}

static float parameter(struct support_chain *f, uint32_t layer, enum nn_tensor_kind kind,
		       uint32_t index)
{
	float value = 0;

	assert_int_equal(chain_save(&f->chain, layer, kind, index, &value, 1), 0);
	return value;
}

#define check_parameter(f, layer, kind, index, at)                                     \
	check_near((double)parameter(f, layer, kind, index), (at) + .25, 0)

/* The order of darknet's files, tensor by tensor. */
static void check_order(struct support_chain *f)
{
	const int conn = CONV_FLOATS;
	const int weights = CONN_INPUTS * CONN_OUTPUTS;

	check_parameter(f, 0, NN_BIASES, 1, 1);
	check_parameter(f, 0, NN_SCALES, 0, 2);
	check_parameter(f, 0, NN_ROLLING_MEAN, 0, 4);
	check_parameter(f, 0, NN_ROLLING_VARIANCE, 1, 7);
	check_parameter(f, 0, NN_WEIGHTS, 0, 8);
	check_parameter(f, 0, NN_WEIGHTS, 15, CONV_FLOATS - 1);
	check_parameter(f, 1, NN_BIASES, 0, conn);
	check_parameter(f, 1, NN_WEIGHTS, 0, conn + 3);
	check_parameter(f, 1, NN_WEIGHTS, CONN_INPUTS, conn + 3 + CONN_INPUTS);
	check_parameter(f, 1, NN_SCALES, 2, conn + 3 + weights + 2);
	check_parameter(f, 1, NN_ROLLING_MEAN, 0, conn + 6 + weights);
	check_parameter(f, 1, NN_ROLLING_VARIANCE, 2, FLOATS - 1);
}

static void order_is_darknets_in_both_worlds(void **state)
{
	static const uint32_t ends[] = { 0, 1 };
	struct file file = make_file();
	struct support_chain f = { 0 };
	uint64_t seen = 0;
	size_t i = 0;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(ends); i++) {
		open_fixture(&f, 0, ends[i]);
		assert_int_equal(
			weights_load(&f.chain,
				     support_write("w.weights", &file, sizeof(file)),
				     SPLIT_NEVER, &seen),
			0);
		assert_true(seen == file.seen);
		check_order(&f);
		support_chain_close(&f);
	}
}

static void what_is_saved_is_what_was_loaded(void **state)
{
	struct file file = make_file();
	struct support_chain f = { 0 };
	uint8_t *saved = NULL;
	uint64_t seen = 0;
	size_t size = 0;

	(void)state;
	open_fixture(&f, 1, 1);
	assert_int_equal(weights_load(&f.chain,
				      support_write("w.weights", &file, sizeof(file)),
				      SPLIT_NEVER, &seen),
			 0);
	assert_int_equal(
		weights_save(&f.chain, support_path("s.weights"), SPLIT_NEVER, seen),
		0);
	saved = support_read("s.weights", &size);
	assert_int_equal(size, HEADER + 4 * FLOATS);
	assert_memory_equal(saved, &file, size);
	free(saved);
	support_chain_close(&f);
}

static void split_files_hold_each_worlds_layers(void **state)
{
	struct file file = make_file();
	struct support_chain f = { 0 };
	uint8_t *part = NULL;
	uint64_t seen = 0;
	size_t size = 0;

	(void)state;
	open_fixture(&f, 1, 2);
	assert_int_equal(weights_load(&f.chain,
				      support_write("w.weights", &file, sizeof(file)),
				      SPLIT_SAVE, &seen),
			 0);
	assert_int_equal(weights_save(&f.chain, support_path("s"), SPLIT_BOTH, seen),
			 0);
	part = support_read("s_ree", &size);
	assert_int_equal(size, HEADER + 4 * CONV_FLOATS);
	assert_memory_equal(part, &file, size);
	free(part);
	part = support_read("s_tee", &size);
	assert_int_equal(size, HEADER + 4 * CONN_FLOATS);
	assert_memory_equal(part, &file, HEADER);
	assert_memory_equal(part + HEADER, file.values + CONV_FLOATS, size - HEADER);
	free(part);
	support_chain_close(&f);

	open_fixture(&f, 1, 2);
	seen = 0;
	assert_int_equal(weights_load(&f.chain, support_path("s"), SPLIT_BOTH, &seen),
			 0);
	assert_true(seen == file.seen);
	check_order(&f);
	support_chain_close(&f);
}

static void halves_of_different_runs_are_refused(void **state)
{
	struct support_chain f = { 0 };
	uint64_t seen = 0;

	(void)state;
	open_fixture(&f, 1, 2);
	assert_int_equal(weights_save(&f.chain, support_path("h"), SPLIT_SAVE, 7), 0);
	assert_int_equal(rename(support_path("h_tee"), support_path("k_tee")), 0);
	assert_int_equal(weights_save(&f.chain, support_path("h"), SPLIT_SAVE, 8), 0);
	assert_int_equal(rename(support_path("h_ree"), support_path("k_ree")), 0);
	support_assert_status(
		weights_load(&f.chain, support_path("k"), SPLIT_BOTH, &seen),
		STATUS_FAILED);
	support_assert_said("do not belong together: they have seen 8 and 7 images");
	support_chain_close(&f);
}

static void old_headers_count_images_in_four_bytes(void **state)
{
	struct file file = make_file();
	uint8_t old[16 + 4 * FLOATS] = { 0 };
	struct support_chain f = { 0 };
	uint64_t seen = 0;

	(void)state;
	old[4] = 1; /* version 0.1 */
	old[12] = 200;
	memcpy(old + 16, file.values, sizeof(file.values));
	open_fixture(&f, 0, 0);
	assert_int_equal(weights_load(&f.chain,
				      support_write("w.weights", old, sizeof(old)),
				      SPLIT_NEVER, &seen),
			 0);
	assert_int_equal(seen, 200);
	check_order(&f);
	support_chain_close(&f);
}

static void transposed_files_are_turned_back(void **state)
{
	struct file plain = make_file();
	struct file file = plain;
	uint8_t old[16 + 4 * FLOATS] = { 0 };
	const int at = CONV_FLOATS + CONN_OUTPUTS;
	struct support_chain f = { 0 };
	uint64_t seen = 0;
	int input = 0;
	int output = 0;

	(void)state;
	for (input = 0; input < CONN_INPUTS; input++)
		for (output = 0; output < CONN_OUTPUTS; output++)
			file.values[at + input * CONN_OUTPUTS + output] =
				plain.values[at + output * CONN_INPUTS + input];
	old[0] = 0xe9; /* major 1001 */
	old[1] = 0x03;
	memcpy(old + 16, file.values, sizeof(file.values));
	open_fixture(&f, 1, 2);
	assert_int_equal(weights_load(&f.chain,
				      support_write("w.weights", old, sizeof(old)),
				      SPLIT_NEVER, &seen),
			 0);
	check_order(&f);
	support_chain_close(&f);
}

static void files_of_another_length_are_refused(void **state)
{
	struct file file = make_file();
	struct support_chain f = { 0 };
	uint64_t seen = 0;
	size_t size = 0;
	uint8_t longer[sizeof(file) + 1] = { 0 };
	float before = 0;

	(void)state;
	memcpy(longer, &file, sizeof(file));
	open_fixture(&f, 1, 2);
	before = parameter(&f, 0, NN_WEIGHTS, 0);
	for (size = 0; size <= sizeof(longer); size++) {
		if (size == sizeof(file))
			continue;
		support_assert_status(
			weights_load(&f.chain, support_write("w.weights", longer, size),
				     SPLIT_NEVER, &seen),
			STATUS_FAILED);
		if (size >= HEADER)
			support_assert_said("the network needs 260 (60 parameters)");
		else
			support_assert_said("w.weights: ");
		/* Nothing was loaded from it. */
		assert_true(before == parameter(&f, 0, NN_WEIGHTS, 0));
	}
	support_chain_close(&f);
}

static void impossible_versions_are_refused(void **state)
{
	struct file file = make_file();
	struct support_chain f = { 0 };
	uint64_t seen = 0;

	(void)state;
	file.version[0] = INT32_MIN;
	open_fixture(&f, 0, 0);
	support_assert_status(
		weights_load(&f.chain, support_write("w.weights", &file, sizeof(file)),
			     SPLIT_NEVER, &seen),
		STATUS_FAILED);
	support_assert_said("not a weights file");
	support_chain_close(&f);
}

static void missing_directories_are_made(void **state)
{
	struct support_chain f = { 0 };
	uint8_t *saved = NULL;
	size_t size = 0;

	(void)state;
	open_fixture(&f, 0, 0);
	assert_int_equal(weights_save(&f.chain, support_path("a/b/w"), SPLIT_NEVER, 0),
			 0);
	saved = support_read("a/b/w", &size);
	assert_int_equal(size, HEADER + 4 * FLOATS);
	free(saved);
	assert_int_equal(remove(support_path("a/b/w")), 0);
	/* Nothing else was left there. */
	assert_int_equal(remove(support_path("a/b")), 0);
	assert_int_equal(remove(support_path("a")), 0);
	support_chain_close(&f);
}

static void files_that_cannot_be_written_are_told(void **state)
{
	struct support_chain f = { 0 };

	(void)state;
	open_fixture(&f, 0, 0);
	support_write_text("plain", "x");
	support_assert_status(
		weights_save(&f.chain, support_path("plain/w"), SPLIT_NEVER, 0),
		STATUS_FAILED);
	support_assert_said("plain/w: Not a directory");
	support_chain_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order_is_darknets_in_both_worlds),
		cmocka_unit_test(what_is_saved_is_what_was_loaded),
		cmocka_unit_test(split_files_hold_each_worlds_layers),
		cmocka_unit_test(halves_of_different_runs_are_refused),
		cmocka_unit_test(old_headers_count_images_in_four_bytes),
		cmocka_unit_test(transposed_files_are_turned_back),
		cmocka_unit_test(files_of_another_length_are_refused),
		cmocka_unit_test(impossible_versions_are_refused),
		cmocka_unit_test(missing_directories_are_made),
		cmocka_unit_test(files_that_cannot_be_written_are_told),
	};

	return cmocka_run_group_tests(tests, support_make_directory,
				      support_remove_directory);
}
