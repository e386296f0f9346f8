/* SPDX-License-Identifier: MIT */
/* Cutting a layer's work into parts for the workers. */
#include "nn_internal.h"

#define PARTS_EACH	4	/* for a worker: one that is held up leaves some */
#define LEAST_FLOATS	4096	/* that are worth a part when they are gone over */

struct share {
	struct nn_layer *layer;
	const struct nn_call *call;
	nn_part *part;
	size_t items;		/* altogether */
	size_t chunk;		/* items of a part */
};

static void do_part(void *argument, uint32_t part, uint32_t worker)
{
	const struct share *share = argument;
	struct nn_call call = *share->call;
	size_t first = part * share->chunk;
	size_t left = share->items - first;

	if (call.workspace)
		call.workspace += worker * (size_t)share->layer->workspace_floats;
	share->part(share->layer, &call, first,
		    first + (left < share->chunk ? left : share->chunk));
}

static size_t divide_up(size_t a, size_t b)
{
	return a / b + (a % b > 0);
}

size_t nn_grain(size_t floats)
{
	return divide_up(LEAST_FLOATS, floats);
}

void nn_share(struct nn_layer *layer, const struct nn_call *call, size_t n,
	      size_t grain, nn_part *part)
{
	const struct nn_workers *workers = call->workers;
	struct share share = {
		.layer = layer, .call = call, .part = part, .items = n,
	};

	if (!workers || workers->count == 1 || n <= grain) {
		part(layer, call, 0, n);
		return;
	}
	share.chunk = divide_up(n, (size_t)workers->count * PARTS_EACH);
	share.chunk = divide_up(share.chunk, grain) * grain;
	workers->run(workers->context, do_part, &share,
		     (uint32_t)divide_up(n, share.chunk));
}

void nn_share_samples(struct nn_layer *layer, const struct nn_call *call,
		      size_t floats, nn_part *part)
{
	nn_share(layer, call, call->step->count, nn_grain(floats), part);
}
