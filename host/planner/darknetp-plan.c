/* SPDX-License-Identifier: MIT */
/*
 * darknetp-plan: the secure memory that a partition of a network takes, on a
 * machine without a TEE:
 *
 *   darknetp-plan CFG [-pp_start N -pp_end N | -auto] [-mode train|predict]
 *                 [-batch N] [-micro N] [-heap BYTES] [-json]
 *                 [-budget BYTES [-stack BYTES] [-code BYTES] [-page BYTES]
 *                  [-table_span BYTES] [-tables N]]
 *
 * -heap: TA_DATA_SIZE of an application that is built already; else the largest
 * that the platform's numbers leave, or any. -json: JSON lines (see json.h and
 * plan_table.h) on standard output instead of the table.
 *
 * Exit status: 0 it fits, 1 it does not, 2 wrong request.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "message.h"
#include "number.h"
#include "plan_run.h"

struct arguments {
	const char *cfg_path;
	const char *mode;
	uint64_t start, end;
	uint64_t batch, micro_batch;
	uint64_t heap;			/* 0: not given */
	struct nn_platform platform;	/* .budget 0: not given */
	bool largest, json;
};

static const struct flag {
	const char *name;
	size_t offset;		/* in struct arguments */
	uint64_t least, most;
} numbers[] = {
	{ "-pp_start", offsetof(struct arguments, start), 0, INT32_MAX },
	{ "-pp_end", offsetof(struct arguments, end), 0, INT32_MAX },
	{ "-batch", offsetof(struct arguments, batch), 1, INT32_MAX },
	{ "-micro", offsetof(struct arguments, micro_batch), 1, INT32_MAX },
	{ "-heap", offsetof(struct arguments, heap), 1, UINT32_MAX },
	{ "-budget", offsetof(struct arguments, platform.budget), 1, INT64_MAX },
	{ "-stack", offsetof(struct arguments, platform.stack), 1, UINT32_MAX },
	{ "-code", offsetof(struct arguments, platform.code), 1, UINT32_MAX },
	{ "-page", offsetof(struct arguments, platform.page), 1, UINT32_MAX },
	{ "-table_span", offsetof(struct arguments, platform.table_span), 1,
	  UINT32_MAX },
	{ "-tables", offsetof(struct arguments, platform.tables), 1, UINT32_MAX },
};

static int set_number(struct arguments *arguments, const struct flag *flag,
		      const char *text)
{
	uint64_t *to = (uint64_t *)(void *)((char *)arguments + flag->offset);

	if (text && number_unsigned(text, flag->most, to) && *to >= flag->least)
		return 0;
	return message_refused("%s needs a whole number from %llu to %llu",
			       flag->name, (unsigned long long)flag->least,
			       (unsigned long long)flag->most);
}

/* A word of the command line and the one after it; *taken: both were used. */
static int parse(struct arguments *arguments, const char *word,
		 const char *next, bool *taken)
{
	size_t i = 0;

	*taken = false;
	if (*word != '-') {
		if (arguments->cfg_path)
			return message_refused("%s: only one cfg can be planned", word);
		arguments->cfg_path = word;
		return 0;
	}
	if (!strcmp(word, "-json") || !strcmp(word, "-auto")) {
		*(word[1] == 'j' ? &arguments->json : &arguments->largest) = true;
		return 0;
	}
	*taken = true;
	if (!strcmp(word, "-mode")) {
		arguments->mode = next;
		return next ? 0 : message_refused("-mode needs a value");
	}
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (!strcmp(word, numbers[i].name))
			return set_number(arguments, &numbers[i], next);
	return message_refused("unknown flag %s", word);
}

static int parse_all(struct arguments *arguments, int argc, char **argv)
{
	int status = 0;
	int i = 0;

	for (i = 1; i < argc && !status; i++) {
		bool taken = false;

		status = parse(arguments, argv[i],
			       i + 1 < argc ? argv[i + 1] : NULL, &taken);
		i += taken;
	}
	if (!status && !arguments->cfg_path)
		status = message_refused("no cfg given; usage: %s CFG [-pp_start N -pp_end N | -auto] [-mode train|predict] ...",
					 argc ? argv[0] : "darknetp-plan");
	return status;
}

static struct plan_limits limits_of(const struct arguments *arguments)
{
	struct plan_limits limits = { .room = UINT64_MAX };

	if (arguments->platform.budget) {
		limits.platform = &arguments->platform;
		limits.room = nn_model_room(
			nn_largest_heap(&arguments->platform, 0));
	}
	if (arguments->heap)
		limits.room = nn_model_room(arguments->heap);
	return limits;
}

static int answer(const struct arguments *arguments)
{
	const struct plan_question question = {
		.cfg_path = arguments->cfg_path,
		.start = (uint32_t)arguments->start,
		.end = (uint32_t)arguments->end,
		.largest = arguments->largest,
		.mode = arguments->mode,
		.batch = (uint32_t)arguments->batch,
		.micro_batch = (uint32_t)arguments->micro_batch,
		.quiet = arguments->json,
		.limits = limits_of(arguments),
	};

	if (arguments->largest && arguments->start != OPTIONS_UNSET)
		return message_refused("-auto and -pp_start exclude each other");
	return plan_answer(&question);
}

int main(int argc, char **argv)
{
	struct arguments arguments = {
		.start = OPTIONS_UNSET,
		.end = OPTIONS_UNSET,
		.platform = {
			.stack = 64 << 10, .code = 512 << 10, .page = 4096,
			.table_span = 2 << 20, .tables = UINT32_MAX,
		},
	};
	int status = parse_all(&arguments, argc, argv);

	if (!status)
		status = json_open(arguments.json ? "/dev/stdout" : NULL);
	if (!status)
		status = json_close(answer(&arguments));
	if (fflush(stdout) && status != STATUS_REFUSED)
		status = message_failed("standard output could not be written");
	return status;
}
