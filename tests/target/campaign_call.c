/* SPDX-License-Identifier: MIT */
#include "campaign_call.h"

#include "campaign_random.h"

#include <stdlib.h>
#include <string.h>

static uint8_t arena[ARENA];
static uint8_t before[ARENA];
static TEEC_SharedMemory memory;

bool campaign_open_arena(void)
{
	return client_register(&memory, arena, sizeof(arena));
}

void campaign_close_arena(void)
{
	TEEC_ReleaseSharedMemory(&memory);
}

/* ---- Parameters in the arena ---- */

/* Room for @size bytes, at an odd place now and then. */
static size_t take(struct campaign_call *call, size_t size)
{
	size_t at = call->used + (random_percent(20) ? random_below(8) : 0);

	call->used = at + size + (8 - (at + size) % 8) % 8;
	if (call->used > ARENA)
		abort();	/* the generator is wrong */
	return at;
}

static struct param input(struct campaign_call *call, const void *bytes, size_t size)
{
	size_t at = take(call, size);

	memcpy(arena + at, bytes, size);
	return part_in(&memory, at, size);
}

static struct param floats(struct campaign_call *call, uint32_t count)
{
	size_t at = take(call, count * sizeof(float));
	float x = 0;
	uint32_t i = 0;

	for (i = 0; i < count; i++) {
		x = random_float();
		memcpy(arena + at + i * sizeof(x), &x, sizeof(x));
	}
	return part_in(&memory, at, count * sizeof(float));
}

static struct param output(struct campaign_call *call, uint32_t count)
{
	size_t at = take(call, count * sizeof(float));

	memset(arena + at, 0xa5, count * sizeof(float));
	return part_out(&memory, at, count * sizeof(float));
}

/* ---- Calls that are right ---- */

static void make_version(struct campaign_call *call)
{
	call->params[0] = value_out();
	call->params[1] = value_out();
}

static void make_build(struct campaign_call *call, const struct random_model *model)
{
	call->params[0] = input(call, model, random_model_size(model));
	call->params[1] = value_out();
}

static void make_tensor(struct campaign_call *call, const struct random_model *model)
{
	struct model_tensor tensor = { .layer = model->header.first_layer, .count = 1 };
	uint32_t first = 0;
	uint32_t count = 0;

	if (model->n_tensors > 0)
		tensor = model->tensors[random_below(model->n_tensors)];
	if (tensor.learned && random_percent(20))
		tensor.kind |= DARKNETP_TENSOR_MOMENTUM;
	first = random_percent(50) ? 0 : random_below(tensor.count);
	count = random_percent(50) ? tensor.count - first
				   : random_between(1, tensor.count - first);
	call->params[0] = value(tensor.layer, tensor.kind);
	call->params[1] = value(first, DARKNETP_FORM_PLAIN);
	call->params[2] = call->command == DARKNETP_CMD_TENSOR_LOAD
			  ? floats(call, count) : output(call, count);
}

static struct darknetp_step random_step(const struct random_model *model)
{
	uint32_t least = model->whole_batches ? 2 : 1;

	return (struct darknetp_step){
		.iteration_low = random_below(1000),
		.iteration_high = random_percent(5) ? random_word() : 0,
		.sample = random_below(100),
		.count = random_between(least, model->header.micro_batch),
	};
}

static void add_update(struct darknetp_step *step)
{
	if (random_percent(60)) {
		step->flags |= DARKNETP_STEP_UPDATE;
		step->learning_rate = (float)random_below(100) / 1000;
		step->momentum = (float)random_below(100) / 100;
		step->decay = (float)random_below(100) / 10000;
		step->samples = random_between(1, 8);
	}
	/* rarely: each is a line on the secure console */
	if (random_below(1000) == 0) {
		step->flags |= DARKNETP_STEP_REPORT;
		step->report_samples = random_between(1, 8);
	}
}

static void make_forward(struct campaign_call *call, const struct random_model *model)
{
	uint32_t count = call->step.count;

	call->params[1] = floats(call, count * model->inputs);
	if (model->truths > 0)
		call->params[2] = floats(call, count * model->truths);
	call->params[3] = output(call, count * model->outputs);
}

