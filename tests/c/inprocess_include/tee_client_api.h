/* SPDX-License-Identifier: MIT */
/*
 * The part of GlobalPlatform's TEE Client API (GPD_SPE_007) that darknetp and the
 * programs of tests/target use, for building them natively against
 * inprocess_tee.c. Names, types and values are the specification's; what it
 * leaves to the implementation is our own.
 */
#ifndef TEE_CLIENT_API_H
#define TEE_CLIENT_API_H

#include <stddef.h>
#include <stdint.h>

typedef uint32_t TEEC_Result;

#define TEEC_SUCCESS		 0x00000000u
#define TEEC_ERROR_GENERIC	 0xffff0000u
#define TEEC_ERROR_ACCESS_DENIED 0xffff0001u
#define TEEC_ERROR_BAD_FORMAT	 0xffff0005u
#define TEEC_ERROR_BAD_PARAMETERS 0xffff0006u
#define TEEC_ERROR_BAD_STATE	 0xffff0007u
#define TEEC_ERROR_ITEM_NOT_FOUND 0xffff0008u
#define TEEC_ERROR_NOT_SUPPORTED 0xffff000au
#define TEEC_ERROR_OUT_OF_MEMORY 0xffff000cu
#define TEEC_ERROR_SECURITY	 0xffff000fu
#define TEEC_ERROR_TARGET_DEAD	 0xffff3024u

#define TEEC_ORIGIN_API		 1u
#define TEEC_ORIGIN_TEE		 3u
#define TEEC_ORIGIN_TRUSTED_APP	 4u

#define TEEC_LOGIN_PUBLIC	 0u

#define TEEC_NONE		 0u
#define TEEC_VALUE_INPUT	 1u
#define TEEC_VALUE_OUTPUT	 2u
#define TEEC_VALUE_INOUT	 3u
#define TEEC_MEMREF_TEMP_INPUT	 5u
#define TEEC_MEMREF_TEMP_OUTPUT	 6u
#define TEEC_MEMREF_TEMP_INOUT	 7u
#define TEEC_MEMREF_WHOLE	 12u
#define TEEC_MEMREF_PARTIAL_INPUT 13u
#define TEEC_MEMREF_PARTIAL_OUTPUT 14u
#define TEEC_MEMREF_PARTIAL_INOUT 15u

#define TEEC_MEM_INPUT		 1u
#define TEEC_MEM_OUTPUT		 2u

#define TEEC_CONFIG_PAYLOAD_REF_COUNT 4
#define TEEC_PARAM_TYPE_GET(p, i) (((p) >> (4 * (i))) & 0xfu)
#define TEEC_PARAM_TYPES(p0, p1, p2, p3) \
	((p0) | ((p1) << 4) | ((p2) << 8) | ((p3) << 12))

typedef struct {
	uint32_t timeLow;
	uint16_t timeMid;
	uint16_t timeHiAndVersion;
	uint8_t clockSeqAndNode[8];
} TEEC_UUID;

typedef struct {
	int unused;
} TEEC_Context;

typedef struct {
	struct inprocess_session *inside;
} TEEC_Session;

typedef struct {
	void *buffer;
	size_t size;
	uint32_t flags;
	int allocated;		/* by TEEC_AllocateSharedMemory() */
} TEEC_SharedMemory;

typedef struct {
	void *buffer;
	size_t size;
} TEEC_TempMemoryReference;

typedef struct {
	TEEC_SharedMemory *parent;
	size_t size;
	size_t offset;
} TEEC_RegisteredMemoryReference;

typedef struct {
	uint32_t a, b;
} TEEC_Value;

typedef union {
	TEEC_TempMemoryReference tmpref;
	TEEC_RegisteredMemoryReference memref;
	TEEC_Value value;
} TEEC_Parameter;

typedef struct {
	uint32_t started;
	uint32_t paramTypes;
	TEEC_Parameter params[4];
} TEEC_Operation;

TEEC_Result TEEC_InitializeContext(const char *name, TEEC_Context *context);
void TEEC_FinalizeContext(TEEC_Context *context);
TEEC_Result TEEC_OpenSession(TEEC_Context *context, TEEC_Session *session,
			     const TEEC_UUID *destination,
			     uint32_t connectionMethod,
			     const void *connectionData,
			     TEEC_Operation *operation, uint32_t *returnOrigin);
void TEEC_CloseSession(TEEC_Session *session);
TEEC_Result TEEC_InvokeCommand(TEEC_Session *session, uint32_t commandID,
			       TEEC_Operation *operation,
			       uint32_t *returnOrigin);
void TEEC_RequestCancellation(TEEC_Operation *operation);
TEEC_Result TEEC_AllocateSharedMemory(TEEC_Context *context,
				      TEEC_SharedMemory *sharedMem);
TEEC_Result TEEC_RegisterSharedMemory(TEEC_Context *context,
				      TEEC_SharedMemory *sharedMem);
void TEEC_ReleaseSharedMemory(TEEC_SharedMemory *sharedMem);

#endif /* TEE_CLIENT_API_H */
