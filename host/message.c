/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "json.h"
#include "message.h"
#include "text.h"

static void tell_programs(const char *event, const char *text)
{
	json_begin(event);
	json_string("text", text);
	json_end();
}

/* Programs get the text as it is: JSON has its own way with control characters. */
static void print_line(const char *event, const char *prefix,
		       const char *format, va_list args)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	char *text = NULL;

	/* Standard output may be a pipe: keep the order of what was said. */
	fflush(stdout);
	if (vasprintf(&text, format, args) < 0) {
		fprintf(stderr, "%s%s\n", prefix, format);
		return;
	}
	/* Workers have messages, too; events are the main thread's alone. */
	pthread_mutex_lock(&lock);
	text_print(stderr, "%s%s\n", prefix, text);
	tell_programs(event, text);
	pthread_mutex_unlock(&lock);
	free(text);
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
