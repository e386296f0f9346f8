/* SPDX-License-Identifier: MIT */
/*
 * darknetp: Darknet's classifier, with a range of its layers in the secure
 * world.
 *
 * Exit status: 0 done, 1 it could not be done, 2 it was asked for wrongly,
 * 130 interrupted (work saved).
 */
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "classifier.h"
#include "json.h"
#include "message.h"
#include "options.h"
#include "plan_run.h"
#include "report.h"
#include "tee.h"

static const struct function {
	const char *name;
	int (*run)(const struct options *options, struct tee *tee);
} functions[] = {
	{ "classifier", classifier_run },
	{ "plan", plan_run },
};

/* Functions of Darknet that users may look for here. */
static const char *const absent[] = {
	"3d",	     "art",	  "average",   "cifar",	     "classify",
	"coco",	     "denormalize", "detect",  "detector",   "go",
	"imtest",    "isegmenter", "lsd",      "mkimg",	     "nightmare",
	"normalize", "oneoff",	  "oneoff2",   "ops",	     "partial",
	"print",     "regressor", "rescale",   "reset",	     "rgbgr",
	"rnn",	     "segmenter", "speed",     "statistics", "super",
	"tag",	     "test",	  "visualize", "yolo",
};

static int no_such_function(const char *name)
{
	size_t i = 0;

	for (i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
		if (!strcmp(absent[i], name))
			return message_refused("%s is a function of Darknet that this version does not have; it has: classifier and plan",
					       name);
	message_note("Not an option: %s", name);
	return STATUS_REFUSED;
}

static int run_function(const struct options *options, struct tee *tee)
{
	size_t i = 0;

	if (!options->n_words)
		return message_refused("no function given; usage: %s <function>",
				       options->program);
	for (i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
		if (!strcmp(functions[i].name, options->words[0]))
			return functions[i].run(options, tee);
	return no_such_function(options->words[0]);
}

static void put_traffic(struct tee_traffic traffic)
{
	json_unsigned("calls", traffic.calls);
	json_unsigned("bytes_to_secure", traffic.to_secure);
	json_unsigned("bytes_from_secure", traffic.from_secure);
}

static void report_commands(const struct tee *tee)
{
	uint32_t command = 0;

	json_open_object("commands");
	for (command = 0; command < TEE_COMMANDS; command++) {
		struct tee_traffic traffic = tee_traffic(tee, command);

		if (!traffic.calls)
			continue;
		json_open_object(tee_command_name(command));
		put_traffic(traffic);
		json_close_object();
	}
	json_close_object();
}

/* @tee: NULL if there is no session */
static void report_end(const struct tee *tee, int status, double start)
{
	json_begin("end");
	json_unsigned("status", (uint64_t)status);
	json_double("seconds", report_clock() - start);
	if (tee) {
		put_traffic(tee_total_traffic(tee));
		report_commands(tee);
	}
	json_end();
}

static int run_in(const struct options *options, struct tee *tee, bool usage)
{
	int status = 0;

	printf("Begin darknet\n");
	if (usage)
		message_note("usage: %s <function>", options->program);
	else
		status = run_function(options, tee);
	if (fflush(stdout) && !status)
		status = message_failed("standard output could not be written");
	return status;
}

/* The session comes first, as in Darknetz, even to tell the usage. */
static int run(const struct options *options, bool usage, double start)
{
	struct tee *tee = NULL;
	int status = 0;

	printf("Prepare session with the TA\n");
	status = tee_open(&tee);
	if (!status)
		status = run_in(options, tee, usage);
	report_end(tee, status, start);
	if (tee)
		tee_close(tee);
	return status;
}

int main(int argc, char **argv)
{
	struct options options = { 0 };
	double start = report_clock();
	int status = 0;

	/* Lines reach a pipe or a log as they are printed. */
	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	/* A file that may not grow is an error to tell, not an end. */
	signal(SIGXFSZ, SIG_IGN);
	status = options_parse(&options, argc, argv);
	if (!status)
		status = json_open(options.json);
	if (!status)
		status = json_close(run(&options, argc < 2, start));
	return status;
}
