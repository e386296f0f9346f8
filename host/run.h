/* SPDX-License-Identifier: MIT */
/*
 * run: what every verb of the classifier needs: the files named on the command
 * line, read and checked, and the network built in both worlds.
 *
 *   darknetp classifier VERB DATA CFG [WEIGHTS [IMAGE...]]
 */
#ifndef RUN_H
#define RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "chain.h"
#include "data.h"
#include "network.h"
#include "options.h"
#include "partition.h"
#include "seed.h"
#include "state.h"
#include "tee.h"
#include "workers.h"

/* Positional words. */
enum {
	WORD_VERB = 1,
	WORD_DATA = 2,
	WORD_CFG = 3,
	WORD_WEIGHTS = 4,
	WORD_IMAGES = 5,	/* this one and those after it */
};

struct run {
	const struct options *options;
	const char *cfg_path;
	const char *weights_path;	/* NULL: none given */
	struct data data;
	struct network network;
	struct partition partition;
	bool resumed;			/* training goes on from a checkpoint */
	struct state state;		/* its state */
	struct seed seed;
	struct workers *workers;
	struct chain chain;
	uint64_t seen;			/* images the weights were trained on */
};

/*
 * Prepare a run; on success the caller ends with run_close(). The struct must
 * stay where it is, and so must @options and @tee.
 */
int run_open(struct run *run, const struct options *options, struct tee *tee,
	     bool train);
void run_close(struct run *run);

/* Classes that the network tells apart: floats of its output. */
uint32_t run_outputs(const struct run *run);

/* How many of the best ones are wanted: as -t or else the data file says. */
uint32_t run_top(const struct run *run);

#endif /* RUN_H */
