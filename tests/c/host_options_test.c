/* SPDX-License-Identifier: MIT */
/* The command line, and which partition it asks for. */
#include "message.h"
#include "options.h"
#include "partition.h"
#include "workers.h"

#include "check.h"
#include "host_support.h"

#define MAX_WORDS 16

/* Parse "darknetp" followed by the words of @line, which is changed. */
static int parse(struct options *options, char *line)
{
	static char *words[MAX_WORDS];
	int n = 1;

	words[0] = (char *)(uintptr_t)"darknetp";
	for (line = strtok(line, " "); line; line = strtok(NULL, " "))
		words[n++] = line;
	return options_parse(options, n, words);
}

static void flags_stand_anywhere(void **state)
{
	char line[] =
		"classifier -pp_start 4 train -ss 2 a.data -clear a.cfg -pp_end 10 -t 5 -threads 3";
	struct options options = { 0 };

	(void)state;
	assert_int_equal(parse(&options, line), 0);
	assert_int_equal(options.n_words, 4);
	assert_string_equal(options.words[0], "classifier");
	assert_string_equal(options.words[1], "train");
	assert_string_equal(options.words[2], "a.data");
	assert_string_equal(options.words[3], "a.cfg");
	assert_int_equal(options.pp_start, 4);
	assert_int_equal(options.pp_end, 10);
	assert_int_equal(options.split, SPLIT_SAVE);
	assert_int_equal(options.top, 5);
	assert_int_equal(options.threads, 3);
	assert_true(options.clear);
	assert_false(options.seeded);
	assert_string_equal(options.program, "darknetp");
}

static void what_is_not_given_has_darknetzs_default(void **state)
{
	char line[] = "x";
	struct options options = { 0 };

	(void)state;
	assert_int_equal(parse(&options, line), 0);
	assert_int_equal(options.pp_start, 999);
	assert_int_equal(options.pp_start_f, 999);
	assert_int_equal(options.pp_f_only, 999);
	assert_int_equal(options.pp_end, 999);
	assert_int_equal(options.split, SPLIT_NEVER);
	assert_int_equal(options.top, 0);
	assert_int_equal(options.iterations, 0);
	assert_int_equal(options.checkpoint, 1000);
	assert_null(options.list);
	assert_null(options.json);
	assert_string_equal(options.results, "/media/results");
}

static void names_are_taken_as_they_are(void **state)
{
	char line[] = "-results a/b -list -x -json /dev/stdout -checkpoint 0 y";
	struct options options = { 0 };

	(void)state;
	assert_int_equal(parse(&options, line), 0);
	assert_string_equal(options.results, "a/b");
	assert_string_equal(options.list, "-x");
	assert_string_equal(options.json, "/dev/stdout");
	assert_int_equal(options.checkpoint, 0);
	assert_int_equal(options.n_words, 1);
}

static void flags_about_gpus_have_no_effect(void **state)
{
	char line[] = "-nogpu -i 0 -gpus 0,1 x";
	struct options options = { 0 };

	(void)state;
	assert_int_equal(parse(&options, line), 0);
	assert_int_equal(options.n_words, 1);
	assert_string_equal(options.words[0], "x");
}

static void two_dashes_end_the_flags(void **state)
{
	char line[] = "-seed 18446744073709551615 a -- -clear -x";
	struct options options = { 0 };

	(void)state;
	assert_int_equal(parse(&options, line), 0);
	assert_true(options.seeded);
	assert_true(options.seed == UINT64_MAX);
	assert_false(options.clear);
	assert_int_equal(options.n_words, 3);
	assert_string_equal(options.words[1], "-clear");
}

static void wrong_flags_are_refused(void **state)
{
	static const struct {
		const char *line, *said;
	} cases[] = {
		{ "-frob 1 x", "unknown flag -frob" },
		{ "x -pp_start", "-pp_start needs a value" },
		{ "-pp_start four",
		  "-pp_start four: expected a whole number from 0 to 2147483647" },
		{ "-pp_end -1", "-pp_end -1: expected" },
		{ "-pp_end 4294967296", "-pp_end 4294967296: expected" },
		{ "-t 2x", "-t 2x: expected" },
		{ "-ss 3", "-ss 3: expected a whole number from 0 to 2" },
		{ "-seed 18446744073709551616",
		  "-seed 18446744073709551616: expected" },
		{ "-iterations 0", "at least 1" },
		{ "-dp 3", "-dp is not supported: gradients are computed without noise" },
		{ "-c 0", "-c is not supported: it chooses the camera" },
		{ "-seed 1 x -seed 1", "-seed is given twice" },
		{ "-clear -clear", "-clear is given twice" },
		{ "-nogpu -nogpu", "-nogpu is given twice" },
		{ "-json -clear", "-json needs a value" },
		{ "-list", "-list needs a value" },
		{ "-checkpoint often", "-checkpoint often: expected" },
	};
	struct options options = { 0 };
	char line[64] = "";
	size_t i = 0;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(line, sizeof(line), "%s", cases[i].line);
		support_assert_status(parse(&options, line), STATUS_REFUSED);
		support_assert_said(cases[i].said);
	}
}