static void make_backward(struct campaign_call *call, const struct random_model *model)
{
	uint32_t count = call->step.count;

	call->params[1] = floats(call, count * model->outputs);
	if (model->input_delta)
		call->params[2] = output(call, count * model->inputs);
}

static void make_train(struct campaign_call *call, const struct random_model *model)
{
	uint32_t count = call->step.count;

	call->params[1] = floats(call, count * model->inputs);
	call->params[2] = floats(call, count * (model->truths ? model->truths : 1));
	if (model->input_delta)
		call->params[3] = output(call, count * model->inputs);
}

static void make_step(struct campaign_call *call, const struct random_model *model,
		      const struct darknetp_step *pending)
{
	bool backward = call->command == DARKNETP_CMD_BACKWARD;

	call->step = backward ? *pending : random_step(model);
	if (call->command != DARKNETP_CMD_FORWARD)
		add_update(&call->step);
	call->params[0] = input(call, &call->step, sizeof(call->step));
	if (backward)
		make_backward(call, model);
	else if (call->command == DARKNETP_CMD_FORWARD)
		make_forward(call, model);
	else
		make_train(call, model);
}

void campaign_make(struct campaign_call *call, uint32_t command,
		   const struct random_model *model,
		   const struct darknetp_step *pending)
{
	*call = (struct campaign_call){ .command = command };
	switch (command) {
	case DARKNETP_CMD_VERSION:
		make_version(call);
		break;
	case DARKNETP_CMD_BUILD:
		make_build(call, model);
		break;
	case DARKNETP_CMD_TENSOR_LOAD:
	case DARKNETP_CMD_TENSOR_SAVE:
		make_tensor(call, model);
		break;
	default:
		make_step(call, model, pending);
		break;
	}
}

/* ---- Calls that are wrong ---- */

static bool is_registered(const struct param *param)
{
	return param->type >= TEEC_MEMREF_WHOLE;
}

static bool is_value(const struct param *param)
{
	return param->type >= TEEC_VALUE_INPUT && param->type <= TEEC_VALUE_INOUT;
}

static void spoil_type(struct param *param)
{
	bool had_memory = is_registered(param);

	param->type = random_below(16);
	if (is_registered(param) && !had_memory)
		param->value.memref = (TEEC_RegisteredMemoryReference){
			.parent = &memory, .size = random_below(256),
		};
	/* a pointer into the arena, where a reference would be read */
	if (param->type >= TEEC_MEMREF_TEMP_INPUT && param->type < TEEC_MEMREF_WHOLE)
		param->value.tmpref = (TEEC_TempMemoryReference){
			.buffer = random_percent(20) ? NULL : arena,
			.size = random_below(ARENA),
		};
}

static size_t spoilt_size(size_t size)
{
	switch (random_below(6)) {
	case 0:
		return 0;
	case 1:
		return size + random_between(1, 8);
	case 2:
		return size - random_between(1, 8);
	case 3:
		return 2 * size;
	case 4:
		return random_edge();
	default:
		return random_below(ARENA);
	}
}

static void put_word(const struct param *param, size_t at, uint32_t word)
{
	const TEEC_RegisteredMemoryReference *part = &param->value.memref;

	if (is_registered(param) && part->size <= ARENA
	    && part->offset <= ARENA - part->size && at + sizeof(word) <= part->size)
		memcpy(arena + part->offset + at, &word, sizeof(word));
}

/* A word of what the parameter refers to, or of the parameter itself. */
static void spoil_word(struct param *param)
{
	uint32_t word = random_edge();
	size_t size = param->value.memref.size;

	if (is_registered(param) && size >= sizeof(word) && size <= ARENA)
		put_word(param, random_below((uint32_t)(size / 4)) * sizeof(word), word);
	else if (is_value(param) && random_percent(50))
		param->value.value.a = word;
	else if (is_value(param))
		param->value.value.b = word;
}

