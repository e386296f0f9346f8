/* SPDX-License-Identifier: MIT */
/* The JSON writer: text that stays valid, numbers that stay exact. */
#include "json.h"
#include "message.h"
#include "workers.h"

#include "check.h"
#include "host_support.h"

/* Write one event and return its line, without "{"event":"e"," and "}". */
#define LINE(...)                                                              \
	(json_open(support_path("events")), json_begin("e"), __VA_ARGS__,      \
	 json_end(), json_close(0), read_line())

static const char *read_line(void)
{
	static const char start[] = "{\"event\":\"e\",";
	static char line[512];
	size_t size = 0;
	char *text = (char *)support_read("events", &size);

	assert_true(size > sizeof(start) && size < sizeof(line));
	assert_memory_equal(text, start, sizeof(start) - 1);
	assert_memory_equal(text + size - 2, "}\n", 2);
	snprintf(line, sizeof(line), "%.*s",
		 (int)(size - 2 - (sizeof(start) - 1)), text + sizeof(start) - 1);
	free(text);
	return line;
}

static void text_is_escaped(void **state)
{
	(void)state;
	assert_string_equal(LINE(json_string("k\"", "a\"b\\c\n\x01\x1f\x7f/")),
			    "\"k\\\"\":\"a\\\"b\\\\c\\u000a\\u0001\\u001f\\u007f/\"");
	/* C1, which a terminal obeys as well */
	assert_string_equal(LINE(json_string("k", "\xc2\x80\xc2\x9f\xc2\xa0")),
			    "\"k\":\"\\u0080\\u009f\xc2\xa0\"");
	assert_string_equal(LINE(json_string("k", NULL)), "\"k\":null");
	assert_string_equal(LINE(json_string("k", "")), "\"k\":\"\"");
}

/* The edges of what UTF-8 is, from table 3-7 of the Unicode standard. */
static void text_is_utf8_or_replaced(void **state)
{
	static const char *const valid[] = {
		"\xc2\xa0",	    "\xdf\xbf",		"\xe0\xa0\x80",
		"\xed\x9f\xbf",	    "\xee\x80\x80",	"\xef\xbf\xbf",
		"\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "\xe2\x82\xac",
	};
	static const char *const invalid[] = {
		"\x80", "\xbf", "\xc0", "\xc1", "\xf5", "\xff", "\xc2", "\xe0",
		"\xf4",
	};
	/* A bad byte each: the lead is one, and so is every follower. */
	static const char *const broken[] = {
		"\xc0\x80",	    "\xe0\x9f\xbf",	"\xed\xa0\x80",
		"\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xe2\x82",
	};
	char expected[64] = "";
	size_t i = 0;
	size_t j = 0;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(valid); i++) {
		snprintf(expected, sizeof(expected), "\"k\":\"%s\"", valid[i]);
		assert_string_equal(LINE(json_string("k", valid[i])), expected);
	}
	for (i = 0; i < ARRAY_SIZE(invalid); i++)
		assert_string_equal(LINE(json_string("k", invalid[i])),
				    "\"k\":\"\\ufffd\"");
	for (i = 0; i < ARRAY_SIZE(broken); i++) {
		snprintf(expected, sizeof(expected), "\"k\":\"");
		for (j = 0; j < strlen(broken[i]); j++)
			strcat(expected, "\\ufffd");
		strcat(expected, "\"");
		assert_string_equal(LINE(json_string("k", broken[i])), expected);
	}
}

static void numbers_read_back_the_same(void **state)
{
	static const float floats[] = { 0.1f, 1e-45f, 3.4028235e38f, -1.0f / 3 };
	static const double doubles[] = { 0.1, 5e-324, 1.7976931348623157e308,
					  -1.0 / 3 };
	size_t i = 0;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(floats); i++)
		assert_true(strtof(LINE(json_float("k", floats[i])) + 4, NULL) ==
			    floats[i]);
	for (i = 0; i < ARRAY_SIZE(doubles); i++)
		assert_true(strtod(LINE(json_double("k", doubles[i])) + 4, NULL) ==
			    doubles[i]);
	assert_string_equal(LINE(json_unsigned("k", UINT64_MAX)),
			    "\"k\":18446744073709551615");
}

