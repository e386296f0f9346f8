/* SPDX-License-Identifier: MIT */
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
	return 0;
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
