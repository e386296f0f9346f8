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

	f.heap = nn_heap(plan, page);
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

uint64_t nn_heap(const struct nn_plan *plan, uint64_t page)
{
	return whole(plan->total + NN_MODEL_EXTRA + NN_HEAP_RESERVE, page);
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

/* @samples divided into @parts: the largest of them. */
static uint32_t part_of(uint32_t samples, uint32_t parts)
{
	return (samples - 1) / parts + 1;
}

/* Plan with the samples in @parts; *good: it fits, and its calls are short. */
static enum nn_status try_parts(const struct nn_spec *spec,
				const struct nn_room *room, uint32_t parts,
				struct nn_plan *plan, bool *good)
{
	struct nn_spec tried = *spec;
	enum nn_status status = NN_ERR_SPEC;

	tried.micro_batch = part_of(room->samples, parts);
	status = nn_plan(&tried, plan, NULL);
	*good = status == NN_OK && fits(room, plan)
		&& is_short(room, plan, tried.micro_batch);
	return status;
}

/* By halving: a batch may have 2^31 samples, and as many parts. */
enum nn_status nn_fit_micro_batch(const struct nn_spec *spec,
				  const struct nn_room *room,
				  struct nn_plan *plan, uint32_t *micro_batch)
{
	uint32_t too_few = 0;
	uint32_t enough = room->whole ? 1 : room->samples;
	struct nn_plan tried = { 0 };
	enum nn_status status = NN_ERR_SPEC;
	bool good = false;

	*micro_batch = 0;
	if (room->samples == 0)
		return NN_ERR_SPEC;
	status = try_parts(spec, room, enough, plan, &good);
	if (!good)
		return status;
	while (enough - too_few > 1) {
		uint32_t parts = too_few + (enough - too_few) / 2;

		/* What is refused as a whole may do in parts. */
		try_parts(spec, room, parts, &tried, &good);
		if (good) {
			enough = parts;
			*plan = tried;
		} else {
			too_few = parts;
		}
	}
	*micro_batch = part_of(room->samples, enough);
	return NN_OK;
}

struct search {
	const struct nn_spec *network;
	const struct nn_shape *inputs;	/* of each layer */
	const struct nn_room *room;
	bool may_cut[NN_MAX_LAYERS + 1];	/* before this layer */
};

static bool may_cut(const struct nn_spec *network, uint32_t boundary)
{
	uint32_t source = 0;
	uint32_t i = 0;

	for (i = boundary; i < network->n_layers; i++)
		if (nn_reads_over(&network->layers[i], boundary, &source))
			return false;
	return true;
}

struct nn_spec nn_part(const struct nn_spec *network,
		       const struct nn_shape *inputs, uint32_t first,
		       uint32_t last)
{
	struct nn_spec part = *network;

	part.width = inputs[first].width;
	part.height = inputs[first].height;
	part.channels = inputs[first].channels;
	part.first_layer = first;
	part.n_layers = last - first + 1;
	part.layers += first;
	return part;
}

/* With the smallest micro-batch. */
static bool least_fits(const struct search *search, uint32_t first,
		       uint32_t last)
{
	const struct nn_room *room = search->room;
	struct nn_spec least = nn_part(search->network, search->inputs, first,
				       last);
	struct nn_plan plan = { 0 };

	least.micro_batch = room->whole ? room->samples : 1;
	return nn_plan(&least, &plan, NULL) == NN_OK && fits(room, &plan);
}

/*
 * Take into @partition what ends with @last, fits, and has more than *@length
 * layers. Where the shortest of those does not fit, longer ones do not either.
 */
static void lengthen(const struct search *search,
		     const struct nn_choice *choice, uint32_t last,
		     struct nn_partition *partition, uint32_t *length)
{
	uint32_t end = last + 1 > *length ? last + 1 - *length : 0;
	uint32_t first = end <= choice->first_max ? end : choice->first_max + 1;

	while (first-- > choice->first_min) {
		if (!search->may_cut[first])
			continue;
		if (!least_fits(search, first, last))
			return;
		partition->first = first;
		partition->last = last;
		*length = last - first + 1;
	}
}

bool nn_fit_partition(const struct nn_spec *network,
		      const struct nn_shape *inputs, const struct nn_room *room,
		      const struct nn_choice *choice,
		      struct nn_partition *partition)
{
	struct search search = {
		.network = network, .inputs = inputs, .room = room,
	};
	struct nn_plan plan = { 0 };
	struct nn_spec spec = { 0 };
	uint32_t length = 0;
	uint32_t i = 0;

	if (network->n_layers > NN_MAX_LAYERS)
		return false;
	for (i = 0; i <= network->n_layers; i++)
		search.may_cut[i] = may_cut(network, i);
	for (i = choice->last_max + 1; i-- > choice->last_min;)
		if (search.may_cut[i + 1])
			lengthen(&search, choice, i, partition, &length);
	if (length == 0)
		return false;
	spec = nn_part(network, inputs, partition->first, partition->last);
	return nn_fit_micro_batch(&spec, room, &plan, &partition->micro_batch)
	       == NN_OK;
}
