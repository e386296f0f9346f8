/* SPDX-License-Identifier: MIT */
/*
 * The part of GlobalPlatform's TEE Client API (GPD_SPE_007) that darknetp uses,
 * for building it natively against inprocess_tee.c. Names, types and values are
 * the specification's; what it leaves to the implementation is our own.
 */
#ifndef TEE_CLIENT_API_H
#define TEE_CLIENT_API_H

#include <stddef.h>
#include <stdint.h>

typedef uint32_t TEEC_Result;

#define TEEC_SUCCESS		 0x00000000u
#define TEEC_ERROR_GENERIC	 0xffff0000u
#define TEEC_ERROR_BAD_FORMAT	 0xffff0005u
#define TEEC_ERROR_BAD_PARAMETERS 0xffff0006u
#define TEEC_ERROR_ITEM_NOT_FOUND 0xffff0008u
#define TEEC_ERROR_NOT_SUPPORTED 0xffff000au
#define TEEC_ERROR_OUT_OF_MEMORY 0xffff000cu
#define TEEC_ERROR_SECURITY	 0xffff000fu
#define TEEC_ERROR_TARGET_DEAD	 0xffff3024u

#define TEEC_ORIGIN_API		 1u
#define TEEC_ORIGIN_TRUSTED_APP	 4u

#define TEEC_LOGIN_PUBLIC	 0u

#define TEEC_NONE		 0u
#define TEEC_VALUE_INPUT	 1u
#define TEEC_VALUE_OUTPUT	 2u
#define TEEC_MEMREF_TEMP_INPUT	 5u
#define TEEC_MEMREF_TEMP_OUTPUT	 6u

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
	void *application;	/* the session's state */
} TEEC_Session;

typedef struct {
	void *buffer;
	size_t size;
} TEEC_TempMemoryReference;

typedef struct {
	uint32_t a, b;
} TEEC_Value;

typedef union {
	TEEC_TempMemoryReference tmpref;
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

#endif /* TEE_CLIENT_API_H */
