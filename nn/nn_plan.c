/* SPDX-License-Identifier: MIT */
/*
 * Laying out a segment. One walk over the layers serves nn_plan(), which only
 * counts, and nn_init(), which hands out memory: what was planned is what is
 * used, to the byte.
 */
#include "nn_internal.h"

#include <string.h>

/* No single thing in an arena is larger, so sums of them cannot overflow. */
#define ARENA_LARGEST	(UINT64_C(1) << 40)

void *nn_arena_take(struct nn_arena *arena, enum nn_use use, uint64_t count,
		    size_t size)
{
	uint8_t *place = NULL;
	uint64_t bytes = 0;

	if (count > ARENA_LARGEST / size) {
		arena->too_large = true;
		return NULL;
	}
	bytes = count * size;
	bytes += (NN_ARENA_ALIGNMENT - bytes % NN_ARENA_ALIGNMENT)
		 % NN_ARENA_ALIGNMENT;
	if (arena->base)
		place = arena->base + arena->used;
	arena->used += bytes;
	arena->used_by[use] += bytes;
	return place;
}

float *nn_arena_floats(struct nn_arena *arena, enum nn_use use, uint64_t count)
{
	if (count > NN_MAX_TENSOR_FLOATS)
		arena->too_large = true;
	if (count == 0 || arena->too_large)
		return NULL;
	return nn_arena_take(arena, use, count, sizeof(float));
}

bool nn_is_finite(float x)
{
	return !__builtin_isnan(x) && !__builtin_isinf(x);
}

uint32_t nn_window_positions(uint32_t length, uint64_t padding, uint32_t size,
			     uint32_t stride)
{
	uint64_t padded = length + padding;
	uint64_t positions = 0;

	if (padded < size)
		return 0;
	positions = (padded - size) / stride + 1;
	return positions > UINT32_MAX ? 0 : (uint32_t)positions;
}

static bool shape_floats(struct nn_shape shape, uint32_t *floats)
{
	uint64_t n = (uint64_t)shape.width * shape.height;

	if (n > NN_MAX_TENSOR_FLOATS)
		return false;
	n *= shape.channels;
	*floats = (uint32_t)n;
	return n <= NN_MAX_TENSOR_FLOATS;
}

enum nn_status nn_layout_shape(struct nn_layer *layer, struct nn_shape out)
{
	if (out.width == 0 || out.height == 0 || out.channels == 0)
		return NN_ERR_SPEC;
	layer->out = out;
	return shape_floats(out, &layer->outputs) ? NN_OK : NN_ERR_SIZE;
}

void nn_layout_parameter(struct nn_layer *layer, const struct nn_spec *spec,
			 struct nn_arena *arena, enum nn_tensor_kind kind,
			 uint64_t count, bool learned)
{
	struct nn_parameter *parameter = &layer->parameter[kind];

	parameter->count = (uint32_t)count;
	parameter->value = nn_arena_floats(arena, NN_USE_WEIGHTS, count);
	if (learned && spec->train)
		parameter->gradient = nn_arena_floats(arena, NN_USE_GRADIENTS,
						      count);
}

static void layout_batchnorm(struct nn_layer *layer, const struct nn_spec *spec,
			     struct nn_arena *arena)
{
	uint32_t channels = layer->out.channels;

	nn_layout_parameter(layer, spec, arena, NN_SCALES, channels, true);
	nn_layout_parameter(layer, spec, arena, NN_ROLLING_MEAN, channels, false);
	nn_layout_parameter(layer, spec, arena, NN_ROLLING_VARIANCE, channels,
			    false);
	if (!spec->train)
		return;
	layer->mean = nn_arena_floats(arena, NN_USE_ACTIVATIONS, channels);
	layer->variance = nn_arena_floats(arena, NN_USE_ACTIVATIONS, channels);
	layer->unnormalized = nn_arena_floats(arena, NN_USE_ACTIVATIONS,
					      (uint64_t)layer->outputs
					      * spec->micro_batch);
}

enum nn_status nn_layout_affine(struct nn_layer *layer,
				const struct nn_spec *spec,
				struct nn_arena *arena)
{
	const struct nn_layer_spec *own = &layer->spec;

	if ((uint32_t)own->activation > NN_LHTAN)
		return NN_ERR_UNSUPPORTED;
	if (!nn_is_finite(own->learning_rate))
		return NN_ERR_SPEC;
	nn_layout_parameter(layer, spec, arena, NN_BIASES, layer->out.channels,
			    true);
	if (!own->batch_normalize)
		return NN_OK;
	/* The variance of a single value is undefined. */
	if (spec->train && nn_pixels(layer->out) == 1 && spec->micro_batch == 1)
		return NN_ERR_SPEC;
	layout_batchnorm(layer, spec, arena);
	return NN_OK;
}

/* ---- The walk ---- */