/* Somewhere else in the arena: over the other parameters, most likely. */
static void spoil_place(struct campaign_call *call, struct param *param)
{
	if (is_registered(param))
		param->value.memref.offset = random_percent(90)
					     ? random_below((uint32_t)call->used + 1)
					     : random_edge();
}

#define HEADER(field)	offsetof(struct darknetp_model, field)
#define LAYER(field)	offsetof(struct darknetp_layer, field)

/* Where in a description numbers mean something; most others are 0 or unused. */
static const size_t header_places[] = {
	HEADER(width), HEADER(height), HEADER(channels), HEADER(micro_batch),
	HEADER(flags), HEADER(abi),
};
static const size_t layer_places[] = {
	LAYER(filters), LAYER(outputs), LAYER(kind), LAYER(activation), LAYER(cost),
	LAYER(size), LAYER(stride), LAYER(padding), LAYER(groups),
	LAYER(probability), LAYER(temperature), LAYER(learning_rate),
	LAYER(n_sources), LAYER(sources[0]),
};
#define HEADER_SIZES	4	/* the first of each are sizes of a model */
#define LAYER_SIZES	2

static size_t any_layer(void)
{
	return sizeof(struct darknetp_model)
	       + random_below(MODEL_LAYERS) * sizeof(struct darknetp_layer);
}

static void spoil_description(const struct param *param)
{
	if (random_percent(20))
		put_word(param, header_places[random_below(ARRAY_SIZE(header_places))],
			 random_edge());
	else
		put_word(param, any_layer()
				+ layer_places[random_below(ARRAY_SIZE(layer_places))],
			 random_edge());
}

/* Sound, but large. */
static void oversize_description(const struct param *param)
{
	uint32_t size = random_between(1000, 1000000);

	if (random_percent(60))
		put_word(param, header_places[random_below(HEADER_SIZES)], size);
	else
		put_word(param, any_layer() + layer_places[random_below(LAYER_SIZES)],
			 size);
}

static void spoil_once(struct campaign_call *call)
{
	struct param *param = &call->params[random_below(PARAMS)];

	if (call->command == DARKNETP_CMD_BUILD && random_percent(80)) {
		spoil_description(&call->params[0]);
		return;
	}
	switch (random_below(16)) {
	case 0:
		call->command = random_percent(50) ? random_below(9) : random_edge();
		break;
	case 1:
	case 2:
		spoil_type(param);
		break;
	case 3:
	case 4:
	case 5:
		if (is_registered(param))
			param->value.memref.size =
				spoilt_size(param->value.memref.size);
		break;
	case 6:
		spoil_place(call, param);
		break;
	case 7:
		*param = in(NULL, spoilt_size(64));
		break;
	default:
		spoil_word(param);
		break;
	}
}

void campaign_spoil(struct campaign_call *call)
{
	bool build = call->command == DARKNETP_CMD_BUILD;
	uint32_t times = build ? random_between(3, 9) : random_between(1, 3);

	if (build && random_percent(30)) {
		oversize_description(&call->params[0]);
		return;
	}
	while (times-- > 0)
		spoil_once(call);
}

/* ---- The call itself ---- */

/* What the application was allowed to write. */
static void forgive_output(const struct param *param)
{
	const TEEC_RegisteredMemoryReference *part = &param->value.memref;

	if (param->type == TEEC_MEMREF_WHOLE)
		memcpy(before, arena, ARENA);
	else if (param->type == TEEC_MEMREF_PARTIAL_OUTPUT)
		memcpy(before + part->offset, arena + part->offset, part->size);
	else if (param->type == TEEC_MEMREF_TEMP_OUTPUT && param->value.tmpref.buffer)
		memcpy(before, arena, param->value.tmpref.size);
}

struct reply campaign_run(TEEC_Session *session, struct campaign_call *call)
{
	struct reply reply = { 0 };
	unsigned int i = 0;

	memcpy(before, arena, ARENA);
	reply = invoke_all(session, call->command, call->params);
	if (reply.result == TEEC_SUCCESS)
		for (i = 0; i < PARAMS; i++)
			forgive_output(&call->params[i]);
	EXPECT(memcmp(before, arena, ARENA) == 0);
	return reply;
}
