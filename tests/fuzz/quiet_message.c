/* SPDX-License-Identifier: MIT */
/*
 * message.h for the harnesses: texts are made, so that a bad argument shows,
 * and dropped.
 */
#include <stdarg.h>
#include <stdio.h>

#include "message.h"

static void drop(const char *format, va_list args)
{
	char text[512] = "";

	vsnprintf(text, sizeof(text), format, args);
}

int message_failed(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	drop(format, args);
	va_end(args);
	return STATUS_FAILED;
}

int message_refused(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	drop(format, args);
	va_end(args);
	return STATUS_REFUSED;
}

void message_note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	drop(format, args);
	va_end(args);
}

int message_no_memory(const char *what)
{
	return message_failed("out of memory for %s", what);
}
