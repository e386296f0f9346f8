/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "json.h"
#include "message.h"
#include "text.h"

/* The stream of the run; see json.h. */
static struct {
	FILE *stream;		/* NULL: none wanted */
	const char *path;
	bool shared;		/* it is stdout or stderr */
	bool first;		/* no comma before the next member */
	int error;		/* errno of the first write that failed */
} json;

/* ---- Stream ---- */

static bool is_file(FILE *stream, const struct stat *file)
{
	struct stat status = { 0 };

	return !fstat(fileno(stream), &status) &&
	       status.st_dev == file->st_dev && status.st_ino == file->st_ino;
}

/* The stream that @path is already, so that both write in turn; or NULL. */
static FILE *shared_stream(const char *path)
{
	struct stat file = { 0 };

	if (stat(path, &file))
		return NULL;
	if (is_file(stdout, &file))
		return stdout;
	return is_file(stderr, &file) ? stderr : NULL;
}

int json_open(const char *path)
{
	FILE *stream = NULL;

	if (!path)
		return 0;
	stream = shared_stream(path);
	json.shared = stream != NULL;
	if (!stream)
		stream = fopen(path, "we");
	if (!stream)
		return message_failed("cannot write %s: %s", path,
				      strerror(errno));
	json.path = path;
	json.stream = stream;
	return 0;
}

int json_close(int status)
{
	FILE *stream = json.stream;
	int error = json.error;

	json.stream = NULL;
	json.error = 0;
	if (stream && !json.shared && fclose(stream) && !error)
		error = errno;
	if (!error)
		return status;
	message_failed("cannot write %s: %s", json.path, strerror(error));
	return status ? status : STATUS_FAILED;
}

/* ---- Text ---- */

/* @length: of a character; 0: a byte that is none */
static void put_character(const char *text, size_t length)
{
	if (!length)
		fputs("\\ufffd", json.stream);
	else if (text_controls(text, length))
		/* The last byte of one is its number. */
		fprintf(json.stream, "\\u%04x", (unsigned char)text[length - 1]);
	else if (*text == '"' || *text == '\\')
		fprintf(json.stream, "\\%c", *text);
	else
		fwrite(text, 1, length, json.stream);
}

static void put_text(const char *text)
{
	fputc('"', json.stream);
	while (*text != '\0') {
		size_t length = text_character(text);

		put_character(text, length);
		text += length ? length : 1;
	}
	fputc('"', json.stream);
}

/* ---- Members ---- */

/* What stands before a value. Return false if nobody wants it. */
static bool start_value(const char *key)
{
	if (!json.stream)
		return false;
	if (!json.first)
		fputc(',', json.stream);
	json.first = false;
	if (key) {
		put_text(key);
		fputc(':', json.stream);
	}
	return true;
}

static void open_scope(const char *key, char bracket)
{
	if (!start_value(key))
		return;
	fputc(bracket, json.stream);
	json.first = true;
}

static void close_scope(char bracket)
{
	if (!json.stream)
		return;
	fputc(bracket, json.stream);
	json.first = false;
}

void json_open_object(const char *key)
{
	open_scope(key, '{');
}

void json_close_object(void)
{
	close_scope('}');
}

void json_open_array(const char *key)
{
	open_scope(key, '[');
}

void json_close_array(void)
{
	close_scope(']');
}

void json_begin(const char *event)
{
	/* Standard output and standard error may be the same file. */
	if (json.stream)
		fflush(stdout);
	json.first = true;
	json_open_object(NULL);
	json_string("event", event);
}

void json_end(void)
{
	json_close_object();
	if (!json.stream)
		return;
	fputc('\n', json.stream);
	if ((fflush(json.stream) || ferror(json.stream)) && !json.error)
		json.error = errno ? errno : EIO;
}

void json_string(const char *key, const char *value)
{
	if (!value)
		json_null(key);
	else if (start_value(key))
		put_text(value);
}

void json_unsigned(const char *key, uint64_t value)
{
	if (start_value(key))
		fprintf(json.stream, "%llu", (unsigned long long)value);
}

/* @digits: enough to read the same number back */
static void put_number(const char *key, double value, int digits)
{
	if (!start_value(key))
		return;
	if (isnan(value))
		put_text("nan");
	else if (isinf(value))
		put_text(value > 0 ? "inf" : "-inf");
	else
		fprintf(json.stream, "%.*g", digits, value);
}

void json_float(const char *key, float value)
{
	put_number(key, (double)value, 9);
}

void json_double(const char *key, double value)
{
	put_number(key, value, 17);
}

void json_bool(const char *key, bool value)
{
	if (start_value(key))
		fputs(value ? "true" : "false", json.stream);
}

void json_null(const char *key)
{
	if (start_value(key))
		fputs("null", json.stream);
}