/* Floats of the buffers that layers share; each is used in turn. */
struct shared {
	uint64_t activation[2];	/* predicting */
	uint64_t delta[2];	/* training */
	uint64_t workspace;
	unsigned int turn;	/* activation buffer of the next layer */
};

static const struct nn_layer_ops *ops_of(enum nn_layer_kind kind)
{
	switch (kind) {
	case NN_CONVOLUTIONAL:
		return &nn_convolutional_ops;
	case NN_MAXPOOL:
		return &nn_maxpool_ops;
	case NN_AVGPOOL:
		return &nn_avgpool_ops;
	case NN_CONNECTED:
		return &nn_connected_ops;
	case NN_DROPOUT:
		return &nn_dropout_ops;
	case NN_SOFTMAX:
		return &nn_softmax_ops;
	case NN_COST:
		return &nn_cost_ops;
	default:
		return NULL;
	}
}

static void grow(uint64_t *floats, uint64_t needed)
{
	if (needed > *floats)
		*floats = needed;
}

static bool wants_input_delta(const struct nn_spec *spec)
{
	return spec->train && spec->input_delta && spec->first_layer > 0;
}

/* Where layer @index keeps its output, and room for the delta of it. */
static void layout_output(struct nn_layer *layer, uint32_t index,
			  const struct nn_spec *spec, struct nn_arena *arena,
			  struct shared *shared)
{
	uint64_t floats = (uint64_t)layer->outputs * spec->micro_batch;

	if (layer->passes)
		return;
	if (spec->train) {
		layer->output = nn_arena_floats(arena, NN_USE_ACTIVATIONS, floats);
		grow(&shared->delta[(index + 1) % 2], floats);
	} else {
		grow(&shared->activation[shared->turn], floats);
		shared->turn = !shared->turn;
	}
}

static enum nn_status layout_layer(struct nn_layer *layer, uint32_t index,
				   const struct nn_spec *spec,
				   struct nn_arena *arena,
				   struct shared *shared)
{
	enum nn_status status = NN_ERR_SPEC;

	layer->spec = spec->layers[index];
	layer->ops = ops_of(layer->spec.kind);
	if (!layer->ops)
		return NN_ERR_UNSUPPORTED;
	if (layer->spec.kind == NN_COST && index != spec->n_layers - 1)
		return NN_ERR_UNSUPPORTED;
	status = layer->ops->layout(layer, spec, arena);
	if (status != NN_OK)
		return status;
	layout_output(layer, index, spec, arena, shared);
	grow(&shared->workspace, layer->workspace_floats);
	nn_random_derive(layer->dropout_key, spec->seed, NN_RANDOM_DROPOUT,
			 spec->first_layer + index);
	return arena->too_large || shared->workspace > NN_MAX_TENSOR_FLOATS
	       ? NN_ERR_SIZE : NN_OK;
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

static enum nn_status layout_layers(const struct nn_spec *spec,
				    struct nn_arena *arena,
				    struct shared *shared, struct nn_net *net,
				    uint32_t *index)
{
	struct nn_layer layer = { 0 };
	struct nn_shape in = { spec->width, spec->height, spec->channels };
	enum nn_status status = NN_OK;

	for (*index = 0; *index < spec->n_layers; (*index)++) {
		layer = (struct nn_layer){ .in = in };
		if (!shape_floats(in, &layer.inputs))
			return NN_ERR_SIZE;
		status = layout_layer(&layer, *index, spec, arena, shared);
		if (status == NN_OK)
			status = join_truths(&layer, &net->truths);
		if (status != NN_OK)
			return status;
		if (*index == 0)
			net->inputs = layer.inputs;
		net->outputs = layer.outputs;
		if (net->layers)
			net->layers[*index] = layer;
		in = layer.out;
	}
	return NN_OK;
}

/* Hand the predicting layers their buffers, the way they were counted. */
static void share_activations(struct nn_net *net, float *const buffers[2])
{
	unsigned int turn = 0;
	uint32_t i = 0;

	for (i = 0; i < net->n_layers; i++) {
		if (net->layers[i].passes)
			continue;
		net->layers[i].output = buffers[turn];
		turn = !turn;
	}
}

static enum nn_status layout_shared(const struct nn_spec *spec,
				    struct nn_arena *arena,
				    struct shared *shared, struct nn_net *net)
{
	float *activation[2] = { NULL, NULL };
	unsigned int i = 0;

	if (wants_input_delta(spec))
		grow(&shared->delta[0], (uint64_t)spec->width * spec->height
					* spec->channels * spec->micro_batch);
	for (i = 0; i < 2; i++) {
		activation[i] = nn_arena_floats(arena, NN_USE_ACTIVATIONS,
						shared->activation[i]);
		net->delta[i] = nn_arena_floats(arena, NN_USE_DELTAS,
						shared->delta[i]);
	}
	net->workspace = nn_arena_floats(arena, NN_USE_WORKSPACE,
					 shared->workspace);
	if (net->layers && !spec->train)
		share_activations(net, activation);
	return arena->too_large ? NN_ERR_SIZE : NN_OK;
}

static enum nn_status check_segment(const struct nn_spec *spec)
{
	struct nn_shape in = { spec->width, spec->height, spec->channels };
	uint32_t inputs = 0;

