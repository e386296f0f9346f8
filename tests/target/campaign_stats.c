/* SPDX-License-Identifier: MIT */
#include "campaign_stats.h"

#include "client.h"

#include <string.h>

/* The interface of the pseudo TA: pta_stats.h of OP-TEE. */
#define STATS_UUID \
	{ 0xd96a5b40, 0xe2c7, 0xb1af, \
	  { 0x87, 0x94, 0x10, 0x02, 0xa5, 0xd5, 0xc6, 0x1b } }
#define ALLOC_STATS	1	/* [0] value in: pool, reset; [1] memref out */
#define POOL_HEAP	1
#define POOL_TA_RAM	3

/* As OP-TEE 4.5 tells it; later versions have 8 bytes more after the name. */
#define NAME_BYTES	32
#define POOL_WORDS	6	/* first of them: bytes in use */
#define POOL_BYTES	(NAME_BYTES + POOL_WORDS * sizeof(uint32_t))

static bool read_pool(TEEC_Session *session, uint32_t number, uint32_t *in_use)
{
	uint8_t pool[POOL_BYTES + 8] = { 0 };
	struct reply reply = invoke(session, ALLOC_STATS, value(number, 0), out(pool, sizeof(pool)),
				    none(), none());
	size_t size = reply.params[1].tmpref.size;

	if (reply.result != TEEC_SUCCESS || size < POOL_BYTES || size > sizeof(pool))
		return false;
	memcpy(in_use, pool + size - POOL_WORDS * sizeof(uint32_t), sizeof(*in_use));
	return true;
}

bool stats_read(struct stats *stats)
{
	static const TEEC_UUID uuid = STATS_UUID;
	TEEC_Session session = { 0 };
	uint32_t origin = 0;
	bool read = false;

	if (TEEC_OpenSession(client_context(), &session, &uuid, TEEC_LOGIN_PUBLIC,
			     NULL, NULL, &origin) != TEEC_SUCCESS)
		return false;
	read = read_pool(&session, POOL_HEAP, &stats->core_heap)
	       && read_pool(&session, POOL_TA_RAM, &stats->ta_memory);
	TEEC_CloseSession(&session);
	return read;
}
