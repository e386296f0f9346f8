/* SPDX-License-Identifier: MIT */
/* The printf of a trusted application knows no floating point. */
#include "loss_report.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

#define KEEP		0.9	/* of the running average */
#define PLACES		100000	/* five decimals */
#define LONGEST_PLAIN	1e9	/* from here on with an exponent */
#define NUMBER_TEXT	32

/* Five decimals, rounded; a leading zero, and a minus sign where due. */
static void write_decimal(char *text, const char *sign, double size,
			  const char *suffix)
{
	uint64_t scaled = (uint64_t)(size * PLACES + 0.5);

	snprintf(text, NUMBER_TEXT, "%s%" PRIu64 ".%05" PRIu64 "%s", sign,
		 scaled / PLACES, scaled % PLACES, suffix);
}

static void write_number(char text[NUMBER_TEXT], double x)
{
	const char *sign = x < 0 ? "-" : "";
	double size = x < 0 ? -x : x;
	char suffix[8] = "";
	unsigned int exponent = 0;

	if (__builtin_isnan(x)) {
		snprintf(text, NUMBER_TEXT, "nan");
		return;
	}
	if (__builtin_isinf(x)) {
		snprintf(text, NUMBER_TEXT, "%sinf", sign);
		return;
	}
	if (size >= LONGEST_PLAIN) {
		for (; size >= 10; size /= 10)
			exponent++;
		snprintf(suffix, sizeof(suffix), "e+%02u", exponent);
	}
	write_decimal(text, sign, size, suffix);
}

void loss_report_add(struct loss_report *report, double loss,
		     char line[LOSS_REPORT_LINE])
{
	char loss_text[NUMBER_TEXT] = "";
	char average_text[NUMBER_TEXT] = "";

	report->average = report->started
			  ? KEEP * report->average + (1 - KEEP) * loss : loss;
	report->started = true;
	write_number(loss_text, loss);
	write_number(average_text, report->average);
	snprintf(line, LOSS_REPORT_LINE, "loss = %s, avg loss = %s from the TA",
		 loss_text, average_text);
}
