/* SPDX-License-Identifier: MIT */
/*
 * layers: one section of a cfg file into one layer of a network.
 */
#ifndef LAYERS_H
#define LAYERS_H

#include "cfg.h"
#include "network.h"

/*
 * Read @section as layer @index of @layers. Its input is given, and so are all
 * layers before it; the rest is filled in.
 * What is wrong is reported and left in the section's status.
 */
void layer_read(struct network_layer *layers, struct cfg_section *section,
		uint32_t index);

#endif /* LAYERS_H */
