/* SPDX-License-Identifier: MIT */
/* DARKNETP_CMD_BUILD: from a request of the normal world to a model in memory. */
#include "model.h"

#include "darknetp_ta.h"
#include "nn_footprint.h"

_Static_assert(sizeof(struct darknetp_model) == 48, "layout of the contract");
_Static_assert(sizeof(struct darknetp_layer) == 112, "layout of the contract");
_Static_assert(sizeof(float) == 4, "the contract's floats are binary32");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "requests are copied as they are");
_Static_assert(DARKNETP_MAX_LAYERS <= NN_MAX_LAYERS
	       && DARKNETP_MAX_NETWORK <= NN_MAX_NETWORK
	       && DARKNETP_MAX_SOURCES <= NN_MAX_SOURCES, "limits agree");
_Static_assert((int)DARKNETP_TENSOR_BIASES == (int)NN_BIASES
	       && (int)DARKNETP_TENSOR_WEIGHTS == (int)NN_WEIGHTS
	       && (int)DARKNETP_TENSOR_SCALES == (int)NN_SCALES
	       && (int)DARKNETP_TENSOR_ROLLING_MEAN == (int)NN_ROLLING_MEAN
	       && (int)DARKNETP_TENSOR_ROLLING_VARIANCE == (int)NN_ROLLING_VARIANCE,
	       "tensor kinds agree");

#define MODEL_FLAGS	(DARKNETP_MODEL_TRAIN | DARKNETP_MODEL_SEEDED)

static uint32_t check_header(const struct darknetp_model *header)
{
	bool seeded = header->flags & DARKNETP_MODEL_SEEDED;

	if (header->abi != DARKNETP_TA_ABI)
		return RESULT_NOT_SUPPORTED;
	if (header->flags & ~MODEL_FLAGS || header->reserved != 0)
		return RESULT_BAD_PARAMETERS;
	if (!seeded && (header->seed_low != 0 || header->seed_high != 0))
		return RESULT_BAD_PARAMETERS;
	if (header->network_layers > DARKNETP_MAX_NETWORK)
		return RESULT_BAD_PARAMETERS;
	if (header->layers == 0 || header->layers > DARKNETP_MAX_LAYERS
	    || header->layers > header->network_layers
	    || header->first_layer > header->network_layers - header->layers)
		return RESULT_BAD_PARAMETERS;
	return RESULT_SUCCESS;
}

static bool sources_from_wire(const struct darknetp_layer *wire,
			      struct nn_layer_spec *layer)
{
	uint32_t i = 0;

	if (wire->n_sources > DARKNETP_MAX_SOURCES)
		return false;
	layer->n_sources = (uint8_t)wire->n_sources;
	for (i = 0; i < DARKNETP_MAX_SOURCES; i++) {
		if (wire->sources[i] >= DARKNETP_MAX_NETWORK
		    || (i >= wire->n_sources && wire->sources[i] != 0))
			return false;
		layer->sources[i] = (uint16_t)wire->sources[i];
	}
	return true;
}

static bool layer_from_wire(const struct darknetp_layer *wire,
			    struct nn_layer_spec *layer)
{
	if (wire->reserved[0] != 0 || wire->reserved[1] != 0
	    || wire->batch_normalize > 1 || wire->noloss > 1)
		return false;
	*layer = (struct nn_layer_spec){
		.kind = (enum nn_layer_kind)wire->kind,
		.activation = (enum nn_activation)wire->activation,
		.cost = (enum nn_cost_type)wire->cost,
		.filters = wire->filters,
		.size = wire->size,
		.stride = wire->stride,
		.padding = wire->padding,
		.groups = wire->groups,
		.outputs = wire->outputs,
		.batch_normalize = wire->batch_normalize == 1,
		.noloss = wire->noloss == 1,
		.probability = wire->probability,
		.temperature = wire->temperature,
		.scale = wire->scale,
		.learning_rate = wire->learning_rate,
		.alpha = wire->alpha,
		.beta = wire->beta,
	};
	return sources_from_wire(wire, layer);
}

static bool take_layers(struct request *request, uint32_t n,
			struct nn_layer_spec *layers)
{
	struct darknetp_layer wire = { 0 };
	uint32_t i = 0;

	for (i = 0; i < n; i++)
		if (!request_take(request, &wire, sizeof(wire))
		    || !layer_from_wire(&wire, &layers[i]))
			return false;
	return true;
}

static void choose_seed(const struct model *model,
			const struct darknetp_model *header,
			struct nn_spec *spec)
{
	if (header->flags & DARKNETP_MODEL_SEEDED) {
		spec->seed[0] = header->seed_low;
		spec->seed[1] = header->seed_high;
	} else {
		model->host->random(spec->seed, sizeof(spec->seed));
	}
}

static uint32_t saturate(uint64_t size)
{
	return size > UINT32_MAX ? UINT32_MAX : (uint32_t)size;
}

