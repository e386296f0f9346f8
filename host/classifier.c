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
};

static const struct verb *find_verb(const char *name)
{
	size_t i = 0;

	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

int classifier_run(const struct options *options, struct tee *tee)
{
	const struct verb *verb = NULL;

	if (options->n_words < 2) {
		message_note("usage: %s %s [train/predict/valid] [data] [cfg] [weights (optional)]",
			     options->program, options->words[0]);
		return STATUS_REFUSED;
	}
	verb = find_verb(options->words[1]);
	if (!verb)
		return message_refused("classifier %s is not supported by this version: train, predict and valid are",
				       options->words[1]);
	if (options->n_words < verb->least_words ||
	    options->n_words > verb->most_words) {
		message_note("usage: %s classifier %s %s", options->program,
			     verb->name, verb->usage);
		return STATUS_REFUSED;
	}
	return verb->run(options, tee);
}
