/* SPDX-License-Identifier: MIT */
/*
 * Laying out a segment. One walk over the layers serves nn_plan(), which only
 * counts, and nn_init(), which hands out memory: what was planned is what is
 * used, to the byte.
 */
#include "nn_internal.h"

#include <string.h>

_Static_assert(sizeof(struct nn_net) <= NN_NET_BYTES
	       && sizeof(struct nn_layer) <= NN_LAYER_BYTES,
	       "a plan reserves enough for the structures of any machine");
_Static_assert(NN_NET_BYTES % NN_ARENA_ALIGNMENT == 0
	       && NN_LAYER_BYTES % NN_ARENA_ALIGNMENT == 0, "no padding between");

static const struct nn_layer_ops *ops_of(enum nn_layer_kind kind)
{
	static const struct nn_layer_ops *const ops[] = {
		[NN_CONVOLUTIONAL] = &nn_convolutional_ops,
		[NN_MAXPOOL] = &nn_maxpool_ops,
		[NN_AVGPOOL] = &nn_avgpool_ops,
		[NN_CONNECTED] = &nn_connected_ops,
		[NN_DROPOUT] = &nn_dropout_ops,
		[NN_SOFTMAX] = &nn_softmax_ops,
		[NN_COST] = &nn_cost_ops,
		[NN_BATCHNORM] = &nn_batchnorm_ops,
		[NN_ACTIVATION] = &nn_activation_ops,
		[NN_SHORTCUT] = &nn_shortcut_ops,
		[NN_ROUTE] = &nn_route_ops,
	};

	return (uint32_t)kind < sizeof(ops) / sizeof(ops[0]) ? ops[kind] : NULL;
}

/* ---- The walk ---- */

/* A segment being laid out. */
struct layout {
	const struct nn_spec *spec;
	struct nn_arena arena;
	struct nn_net *net;
	struct nn_layer_plan *report;	/* of each layer; NULL: not wanted */
	uint32_t index;			/* of the layer */
	uint32_t workspace_floats;	/* the most that a layer needs */
	uint64_t work;			/* multiplications, forward, of one sample */
	struct nn_value values[NN_MAX_VALUES];
};

static uint32_t workers_of(const struct nn_spec *spec)
{
	return spec->workers ? spec->workers->count : 1;
}

static bool wants_input_delta(const struct nn_spec *spec)
{
	return spec->train && spec->input_delta && spec->first_layer > 0;
}

static struct nn_value new_value(uint32_t index, struct nn_shape shape,
				 uint32_t floats)
{
	return (struct nn_value){
		.shape = shape,
		.floats = floats,
		.owner = (uint16_t)index,
		.born = (uint16_t)index,
		.last = (uint16_t)index,
	};
}

/* Layer @layout->index reads value @value: it is needed until then. */
static void read_value(struct layout *layout, uint32_t value)
{
	uint16_t now = (uint16_t)(layout->index + 1);

	layout->values[value].last = now;
	layout->values[layout->values[value].owner].last = now;
}

bool nn_reads_over(const struct nn_layer_spec *layer, uint32_t boundary,
		   uint32_t *source)
{
	uint32_t i = 0;

	for (i = 0; i < layer->n_sources; i++) {
		*source = layer->sources[i];
		if (*source + 1 < boundary)
			return true;
	}
	return false;
}

/* Every source must come earlier in the network, and lie in the segment. */
static enum nn_status read_sources(struct layout *layout,
				   const struct nn_layer_spec *layer)
{
	uint32_t first = layout->spec->first_layer;
	bool takes_sources = layer->kind == NN_SHORTCUT || layer->kind == NN_ROUTE;
	uint32_t outside = 0;
	uint32_t i = 0;

	if (layer->n_sources > (takes_sources ? NN_MAX_SOURCES : 0))
		return NN_ERR_SPEC;
	for (i = 0; i < layer->n_sources; i++)
		if (layer->sources[i] >= first + layout->index)
			return NN_ERR_SPEC;
	if (nn_reads_over(layer, first, &outside))
		return NN_ERR_SOURCE;
	if (nn_reads_previous(layer))
		read_value(layout, layout->index);
	for (i = 0; i < layer->n_sources; i++)
		read_value(layout, layer->sources[i] + 1u - first);
	return NN_OK;
}

/* All layers that own a loss compare with one truth. */
static enum nn_status join_truths(const struct nn_layer *layer, uint32_t *truths)
{
	if (!layer->owns_loss)
		return NN_OK;
	if (*truths != 0 && *truths != layer->inputs)
		return NN_ERR_UNSUPPORTED;
	*truths = layer->inputs;
	return NN_OK;
}

