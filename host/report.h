/* SPDX-License-Identifier: MIT */
/*
 * report: what darknetp prints about a run, in the lines that users and their
 * scripts know from Darknet and Darknetz; and the result files.
 */
#ifndef REPORT_H
#define REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>

#include "network.h"
#include "options.h"
#include "partition.h"

/* Table of layers on stderr; secure ones are marked _TA. */
void report_layers(const struct network *network,
		   const struct partition *partition);

/* Lines that go to the console and into a result file. */
struct report {
	FILE *file;		/* NULL: it could not be made */
	char *path;
	struct rusage start;	/* what report_usage() counts from */
};

/*
 * Open DIRECTORY/WHAT_NET_ppsS_ppeE.txt, where NET is the second word of the
 * cfg file's path (words end at '/' and '.'), and say so. If that fails the
 * user is warned and lines go to stdout only.
 * @what: "train" (the file starts anew) or "predict" (lines are added)
 */
int report_open(struct report *report, const struct options *options,
		const char *what, const char *cfg_path);

/* Return @status, but STATUS_FAILED for 0 if the file could not be written. */
int report_close(struct report *report, int status);

/* Print to @console and into the file. */
void report_print(struct report *report, FILE *console, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Remember the processor time used so far. */
void report_start_usage(struct report *report);

/* Processor time since then, and memory; the numbers are Linux's. */
void report_usage(struct report *report);

/* Seconds of a clock that only moves forward. */
double report_clock(void);

#endif /* REPORT_H */
