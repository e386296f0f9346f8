/* SPDX-License-Identifier: MIT */
/* The line about the loss on the secure console. */
#ifndef LOSS_REPORT_H
#define LOSS_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#define LOSS_REPORT_LINE	96	/* bytes that always suffice, NUL included */

struct loss_report {
	double average;		/* 0.9 of the old one and 0.1 of the new loss */
	bool started;		/* the first loss is the first average */
};

/*
 * Take @loss into the average and write
 * "loss = 1.62141, avg loss = 1.62540 from the TA" to @line.
 */
void loss_report_add(struct loss_report *report, double loss,
		     char line[LOSS_REPORT_LINE]);

#endif /* LOSS_REPORT_H */
