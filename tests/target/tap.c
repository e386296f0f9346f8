/* SPDX-License-Identifier: MIT */
#include "tap.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FAILURES_SHOWN 10

static unsigned int failures;

static void say(const char *format, va_list arguments)
{
	printf("# ");
	vprintf(format, arguments);
	printf("\n");
	fflush(stdout);
}

void tap_note(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(format, arguments);
	va_end(arguments);
}

void tap_fail(const char *file, int line, const char *format, ...)
{
	va_list arguments;

	if (++failures > FAILURES_SHOWN)
		return;
	printf("# %s:%d:\n", file, line);
	va_start(arguments, format);
	say(format, arguments);
	va_end(arguments);
}

unsigned int tap_failures(void)
{
	return failures;
}

static bool is_wanted(const struct tap_test *test, const char *only)
{
	return !only || strstr(test->name, only);
}

static bool passes(const struct tap_test *test, unsigned int number)
{
	failures = 0;
	test->run();
	if (failures > FAILURES_SHOWN)
		tap_note("%u failures in all", failures);
	printf("%sok %u - %s\n", failures ? "not " : "", number, test->name);
	fflush(stdout);
	return failures == 0;
}

int tap_run(const struct tap_test *tests, unsigned int count, const char *only)
{
	unsigned int wanted = 0;
	unsigned int passed = 0;
	unsigned int number = 0;
	unsigned int i = 0;

	for (i = 0; i < count; i++)
		wanted += is_wanted(&tests[i], only);
	printf("1..%u\n", wanted);
	for (i = 0; i < count; i++)
		if (is_wanted(&tests[i], only))
			passed += passes(&tests[i], ++number);
	return wanted > 0 && passed == wanted ? 0 : 1;
}