/* The value that the layer makes, and memory of its own when training. */
static void layout_output(struct layout *layout, struct nn_layer *layer)
{
	struct nn_value *value = &layout->values[layout->index + 1];
	uint64_t floats = (uint64_t)layer->outputs * layout->spec->micro_batch;

	*value = new_value(layout->index + 1, layer->out, layer->outputs);
	/* Places in the region are counted in 32 bits. */
	if (floats > NN_MAX_TENSOR_FLOATS)
		layout->arena.too_large = true;
	else if (layer->passes)
		value->owner = layout->values[layout->index].owner;
	else if (layout->spec->train)
		layer->output = nn_arena_floats(&layout->arena,
						NN_USE_ACTIVATIONS, floats);
}

static enum nn_status layout_layer(struct layout *layout, struct nn_layer *layer)
{
	const struct nn_spec *spec = layout->spec;
	enum nn_status status = NN_ERR_SPEC;

	layer->spec = spec->layers[layout->index];
	layer->ops = ops_of(layer->spec.kind);
	if (!layer->ops)
		return NN_ERR_UNSUPPORTED;
	if (layer->spec.kind == NN_COST && layout->index != spec->n_layers - 1)
		return NN_ERR_UNSUPPORTED;
	status = read_sources(layout, &layer->spec);
	if (status == NN_OK)
		status = layer->ops->layout(layer, spec, &layout->arena);
	if (status == NN_OK)
		status = join_truths(layer, &layout->net->truths);
	if (status != NN_OK)
		return status;
	layout_output(layout, layer);
	if (layer->workspace_floats > layout->workspace_floats)
		layout->workspace_floats = layer->workspace_floats;
	return layout->arena.too_large ? NN_ERR_SIZE : NN_OK;
}

static uint64_t value_bytes(const struct layout *layout, uint32_t value)
{
	return nn_padded((uint64_t)layout->values[value].floats
			 * layout->spec->micro_batch * sizeof(float));
}

/* @before: the arena's counts when the layer came */
static void report_layer(const struct layout *layout,
			 const struct nn_layer *layer,
			 const uint64_t before[NN_USES])
{
	const uint64_t *now = layout->arena.used_by;
	uint64_t output = layer->passes ? 0
				: value_bytes(layout, layout->index + 1);
	bool train = layout->spec->train;

	layout->report[layout->index] = (struct nn_layer_plan){
		.weights = now[NN_USE_WEIGHTS] - before[NN_USE_WEIGHTS],
		.gradients = now[NN_USE_GRADIENTS] - before[NN_USE_GRADIENTS],
		.activations = now[NN_USE_ACTIVATIONS]
			       - before[NN_USE_ACTIVATIONS] + (train ? 0 : output),
		.deltas = train ? output : 0,
		.workspace = nn_padded((uint64_t)layer->workspace_floats
				       * workers_of(layout->spec)
				       * sizeof(float)),
	};
}

/* Each weight meets each pixel; what else is done is about one an output. */
static uint64_t layer_work(const struct nn_layer *layer)
{
	uint64_t weights = layer->parameter[NN_WEIGHTS].count;

	return weights * nn_pixels(layer->out) + layer->outputs;
}

static enum nn_status layout_layers(struct layout *layout)
{
	struct nn_net *net = layout->net;
	uint64_t before[NN_USES] = { 0 };
	struct nn_layer layer = { 0 };
	enum nn_status status = NN_OK;
	uint32_t *i = &layout->index;

	for (*i = 0; *i < layout->spec->n_layers; (*i)++) {
		layer = (struct nn_layer){
			.in = layout->values[*i].shape,
			.inputs = layout->values[*i].floats,
		};
		memcpy(before, layout->arena.used_by, sizeof(before));
		status = layout_layer(layout, &layer);
		if (status != NN_OK)
			return status;
		layout->work += layer_work(&layer);
		if (layout->report)
			report_layer(layout, &layer, before);
		if (net->layers)
			net->layers[*i] = layer;
	}
	net->inputs = layout->values[0].floats;
	net->outputs = layer.outputs;
	return NN_OK;
}

/* ---- What layers share ---- */

/* Training, deltas take turns in the region; predicting, values do. */
static bool takes_turns(const struct layout *layout, uint32_t value)
{
	const struct nn_spec *spec = layout->spec;

	if (value > 0)
		return layout->values[value].owner == value;
	return spec->train ? wants_input_delta(spec) : spec->keeps_input;
}

