/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "message.h"
#include "partition.h"

static bool given(uint32_t flag)
{
	return flag != OPTIONS_UNSET;
}

static int check_ends(uint32_t start, uint32_t end, uint32_t last)
{
	if (!given(start))
		return message_refused("-pp_end %u without a start: a partition has both ends, from layer 0 to %u",
				       end, last);
	if (!given(end))
		return message_refused("a partition that starts at %u needs -pp_end: a layer from %u to %u",
				       start, start < last ? start : last,
				       last);
	if (start > end)
		return message_refused("partition %u:%u starts after its end: layers are 0 to %u",
				       start, end, last);
	if (end > last)
		return message_refused("partition %u:%u lies outside the network: layers are 0 to %u",
				       start, end, last);
	return 0;
}

/* ---- Layers that read further ones ---- */

/* The first layer that reads over @boundary, and *source: what it reads there. */
static const struct network_layer *reaches_over(const struct network *network,
						uint32_t boundary,
						uint32_t *source)
{
	uint32_t layer = 0;

	for (layer = boundary; layer < network->n_layers; layer++)
		if (nn_reads_over(&network->layers[layer].spec, boundary, source))
			return &network->layers[layer];
	return NULL;
}

bool partition_may_cut(const struct network *network, uint32_t boundary)
{
	uint32_t source = 0;

	return !reaches_over(network, boundary, &source);
}

/* The layers where the network may be cut: "0, 4, 5-9"; less @back. */
static void list_cuts(const struct network *network, uint32_t back, char *text,
		      size_t size)
{
	uint32_t last = network->n_layers + back - 1;
	uint32_t i = back;
	uint32_t first = 0;
	size_t used = 0;

	for (; i <= last && used < size; i++) {
		if (!partition_may_cut(network, i))
			continue;
		first = i;
		while (i < last && partition_may_cut(network, i + 1))
			i++;
		used += (size_t)snprintf(text + used, size - used,
					 first == i ? "%s%u" : "%s%u-%u",
					 used ? ", " : "", first - back,
					 i - back);
	}
}

static int check_cut(const struct network *network, uint32_t boundary)
{
	char starts[256] = "";
	char ends[256] = "";
	uint32_t source = 0;
	const struct network_layer *layer = reaches_over(network, boundary,
							 &source);

	if (!layer)
		return 0;
	list_cuts(network, 0, starts, sizeof(starts));
	list_cuts(network, 1, ends, sizeof(ends));
	return message_refused("%s:%u: [%s] layer %u reads layer %u, so the network cannot be cut between %u and %u; a partition may start at %s and end at %s",
			       network->path, layer->line, layer->name,
			       (uint32_t)(layer - network->layers), source,
			       boundary - 1, boundary, starts, ends);
}

/* ---- What the flags ask for ---- */

int partition_choose(struct partition *partition, const struct options *options,
		     const struct network *network)
{
	uint32_t start = options->pp_start;
	uint32_t end = options->pp_end;
	int status = 0;

	*partition = (struct partition){ 0 };
	if (given(options->pp_start) + given(options->pp_start_f) +
	    given(options->pp_f_only) > 1)
		return message_refused("-pp_start, -pp_start_f and -pp_f_only exclude each other");
	if (!given(start))
		start = options->pp_start_f;
	if (!given(start) && !given(end))
		return 0;
	status = check_ends(start, end, network->n_layers - 1);
	if (!status)
		status = check_cut(network, start);
	if (!status)
		status = check_cut(network, end + 1);
	if (!status)
		*partition = (struct partition){
			.secure = true, .start = start, .end = end,
		};
	return status;
}

static uint32_t frozen_by_flags(const struct options *options)
{
	if (given(options->pp_start_f))
		return options->pp_start_f;
	return given(options->pp_f_only) ? options->pp_f_only : 0;
}

static uint32_t frozen_by_cfg(const struct network *network)
{
	uint32_t i = network->n_layers;

	while (i && !network->layers[i - 1].stopbackward)
		i--;
	return i;
}

int partition_freeze(struct partition *partition, const struct options *options,
		     const struct network *network)
{
	uint32_t by_flags = frozen_by_flags(options);
	uint32_t by_cfg = frozen_by_cfg(network);
	uint32_t frozen = by_flags > by_cfg ? by_flags : by_cfg;

	if (frozen >= network->n_layers)
		return message_refused("with the layers before %u frozen none of 0 to %u learns",
				       frozen, network->n_layers - 1);
	if (partition->secure && frozen > partition->start)
		return message_refused("the layers before %u are frozen, so partition %u:%u cannot start before: a secure layer always learns",
				       frozen, partition->start,
				       partition->end);
	partition->frozen = frozen;
	return check_cut(network, frozen);
}

bool partition_holds(const struct partition *partition, uint32_t index)
{
	return partition->secure && index >= partition->start &&
	       index <= partition->end;
}

bool partition_hides(const struct partition *partition,
		     const struct network *network)
{
	uint32_t i = 0;

	for (i = 0; i < network->n_layers; i++)
		if (network->layers[i].spec.kind == NN_SOFTMAX &&
		    partition_holds(partition, i))
			return true;
	return false;
}
