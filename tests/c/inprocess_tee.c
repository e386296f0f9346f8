/* SPDX-License-Identifier: MIT */
/*
 * A stand-in for libteec and the TEE behind it: the trusted application's
 * command layer runs inside the client's own process. There is no protection in
 * it; it lets darknetp run on a build machine, for tests and to train weights.
 *
 * Temporary memory references are copied into blocks of exactly their size, as
 * if they had crossed a border, so that AddressSanitizer sees a byte too many.
 * Registered ones are what they are behind a border too: the same memory, which
 * the client may change during a call. As on a board, only a few sessions fit
 * into the secure memory at a time, and the calls of one session take turns.
 *
 * Environment
 *   INPROCESS_TEE_LOG   file for the "secure console", added to; without it
 *                       its lines go to stderr, after "I/TA: "
 *   INPROCESS_TEE_HEAP  bytes of heap for the model (default: 10 MiB)
 *   INPROCESS_TEE_ABI   version of the interface to claim
 *   INPROCESS_TEE_FAIL  WHAT=CODE: "context", "session", or a command's number
 *                       fails with that result instead of being run
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <tee_client_api.h>

#include "command.h"
#include "darknetp_ta.h"
#include "inprocess_tee.h"

#define HEAP_DEFAULT	((size_t)10 << 20)
#define SESSIONS_MOST	3	/* a board's 13 MiB hold three of 4 MiB */

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

struct inprocess_session {
	struct model model;
	pthread_mutex_t busy;
};

static atomic_int sessions_open;

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

/* What is there to be opened: the one application. */
static TEEC_Result check_opening(const TEEC_UUID *destination, uint32_t method,
				 const TEEC_Operation *operation)
{
	static const TEEC_UUID here = DARKNETP_TA_UUID;
	TEEC_Result result = planned_failure("session");

	if (result != TEEC_SUCCESS)
		return result;
	if (memcmp(destination, &here, sizeof(here)))
		return TEEC_ERROR_ITEM_NOT_FOUND;
	if (method != TEEC_LOGIN_PUBLIC || operation)
		return TEEC_ERROR_BAD_PARAMETERS;
	return TEEC_SUCCESS;
}

TEEC_Result TEEC_OpenSession(TEEC_Context *context, TEEC_Session *session,
			     const TEEC_UUID *destination, uint32_t connectionMethod,
			     const void *connectionData, TEEC_Operation *operation,
			     uint32_t *returnOrigin)
{
	TEEC_Result result = check_opening(destination, connectionMethod, operation);
	struct inprocess_session *inside = NULL;

	(void)context;
	(void)connectionData;
	*returnOrigin = TEEC_ORIGIN_TRUSTED_APP;
	if (result != TEEC_SUCCESS)
		return result;
	inside = calloc(1, sizeof(*inside));
	if (!inside)
		return TEEC_ERROR_OUT_OF_MEMORY;
	if (atomic_fetch_add(&sessions_open, 1) >= SESSIONS_MOST) {
		atomic_fetch_sub(&sessions_open, 1);
		free(inside);
		*returnOrigin = TEEC_ORIGIN_TEE;
		return TEEC_ERROR_OUT_OF_MEMORY;
	}
	host.heap = setting("INPROCESS_TEE_HEAP", HEAP_DEFAULT);
	pthread_mutex_init(&inside->busy, NULL);
	model_open(&inside->model, &host);
	session->inside = inside;
	return TEEC_SUCCESS;
}

void TEEC_CloseSession(TEEC_Session *session)
{
	model_close(&session->inside->model);
	pthread_mutex_destroy(&session->inside->busy);
	free(session->inside);
	atomic_fetch_sub(&sessions_open, 1);
}

/* ---- Shared memory ---- */

TEEC_Result TEEC_RegisterSharedMemory(TEEC_Context *context,
				      TEEC_SharedMemory *sharedMem)
{
	(void)context;
	sharedMem->allocated = 0;
	return sharedMem->buffer ? TEEC_SUCCESS : TEEC_ERROR_BAD_PARAMETERS;
}

TEEC_Result TEEC_AllocateSharedMemory(TEEC_Context *context,
				      TEEC_SharedMemory *sharedMem)
{
	(void)context;
	sharedMem->allocated = 1;
	sharedMem->buffer = calloc(1, sharedMem->size);
	return sharedMem->buffer ? TEEC_SUCCESS : TEEC_ERROR_OUT_OF_MEMORY;
}

void TEEC_ReleaseSharedMemory(TEEC_SharedMemory *sharedMem)
{
	if (sharedMem->allocated)
		free(sharedMem->buffer);
	sharedMem->buffer = NULL;
}

/* ---- Parameters ---- */

