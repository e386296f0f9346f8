/* SPDX-License-Identifier: MIT */
/* What layer kinds use to lay themselves out: the arena, shapes, parameters. */
#include "nn_internal.h"

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
	bytes = nn_padded(count * size);
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

bool nn_shape_floats(struct nn_shape shape, uint32_t *floats)
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
	return nn_shape_floats(out, &layer->outputs) ? NN_OK : NN_ERR_SIZE;
}

const struct nn_value *nn_layout_source(const struct nn_layer *layer,
					const struct nn_spec *spec,
					const struct nn_arena *arena,
					uint32_t source)
{
	return &arena->values[layer->spec.sources[source] + 1
			      - spec->first_layer];
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

enum nn_status nn_layout_normalization(struct nn_layer *layer,
				       const struct nn_spec *spec,
				       struct nn_arena *arena, bool learned)
{
	uint32_t channels = layer->out.channels;

	if (spec->train && nn_pixels(layer->out) == 1 && spec->micro_batch == 1)
		return NN_ERR_SPEC;
	nn_layout_parameter(layer, spec, arena, NN_SCALES, channels, learned);
	nn_layout_parameter(layer, spec, arena, NN_ROLLING_MEAN, channels, false);
	nn_layout_parameter(layer, spec, arena, NN_ROLLING_VARIANCE, channels,
			    false);
	if (!spec->train)
		return NN_OK;
	layer->mean = nn_arena_floats(arena, NN_USE_ACTIVATIONS, channels);
	layer->variance = nn_arena_floats(arena, NN_USE_ACTIVATIONS, channels);
	return NN_OK;
}

enum nn_status nn_layout_affine(struct nn_layer *layer,
				const struct nn_spec *spec,
				struct nn_arena *arena)
{
	const struct nn_layer_spec *own = &layer->spec;
	enum nn_status status = NN_OK;

	if ((uint32_t)own->activation > NN_LHTAN)
		return NN_ERR_UNSUPPORTED;
	if (!nn_is_finite(own->learning_rate))
		return NN_ERR_SPEC;
	nn_layout_parameter(layer, spec, arena, NN_BIASES, layer->out.channels,
			    true);
	if (!own->batch_normalize)
		return NN_OK;
	status = nn_layout_normalization(layer, spec, arena, true);
	if (status == NN_OK && spec->train)
		layer->unnormalized = nn_arena_floats(arena, NN_USE_ACTIVATIONS,
						      (uint64_t)layer->outputs
						      * spec->micro_batch);
	return status;
}