/*
 * Allocate and lay out what is known to make sense. The allocator may align less
 * than an arena must be.
 */
static uint32_t furnish(struct model *model, const struct nn_spec *spec,
			const struct nn_plan *plan, uint32_t numbers[2])
{
	uint64_t size = plan->total + NN_MODEL_EXTRA;
	uint8_t *base = NULL;

	numbers[0] = saturate(size);
	numbers[1] = saturate(model->host->heap);
	if (size > model->host->heap)
		return RESULT_OUT_OF_MEMORY;
	model->block = model->host->allocate((size_t)size);
	if (!model->block)
		return RESULT_OUT_OF_MEMORY;
	model->block_size = (size_t)size;
	base = model->block;
	base += (NN_ARENA_ALIGNMENT - (uintptr_t)base % NN_ARENA_ALIGNMENT)
		% NN_ARENA_ALIGNMENT;
	if (nn_init(&model->net, spec, base, (size_t)plan->total) == NN_OK)
		return RESULT_SUCCESS;
	model->host->release(model->block);
	model->block = NULL;
	model->block_size = 0;
	return RESULT_BAD_FORMAT;
}

static bool has_softmax(const struct nn_spec *spec)
{
	uint32_t i = 0;

	for (i = 0; i < spec->n_layers; i++)
		if (spec->layers[i].kind == NN_SOFTMAX)
			return true;
	return false;
}

static uint32_t refuse_layer(const struct nn_spec *spec, uint32_t layer,
			     uint32_t result, uint32_t numbers[2])
{
	numbers[0] = spec->first_layer + layer;
	numbers[1] = 1;
	return result;
}

/* Nothing follows a cost layer, and training needs a loss at the very end. */
static bool end_makes_sense(const struct nn_spec *spec,
			    const struct nn_plan *plan, bool reaches_end)
{
	if (!reaches_end)
		return spec->layers[spec->n_layers - 1].kind != NN_COST;
	return !spec->train || plan->truths > 0;
}

static uint32_t build_layers(struct model *model, const struct nn_spec *spec,
			     bool reaches_end, uint32_t numbers[2])
{
	struct nn_plan plan = { 0 };
	uint32_t bad_layer = 0;
	enum nn_status status = nn_plan(spec, &plan, &bad_layer);
	uint32_t result = RESULT_BAD_FORMAT;

	if (status != NN_OK)
		return refuse_layer(spec, bad_layer,
				    status == NN_ERR_UNSUPPORTED
				    || status == NN_ERR_SOURCE
				    ? RESULT_NOT_SUPPORTED : RESULT_BAD_FORMAT,
				    numbers);
	if (!end_makes_sense(spec, &plan, reaches_end))
		return refuse_layer(spec, spec->n_layers - 1,
				    RESULT_NOT_SUPPORTED, numbers);
	result = furnish(model, spec, &plan, numbers);
	if (result != RESULT_SUCCESS)
		return result;
	model->inputs = plan.inputs;
	model->outputs = plan.outputs;
	model->truths = plan.truths;
	model->first_layer = spec->first_layer;
	model->micro_batch = spec->micro_batch;
	model->train = spec->train;
	model->reaches_end = reaches_end;
	model->hides_confidence = !spec->train && has_softmax(spec);
	model->state = MODEL_READY;
	if (spec->train)
		nn_randomize(model->net);
	return RESULT_SUCCESS;
}

/*
 * The descriptions of all layers are on the stack (20 KiB of the 64): a heap
 * block beside the model's would have to be kept free for it.
 */
uint32_t model_build(struct model *model, struct request *request,
		     uint32_t numbers[2])
{
	struct darknetp_model header = { 0 };
	struct nn_layer_spec layers[DARKNETP_MAX_LAYERS] = { 0 };
	struct nn_spec spec = { 0 };
	uint32_t result = RESULT_BAD_PARAMETERS;

	if (model->state != MODEL_EMPTY)
		return RESULT_BAD_STATE;
	if (!request_take(request, &header, sizeof(header)))
		return RESULT_BAD_PARAMETERS;
	result = check_header(&header);
	if (result != RESULT_SUCCESS)
		return result;
	if (request->left != header.layers * sizeof(struct darknetp_layer))
		return RESULT_BAD_PARAMETERS;
	spec = (struct nn_spec){
		.width = header.width,
		.height = header.height,
		.channels = header.channels,
		.first_layer = header.first_layer,
		.n_layers = header.layers,
		.micro_batch = header.micro_batch,
		.train = header.flags & DARKNETP_MODEL_TRAIN,
		.input_delta = true,
		.keeps_input = true,
		.layers = layers,
	};
	choose_seed(model, &header, &spec);
	result = RESULT_BAD_PARAMETERS;
	if (take_layers(request, header.layers, layers))
		result = build_layers(model, &spec,
				      header.first_layer + header.layers
				      == header.network_layers, numbers);
	model_wipe(spec.seed, sizeof(spec.seed));
	return result;
}
