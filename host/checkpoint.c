/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint.h"
#include "message.h"

/* The files of a checkpoint. */
struct names {
	char *state;
	char *fresh;				/* as weights_save() wants it */
	uint32_t n;
	char *files[WEIGHTS_FILES];
	char *fresh_files[WEIGHTS_FILES];	/* before they are in place */
};

static void free_names(struct names *names)
{
	uint32_t i = 0;

	for (i = 0; i < WEIGHTS_FILES; i++) {
		free(names->files[i]);
		free(names->fresh_files[i]);
	}
	free(names->fresh);
	free(names->state);
}

/* @path with @suffix, for the caller to free; NULL without memory. */
static char *join(const char *path, const char *suffix)
{
	char *joined = NULL;

	return asprintf(&joined, "%s%s", path, suffix) < 0 ? NULL : joined;
}

char *checkpoint_state_path(const char *path)
{
	return join(path, ".state");
}

static int make_names(struct names *names, const char *path, bool split)
{
	*names = (struct names){
		.state = checkpoint_state_path(path),
		.fresh = join(path, ".new"),
		.n = split ? 2 : 1,
	};
	if (names->state && names->fresh &&
	    weights_files(path, split, names->files) &&
	    weights_files(names->fresh, split, names->fresh_files))
		return 0;
	free_names(names);
	return message_no_memory("paths");
}

/* ---- Saving ---- */

static int mark_fresh(const struct names *names, struct state *state)
{
	uint32_t i = 0;

	state->n_files = names->n;
	for (i = 0; i < names->n; i++)
		if (!file_mark(names->fresh_files[i], &state->files[i]))
			return message_failed("cannot read back %s: %s",
					      names->fresh_files[i],
					      strerror(errno));
	return 0;
}

static void remove_fresh(const struct names *names)
{
	uint32_t i = 0;

	for (i = 0; i < names->n; i++)
		unlink(names->fresh_files[i]);
}

static int put_in_place(const struct names *names)
{
	uint32_t i = 0;
	int status = 0;

	for (i = 0; i < names->n && !status; i++)
		status = file_rename(names->fresh_files[i], names->files[i]);
	return status;
}

int checkpoint_save(struct chain *chain, const char *path,
		    enum options_split split, struct state *state)
{
	struct names names = { 0 };
	int status = make_names(&names, path, split != SPLIT_NEVER);

	if (status)
		return status;
	status = weights_save(chain, names.fresh, split, state->seen);
	if (!status)
		status = mark_fresh(&names, state);
	if (!status)
		status = state_save(state, chain, names.state);
	if (status)
		remove_fresh(&names);
	else
		status = put_in_place(&names);
	free_names(&names);
	return status;
}

/* ---- Finding ---- */

static bool matches(const char *path, const struct file_mark *wanted)
{
	struct file_mark mark = { 0 };

	return file_mark(path, &mark) && mark.size == wanted->size &&
	       mark.sum == wanted->sum;
}

/* Does the state belong to the weights in place or to those on their way? */
static bool belongs(const struct names *names, const struct state *state)
{
	uint32_t i = 0;

	if (state->n_files != names->n)
		return false;
	for (i = 0; i < names->n; i++)
		if (!matches(names->files[i], &state->files[i]) &&
		    !matches(names->fresh_files[i], &state->files[i]))
			return false;
	return true;
}

static int finish(const struct names *names, const struct state *state)
{
	uint32_t i = 0;
	int status = 0;

	for (i = 0; i < names->n && !status; i++) {
		if (matches(names->files[i], &state->files[i]))
			continue;
		message_note("%s was saved but not in place yet: it is now",
			     names->files[i]);
		status = file_rename(names->fresh_files[i], names->files[i]);
	}
	return status;
}

static int find(const struct names *names, struct state *state, bool *found)
{
	int status = 0;

	if (access(names->state, F_OK) && errno == ENOENT)
		return 0;
	status = state_read(state, names->state);
	if (status)
		return status;
	*found = belongs(names, state);
	if (*found)
		return finish(names, state);
	message_note("%s belongs to other weights: training starts without momentum",
		     names->state);
	return 0;
}

int checkpoint_find(const char *path, enum options_split split,
		    struct state *state, bool *found)
{
	struct names names = { 0 };
	int status = make_names(&names, path, split == SPLIT_BOTH);

	*found = false;
	if (status)
		return status;
	status = find(&names, state, found);
	free_names(&names);
	return status;
}

int checkpoint_load_momentum(struct chain *chain, const char *path)
{
	char *state = checkpoint_state_path(path);
	int status = state ? state_load_momentum(chain, state) :
			     message_no_memory("a path");

	free(state);
	return status;
}
