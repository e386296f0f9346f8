/* SPDX-License-Identifier: MIT */
/*
 * A small network to load files into: a convolution and a connected layer, both
 * with batch normalisation, and a softmax. Built to train, once a process.
 */
#ifndef SMALL_H
#define SMALL_H

#include <stdbool.h>

#include "chain.h"

/* libFuzzer calls it before the first input. */
int LLVMFuzzerInitialize(int *argc, char ***argv);

void small_build(void);

/* With the connected layer in the secure world, or with all in the normal one. */
struct chain *small_chain(bool secure);

#endif /* SMALL_H */
