/* SPDX-License-Identifier: MIT */
/*
 * number: text to numbers without atoi()'s habit of turning junk into 0.
 */
#ifndef NUMBER_H
#define NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Parse the whole of @text as a decimal number without sign, at most @max.
 * Return false, and leave *value alone, for anything else.
 */
bool number_unsigned(const char *text, uint64_t max, uint64_t *value);

/*
 * Parse the whole of @text as a finite decimal number that a float holds.
 * Return false, and leave *value alone, for anything else.
 */
bool number_float(const char *text, float *value);

#endif /* NUMBER_H */
