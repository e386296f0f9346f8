/* SPDX-License-Identifier: MIT */
/*
 * sources: the earlier layers that a shortcut or a route reads. A cfg file
 * counts them from 0, or back from the layer itself if negative.
 */
#ifndef SOURCES_H
#define SOURCES_H

#include "cfg.h"
#include "network.h"

/*
 * Read "from" of a shortcut, "layers" of a route, layer @index of @layers; the
 * ones before it are given. What is wrong is left in the section's status.
 */
void sources_shortcut(struct network_layer *layers, uint32_t index,
		      struct cfg_section *section);
void sources_route(struct network_layer *layers, uint32_t index,
		   struct cfg_section *section);

#endif /* SOURCES_H */
