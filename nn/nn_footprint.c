/* SPDX-License-Identifier: MIT */
#include "nn_footprint.h"

static uint64_t whole(uint64_t bytes, uint64_t unit)
{
	return (bytes + unit - 1) / unit * unit;
}

/* ---- Footprint ---- */

/*
 * Code, stack and heap lie one after the other. The parameters of a call are
 * normal memory, which OP-TEE maps through tables of its own.
 */
static uint64_t tables_for(const struct nn_platform *platform, uint64_t total,
			   uint64_t shared)
{
	return (whole(total, platform->table_span)
		+ whole(shared > 0 ? shared : 1, platform->table_span))
	       / platform->table_span;
}

/* Bytes that cross in the largest call, whatever its direction. */
static uint64_t shared_bytes(const struct nn_spec *spec,
			     const struct nn_plan *plan)
{
	uint64_t floats = plan->inputs;

	if (!spec->train)
		floats += plan->outputs;
	else
		floats += (uint64_t)plan->inputs + plan->outputs + plan->truths;
	return floats * spec->micro_batch * sizeof(float);
}

struct nn_footprint nn_footprint(const struct nn_platform *platform,
				 const struct nn_spec *spec,
				 const struct nn_plan *plan)
{
	uint64_t page = platform->page;
	struct nn_footprint f = {
		.model = plan->total + NN_MODEL_EXTRA,
		.stack = whole(platform->stack, page),
		.code = whole(platform->code, page),
	};

	f.heap = whole(f.model + NN_HEAP_RESERVE, page);
	f.total = f.heap + f.stack + f.code;
	f.pages = f.total / page;
	f.tables = tables_for(platform, f.total, shared_bytes(spec, plan));
	f.fits_budget = f.total <= platform->budget;
	f.fits_tables = f.tables <= platform->tables;
	return f;
}

uint64_t nn_largest_heap(const struct nn_platform *platform, uint64_t shared)
{
	uint64_t rest = whole(platform->stack, platform->page)
			+ whole(platform->code, platform->page);
	uint64_t for_parameters = tables_for(platform, 0, shared);
	uint64_t most = 0;

	if (platform->tables > for_parameters)
		most = (platform->tables - for_parameters) * platform->table_span;
	most = most < platform->budget ? most : platform->budget;
	most -= most % platform->page;
	return most > rest ? most - rest : 0;
}

uint64_t nn_model_room(uint64_t heap)
{
	return heap > NN_HEAP_RESERVE ? heap - NN_HEAP_RESERVE : 0;
}

/* ---- Searching ---- */

static bool fits(const struct nn_room *room, const struct nn_plan *plan)
{
	return plan->total + NN_MODEL_EXTRA <= room->model;
}

static bool is_short(const struct nn_room *room, const struct nn_plan *plan,
		     uint32_t micro_batch)
{
	return room->work == 0 || room->whole || micro_batch == 1
	       || plan->work <= room->work / micro_batch;
}

/* The next smaller even part of @samples than @part, or 0. */
static uint32_t smaller_part(uint32_t samples, uint32_t part)
{
	uint32_t parts = 0;

	if (part <= 1)
		return 0;
	/* the fewest parts with which each is below @part */
	parts = (samples - 1) / (part - 1) + 1;
	return (samples - 1) / parts + 1;
}

enum nn_status nn_fit_micro_batch(const struct nn_spec *spec,
				  const struct nn_room *room,
				  struct nn_plan *plan, uint32_t *micro_batch)
{
	struct nn_spec tried = *spec;
	enum nn_status status = NN_ERR_SPEC;

	*micro_batch = 0;
	for (tried.micro_batch = room->samples; tried.micro_batch > 0;
	     tried.micro_batch = smaller_part(room->samples, tried.micro_batch)) {
		status = nn_plan(&tried, plan, NULL);
		/* A whole batch may be too large where a part is not. */
		if (status != NN_OK && status != NN_ERR_SIZE)
			return status;
		if (status == NN_OK && fits(room, plan)
		    && is_short(room, plan, tried.micro_batch)) {
			*micro_batch = tried.micro_batch;
			return NN_OK;
		}
		if (room->whole)
			return status;
	}
	return status;
}

bool nn_may_cut(const struct nn_layer_spec *layers, uint32_t n,
		uint32_t boundary)
{
	uint32_t layer = 0;
	uint32_t i = 0;

	for (layer = boundary; layer < n; layer++)
		for (i = 0; i < layers[layer].n_sources; i++)
			if (layers[layer].sources[i] + 1u < boundary)
				return false;
	return true;
}

/* Would the smallest micro-batch do? Most partitions fail this one plan. */
static bool least_fits(const struct nn_spec *spec, const struct nn_room *room)
{
	struct nn_spec least = *spec;
	struct nn_plan plan = { 0 };

	least.micro_batch = room->whole ? room->samples : 1;
	return nn_plan(&least, &plan, NULL) == NN_OK && fits(room, &plan);
}

static bool try_partition(const struct nn_spec *network,
			  const struct nn_shape *inputs,
			  const struct nn_room *room,
			  struct nn_partition *partition)
{
	struct nn_spec spec = *network;
	const struct nn_shape *in = &inputs[partition->first];
	struct nn_plan plan = { 0 };

	if (!nn_may_cut(network->layers, network->n_layers, partition->first)
	    || !nn_may_cut(network->layers, network->n_layers,
			   partition->last + 1))
		return false;
	spec.width = in->width;
	spec.height = in->height;
	spec.channels = in->channels;
	spec.first_layer = partition->first;
	spec.n_layers = partition->last - partition->first + 1;
	spec.layers = network->layers + partition->first;
	return least_fits(&spec, room)
	       && nn_fit_micro_batch(&spec, room, &plan,
				     &partition->micro_batch) == NN_OK
	       && partition->micro_batch > 0;
}

/* Partitions of @length layers, from the last that the choice has. */
static bool try_length(const struct nn_spec *network,
		       const struct nn_shape *inputs, const struct nn_room *room,
		       const struct nn_choice *choice, uint32_t length,
		       struct nn_partition *partition)
{
	uint32_t end = 0;	/* last + 1 */

	for (end = choice->last_max + 1; end > choice->last_min; end--) {
		if (end < length || end - length < choice->first_min
		    || end - length > choice->first_max)
			continue;
		partition->first = end - length;
		partition->last = end - 1;
		if (try_partition(network, inputs, room, partition))
			return true;
	}
	return false;
}

bool nn_fit_partition(const struct nn_spec *network,
		      const struct nn_shape *inputs, const struct nn_room *room,
		      const struct nn_choice *choice,
		      struct nn_partition *partition)
{
	uint32_t length = choice->last_max + 1 - choice->first_min;

	for (; length > 0; length--)
		if (try_length(network, inputs, room, choice, length, partition))
			return true;
	return false;
}
