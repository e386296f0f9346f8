/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "json.h"
#include "message.h"

static void tell_programs(const char *event, const char *format, va_list args)
{
	char *text = NULL;

	if (vasprintf(&text, format, args) < 0)
		return;
	json_begin(event);
	json_string("text", text);
	json_end();
	free(text);
}

static void print_line(const char *event, const char *prefix,
		       const char *format, va_list args)
{
	va_list again;

	va_copy(again, args);
	/* Standard output may be a pipe: keep the order of what was said. */
	fflush(stdout);
	fputs(prefix, stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	tell_programs(event, format, again);
	va_end(again);
}

int message_failed(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_line("error", "darknetp: ", format, args);
	va_end(args);
	return STATUS_FAILED;
}

int message_refused(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_line("error", "darknetp: ", format, args);
	va_end(args);
	return STATUS_REFUSED;
}

void message_note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_line("note", "", format, args);
	va_end(args);
}

int message_no_memory(const char *what)
{
	return message_failed("out of memory for %s", what);
}
