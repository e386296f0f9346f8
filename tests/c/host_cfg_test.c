/* SPDX-License-Identifier: MIT */
/* Configuration text: what is read, what is announced, what is refused. */
#include "cfg.h"
#include "message.h"
#include "number.h"

#include "check.h"
#include "host_support.h"

static void numbers_are_whole_or_nothing(void **state)
{
	static const char *const bad[] = {
		"", "-1", "+1", "1x", " 1", "0x10", "101", "18446744073709551616"
	};
	uint64_t value = 7;
	size_t i = 0;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(number_unsigned(bad[i], 100, &value));
	assert_int_equal(value, 7);
	assert_true(number_unsigned("100", 100, &value));
	assert_int_equal(value, 100);
	assert_true(number_unsigned("18446744073709551615", UINT64_MAX, &value));
	assert_true(value == UINT64_MAX);
	assert_false(number_unsigned("18446744073709551616", UINT64_MAX, &value));
	assert_false(number_unsigned("9", 5, &value));
}

static void floats_are_finite_decimals(void **state)
{
	static const char *const bad[] = { "",	    "nan", "inf", "0x1p3", "1e99",
					   "1.2.3", "+-1", "1f",  "." };
	float value = 7.0f;
	size_t i = 0;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(number_float(bad[i], &value));
	assert_true(value == 7.0f);
	assert_true(number_float("-.5e-1", &value));
	assert_true(value == -.05f);
}

static int read_text(struct cfg *cfg, const char *text)
{
	return cfg_read(cfg, support_write_text("a.cfg", text), CFG_SECTIONS);
}

static void blanks_comments_and_endings_do_not_count(void **state)
{
	struct cfg cfg = { 0 };
	struct cfg_section *net = NULL;

	(void)state;
	assert_int_equal(read_text(&cfg, "# first\r\n\n ; second\n[ n e t ]\r\n"
					 "  batch = 1 0 0\r\n\tdecay=. 0005\n"
					 "[conv]"),
			 0);
	assert_int_equal(cfg.n_sections, 2);
	net = &cfg.sections[0];
	assert_string_equal(net->name, "net");
	assert_int_equal(net->line, 4);
	assert_int_equal(cfg_count(net, "batch", 1, CFG_QUIET), 100);
	check_near(cfg_number(net, "decay", 1, CFG_QUIET), .0005, 1e-9);
	assert_string_equal(cfg.sections[1].name, "conv");
	assert_int_equal(cfg_status(&cfg), 0);
	cfg_free(&cfg);
}

static void comments_behind_numbers_are_cut(void **state)
{
	struct cfg cfg = { 0 };

	(void)state;
	assert_int_equal(read_text(&cfg, "[net]\nbatch=12 # images\n"), 0);
	assert_int_equal(cfg_count(&cfg.sections[0], "batch", 1, CFG_QUIET), 12);
	assert_int_equal(cfg_status(&cfg), 0);
	cfg_free(&cfg);
}

static void the_first_of_equal_keys_wins_and_the_other_is_unused(void **state)
{
	struct cfg cfg = { 0 };

	(void)state;
	assert_int_equal(read_text(&cfg, "[net]\na=1\na=2\nb=x=y\n"), 0);
	assert_int_equal(cfg_count(&cfg.sections[0], "a", 0, CFG_QUIET), 1);
	assert_string_equal(cfg_text(&cfg.sections[0], "b", "", CFG_QUIET), "x=y");
	support_capture();
	cfg_report_unused(&cfg.sections[0]);
	assert_string_equal(support_captured(), "Unused field: 'a = 2'\n");
	cfg_free(&cfg);
}

static void defaults_are_announced_in_darknets_words(void **state)
{
	struct cfg cfg = { 0 };
	struct cfg_section *net = NULL;

	(void)state;
	assert_int_equal(read_text(&cfg, "[net]\n"), 0);
	net = &cfg.sections[0];
	support_capture();
	cfg_count(net, "batch", 1, CFG_ANNOUNCE);
	cfg_number(net, "momentum", .9f, CFG_ANNOUNCE);
	cfg_text(net, "policy", "constant", CFG_ANNOUNCE);
	cfg_count(net, "burn_in", 3, CFG_QUIET);
	assert_string_equal(support_captured(), "batch: Using default '1'\n"
						"momentum: Using default '0.900000'\n"
						"policy: Using default 'constant'\n");
	cfg_free(&cfg);
}

static void bad_values_are_all_reported_with_their_lines(void **state)
{
	struct cfg cfg = { 0 };
	struct cfg_section *net = NULL;

	(void)state;
	assert_int_equal(read_text(&cfg, "[net]\na=-1\nb=x\nc=2147483648\n"), 0);
	net = &cfg.sections[0];
	support_capture();
	assert_int_equal(cfg_count(net, "a", 5, CFG_QUIET), 5);
	check_near(cfg_number(net, "b", 2, CFG_QUIET), 2, 0);
	cfg_count(net, "c", 5, CFG_QUIET);
	assert_int_equal(cfg_status(&cfg), STATUS_REFUSED);
	support_assert_said("a.cfg:2: a=-1: expected a whole number");
	support_assert_said("a.cfg:3: b=x: expected a number");
	support_assert_said("a.cfg:4: c=2147483648");
	cfg_free(&cfg);
}