static void measure_values(struct layout *layout)
{
	uint32_t n = layout->spec->n_layers;
	uint32_t i = 0;

	/* The caller reads the result after the last layer has run. */
	layout->values[n].last = (uint16_t)(n + 1);
	if (!layout->spec->train)
		layout->values[layout->values[n].owner].last = (uint16_t)(n + 1);
	for (i = 0; i <= n; i++)
		if (takes_turns(layout, i))
			layout->values[i].units = (uint32_t)
				(value_bytes(layout, i) / NN_ARENA_ALIGNMENT);
}

/* Memory of @value in the region, or NULL if it has none there. */
static float *place_of(const struct layout *layout, float *region, uint32_t value)
{
	const struct nn_value *owner =
		&layout->values[layout->values[value].owner];

	if (owner->units == 0)
		return NULL;
	return region + (size_t)owner->at * (NN_ARENA_ALIGNMENT / sizeof(float));
}

static void share_values(const struct layout *layout, float *region)
{
	struct nn_net *net = layout->net;
	uint32_t i = 0;

	net->input = place_of(layout, region, 0);
	for (i = 0; i < net->n_layers; i++)
		net->layers[i].output = place_of(layout, region, i + 1);
}

static void share_deltas(const struct layout *layout, float *region)
{
	struct nn_net *net = layout->net;
	struct nn_layer *layer = NULL;
	uint32_t owner = 0;
	uint32_t i = 0;

	net->input_delta = place_of(layout, region, 0);
	net->input_last = layout->values[0].last;
	for (i = 0; i < net->n_layers; i++) {
		layer = &net->layers[i];
		layer->last = layout->values[i + 1].last;
		owner = layout->values[i + 1].owner;
		if (!layer->passes)
			layer->delta = place_of(layout, region, i + 1);
		else if (owner > 0)
			layer->output = net->layers[owner - 1].output;
	}
}

static enum nn_status layout_region(struct layout *layout)
{
	enum nn_use use = layout->spec->train ? NN_USE_DELTAS : NN_USE_ACTIVATIONS;
	uint64_t units = 0;
	void *region = NULL;

	measure_values(layout);
	units = nn_place(layout->values, layout->spec->n_layers + 1);
	if (units > UINT32_MAX)
		return NN_ERR_SIZE;
	region = nn_arena_take(&layout->arena, use, units, NN_ARENA_ALIGNMENT);
	if (!layout->net->layers)
		return NN_OK;
	if (layout->spec->train)
		share_deltas(layout, region);
	else
		share_values(layout, region);
	return NN_OK;
}

/* Training, the backward pass needs input and truth again. */
static void layout_kept(struct layout *layout)
{
	const struct nn_spec *spec = layout->spec;
	struct nn_net *net = layout->net;

	if (!spec->keeps_input || !spec->train)
		return;
	net->input = nn_arena_floats(&layout->arena, NN_USE_ACTIVATIONS,
				     (uint64_t)net->inputs * spec->micro_batch);
	net->truth = nn_arena_floats(&layout->arena, NN_USE_ACTIVATIONS,
				     (uint64_t)net->truths * spec->micro_batch);
}

/* ---- Segments ---- */

static enum nn_status check_segment(const struct nn_spec *spec)
{
	struct nn_shape in = { spec->width, spec->height, spec->channels };
	uint32_t inputs = 0;

	if (!spec->layers || spec->n_layers == 0 || spec->micro_batch == 0)
		return NN_ERR_SPEC;
	if (in.width == 0 || in.height == 0 || in.channels == 0)
		return NN_ERR_SPEC;
	if (workers_of(spec) == 0 || workers_of(spec) > NN_MAX_WORKERS)
		return NN_ERR_SPEC;
	if (spec->n_layers > NN_MAX_LAYERS || spec->first_layer > NN_MAX_NETWORK
	    || spec->n_layers > NN_MAX_NETWORK - spec->first_layer)
		return NN_ERR_SIZE;
	if (!nn_shape_floats(in, &inputs)
	    || (uint64_t)inputs * spec->micro_batch > NN_MAX_TENSOR_FLOATS)
		return NN_ERR_SIZE;
	return NN_OK;
}

/* Without memory in the arena: only count; the net then lacks its layers. */
static enum nn_status lay_out(struct layout *layout)
{
	const struct nn_spec *spec = layout->spec;
	struct nn_shape in = { spec->width, spec->height, spec->channels };
	enum nn_status status = NN_ERR_SPEC;
	uint32_t inputs = 0;

