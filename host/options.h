/* SPDX-License-Identifier: MIT */
/*
 * options: the command line. Flags may stand anywhere and are taken out; what
 * remains are the positional words. "--" ends the flags.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

/* Value of a partition flag that was not given; Darknetz's own number. */
#define OPTIONS_UNSET 999u

/* -ss: how weights files relate to the two worlds. */
enum options_split {
	SPLIT_NEVER = 0,	/* one file */
	SPLIT_BOTH = 1,		/* load and save F_ree and F_tee */
	SPLIT_SAVE = 2,		/* load one file, save F_ree and F_tee */
};

struct options {
	uint32_t pp_start;	/* first layer in the TEE */
	uint32_t pp_start_f;	/* the same, layers before it frozen */
	uint32_t pp_f_only;	/* no TEE, layers before it frozen */
	uint32_t pp_end;	/* last layer in the TEE, included */
	enum options_split split;
	uint32_t top;		/* classes to print; 0: what the data file says */
	uint32_t batch;		/* images per update; 0: what the cfg says */
	bool clear;		/* forget how many images the weights have seen */
	bool seeded;
	uint64_t seed;
	uint64_t iterations;	/* stop after so many batches; 0: no limit */
	uint32_t threads;	/* of the normal world, 1..NN_MAX_WORKERS */
	uint32_t checkpoint;	/* batches between two checkpoints; 0: none */
	const char *results;	/* directory of the result files */
	const char *list;	/* predict: file with paths of images, or NULL */
	const char *mode;	/* plan: "train" or "predict", or NULL */
	uint32_t micro_batch;	/* plan: images in one step; 0: what fits */
	const char *json;	/* where the JSON line stream goes, or NULL */
	const char *program;	/* argv[0] as typed */
	char **words;		/* positional words, function first */
	int n_words;
};

/*
 * Parse @argv and move its positional words to the front of it. Unknown flags,
 * flags given twice, missing values and junk numbers are refused.
 */
int options_parse(struct options *options, int argc, char **argv);

#endif /* OPTIONS_H */
