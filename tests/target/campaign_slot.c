/* SPDX-License-Identifier: MIT */
#include "campaign_slot.h"

#include "campaign_random.h"

#include <stdio.h>

#define COMMANDS	(DARKNETP_CMD_TRAIN + 1)
#define SPOILT_PERCENT	40
#define SPOILT_BUILDS	85	/* percent: the first right one is the last */
#define CALLS_UNSURE	150	/* with a model that a spoilt request described */

static const char *const command_names[COMMANDS + 1] = {
	"VERSION", "BUILD", "TENSOR_LOAD", "TENSOR_SAVE", "FORWARD", "BACKWARD", "TRAIN",
	"others",
};

static const struct {
	TEEC_Result result;
	const char *name;
} results[] = {
	{ TEEC_SUCCESS, "success" },
	{ BAD_PARAMETERS, "bad parameters" },
	{ BAD_STATE, "bad state" },
	{ ACCESS_DENIED, "access denied" },
	{ BAD_FORMAT, "bad format" },
	{ NOT_SUPPORTED, "not supported" },
	{ OUT_OF_MEMORY, "out of memory" },
};
#define RESULTS (sizeof(results) / sizeof(results[0]))

/* The contract: which command may end how. */
static const bool documented[COMMANDS + 1][RESULTS] = {
	[DARKNETP_CMD_VERSION] = { 1, 1 },
	[DARKNETP_CMD_BUILD] = { 1, 1, 1, 0, 1, 1, 1 },
	[DARKNETP_CMD_TENSOR_LOAD] = { 1, 1, 1, 0, 0, 1 },
	[DARKNETP_CMD_TENSOR_SAVE] = { 1, 1, 1, 1, 0, 1 },
	[DARKNETP_CMD_FORWARD] = { 1, 1, 1 },
	[DARKNETP_CMD_BACKWARD] = { 1, 1, 1 },
	[DARKNETP_CMD_TRAIN] = { 1, 1, 1 },
	[COMMANDS] = { 0, 1 },
};

static uint32_t counts[COMMANDS + 1][RESULTS];

bool slot_open(struct slot *slot)
{
	*slot = (struct slot){ .sure = true, .calls_left = random_between(300, 3000) };
	random_model(&slot->model);
	if (!EXPECT(client_open(&slot->session) == TEEC_SUCCESS))
		return false;
	slot->state = SLOT_EMPTY;
	return true;
}

void slot_close(struct slot *slot)
{
	TEEC_CloseSession(&slot->session);
	slot->state = SLOT_CLOSED;
}

/* ---- What to call ---- */

static uint32_t main_command(const struct slot *slot)
{
	if (slot->state == SLOT_EMPTY)
		return DARKNETP_CMD_BUILD;
	if (!slot->model.train)
		return DARKNETP_CMD_FORWARD;
	if (slot->model.reaches_end)
		return DARKNETP_CMD_TRAIN;
	return slot->state == SLOT_FORWARDED ? DARKNETP_CMD_BACKWARD
					     : DARKNETP_CMD_FORWARD;
}

static uint32_t choose_command(const struct slot *slot)
{
	if (random_percent(50))
		return main_command(slot);
	if (slot->state != SLOT_EMPTY && random_percent(60))
		return random_percent(50) ? DARKNETP_CMD_TENSOR_LOAD
					  : DARKNETP_CMD_TENSOR_SAVE;
	return random_below(COMMANDS);
}

/* ---- How it must end, when it was right and the session is known ---- */

static TEEC_Result expected_of_tensor(const struct slot *slot,
				      const struct campaign_call *call)
{
	bool momentum = call->params[0].value.value.b & DARKNETP_TENSOR_MOMENTUM;

	if (slot->state == SLOT_EMPTY)
		return BAD_STATE;
	if (momentum && slot->state == SLOT_FORWARDED)
		return BAD_STATE;
	if (call->command == DARKNETP_CMD_TENSOR_SAVE && !slot->model.train)
		return ACCESS_DENIED;
	return slot->model.n_tensors ? TEEC_SUCCESS : BAD_PARAMETERS;
}

static bool is_in_turn(const struct slot *slot, uint32_t command)
{
	const struct random_model *model = &slot->model;

	if (slot->state == SLOT_EMPTY)
		return false;
	switch (command) {
	case DARKNETP_CMD_FORWARD:
		return !(model->train && model->reaches_end);
	case DARKNETP_CMD_BACKWARD:
		return slot->state == SLOT_FORWARDED;
	default:
		return model->train && model->reaches_end;
	}
}