	if (!spec->layers || spec->n_layers == 0 || spec->micro_batch == 0)
		return NN_ERR_SPEC;
	if (in.width == 0 || in.height == 0 || in.channels == 0)
		return NN_ERR_SPEC;
	if (spec->n_layers > NN_MAX_LAYERS
	    || spec->first_layer > UINT32_MAX - spec->n_layers)
		return NN_ERR_SIZE;
	if (!shape_floats(in, &inputs)
	    || (uint64_t)inputs * spec->micro_batch > NN_MAX_TENSOR_FLOATS)
		return NN_ERR_SIZE;
	return NN_OK;
}

/* Without memory in @arena: only count; *net then lacks its layers. */
static enum nn_status lay_out(const struct nn_spec *spec,
			      struct nn_arena *arena, struct nn_net *net,
			      uint32_t *bad_layer)
{
	struct shared shared = { 0 };
	enum nn_status status = NN_ERR_SPEC;

	*net = (struct nn_net){
		.n_layers = spec->n_layers,
		.first_layer = spec->first_layer,
		.train = spec->train,
		.input_delta = wants_input_delta(spec),
	};
	memcpy(net->seed, spec->seed, sizeof(net->seed));
	net->layers = nn_arena_take(arena, NN_USE_BOOKKEEPING, spec->n_layers,
				    sizeof(*net->layers));
	status = layout_layers(spec, arena, &shared, net, bad_layer);
	if (status != NN_OK)
		return status;
	return layout_shared(spec, arena, &shared, net);
}

static void report(const struct nn_arena *arena, const struct nn_net *net,
		   struct nn_plan *plan)
{
	plan->weights = (size_t)arena->used_by[NN_USE_WEIGHTS];
	plan->gradients = (size_t)arena->used_by[NN_USE_GRADIENTS];
	plan->activations = (size_t)arena->used_by[NN_USE_ACTIVATIONS];
	plan->deltas = (size_t)arena->used_by[NN_USE_DELTAS];
	plan->workspace = (size_t)arena->used_by[NN_USE_WORKSPACE];
	plan->bookkeeping = (size_t)arena->used_by[NN_USE_BOOKKEEPING];
	plan->total = (size_t)arena->used;
	plan->inputs = net->inputs;
	plan->outputs = net->outputs;
	plan->truths = net->truths;
}

static enum nn_status plan_net(const struct nn_spec *spec, struct nn_plan *plan,
			       uint32_t *bad_layer)
{
	struct nn_arena arena = { 0 };
	struct nn_net net = { 0 };
	enum nn_status status = check_segment(spec);

	if (status != NN_OK)
		return status;
	nn_arena_take(&arena, NN_USE_BOOKKEEPING, 1, sizeof(net));
	status = lay_out(spec, &arena, &net, bad_layer);
	if (status != NN_OK)
		return status;
	if (arena.used > SIZE_MAX)
		return NN_ERR_SIZE;
	report(&arena, &net, plan);
	return NN_OK;
}

enum nn_status nn_plan(const struct nn_spec *spec, struct nn_plan *plan,
		       uint32_t *bad_layer)
{
	uint32_t layer = 0;
	enum nn_status status = NN_ERR_SPEC;

	*plan = (struct nn_plan){ 0 };
	status = plan_net(spec, plan, &layer);
	if (status != NN_OK && bad_layer)
		*bad_layer = layer;
	return status;
}

static void fill(float *x, uint32_t count, float value)
{
	uint32_t i = 0;

	for (i = 0; i < count; i++)
		x[i] = value;
}

enum nn_status nn_init(struct nn_net **net, const struct nn_spec *spec,
		       void *memory, size_t size)
{
	struct nn_arena arena = { .base = memory };
	struct nn_plan plan = { 0 };
	struct nn_parameter *scales = NULL;
	uint32_t i = 0;
	enum nn_status status = nn_plan(spec, &plan, NULL);

	*net = NULL;
	if (status != NN_OK)
		return status;
	if (!memory || size < plan.total
	    || (uintptr_t)memory % NN_ARENA_ALIGNMENT != 0)
		return NN_ERR_ARENA;
	memset(memory, 0, plan.total);
	*net = nn_arena_take(&arena, NN_USE_BOOKKEEPING, 1, sizeof(**net));
	status = lay_out(spec, &arena, *net, &i);
	for (i = 0; status == NN_OK && i < spec->n_layers; i++) {
		scales = &(*net)->layers[i].parameter[NN_SCALES];
		fill(scales->value, scales->count, 1);
	}
	return status;
}