static void what_is_not_computed_is_refused_unless_neutral(void **state)
{
	struct cfg cfg = { 0 };
	struct cfg_section *net = NULL;

	(void)state;
	assert_int_equal(read_text(&cfg, "[net]\nadam=0\nclip=.0\ntree=a.tree\n"), 0);
	net = &cfg.sections[0];
	cfg_refuse_unless(net, "adam", 0.0f);
	cfg_refuse_unless(net, "clip", 0.0f);
	cfg_refuse_unless(net, "missing", 0.0f);
	assert_int_equal(cfg_status(&cfg), 0);
	support_capture();
	cfg_refuse_unless(net, "tree", 0.0f);
	support_assert_said("a.cfg:4: tree=a.tree in [net] is not supported");
	assert_int_equal(cfg_status(&cfg), STATUS_REFUSED);
	cfg_free(&cfg);
}

static void syntax_errors_name_the_line(void **state)
{
	static const struct {
		const char *text, *said;
	} cases[] = {
		{ "[net]\nbatch\n",
		  "a.cfg:2: Config file error line 2, could parse: batch" },
		{ "[net]\n=3\n", "a.cfg:2: Config file error line 2, could parse: =3" },
		{ "[net\n", "a.cfg:1: Config file error line 1, could parse: [net" },
		{ "[]\n", "a.cfg:1: Config file error" },
		{ "batch=1\n[net]\n",
		  "a.cfg:1: 'batch=1' stands before the first [section]" },
	};
	struct cfg cfg = { 0 };
	size_t i = 0;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		support_assert_status(read_text(&cfg, cases[i].text), STATUS_REFUSED);
		support_assert_said(cases[i].said);
	}
}

static void files_that_are_no_text_are_refused(void **state)
{
	struct cfg cfg = { 0 };

	(void)state;
	support_assert_status(
		cfg_read(&cfg, support_write("a.cfg", "[net]\0", 6), CFG_SECTIONS),
		STATUS_REFUSED);
	support_assert_said("contains NUL bytes");
	support_assert_status(cfg_read(&cfg, support_path("none.cfg"), CFG_SECTIONS),
			      STATUS_FAILED);
	support_assert_said("Couldn't open file: ");
	support_assert_status(cfg_read(&cfg, support_path("."), CFG_SECTIONS),
			      STATUS_FAILED);
	support_assert_said("not a regular file");
}

static void long_lines_and_many_entries_are_read(void **state)
{
	const size_t n = 200000;
	char *text = malloc(n + 64);
	struct cfg cfg = { 0 };
	char line[32] = "";
	size_t length = 0;
	size_t i = 0;

	(void)state;
	assert_non_null(text);
	length = (size_t)sprintf(text, "[net]\nlong=");
	memset(text + length, 'x', n);
	text[length + n] = '\0';
	assert_int_equal(read_text(&cfg, text), 0);
	assert_int_equal(strlen(cfg_text(&cfg.sections[0], "long", "", CFG_QUIET)), n);
	cfg_free(&cfg);

	length = 0;
	for (i = 0; i < 5000; i++)
		length += (size_t)sprintf(text + length, "[s]\nkey%zu=%zu\n", i, i);
	assert_int_equal(read_text(&cfg, text), 0);
	assert_int_equal(cfg.n_sections, 5000);
	for (i = 0; i < 5000; i++) {
		snprintf(line, sizeof(line), "key%zu", i);
		assert_int_equal(cfg_count(&cfg.sections[i], line, 0, CFG_QUIET), i);
	}
	cfg_free(&cfg);
	free(text);
}

static void a_flat_file_has_one_nameless_section(void **state)
{
	struct cfg cfg = { 0 };

	(void)state;
	assert_int_equal(cfg_read(&cfg, support_write_text("a.data", "classes = 10\n"),
				  CFG_FLAT),
			 0);
	assert_int_equal(cfg_count(&cfg.sections[0], "classes", 2, CFG_QUIET), 10);
	cfg_free(&cfg);
	support_assert_status(
		cfg_read(&cfg, support_write_text("a.data", "[x]\n"), CFG_FLAT),
		STATUS_REFUSED);
	support_assert_said("a.data:1: Config file error line 1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_whole_or_nothing),
		cmocka_unit_test(floats_are_finite_decimals),
		cmocka_unit_test(blanks_comments_and_endings_do_not_count),
		cmocka_unit_test(comments_behind_numbers_are_cut),
		cmocka_unit_test(the_first_of_equal_keys_wins_and_the_other_is_unused),
		cmocka_unit_test(defaults_are_announced_in_darknets_words),
		cmocka_unit_test(bad_values_are_all_reported_with_their_lines),
		cmocka_unit_test(what_is_not_computed_is_refused_unless_neutral),
		cmocka_unit_test(syntax_errors_name_the_line),
		cmocka_unit_test(files_that_are_no_text_are_refused),
		cmocka_unit_test(long_lines_and_many_entries_are_read),
		cmocka_unit_test(a_flat_file_has_one_nameless_section),
	};

	return cmocka_run_group_tests(tests, support_make_directory,
				      support_remove_directory);
}
