/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "text.h"

size_t text_character(const char *text)
{
	const unsigned char *byte = (const unsigned char *)text;
	unsigned char least = 0x80;	/* of the second byte */
	unsigned char most = 0xbf;
	size_t length = 0;
	size_t i = 0;

	if (byte[0] < 0x80)
		return 1;
	if (byte[0] < 0xc2 || byte[0] > 0xf4)
		return 0;
	length = byte[0] < 0xe0 ? 2 : byte[0] < 0xf0 ? 3 : 4;
	if (byte[0] == 0xe0)
		least = 0xa0;
	else if (byte[0] == 0xf0)
		least = 0x90;
	else if (byte[0] == 0xed)
		most = 0x9f;
	else if (byte[0] == 0xf4)
		most = 0x8f;
	if (byte[1] < least || byte[1] > most)
		return 0;
	for (i = 2; i < length; i++)
		if (byte[i] < 0x80 || byte[i] > 0xbf)
			return 0;
	return length;
}

/* C1 is U+0080 to U+009F; a terminal without UTF-8 takes the bytes for it. */
bool text_controls(const char *text, size_t length)
{
	const unsigned char *byte = (const unsigned char *)text;

	if (length == 0)
		return byte[0] < 0xa0;
	if (length == 1)
		return byte[0] < 0x20 || byte[0] == 0x7f;
	return length == 2 && byte[0] == 0xc2 && byte[1] < 0xa0;
}

void text_tame(char *text)
{
	while (*text != '\0') {
		size_t length = text_character(text);
		size_t bytes = length ? length : 1;

		if (*text != '\t' && text_controls(text, length))
			memset(text, '?', bytes);
		text += bytes;
	}
}

void text_vprint(FILE *stream, const char *format, va_list args)
{
	char *text = NULL;
	int length = vasprintf(&text, format, args);
	bool ends_line = length > 0 && text[length - 1] == '\n';

	if (length < 0) {
		/* No memory: at least what does not come from outside. */
		fputs(format, stream);
		return;
	}
	text_tame(text);
	if (ends_line)
		text[length - 1] = '\n';
	fputs(text, stream);
	free(text);
}

void text_print(FILE *stream, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	text_vprint(stream, format, args);
	va_end(args);
}