/* What the application sees of the type of a memory reference. */
static uint32_t direction(uint32_t flags)
{
	static const uint32_t types[] = {
		COMMAND_NONE, COMMAND_BYTES_IN, COMMAND_BYTES_OUT,
		TEEC_MEMREF_TEMP_INOUT,
	};

	return types[flags & (TEEC_MEM_INPUT | TEEC_MEM_OUTPUT)];
}

/*
 * A copy of temporary memory. NULL is NULL whatever its size; other empty
 * references keep a pointer, as they do across the border.
 */
static TEEC_Result cross_temporary(const TEEC_TempMemoryReference *from,
				   struct command_param *to)
{
	to->size = from->size;
	if (!from->buffer)
		return TEEC_SUCCESS;
	to->bytes = malloc(to->size);
	if (!to->bytes)
		return TEEC_ERROR_OUT_OF_MEMORY;
	memcpy(to->bytes, from->buffer, to->size);
	return TEEC_SUCCESS;
}

static TEEC_Result cross_registered(uint32_t type,
				    const TEEC_RegisteredMemoryReference *from,
				    struct command_param *to)
{
	const TEEC_SharedMemory *parent = from->parent;
	uint32_t flags = type == TEEC_MEMREF_WHOLE ? parent->flags :
			 type - TEEC_MEMREF_PARTIAL_INPUT + 1;

	if (flags & ~parent->flags)
		return TEEC_ERROR_BAD_PARAMETERS;
	to->type = direction(flags);
	to->bytes = parent->buffer;
	to->size = parent->size;
	if (type == TEEC_MEMREF_WHOLE)
		return TEEC_SUCCESS;
	if (from->offset > parent->size || from->size > parent->size - from->offset)
		return TEEC_ERROR_BAD_PARAMETERS;
	to->bytes = (char *)parent->buffer + from->offset;
	to->size = from->size;
	return TEEC_SUCCESS;
}

static bool is_temporary(uint32_t type)
{
	return type >= TEEC_MEMREF_TEMP_INPUT && type <= TEEC_MEMREF_TEMP_INOUT;
}

/* Take one parameter to the application's side. */
static TEEC_Result cross(uint32_t type, const TEEC_Parameter *from,
			 struct command_param *to)
{
	*to = (struct command_param){ .type = type };
	if (type >= TEEC_MEMREF_WHOLE)
		return cross_registered(type, &from->memref, to);
	if (is_temporary(type))
		return cross_temporary(&from->tmpref, to);
	if (type > TEEC_VALUE_INOUT)
		return TEEC_ERROR_BAD_PARAMETERS;
	if (type == TEEC_VALUE_INPUT) {
		to->a = from->value.a;
		to->b = from->value.b;
	}
	return TEEC_SUCCESS;
}

/* Copy back what the application may have written, and end the copies. */
static void cross_back(uint32_t type, const struct command_param *from,
		       TEEC_Parameter *to)
{
	if (type == TEEC_VALUE_OUTPUT)
		to->value = (TEEC_Value){ from->a, from->b };
	if (!is_temporary(type))
		return;
	if (type == TEEC_MEMREF_TEMP_OUTPUT && from->bytes)
		memcpy(to->tmpref.buffer, from->bytes, from->size);
	free(from->bytes);
}

/* ---- Commands ---- */

static TEEC_Result run(struct model *model, uint32_t command,
		       TEEC_Operation *operation, uint32_t *origin)
{
	struct command_param params[COMMAND_PARAMS] = { 0 };
	TEEC_Result result = TEEC_SUCCESS;
	unsigned int crossed = 0;
	unsigned int i = 0;

	for (; crossed < COMMAND_PARAMS && result == TEEC_SUCCESS; crossed++)
		result = cross(operation->paramTypes >> (4 * crossed) & 0xf,
			       &operation->params[crossed], &params[crossed]);
	*origin = TEEC_ORIGIN_API;
	if (result == TEEC_SUCCESS) {
		*origin = TEEC_ORIGIN_TRUSTED_APP;
		result = command_invoke(model, command, params);
	}
	if (command == DARKNETP_CMD_VERSION)
		params[0].a = (uint32_t)setting("INPROCESS_TEE_ABI", params[0].a);
	for (i = 0; i < crossed; i++)
		cross_back(operation->paramTypes >> (4 * i) & 0xf, &params[i],
			   &operation->params[i]);
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
	pthread_mutex_lock(&session->inside->busy);
	result = run(&session->inside->model, commandID, operation, returnOrigin);
	pthread_mutex_unlock(&session->inside->busy);
	return result;
}

/* The application does not allow cancellation. */
void TEEC_RequestCancellation(TEEC_Operation *operation)
{
	(void)operation;
}