	nn_shape_floats(in, &inputs);
	layout->values[0] = new_value(0, in, inputs);
	layout->arena.values = layout->values;
	*layout->net = (struct nn_net){
		.n_layers = spec->n_layers,
		.first_layer = spec->first_layer,
		.train = spec->train,
		.workers = spec->workers,
	};
	memcpy(layout->net->seed, spec->seed, sizeof(layout->net->seed));
	layout->net->layers = nn_arena_take(&layout->arena, NN_USE_BOOKKEEPING,
					    spec->n_layers, NN_LAYER_BYTES);
	status = layout_layers(layout);
	if (status == NN_OK)
		status = layout_region(layout);
	if (status != NN_OK)
		return status;
	layout_kept(layout);
	layout->net->workspace = nn_arena_take(&layout->arena, NN_USE_WORKSPACE,
					       (uint64_t)layout->workspace_floats
					       * workers_of(spec),
					       sizeof(float));
	return layout->arena.too_large ? NN_ERR_SIZE : NN_OK;
}

static void report(const struct layout *layout, struct nn_plan *plan)
{
	const uint64_t *used_by = layout->arena.used_by;

	*plan = (struct nn_plan){
		.weights = used_by[NN_USE_WEIGHTS],
		.gradients = used_by[NN_USE_GRADIENTS],
		.activations = used_by[NN_USE_ACTIVATIONS],
		.deltas = used_by[NN_USE_DELTAS],
		.workspace = used_by[NN_USE_WORKSPACE],
		.bookkeeping = used_by[NN_USE_BOOKKEEPING],
		.total = layout->arena.used,
		/* backward: once for the weights, once for the input */
		.work = layout->work * (layout->spec->train ? 3 : 1),
		.inputs = layout->net->inputs,
		.outputs = layout->net->outputs,
		.truths = layout->net->truths,
	};
}

/* When only all layers together are too large, the last one is. */
static uint32_t refused_layer(const struct layout *layout)
{
	bool all = layout->index > 0 && layout->index == layout->spec->n_layers;

	return layout->index - all;
}

enum nn_status nn_plan_layers(const struct nn_spec *spec, struct nn_plan *plan,
			      struct nn_layer_plan *layers, uint32_t *bad_layer)
{
	struct nn_net net = { 0 };
	struct layout layout = { .spec = spec, .net = &net, .report = layers };
	enum nn_status status = check_segment(spec);

	*plan = (struct nn_plan){ 0 };
	nn_arena_take(&layout.arena, NN_USE_BOOKKEEPING, 1, NN_NET_BYTES);
	if (status == NN_OK)
		status = lay_out(&layout);
	if (status == NN_OK)
		report(&layout, plan);
	else if (bad_layer)
		*bad_layer = refused_layer(&layout);
	return status;
}

enum nn_status nn_plan(const struct nn_spec *spec, struct nn_plan *plan,
		       uint32_t *bad_layer)
{
	return nn_plan_layers(spec, plan, NULL, bad_layer);
}

/* What a fresh segment has beside zeros. */
static void furnish(struct nn_net *net)
{
	struct nn_layer *layer = NULL;
	struct nn_parameter *scales = NULL;
	uint32_t i = 0;
	uint32_t j = 0;

	for (i = 0; i < net->n_layers; i++) {
		layer = &net->layers[i];
		scales = &layer->parameter[NN_SCALES];
		for (j = 0; j < scales->count; j++)
			scales->value[j] = 1;
		if (layer->spec.kind == NN_DROPOUT)
			nn_random_derive(layer->dropout_key, net->seed,
					 NN_RANDOM_DROPOUT, net->first_layer + i);
	}
}

static enum nn_status init_in(struct nn_net **net, const struct nn_spec *spec,
			      void *memory)
{
	struct layout layout = { .spec = spec, .arena.base = memory };
	enum nn_status status = NN_ERR_SPEC;

	layout.net = nn_arena_take(&layout.arena, NN_USE_BOOKKEEPING, 1,
				   NN_NET_BYTES);
	status = lay_out(&layout);
	if (status == NN_OK)
		furnish(layout.net);
	*net = layout.net;
	return status;
}

enum nn_status nn_init(struct nn_net **net, const struct nn_spec *spec,
		       void *memory, size_t size)
{
	struct nn_plan plan = { 0 };
	enum nn_status status = nn_plan(spec, &plan, NULL);

	*net = NULL;
	if (status != NN_OK)
		return status;
	if (!memory || size < plan.total
	    || (uintptr_t)memory % NN_ARENA_ALIGNMENT != 0)
		return NN_ERR_ARENA;
	memset(memory, 0, (size_t)plan.total);
	return init_in(net, spec, memory);
}
