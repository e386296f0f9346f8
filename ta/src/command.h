/* SPDX-License-Identifier: MIT */
/*
 * Commands: parameter types are checked here, then the model is called. Knows
 * no TEE types, so that the native tests and the in-process TEE run it too.
 */
#ifndef COMMAND_H
#define COMMAND_H

#include "model.h"

#include <stddef.h>
#include <stdint.h>

#define COMMAND_PARAMS 4

/* Values of GlobalPlatform's TEE_PARAM_TYPE_*; INOUT types are never accepted. */
enum command_param_type {
	COMMAND_NONE = 0,
	COMMAND_VALUE_IN = 1,
	COMMAND_VALUE_OUT = 2,
	COMMAND_BYTES_IN = 5,
	COMMAND_BYTES_OUT = 6,
};

/* One parameter, as the types say. */
struct command_param {
	uint32_t type;
	uint32_t a, b;		/* VALUE */
	void *bytes;		/* BYTES; in the normal world's memory */
	size_t size;
};

/*
 * Run @command (enum darknetp_command) and return a code of result.h. VALUE_OUT
 * parameters hold what darknetp_ta.h says; they are 0 when it says nothing.
 */
uint32_t command_invoke(struct model *model, uint32_t command,
			struct command_param params[COMMAND_PARAMS]);

#endif /* COMMAND_H */
