/* SPDX-License-Identifier: MIT */
#include <stddef.h>
#include <string.h>

#include "classifier.h"
#include "message.h"

#define UNLIMITED 1000000

/* Positional words, classifier and the verb included. */
static const struct verb {
	const char *name;
	int least_words, most_words;
	const char *usage;
	int (*run)(const struct options *options, struct tee *tee);
} verbs[] = {
	{ "train", 4, 5, "DATA CFG [WEIGHTS]", train_run },
	{ "predict", 5, UNLIMITED, "DATA CFG WEIGHTS [IMAGE...]", predict_run },
	{ "valid", 5, 5, "DATA CFG WEIGHTS", valid_run },
	{ "test", 5, 5, "DATA CFG WEIGHTS", test_run },
};

/* Verbs of Darknet and Darknetz that are not here, and what to do instead. */
static const struct absent_verb {
	const char *name, *advice;
} absent[] = {
	{ "train_fl", "no weights are taken from the network; copy the file here and use: train DATA CFG WEIGHTS" },
	{ "try", "use predict" },
	{ "fout", "what a layer computes is not shown; use predict or test" },
	{ "csv", "use test, or predict with -json FILE" },
	{ "label", "use test, or predict -t 1 -list FILE" },
	{ "validmulti", "use valid" },
	{ "valid10", "use valid" },
	{ "validcrop", "use valid" },
	{ "validfull", "use valid" },
	{ "demo", "there is no camera; use predict" },
	{ "gun", "there is no camera; use predict" },
	{ "threat", "there is no camera; use predict" },
};

static const struct verb *find_verb(const char *name)
{
	size_t i = 0;

	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

static int no_such_verb(const char *name)
{
	size_t i = 0;

	for (i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
		if (!strcmp(absent[i].name, name))
			return message_refused("classifier %s is not supported by this version: %s",
					       name, absent[i].advice);
	return message_refused("classifier %s: no such verb; there are train, predict, valid and test",
			       name);
}

int classifier_run(const struct options *options, struct tee *tee)
{
	const struct verb *verb = NULL;

	if (options->n_words < 2) {
		message_note("usage: %s %s [train/predict/valid/test] [data] [cfg] [weights (optional)]",
			     options->program, options->words[0]);
		return STATUS_REFUSED;
	}
	verb = find_verb(options->words[1]);
	if (!verb)
		return no_such_verb(options->words[1]);
	if (options->n_words < verb->least_words ||
	    options->n_words > verb->most_words) {
		message_note("usage: %s classifier %s %s", options->program,
			     verb->name, verb->usage);
		return STATUS_REFUSED;
	}
	if (options->list && verb->run != predict_run)
		return message_refused("-list is for predict; %s takes its list from the data file",
				       verb->name);
	if (options->mode || options->micro_batch)
		return message_refused("-mode and -micro are for plan; %s chooses its micro-batch itself",
				       verb->name);
	return verb->run(options, tee);
}
