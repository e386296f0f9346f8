/* SPDX-License-Identifier: MIT */
/* cmocka with the headers it wants, and what every native test needs. */
#ifndef CHECK_H
#define CHECK_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* |a - b| <= tolerance * max(1, |b|), with the values in the message. */
#define check_near(a, b, tolerance)						\
	do {									\
		double check_a = (a);						\
		double check_b = (b);						\
		double check_by = (tolerance) * fmax(1, fabs(check_b));		\
										\
		if (!(fabs(check_a - check_b) <= check_by))			\
			fail_msg("%s = %.9g, not %.9g within %.3g", #a,		\
				 check_a, check_b, check_by);			\
	} while (0)

#endif /* CHECK_H */
