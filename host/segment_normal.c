/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "plan.h"
#include "segment.h"

static int forward(struct segment *segment, const struct segment_step *step,
		   const float *input, const float *truth, const float **output)
{
	nn_forward(segment->net, &step->at, input, truth);
	*output = nn_output(segment->net);
	return 0;
}

static void put_output_delta(struct segment *segment, uint32_t samples,
			     const float *output_delta)
{
	size_t size = (size_t)samples * segment->outputs * sizeof(float);
	float *to = nn_output_delta(segment->net);

	if (!to)
		return;
	if (output_delta)
		memcpy(to, output_delta, size);
	else
		memset(to, 0, size);
}

static int backward(struct segment *segment, const struct segment_step *step,
		    const float *input, const float *truth,
		    const float *output_delta, const float **input_delta)
{
	put_output_delta(segment, step->at.count, output_delta);
	nn_backward(segment->net, &step->at, input, truth);
	*input_delta = nn_input_delta(segment->net);
	if (step->update)
		nn_update(segment->net, &step->rates);
	return 0;
}

/* Where @count parameters from @first on lie; NULL after a message if nowhere. */
static float *parameters(struct segment *segment, uint32_t layer,
			 uint32_t tensor, uint32_t first, uint32_t count)
{
	bool momentum = tensor & DARKNETP_TENSOR_MOMENTUM;
	uint32_t kind = tensor & ~DARKNETP_TENSOR_MOMENTUM;
	uint32_t available = 0;
	float *values = (momentum ? nn_momentum : nn_tensor)(
		segment->net, layer - segment->first,
		(enum nn_tensor_kind)kind, &available);

	if (values && first <= available && count <= available - first)
		return values + first;
	message_failed("layer %u has no parameters %u to %u of kind 0x%x",
		       layer, first, first + count, tensor);
	return NULL;
}

static int load(struct segment *segment, uint32_t layer, uint32_t tensor,
		uint32_t first, const float *values, uint32_t count)
{
	float *to = parameters(segment, layer, tensor, first, count);

	if (!to)
		return STATUS_FAILED;
	memcpy(to, values, (size_t)count * sizeof(*to));
	return 0;
}

static int save(struct segment *segment, uint32_t layer, uint32_t tensor,
		uint32_t first, float *values, uint32_t count)
{
	const float *from = parameters(segment, layer, tensor, first, count);

	if (!from)
		return STATUS_FAILED;
	memcpy(values, from, (size_t)count * sizeof(*values));
	return 0;
}

static void release(struct segment *segment)
{
	free(segment->arena);
}

static const struct segment_world normal_world = {
	.forward = forward,
	.backward = backward,
	.load = load,
	.save = save,
	.release = release,
};

static int make_arena(struct segment *segment, const struct network *network,
		      const struct nn_spec *spec)
{
	struct nn_plan plan = { 0 };
	uint32_t bad_layer = 0;
	enum nn_status result = nn_plan(spec, &plan, &bad_layer);
	size_t size = 0;

	if (result != NN_OK)
		return network_refuse_layer(network, segment->first + bad_layer,
					    nn_strerror(result));
	/* aligned_alloc() wants whole multiples of the alignment: a plan is one. */
	size = (size_t)plan.total;
	if (size == plan.total)
		segment->arena = aligned_alloc(NN_ARENA_ALIGNMENT, size);
	if (!segment->arena)
		return message_failed("out of memory: layers %u to %u need %llu bytes",
				      segment->first,
				      segment->first + segment->count - 1,
				      (unsigned long long)plan.total);
	result = nn_init(&segment->net, spec, segment->arena, size);
	if (result != NN_OK)
		return message_failed("layers %u to %u: %s", segment->first,
				      segment->first + segment->count - 1,
				      nn_strerror(result));
	return 0;
}

int segment_build_normal(struct segment *segment,
			 const struct segment_build *build)
{
	struct nn_layer_spec *layers = calloc(segment->count, sizeof(*layers));
	struct nn_spec spec = { 0 };
	int status = 0;

	if (!layers)
		return message_no_memory("layers");
	spec = plan_spec(build->network, segment->first, segment->count, layers);
	spec.micro_batch = build->micro_batch;
	spec.train = build->train;
	spec.input_delta = segment->passes_back;
	spec.workers = build->workers;
	memcpy(spec.seed, build->seed->words, sizeof(spec.seed));
	segment->world = &normal_world;
	status = make_arena(segment, build->network, &spec);
	free(layers);
	if (!status && build->train)
		nn_randomize(segment->net);
	return status;
}
