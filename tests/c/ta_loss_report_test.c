/* SPDX-License-Identifier: MIT */
#include "loss_report.h"

#include "check.h"

#include <float.h>

static void check_line(struct loss_report *report, double loss, const char *expected)
{
	char line[LOSS_REPORT_LINE] = "";

	loss_report_add(report, loss, line);
	assert_string_equal(line, expected);
}

static void average_starts_with_the_first_loss(void **state)
{
	struct loss_report report = { 0 };

	(void)state;
	check_line(&report, 1.62586, "loss = 1.62586, avg loss = 1.62586 from the TA");
	check_line(&report, 1.62134, "loss = 1.62134, avg loss = 1.62541 from the TA");
	check_line(&report, 0, "loss = 0.00000, avg loss = 1.46287 from the TA");
}

/* A fresh report: loss and average are the same number. */
static void check_number(double x, const char *expected)
{
	struct loss_report report = { 0 };
	char line[LOSS_REPORT_LINE] = "";

	snprintf(line, sizeof(line), "loss = %s, avg loss = %s from the TA",
		 expected, expected);
	check_line(&report, x, line);
}

static void numbers_are_readable(void **state)
{
	(void)state;
	check_number(0.5, "0.50000");
	check_number(-0.25, "-0.25000");
	check_number(0.000004, "0.00000");
	check_number(0.000006, "0.00001");
	check_number(2.999996, "3.00000");
	check_number(123456.789012, "123456.78901");
	check_number(999999999.0, "999999999.00000");
	check_number(1e9, "1.00000e+09");
	check_number(-3.4028235e38, "-3.40282e+38");
	check_number(DBL_MAX, "1.79769e+308");
	check_number(INFINITY, "inf");
	check_number(-INFINITY, "-inf");
	check_number(NAN, "nan");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(average_starts_with_the_first_loss),
		cmocka_unit_test(numbers_are_readable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
