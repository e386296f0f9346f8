/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "files.h"
#include "message.h"
#include "report.h"
#include "text.h"

/* ---- Result files ---- */

/* The second word of @path, or the only one; words end at '/' and '.'. */
static const char *second_word(const char *path, size_t *length)
{
	const char *first = path + strspn(path, "/.");
	const char *second = first + strcspn(first, "/.");

	second += strspn(second, "/.");
	/* The ending of "name.cfg" is a word too, and Darknetz takes it. */
	if (*second == '\0')
		second = first;
	*length = strcspn(second, "/.");
	return second;
}

/* For the caller to free; NULL after a message. */
static char *result_path(const struct options *options, const char *what,
			 const char *cfg_path)
{
	size_t length = 0;
	const char *net = second_word(cfg_path, &length);
	uint32_t start = options->pp_start;
	char *path = NULL;

	if (start == OPTIONS_UNSET)
		start = options->pp_start_f;
	if (asprintf(&path, "%s/%s_%.*s_pps%u_ppe%u.txt", options->results,
		     what, (int)length, net, start, options->pp_end) >= 0)
		return path;
	message_no_memory("a path");
	return NULL;
}

static void open_file(struct report *report, const char *mode)
{
	if (file_make_parents(report->path))
		report->file = fopen(report->path, mode);
	if (!report->file)
		message_note("no result file: %s: %s; results are printed only",
			     report->path, strerror(errno));
}

int report_open(struct report *report, const struct options *options,
		const char *what, const char *cfg_path)
{
	*report = (struct report){
		.path = result_path(options, what, cfg_path),
	};
	if (!report->path)
		return STATUS_FAILED;
	open_file(report, strcmp(what, "train") ? "a" : "w");
	text_print(stdout, "output file: %s\n", report->path);
	return 0;
}

int report_close(struct report *report, int status)
{
	bool failed = report->file && ferror(report->file);

	if (report->file)
		failed |= fclose(report->file) != 0;
	if (failed)
		message_failed("cannot write all results to %s", report->path);
	free(report->path);
	*report = (struct report){ 0 };
	return failed && !status ? STATUS_FAILED : status;
}

void report_print(struct report *report, FILE *console, const char *format, ...)
{
	va_list args;

	fflush(stdout);
	va_start(args, format);
	text_vprint(console, format, args);
	va_end(args);
	if (!report->file)
		return;
	va_start(args, format);
	text_vprint(report->file, format, args);
	va_end(args);
	fflush(report->file);
}

/* ---- Time and memory ---- */

void report_start_usage(struct report *report)
{
	getrusage(RUSAGE_SELF, &report->start);
}

static void print_times(struct report *report, const char *what,
			const struct timeval *start, const struct timeval *end)
{
	report_print(report, stdout, "%s CPU start: %lu.%06u; end: %lu.%06u\n", what,
		     (unsigned long)start->tv_sec,
		     (unsigned int)start->tv_usec, (unsigned long)end->tv_sec,
		     (unsigned int)end->tv_usec);
}

/* Kilobytes of the line @name in /proc/self/status; 0 if there is none. */
static long status_value(const char *status, const char *name)
{
	const char *line = strstr(status, name);

	return line ? strtol(line + strlen(name), NULL, 10) : 0;
}

static void print_memory(struct report *report)
{
	char status[4096] = "";
	FILE *stream = fopen("/proc/self/status", "r");
	size_t length = 0;

	if (stream) {
		length = fread(status, 1, sizeof(status) - 1, stream);
		fclose(stream);
	}
	status[length] = '\0';
	report_print(report, stdout,
		     "vmsize:%ld; vmrss:%ld; vmdata:%ld; vmstk:%ld; vmexe:%ld; vmlib:%ld\n",
		     status_value(status, "VmSize:"),
		     status_value(status, "VmRSS:"),
		     status_value(status, "VmData:"),
		     status_value(status, "VmStk:"),
		     status_value(status, "VmExe:"),
		     status_value(status, "VmLib:"));
}

void report_usage(struct report *report)
{
	struct rusage now = { 0 };

	getrusage(RUSAGE_SELF, &now);
	print_times(report, "user", &report->start.ru_utime, &now.ru_utime);
	print_times(report, "kernel", &report->start.ru_stime, &now.ru_stime);
	report_print(report, stdout, "Max: %ld  kilobytes\n", now.ru_maxrss);
	print_memory(report);
}

double report_clock(void)
{
	struct timespec now = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}
