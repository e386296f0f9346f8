/* SPDX-License-Identifier: MIT */
/*
 * text: what files, file names and the command line say, on its way to a
 * terminal or a log. Their control characters stay harmless there: an escape
 * sequence in a label must not rewrite what others have printed.
 */
#ifndef TEXT_H
#define TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/*
 * Bytes of the UTF-8 character at @text, or 0 if it is none: too long for its
 * value, half of a surrogate pair, or above U+10FFFF.
 */
size_t text_character(const char *text);

/* Does this character, of @length bytes, control a terminal (C0, DEL or C1)? */
bool text_controls(const char *text, size_t length);

/* Replace each byte that controls a terminal by '?'; tabs stay. */
void text_tame(char *text);

/*
 * Print a line, or a part of one: the text tamed, but for a line's end where
 * the text ends.
 */
void text_print(FILE *stream, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void text_vprint(FILE *stream, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));

#endif /* TEXT_H */
