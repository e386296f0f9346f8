/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>

#include "message.h"

static void print_line(const char *prefix, const char *format, va_list args)
{
	/* Standard output may be a pipe: keep the order of what was said. */
	fflush(stdout);
	fputs(prefix, stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

int message_failed(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_line("darknetp: ", format, args);
	va_end(args);
	return STATUS_FAILED;
}

int message_refused(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_line("darknetp: ", format, args);
	va_end(args);
	return STATUS_REFUSED;
}

void message_note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_line("", format, args);
	va_end(args);
}

int message_no_memory(const char *what)
{
	return message_failed("out of memory for %s", what);
}
