/* SPDX-License-Identifier: MIT */
/*
 * A stand-in for libteec and the TEE behind it: the trusted application's
 * command layer runs inside the client's own process. There is no protection in
 * it; it lets darknetp run on a build machine, for tests and to train weights.
 *
 * Memory references are copied into blocks of exactly their size, as if they
 * had crossed a border, so that AddressSanitizer sees a byte too many.
 *
 * Environment
 *   INPROCESS_TEE_LOG   file for the "secure console", added to; without it
 *                       its lines go to stderr, after "I/TA: "
 *   INPROCESS_TEE_HEAP  bytes of heap for the model (default: 10 MiB)
 *   INPROCESS_TEE_ABI   version of the interface to claim
 *   INPROCESS_TEE_FAIL  WHAT=CODE: "context", "session", or a command's number
 *                       fails with that result instead of being run
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <tee_client_api.h>

#include "command.h"
#include "darknetp_ta.h"
#include "inprocess_tee.h"

#define HEAP_DEFAULT ((size_t)10 << 20)

/* ---- What the application needs from its TEE ---- */

/* Bytes that the application holds, and the most that it held. */
static struct inprocess_memory memory;

/* Its size is remembered in front of a block. */
#define BLOCK_HEAD 16

static void *allocate(size_t size)
{
	char *block = calloc(1, size + BLOCK_HEAD);

	if (!block)
		return NULL;
	memcpy(block, &size, sizeof(size));
	memory.now += size;
	if (memory.now > memory.peak)
		memory.peak = memory.now;
	return block + BLOCK_HEAD;
}

static void release(void *block)
{
	char *head = block ? (char *)block - BLOCK_HEAD : NULL;
	size_t size = 0;

	if (!head)
		return;
	memcpy(&size, head, sizeof(size));
	memory.now -= size;
	free(head);
}

struct inprocess_memory inprocess_memory(void)
{
	return memory;
}

void inprocess_forget_peak(void)
{
	memory.peak = memory.now;
}

static void random_bytes(void *to, size_t size)
{
	if (getrandom(to, size, 0) != (ssize_t)size)
		abort();
}

static void trace(const char *line)
{
	const char *path = getenv("INPROCESS_TEE_LOG");
	FILE *log = path ? fopen(path, "a") : NULL;

	fprintf(log ? log : stderr, "I/TA: %s\n", line);
	if (log)
		fclose(log);
}

static struct model_host host = {
	.allocate = allocate,
	.release = release,
	.random = random_bytes,
	.trace = trace,
};

/* ---- Settings ---- */

static unsigned long setting(const char *name, unsigned long fallback)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 0) : fallback;
}

/* The result that @what is told to fail with, or success. */
static TEEC_Result planned_failure(const char *what)
{
	const char *plan = getenv("INPROCESS_TEE_FAIL");
	size_t length = strlen(what);

	if (!plan || strncmp(plan, what, length) || plan[length] != '=')
		return TEEC_SUCCESS;
	return (TEEC_Result)strtoul(plan + length + 1, NULL, 0);
}

/* ---- Context and session ---- */

TEEC_Result TEEC_InitializeContext(const char *name, TEEC_Context *context)
{
	(void)name;
	(void)context;
	return planned_failure("context");
}

void TEEC_FinalizeContext(TEEC_Context *context)
{
	(void)context;
}

TEEC_Result TEEC_OpenSession(TEEC_Context *context, TEEC_Session *session,
			     const TEEC_UUID *destination, uint32_t connectionMethod,
			     const void *connectionData, TEEC_Operation *operation,
			     uint32_t *returnOrigin)
{
	static const TEEC_UUID here = DARKNETP_TA_UUID;
	TEEC_Result result = planned_failure("session");
	struct model *model = NULL;

	(void)context;
	(void)connectionData;
	*returnOrigin = TEEC_ORIGIN_TRUSTED_APP;
	if (result == TEEC_SUCCESS && memcmp(destination, &here, sizeof(here)))
		result = TEEC_ERROR_ITEM_NOT_FOUND;
	if (result == TEEC_SUCCESS &&
	    (connectionMethod != TEEC_LOGIN_PUBLIC || operation))
		result = TEEC_ERROR_BAD_PARAMETERS;
	if (result != TEEC_SUCCESS)
		return result;
	model = calloc(1, sizeof(*model));
	if (!model)
		return TEEC_ERROR_OUT_OF_MEMORY;
	host.heap = setting("INPROCESS_TEE_HEAP", HEAP_DEFAULT);
	model_open(model, &host);
	session->application = model;
	return TEEC_SUCCESS;
}

void TEEC_CloseSession(TEEC_Session *session)
{
	model_close(session->application);
	free(session->application);
}

/* ---- Commands ---- */

/*
 * Copy one parameter to the application's side. Empty references keep a
 * pointer, as they do across the border. Return false without memory.
 */
static bool cross(uint32_t type, const TEEC_Parameter *from, struct command_param *to)
{
	*to = (struct command_param){ .type = type };
	if (type == TEEC_VALUE_INPUT) {
		to->a = from->value.a;
		to->b = from->value.b;
	}
	if (type != TEEC_MEMREF_TEMP_INPUT && type != TEEC_MEMREF_TEMP_OUTPUT)
		return true;
	to->size = from->tmpref.size;
	to->bytes = malloc(to->size);
	if (!to->bytes)
		return false;
	memcpy(to->bytes, from->tmpref.buffer, to->size);
	return true;
}

/* Copy back what the application may have written. */
static void cross_back(const struct command_param *from, TEEC_Parameter *to)
{
	if (from->type == TEEC_VALUE_OUTPUT)
		to->value = (TEEC_Value){ from->a, from->b };
	if (from->type == TEEC_MEMREF_TEMP_OUTPUT && from->bytes)
		memcpy(to->tmpref.buffer, from->bytes, from->size);
}

static TEEC_Result run(struct model *model, uint32_t command, TEEC_Operation *operation)
{
	struct command_param params[COMMAND_PARAMS] = { 0 };
	TEEC_Result result = TEEC_SUCCESS;
	unsigned int i = 0;

	for (i = 0; i < COMMAND_PARAMS; i++)
		if (!cross(operation->paramTypes >> (4 * i) & 0xf,
			   &operation->params[i], &params[i]))
			result = TEEC_ERROR_OUT_OF_MEMORY;
	if (result == TEEC_SUCCESS)
		result = command_invoke(model, command, params);
	if (command == DARKNETP_CMD_VERSION)
		params[0].a = (uint32_t)setting("INPROCESS_TEE_ABI", params[0].a);
	for (i = 0; i < COMMAND_PARAMS; i++) {
		cross_back(&params[i], &operation->params[i]);
		free(params[i].bytes);
	}
	return result;
}

TEEC_Result TEEC_InvokeCommand(TEEC_Session *session, uint32_t commandID,
			       TEEC_Operation *operation, uint32_t *returnOrigin)
{
	TEEC_Result result = TEEC_SUCCESS;
	char number[12] = "";

	snprintf(number, sizeof(number), "%u", commandID);
	result = planned_failure(number);
	*returnOrigin = TEEC_ORIGIN_TRUSTED_APP;
	if (result != TEEC_SUCCESS)
		return result;
	return run(session->application, commandID, operation);
}
