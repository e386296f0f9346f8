/* SPDX-License-Identifier: MIT */
/* OP-TEE's own count of memory in use, from its statistics pseudo TA. */
#ifndef CAMPAIGN_STATS_H
#define CAMPAIGN_STATS_H

#include <stdbool.h>
#include <stdint.h>

struct stats {
	uint32_t ta_memory;	/* bytes that trusted applications have */
	uint32_t core_heap;	/* bytes in use of the core's heap */
};

/* False where the core was built without CFG_WITH_STATS, or is no core. */
bool stats_read(struct stats *stats);

#endif /* CAMPAIGN_STATS_H */
