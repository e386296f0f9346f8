/* SPDX-License-Identifier: MIT */
/*
 * plan_run: what `darknetp plan` does on the target and `darknetp-plan` on a
 * build machine: read a cfg, plan, print.
 */
#ifndef PLAN_RUN_H
#define PLAN_RUN_H

#include "options.h"
#include "plan_table.h"
#include "tee.h"

/* What the command line asks for. */
struct plan_question {
	const char *cfg_path;
	uint32_t start, end;	/* layers; OPTIONS_UNSET, both: all */
	bool largest;		/* instead: the largest partition that fits */
	const char *mode;	/* "train" (NULL: the same) or "predict" */
	uint32_t batch;		/* images per update; 0: what the cfg says */
	uint32_t micro_batch;	/* 0: the largest that fits */
	bool quiet;		/* no table on stdout */
	struct plan_limits limits;
};

/* Return 0 if it fits, STATUS_FAILED if not, STATUS_REFUSED for a bad question. */
int plan_answer(const struct plan_question *question);

/* darknetp plan CFG, for the application that is installed */
int plan_run(const struct options *options, struct tee *tee);

#endif /* PLAN_RUN_H */
