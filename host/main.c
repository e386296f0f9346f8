/* SPDX-License-Identifier: MIT */
/*
 * darknetp: Darknet's classifier, with a range of its layers in the secure
 * world.
 *
 * Exit status: 0 done, 1 it could not be done, 2 it was asked for wrongly,
 * 130 interrupted (work saved).
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "classifier.h"
#include "message.h"
#include "options.h"
#include "tee.h"

static const struct function {
	const char *name;
	int (*run)(const struct options *options, struct tee *tee);
} functions[] = {
	{ "classifier", classifier_run },
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
			return message_refused("%s is a function of Darknet that this version does not have; it has: classifier",
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

static int run(int argc, char **argv, struct tee *tee)
{
	struct options options = { 0 };
	int status = 0;

	if (argc < 2) {
		message_note("usage: %s <function>", argc ? argv[0] :
							    "darknetp");
		return 0;
	}
	status = options_parse(&options, argc, argv);
	return status ? status : run_function(&options, tee);
}

int main(int argc, char **argv)
{
	struct tee *tee = NULL;
	int status = 0;

	/* Lines reach a pipe or a log as they are printed. */
	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	printf("Prepare session with the TA\n");
	status = tee_open(&tee);
	if (status)
		return status;
	printf("Begin darknet\n");
	status = run(argc, argv, tee);
	tee_close(tee);
	if (fflush(stdout) && !status)
		status = message_failed("standard output could not be written");
	return status;
}
