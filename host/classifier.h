/* SPDX-License-Identifier: MIT */
/*
 * classifier: the one function of Darknet that knows about the TEE, and its
 * verbs.
 */
#ifndef CLASSIFIER_H
#define CLASSIFIER_H

#include "options.h"
#include "tee.h"

/* darknetp classifier VERB DATA CFG [WEIGHTS] [IMAGE...] */
int classifier_run(const struct options *options, struct tee *tee);

/* Train, and save the weights under the backup directory of the data file. */
int train_run(const struct options *options, struct tee *tee);

/* Classify images, named on the command line or on standard input. */
int predict_run(const struct options *options, struct tee *tee);

/* Classify the images of the data file's valid list and count the right ones. */
int valid_run(const struct options *options, struct tee *tee);

/* List what the network makes of the images of the data file's test list. */
int test_run(const struct options *options, struct tee *tee);

#endif /* CLASSIFIER_H */
