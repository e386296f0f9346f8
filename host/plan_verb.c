/* SPDX-License-Identifier: MIT */
/* The function `plan` of darknetp: its limit is the heap of the application. */
#include "message.h"
#include "plan_run.h"

int plan_run(const struct options *options, struct tee *tee)
{
	struct plan_question question = {
		.start = options->pp_start,
		.end = options->pp_end,
		.mode = options->mode,
		.batch = options->batch,
		.micro_batch = options->micro_batch,
	};
	uint32_t room = 0;
	int status = 0;

	if (options->n_words != 2) {
		message_note("usage: %s plan CFG [-pp_start N -pp_end N] [-mode train|predict] [-batch N] [-micro N]",
			     options->program);
		return STATUS_REFUSED;
	}
	question.cfg_path = options->words[1];
	status = tee_check_version(tee, &room);
	question.limits.room = room;
	return status ? status : plan_answer(&question);
}
