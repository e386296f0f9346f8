/* SPDX-License-Identifier: MIT */
/*
 * partition: which layers of a network live in the secure world, and which
 * ones do not learn.
 */
#ifndef PARTITION_H
#define PARTITION_H

#include <stdbool.h>
#include <stdint.h>

#include "network.h"
#include "options.h"

struct partition {
	bool secure;		/* there are layers in the secure world */
	uint32_t start, end;	/* the first and the last of them */
	uint32_t frozen;	/* layers before this one do not learn */
};

/*
 * The partition that the flags ask for, without frozen layers.
 * Anything that the network cannot be cut into is refused.
 */
int partition_choose(struct partition *partition, const struct options *options,
		     const struct network *network);

/*
 * For training: the layers that the flags or the cfg file (stopbackward)
 * freeze. Refused if nothing could learn, or if a secure layer would be frozen.
 */
int partition_freeze(struct partition *partition, const struct options *options,
		     const struct network *network);

/*
 * May layers before @boundary be in another world than those from it on? Not if
 * a shortcut or route reads over it.
 */
bool partition_may_cut(const struct network *network, uint32_t boundary);

/* Is layer @index in the secure world? */
bool partition_holds(const struct partition *partition, uint32_t index);

/*
 * Predicting: does the secure world tell only the first class? It does where it
 * has a softmax; see DARKNETP_CMD_FORWARD of darknetp_ta.h.
 */
bool partition_hides(const struct partition *partition,
		     const struct network *network);

#endif /* PARTITION_H */
