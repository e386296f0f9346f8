/* SPDX-License-Identifier: MIT */
/* What hostile names and files say cannot steer the terminal that shows it. */
#include "message.h"
#include "text.h"

#include "check.h"
#include "host_support.h"

static const struct {
	const char *text, *tamed;
} cases[] = {
	{ "plain, a\ttab", "plain, a\ttab" },
	{ "\x1b[2J\x1b]0;title\x07", "?[2J?]0;title?" },
	{ "over\rwritten\b\x7f", "over?written??" },
	{ "two\nlines", "two?lines" },
	/* C1: CSI in UTF-8, and as the byte of a terminal without it */
	{ "\xc2\x9b" "2J", "??2J" },
	{ "\x9b" "2J \x80\x9f", "?2J ??" },
	/* the same bytes inside of characters stay: i with breve, a CJK, an emoji */
	{ "\xc4\xad \xe4\xb8\x9b \xf0\x9f\x9b\x80", "\xc4\xad \xe4\xb8\x9b \xf0\x9f\x9b\x80" },
	{ "\xc2\xa0", "\xc2\xa0" },
	/* Latin-1, and what a character cut short hides */
	{ "caf\xe9", "caf\xe9" },
	{ "\xe4\x1b[m", "\xe4?[m" },
	{ "\xf0\x9f\x9b", "\xf0??" },
	{ "", "" },
};

static void controls_are_replaced(void **state)
{
	char text[64] = "";
	size_t i = 0;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(text, sizeof(text), "%s", cases[i].text);
		text_tame(text);
		assert_string_equal(text, cases[i].tamed);
	}
}

static void all_that_is_printed_is_tamed(void **state)
{
	(void)state;
	support_capture();
	text_print(stderr, "%s|%d\n", "\x1b[1m\n", 7);
	text_print(stderr, "%s", "a part\t");
	text_print(stderr, "%s", "");
	assert_string_equal(support_captured(), "?[1m?|7\na part\t");
}

static void messages_are_one_line(void **state)
{
	(void)state;
	support_capture();
	message_failed("%s: no", "a\x1b[31m\nfile");
	message_note("%s", "\x9b" "1m");
	assert_string_equal(support_captured(),
			    "darknetp: a?[31m?file: no\n?1m\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(controls_are_replaced),
		cmocka_unit_test(all_that_is_printed_is_tamed),
		cmocka_unit_test(messages_are_one_line),
	};

	return cmocka_run_group_tests(tests, support_make_directory,
				      support_remove_directory);
}
