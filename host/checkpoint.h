/* SPDX-License-Identifier: MIT */
/*
 * checkpoint: a weights file, or the two of a split, and beside it the state
 * that training needs to go on identically (PATH.state, see state.h).
 *
 * Whenever the machine stops, one whole checkpoint is left: the new weights are
 * written to PATH.new (PATH.new_ree and PATH.new_tee), then the state that
 * names them replaces the old one, then they take their own names. If that last
 * step did not happen, checkpoint_find() makes up for it.
 */
#ifndef CHECKPOINT_H
#define CHECKPOINT_H

#include <stdbool.h>

#include "chain.h"
#include "options.h"
#include "state.h"

/* @state: all but the files, which are filled in. */
int checkpoint_save(struct chain *chain, const char *path,
		    enum options_split split, struct state *state);

/*
 * Look for the state of the weights @path, and finish a checkpoint that was
 * cut short. No state, or that of other weights, is no failure, but *found is
 * false. @split: whether PATH stands for two files.
 */
int checkpoint_find(const char *path, enum options_split split,
		    struct state *state, bool *found);

/* The state file of the checkpoint @path, for the caller to free; NULL without memory. */
char *checkpoint_state_path(const char *path);

/* Load the momentum of the checkpoint @path. */
int checkpoint_load_momentum(struct chain *chain, const char *path);

#endif /* CHECKPOINT_H */
