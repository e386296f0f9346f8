/* SPDX-License-Identifier: MIT */
/*
 * Calls with random content. All memory of a call lies in one block, the arena,
 * so that after it everything can be compared with how it was before.
 */
#ifndef CAMPAIGN_CALL_H
#define CAMPAIGN_CALL_H

#include "campaign_model.h"
#include "client.h"

#define ARENA (24 * 1024)	/* bytes; the longest of these calls takes 16 KiB */

struct campaign_call {
	uint32_t command;
	struct param params[PARAMS];	/* registered memory: parts of the arena */
	struct darknetp_step step;	/* of steps */
	size_t used;			/* bytes of the arena */
};

bool campaign_open_arena(void);
void campaign_close_arena(void);

/*
 * A call that is right for a session with this model, whether or not the session
 * has come so far. @pending: BACKWARD's step is that of this FORWARD
 */
void campaign_make(struct campaign_call *call, uint32_t command,
		   const struct random_model *model,
		   const struct darknetp_step *pending);

/* Spoil it in up to three places; in more of a description, which has many. */
void campaign_spoil(struct campaign_call *call);

/*
 * Invoke, then fail the test when memory changed that must not: anything at all
 * in a refused call, anything but its outputs in another.
 */
struct reply campaign_run(TEEC_Session *session, struct campaign_call *call);

#endif /* CAMPAIGN_CALL_H */
