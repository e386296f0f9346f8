/* SPDX-License-Identifier: MIT */
#ifndef USER_TA_HEADER_DEFINES_H
#define USER_TA_HEADER_DEFINES_H

/* To get the UUID; not "the other one" */
#include <shaped_ta.h>

#define TA_UUID		TA_SHAPED_UUID

#define TA_FLAGS	TA_FLAG_EXEC_DDR	// meaningless today

#define SHAPED_KIB	1024U
#define TA_STACK_SIZE	(2 * SHAPED_KIB)
#define TA_DATA_SIZE	(1 * 1024 * SHAPED_KIB)

#define TA_CURRENT_TA_EXT_PROPERTIES \
	{ "gp.ta.description", USER_TA_PROP_TYPE_STRING, \
	  "A stand-in /* for */ tests" }

#endif
