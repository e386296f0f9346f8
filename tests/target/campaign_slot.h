/* SPDX-License-Identifier: MIT */
/* One session of the campaign, and what is known of it from the answers so far. */
#ifndef CAMPAIGN_SLOT_H
#define CAMPAIGN_SLOT_H

#include "campaign_call.h"

enum slot_state {
	SLOT_CLOSED,
	SLOT_EMPTY,
	SLOT_READY,
	SLOT_FORWARDED,
};

struct slot {
	TEEC_Session session;
	enum slot_state state;
	struct random_model model;
	bool sure;		/* what was built is @model */
	bool pending_sure;	/* FORWARDED: @pending is the step to go back over */
	struct darknetp_step pending;
	uint32_t bytes;		/* that the built model takes */
	uint32_t calls_left;	/* until it is closed */
};

/* False: the test has failed. */
bool slot_open(struct slot *slot);
void slot_close(struct slot *slot);

/* One random call, right or spoilt, and the judgement over it. */
void slot_call(struct slot *slot);

/* Say how often each command had which result; false: one of them never had. */
bool slot_report(void);

#endif /* CAMPAIGN_SLOT_H */
