/* SPDX-License-Identifier: MIT */
#include "client.h"

#include <string.h>

static TEEC_Context context;

bool client_connect(void)
{
	return TEEC_InitializeContext(NULL, &context) == TEEC_SUCCESS;
}

void client_disconnect(void)
{
	TEEC_FinalizeContext(&context);
}

TEEC_Context *client_context(void)
{
	return &context;
}

TEEC_Result client_open(TEEC_Session *session)
{
	static const TEEC_UUID uuid = DARKNETP_TA_UUID;
	uint32_t origin = 0;

	memset(session, 0, sizeof(*session));
	return TEEC_OpenSession(&context, session, &uuid, TEEC_LOGIN_PUBLIC, NULL,
				NULL, &origin);
}

#define SESSIONS_MOST 64

unsigned int client_sessions_left(void)
{
	TEEC_Session sessions[SESSIONS_MOST];
	unsigned int opened = 0;
	unsigned int i = 0;

	while (opened < SESSIONS_MOST && client_open(&sessions[opened]) == TEEC_SUCCESS)
		opened++;
	for (i = 0; i < opened; i++)
		TEEC_CloseSession(&sessions[i]);
	return opened;
}

/* ---- Parameters ---- */

struct param none(void)
{
	return (struct param){ .type = TEEC_NONE };
}

struct param value(uint32_t a, uint32_t b)
{
	return (struct param){
		.type = TEEC_VALUE_INPUT, .value.value = { a, b },
	};
}

struct param value_out(void)
{
	return (struct param){
		.type = TEEC_VALUE_OUTPUT, .value.value = { 0xdead, 0xbeef },
	};
}

static struct param temporary(uint32_t type, void *bytes, size_t size)
{
	return (struct param){
		.type = type, .value.tmpref = { .buffer = bytes, .size = size },
	};
}

struct param in(const void *bytes, size_t size)
{
	return temporary(TEEC_MEMREF_TEMP_INPUT, (void *)(uintptr_t)bytes, size);
}

struct param out(void *bytes, size_t size)
{
	return temporary(TEEC_MEMREF_TEMP_OUTPUT, bytes, size);
}

static struct param registered(uint32_t type, TEEC_SharedMemory *memory,
			       size_t offset, size_t size)
{
	return (struct param){
		.type = type,
		.value.memref = { .parent = memory, .size = size, .offset = offset },
	};
}

struct param part_in(TEEC_SharedMemory *memory, size_t offset, size_t size)
{
	return registered(TEEC_MEMREF_PARTIAL_INPUT, memory, offset, size);
}

struct param part_out(TEEC_SharedMemory *memory, size_t offset, size_t size)
{
	return registered(TEEC_MEMREF_PARTIAL_OUTPUT, memory, offset, size);
}

struct param whole(TEEC_SharedMemory *memory)
{
	return registered(TEEC_MEMREF_WHOLE, memory, 0, 0);
}

/* ---- Shared memory ---- */

bool client_allocate(TEEC_SharedMemory *memory, size_t size)
{
	*memory = (TEEC_SharedMemory){
		.size = size, .flags = TEEC_MEM_INPUT | TEEC_MEM_OUTPUT,
	};
	return EXPECT(TEEC_AllocateSharedMemory(&context, memory) == TEEC_SUCCESS);
}

bool client_register(TEEC_SharedMemory *memory, void *at, size_t size)
{
	*memory = (TEEC_SharedMemory){
		.buffer = at, .size = size,
		.flags = TEEC_MEM_INPUT | TEEC_MEM_OUTPUT,
	};
	return EXPECT(TEEC_RegisterSharedMemory(&context, memory) == TEEC_SUCCESS);
}

/* ---- Calls ---- */

struct reply invoke_all(TEEC_Session *session, uint32_t command,
			const struct param params[PARAMS])
{
	struct reply reply = { .result = TEEC_ERROR_GENERIC };
	TEEC_Operation operation = { 0 };
	unsigned int i = 0;

	for (i = 0; i < PARAMS; i++) {
		operation.paramTypes |= params[i].type << (4 * i);
		operation.params[i] = params[i].value;
	}
	reply.result = TEEC_InvokeCommand(session, command, &operation,
					  &reply.origin);
	memcpy(reply.params, operation.params, sizeof(reply.params));
	return reply;
}

struct reply invoke(TEEC_Session *session, uint32_t command, struct param a,
		    struct param b, struct param c, struct param d)
{
	const struct param params[PARAMS] = { a, b, c, d };

	return invoke_all(session, command, params);
}

bool client_expect(const char *file, int line, const char *what,
		   struct reply reply, TEEC_Result wanted)
{
	if (reply.result == wanted)
		return true;
	tap_fail(file, line, "0x%08x (origin %u) instead of 0x%08x: %s",
		 reply.result, reply.origin, wanted, what);
	return false;
}
