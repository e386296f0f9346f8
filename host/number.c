/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "number.h"

bool number_unsigned(const char *text, uint64_t max, uint64_t *value)
{
	uint64_t sum = 0;
	const char *p = text;

	for (; *p >= '0' && *p <= '9'; p++) {
		uint64_t digit = (uint64_t)(*p - '0');

		if (digit > max || sum > (max - digit) / 10)
			return false;
		sum = sum * 10 + digit;
	}
	if (p == text || *p != '\0')
		return false;
	*value = sum;
	return true;
}

bool number_float(const char *text, float *value)
{
	char *end = NULL;
	float parsed = 0.0f;

	/* strtof() also takes hexadecimal, "inf" and "nan"; a cfg has none. */
	if (text[strspn(text, "+-.0123456789eE")] != '\0')
		return false;
	parsed = strtof(text, &end);
	if (end == text || *end != '\0' || !isfinite(parsed))
		return false;
	*value = parsed;
	return true;
}