static TEEC_Result expected(const struct slot *slot, const struct campaign_call *call)
{
	switch (call->command) {
	case DARKNETP_CMD_VERSION:
		return TEEC_SUCCESS;
	case DARKNETP_CMD_BUILD:
		return slot->state == SLOT_EMPTY ? TEEC_SUCCESS : BAD_STATE;
	case DARKNETP_CMD_TENSOR_LOAD:
	case DARKNETP_CMD_TENSOR_SAVE:
		return expected_of_tensor(slot, call);
	default:
		return is_in_turn(slot, call->command) ? TEEC_SUCCESS : BAD_STATE;
	}
}

static bool is_known(const struct slot *slot, const struct campaign_call *call)
{
	return slot->sure && (slot->state != SLOT_FORWARDED || slot->pending_sure
			      || call->command != DARKNETP_CMD_BACKWARD);
}

/* ---- How it ended ---- */

/* Count the answer; false: the contract does not know it. */
static bool is_documented(uint32_t command, TEEC_Result result)
{
	uint32_t row = command < COMMANDS ? command : COMMANDS;
	uint32_t i = 0;

	for (i = 0; i < RESULTS; i++) {
		if (results[i].result != result)
			continue;
		counts[row][i]++;
		return documented[row][i];
	}
	return false;
}

static void note_success(struct slot *slot, const struct campaign_call *call,
			 const struct reply *reply, bool spoilt)
{
	switch (call->command) {
	case DARKNETP_CMD_VERSION:
		EXPECT(reply->params[0].value.a == DARKNETP_TA_ABI);
		EXPECT(reply->params[1].value.b == slot->bytes);
		break;
	case DARKNETP_CMD_BUILD:
		slot->state = SLOT_READY;
		slot->sure = !spoilt;
		slot->bytes = reply->params[1].value.a;
		if (spoilt && slot->calls_left > CALLS_UNSURE)
			slot->calls_left = CALLS_UNSURE;
		break;
	case DARKNETP_CMD_FORWARD:
		if (slot->model.train)
			slot->state = SLOT_FORWARDED;
		slot->pending = call->step;
		slot->pending_sure = !spoilt;
		break;
	case DARKNETP_CMD_BACKWARD:
		slot->state = SLOT_READY;
		break;
	default:
		break;
	}
}

static void explain(const struct slot *slot, const struct campaign_call *call,
		    const struct reply *reply, bool spoilt)
{
	unsigned int i = 0;

	tap_note("command %u, %s, state %d, model %s: 0x%08x from origin %u",
		 call->command, spoilt ? "spoilt" : "right", slot->state,
		 slot->sure ? "known" : "unknown", reply->result, reply->origin);
	for (i = 0; i < PARAMS; i++)
		tap_note("  [%u] type %u: 0x%x 0x%x, size %zu offset %zu", i,
			 call->params[i].type, call->params[i].value.value.a,
			 call->params[i].value.value.b,
			 call->params[i].value.memref.size,
			 call->params[i].value.memref.offset);
}

void slot_call(struct slot *slot)
{
	bool spoilt = random_percent(slot->state == SLOT_EMPTY ? SPOILT_BUILDS
							       : SPOILT_PERCENT);
	struct campaign_call call = { 0 };
	struct reply reply = { 0 };

	campaign_make(&call, choose_command(slot), &slot->model, &slot->pending);
	if (spoilt)
		campaign_spoil(&call);
	reply = campaign_run(&slot->session, &call);
	EXPECT(is_documented(call.command, reply.result));
	if (!spoilt && is_known(slot, &call))
		EXPECT_RESULT(reply, expected(slot, &call));
	if (tap_failures())
		explain(slot, &call, &reply, spoilt);
	if (reply.result == TEEC_SUCCESS)
		note_success(slot, &call, &reply, spoilt);
	slot->calls_left--;
}

bool slot_report(void)
{
	char line[256] = "";
	bool complete = true;
	size_t used = 0;
	uint32_t row = 0;
	uint32_t i = 0;

	for (row = 0; row <= COMMANDS; row++) {
		used = 0;
		for (i = 0; i < RESULTS; i++) {
			if (!documented[row][i])
				continue;
			used += (size_t)snprintf(line + used, sizeof(line) - used,
						 ", %u %s", counts[row][i],
						 results[i].name);
			complete = complete && counts[row][i] > 0;
		}
		tap_note("%s%s", command_names[row], line);
	}
	return complete;
}
