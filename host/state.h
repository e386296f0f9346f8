/* SPDX-License-Identifier: MIT */
/*
 * state: what a checkpoint holds beside its weights, so that training goes on
 * as if it had never stopped. All little endian, without padding:
 *
 *   char   magic[8]	"dnpstate"
 *   uint32 version	1
 *   uint32 flags	1: there is a seed, 2: there is an average
 *   uint32 files	weights files that it belongs to: 1, or 2 of a split
 *   uint32 batch	images
 *   uint64 seen	images trained on
 *   uint64 seed	of the run, if it was given
 *   uint64 cfg_end	max_batches of the cfg file
 *   uint64 end		batch at which training ends
 *   double average	of the loss
 *   uint64 size, sum	of the first weights file: bytes, file_mark()
 *   uint64 size, sum	of the second one, or zeros
 *   uint64 floats	how many follow
 *   float  momentum[]	of the tensors that are learned by descent, layer by
 *			layer, in the order of a weights file
 *   uint64 sum		FNV-1a of all bytes before it
 *
 * Whoever can write the file can choose how training goes on, as he can with
 * the weights; the sums find accidents.
 */
#ifndef STATE_H
#define STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "chain.h"
#include "files.h"
#include "weights.h"

struct state {
	uint32_t n_files;
	struct file_mark files[WEIGHTS_FILES];
	uint32_t batch;
	uint64_t seen;
	bool seeded;
	uint64_t seed;
	uint64_t cfg_end, end;	/* batches; 0: none */
	bool started;		/* there is an average */
	double average;
};

/* Write the state and the network's momentum; all of it or nothing. */
int state_save(const struct state *state, struct chain *chain,
	       const char *path);

/* Read all but the momentum, and check the whole file. */
int state_read(struct state *state, const char *path);

/*
 * Put the momentum into a network built to train. Layers that are frozen have
 * none: theirs is saved as zeros and left out here.
 */
int state_load_momentum(struct chain *chain, const char *path);

#endif /* STATE_H */
