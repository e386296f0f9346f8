/* SPDX-License-Identifier: MIT */
#ifndef SHAPED_H
#define SHAPED_H

int shaped_rows;	/* defined here on purpose: old C, which -fcommon allows */

/* Prints a row for each layer of the network; first to last are in the TEE. */
void print_layers(const char *cfg, int first, int last);

/* The value of a key in a network or data file, or an empty text; valid until the next call. */
const char *value_in(const char *cfg, const char *key);

#endif
