/* SPDX-License-Identifier: MIT */
/*
 * weights: Darknet's weights files, byte for byte.
 *
 *   int32  major, minor, revision
 *   uint64 seen            images trained on; uint32 before version 0.2
 *   float  parameters      layer by layer:
 *     convolutional: biases, [scales, rolling mean, rolling variance,] weights
 *     connected:     biases, weights, [scales, rolling mean, rolling variance]
 *     batchnorm:     scales, rolling mean, rolling variance
 *
 * all little endian, without padding; the bracketed ones with batch_normalize
 * only. Files whose major or minor is above 1000 hold the weights of connected
 * layers transposed, (inputs, outputs).
 *
 * Parameters pass in bounded pieces: those of secure layers are never in the
 * normal world's memory as a whole.
 */
#ifndef WEIGHTS_H
#define WEIGHTS_H

#include <stdbool.h>
#include <stdint.h>

#include "chain.h"
#include "options.h"

/* A parameter tensor in a file. */
struct weights_tensor {
	enum nn_tensor_kind kind;
	uint32_t count;		/* floats */
};

/* The tensors of a layer in the order of a file; return how many. */
uint32_t weights_tensors(const struct network_layer *layer,
			 struct weights_tensor tensors[NN_TENSOR_KINDS]);

/* The most files that a path stands for. */
#define WEIGHTS_FILES 2

/*
 * The files that @path stands for: itself, or split @path_ree and @path_tee.
 * The caller frees them, and does so too if there is no memory (false).
 */
bool weights_files(const char *path, bool split, char *files[WEIGHTS_FILES]);

/*
 * Load @path, or @path_ree and @path_tee for SPLIT_BOTH, into the network.
 * A file that is not exactly as long as the network needs is refused.
 * @seen: images trained on so far
 */
int weights_load(struct chain *chain, const char *path,
		 enum options_split split, uint64_t *seen);

/* Save to @path, or to @path_ree and @path_tee for any split but SPLIT_NEVER. */
int weights_save(struct chain *chain, const char *path,
		 enum options_split split, uint64_t seen);

#endif /* WEIGHTS_H */