static void what_is_no_number_is_text(void **state)
{
	(void)state;
	assert_string_equal(LINE(json_float("k", NAN)), "\"k\":\"nan\"");
	assert_string_equal(LINE(json_double("k", -(double)NAN)), "\"k\":\"nan\"");
	assert_string_equal(LINE(json_float("k", INFINITY)), "\"k\":\"inf\"");
	assert_string_equal(LINE(json_double("k", -(double)INFINITY)),
			    "\"k\":\"-inf\"");
}

static void objects_and_arrays_nest(void **state)
{
	(void)state;
	assert_string_equal(LINE(json_open_array("a"), json_open_object(NULL),
				 json_bool("b", true), json_null("c"),
				 json_close_object(), json_open_object(NULL),
				 json_close_object(), json_unsigned(NULL, 7),
				 json_close_array(), json_bool("d", false)),
			    "\"a\":[{\"b\":true,\"c\":null},{},7],\"d\":false");
	assert_string_equal(LINE(json_open_array("a"), json_close_array()),
			    "\"a\":[]");
}

static void messages_are_events(void **state)
{
	static const char expected[] =
		"{\"event\":\"note\",\"text\":\"so 1\"}\n"
		"{\"event\":\"error\",\"text\":\"no %d\"}\n"
		"{\"event\":\"error\",\"text\":\"never\"}\n";
	char *text = NULL;
	size_t size = 0;

	(void)state;
	support_capture();
	json_open(support_path("events"));
	message_note("so %d", 1);
	message_failed("no %s", "%d");
	message_refused("never");
	json_close(0);
	support_assert_said("so 1\ndarknetp: no %d\ndarknetp: never\n");
	text = (char *)support_read("events", &size);
	assert_int_equal(size, sizeof(expected) - 1);
	assert_memory_equal(text, expected, size);
	free(text);
}

static void without_a_stream_nothing_happens(void **state)
{
	(void)state;
	assert_int_equal(json_open(NULL), 0);
	json_begin("e");
	json_open_array("a");
	json_double(NULL, 1);
	json_close_array();
	json_end();
	assert_int_equal(json_close(0), 0);
	assert_int_equal(json_close(STATUS_REFUSED), STATUS_REFUSED);
}

static void what_cannot_be_written_is_a_failure(void **state)
{
	(void)state;
	support_assert_status(json_open("/nowhere/x"), STATUS_FAILED);
	support_assert_said("cannot write /nowhere/x: ");
	assert_int_equal(json_open("/dev/full"), 0);
	json_begin("e");
	json_end();
	support_assert_status(json_close(0), STATUS_FAILED);
	support_assert_said("cannot write /dev/full: No space left on device");
	/* the worse news stays */
	assert_int_equal(json_open("/dev/full"), 0);
	json_begin("e");
	json_end();
	support_assert_status(json_close(STATUS_REFUSED), STATUS_REFUSED);
}

#define MESSAGES 5000

static void say(void *argument, uint32_t part, uint32_t worker)
{
	(void)argument;
	(void)worker;
	message_failed("picture %u", 10000 + part);
}

/* Pictures are read by several threads, and several may be damaged. */
static void messages_of_threads_are_whole_events(void **state)
{
	static const char line[] =
		"{\"event\":\"error\",\"text\":\"picture 10000\"}\n";
	struct workers *workers = NULL;
	char *text = NULL;
	size_t size = 0;
	size_t at = 0;

	(void)state;
	assert_int_equal(workers_start(&workers, 4), 0);
	json_open(support_path("events"));
	support_capture();
	workers_run(workers, say, NULL, MESSAGES);
	support_captured();
	assert_int_equal(json_close(0), 0);
	workers_stop(workers);
	text = (char *)support_read("events", &size);
	assert_int_equal(size, MESSAGES * (sizeof(line) - 1));
	for (at = 0; at < size; at += sizeof(line) - 1) {
		memset(text + at + strlen(line) - 7, '0', 4);
		assert_memory_equal(text + at, line, sizeof(line) - 1);
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_escaped),
		cmocka_unit_test(text_is_utf8_or_replaced),
		cmocka_unit_test(numbers_read_back_the_same),
		cmocka_unit_test(what_is_no_number_is_text),
		cmocka_unit_test(objects_and_arrays_nest),
		cmocka_unit_test(messages_are_events),
		cmocka_unit_test(without_a_stream_nothing_happens),
		cmocka_unit_test(what_cannot_be_written_is_a_failure),
		cmocka_unit_test(messages_of_threads_are_whole_events),
	};

	return cmocka_run_group_tests(tests, support_make_directory,
				      support_remove_directory);
}
