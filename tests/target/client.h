/* SPDX-License-Identifier: MIT */
/*
 * The TEE Client API with one line per call, and without manners: whatever a
 * test gives as a parameter is passed on as it is.
 */
#ifndef CLIENT_H
#define CLIENT_H

#include "darknetp_ta.h"
#include "tap.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tee_client_api.h>

#define PARAMS 4

/* The connection to the TEE that everything here uses; false: there is no TEE. */
bool client_connect(void);
void client_disconnect(void);
TEEC_Context *client_context(void);

TEEC_Result client_open(TEEC_Session *session);

/* How many sessions secure memory holds beside those that are open. */
unsigned int client_sessions_left(void);

/* ---- Parameters ---- */

struct param {
	uint32_t type;
	TEEC_Parameter value;
};

struct param none(void);
struct param value(uint32_t a, uint32_t b);
struct param value_out(void);
struct param in(const void *bytes, size_t size);
struct param out(void *bytes, size_t size);
struct param part_in(TEEC_SharedMemory *memory, size_t offset, size_t size);
struct param part_out(TEEC_SharedMemory *memory, size_t offset, size_t size);
struct param whole(TEEC_SharedMemory *memory);

/* ---- Shared memory ---- */

/* Memory of both directions; a test that gets none has failed. */
bool client_allocate(TEEC_SharedMemory *memory, size_t size);
/* The same for memory that is there already. */
bool client_register(TEEC_SharedMemory *memory, void *at, size_t size);

/* ---- Calls ---- */

struct reply {
	TEEC_Result result;
	uint32_t origin;
	TEEC_Parameter params[PARAMS];	/* as they came back */
};

struct reply invoke(TEEC_Session *session, uint32_t command, struct param a,
		    struct param b, struct param c, struct param d);
struct reply invoke_all(TEEC_Session *session, uint32_t command,
			const struct param params[PARAMS]);

/* Fail the test unless the reply has this result; return whether it has. */
#define EXPECT_RESULT(reply, wanted) \
	client_expect(__FILE__, __LINE__, #reply, reply, wanted)
bool client_expect(const char *file, int line, const char *what,
		   struct reply reply, TEEC_Result wanted);

/* How the application answers what it will not do. */
#define ACCESS_DENIED	TEEC_ERROR_ACCESS_DENIED
#define BAD_FORMAT	TEEC_ERROR_BAD_FORMAT
#define BAD_PARAMETERS	TEEC_ERROR_BAD_PARAMETERS
#define BAD_STATE	TEEC_ERROR_BAD_STATE
#define NOT_SUPPORTED	TEEC_ERROR_NOT_SUPPORTED
#define OUT_OF_MEMORY	TEEC_ERROR_OUT_OF_MEMORY

#endif /* CLIENT_H */
