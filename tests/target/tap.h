/* SPDX-License-Identifier: MIT */
/*
 * Named tests with their results in the Test Anything Protocol on standard
 * output: a plan, then "ok N - NAME" or "not ok N - NAME" each; what went wrong
 * stands before its test, behind "#".
 */
#ifndef TAP_H
#define TAP_H

#include <stdbool.h>
#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

struct tap_test {
	const char *name;
	void (*run)(void);
};

/* Run those whose name contains @only (NULL: all); return the exit status. */
int tap_run(const struct tap_test *tests, unsigned int count, const char *only);

/* A line of explanation. */
void tap_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * The test that runs has failed; it goes on. Said for the first ten times only:
 * what fails in a loop fails often.
 */
void tap_fail(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Failures of the test that runs. */
unsigned int tap_failures(void);

/* Return whether the condition holds. */
#define EXPECT(condition)						\
	((condition) ? true						\
		     : (tap_fail(__FILE__, __LINE__, "not so: %s", #condition), false))

#endif /* TAP_H */