/* Eleven layers, of which only the number and stopbackward matter here. */
static struct network_layer layers[11];
static const struct network network = { .n_layers = 11, .layers = layers };

static int choose(struct partition *partition, const char *flags)
{
	struct options options = { 0 };
	char line[64] = "";
	int status = 0;

	snprintf(line, sizeof(line), "%s", flags);
	assert_int_equal(parse(&options, line), 0);
	status = partition_choose(partition, &options, &network);
	return status ? status : partition_freeze(partition, &options, &network);
}

static void both_ends_belong_to_the_partition(void **state)
{
	struct partition partition = { 0 };

	(void)state;
	assert_int_equal(choose(&partition, "-pp_start 4 -pp_end 10"), 0);
	assert_false(partition_holds(&partition, 3));
	assert_true(partition_holds(&partition, 4));
	assert_true(partition_holds(&partition, 10));
	assert_int_equal(choose(&partition, "-pp_start 0 -pp_end 0"), 0);
	assert_true(partition_holds(&partition, 0));
	assert_false(partition_holds(&partition, 1));
}

static void without_flags_nothing_is_secure(void **state)
{
	struct partition partition = { 0 };

	(void)state;
	assert_int_equal(choose(&partition, "x"), 0);
	assert_false(partition.secure);
	assert_false(partition_holds(&partition, 0));
	assert_int_equal(partition.frozen, 0);
}

static void partitions_outside_the_network_are_refused(void **state)
{
	static const struct {
		const char *flags, *said;
	} cases[] = {
		{ "-pp_start 4 -pp_end 12",
		  "partition 4:12 lies outside the network: layers are 0 to 10" },
		{ "-pp_start 11 -pp_end 11", "partition 11:11 lies outside" },
		{ "-pp_start 5 -pp_end 4",
		  "partition 5:4 starts after its end: layers are 0 to 10" },
		{ "-pp_start 4", "needs -pp_end: a layer from 4 to 10" },
		{ "-pp_end 4",
		  "-pp_end 4 without a start: a partition has both ends, from layer 0 to 10" },
		{ "-pp_f_only 4 -pp_end 6", "without a start" },
		{ "-pp_start 4 -pp_start_f 4 -pp_end 6", "exclude each other" },
		{ "-pp_f_only 11", "none of 0 to 10 learns" },
	};
	struct partition partition = { 0 };
	size_t i = 0;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		support_assert_status(choose(&partition, cases[i].flags),
				      STATUS_REFUSED);
		support_assert_said(cases[i].said);
	}
}

static void flags_and_cfg_freeze_the_layers_before(void **state)
{
	struct partition partition = { 0 };

	(void)state;
	assert_int_equal(choose(&partition, "-pp_start_f 7 -pp_end 9"), 0);
	assert_int_equal(partition.start, 7);
	assert_int_equal(partition.frozen, 7);
	assert_int_equal(choose(&partition, "-pp_f_only 5"), 0);
	assert_false(partition.secure);
	assert_int_equal(partition.frozen, 5);

	layers[2].stopbackward = true;
	assert_int_equal(choose(&partition, "-pp_start 3 -pp_end 9"), 0);
	assert_int_equal(partition.frozen, 3);
	support_assert_status(choose(&partition, "-pp_start 2 -pp_end 9"),
			      STATUS_REFUSED);
	support_assert_said(
		"the layers before 3 are frozen, so partition 2:9 cannot start before");
	layers[2].stopbackward = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flags_stand_anywhere),
		cmocka_unit_test(what_is_not_given_has_darknetzs_default),
		cmocka_unit_test(names_are_taken_as_they_are),
		cmocka_unit_test(flags_about_gpus_have_no_effect),
		cmocka_unit_test(two_dashes_end_the_flags),
		cmocka_unit_test(wrong_flags_are_refused),
		cmocka_unit_test(both_ends_belong_to_the_partition),
		cmocka_unit_test(without_flags_nothing_is_secure),
		cmocka_unit_test(partitions_outside_the_network_are_refused),
		cmocka_unit_test(flags_and_cfg_freeze_the_layers_before),
	};

	return cmocka_run_group_tests(tests, support_make_directory,
				      support_remove_directory);
}
