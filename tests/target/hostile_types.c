/* SPDX-License-Identifier: MIT */
#include "hostile.h"

#define TYPES	16	/* a type has four bits */
#define ROOM	256	/* bytes: any right parameter of these calls */

/* A call that is right, to be spoilt. */
struct good_call {
	enum victim_kind kind;
	uint32_t command;
	struct param params[PARAMS];
	TEEC_Result result;	/* when it is right */
};

static struct darknetp_step predict_step, train_step;
static float room[ROOM / sizeof(float)];

/* A step that leaves weights and gradients as they were. */
static struct darknetp_step step_without_traces(void)
{
	struct darknetp_step step = step_of(1, DARKNETP_STEP_UPDATE);

	step.learning_rate = 0;
	return step;
}

/* Fill @calls with one call of each command; return their number. */
static unsigned int good_calls(struct good_call *calls)
{
	static struct description description;
	struct param trained = in(victim_input, FLOATS(3));
	const struct good_call all[] = {
		{ VICTIM_PREDICT, DARKNETP_CMD_VERSION,
		  { value_out(), value_out(), none(), none() }, TEEC_SUCCESS },
		{ VICTIM_PREDICT, DARKNETP_CMD_BUILD,
		  { in(&description, sizeof(struct darknetp_model)), value_out(),
		    none(), none() }, BAD_STATE },
		{ VICTIM_PREDICT, DARKNETP_CMD_FORWARD,
		  { IN(predict_step), in(victim_input, FLOATS(16)), none(),
		    out(room, FLOATS(3)) }, TEEC_SUCCESS },
		{ VICTIM_TRAIN, DARKNETP_CMD_TENSOR_LOAD,
		  { value(1, DARKNETP_TENSOR_WEIGHTS), value(0, 0),
		    in(room, FLOATS(6)), none() }, TEEC_SUCCESS },
		{ VICTIM_TRAIN, DARKNETP_CMD_TENSOR_SAVE,
		  { value(1, DARKNETP_TENSOR_WEIGHTS), value(0, 0),
		    out(room, FLOATS(6)), none() }, TEEC_SUCCESS },
		{ VICTIM_TRAIN, DARKNETP_CMD_TRAIN,
		  { IN(train_step), trained, in(victim_truth, FLOATS(2)),
		    out(room, FLOATS(3)) }, TEEC_SUCCESS },
		{ VICTIM_MIDDLE, DARKNETP_CMD_BACKWARD,
		  { IN(train_step), in(victim_delta, FLOATS(2)),
		    out(room, FLOATS(3)), none() }, TEEC_SUCCESS },
	};

	memcpy(calls, all, sizeof(all));
	return ARRAY_SIZE(all);
}

static bool is_memory(uint32_t type)
{
	return type >= TEEC_MEMREF_TEMP_INPUT;
}

/* Whether the application cannot tell @type from the @right one. */
static bool is_equivalent(uint32_t type, uint32_t right)
{
	if (right == TEEC_MEMREF_TEMP_INPUT)
		return type == right || type == TEEC_MEMREF_PARTIAL_INPUT
		       || type == TEEC_MEMREF_WHOLE;
	if (right == TEEC_MEMREF_TEMP_OUTPUT)
		return type == right || type == TEEC_MEMREF_PARTIAL_OUTPUT
		       || type == TEEC_MEMREF_WHOLE;
	return type == right;
}

/* ---- One parameter replaced ---- */

/* Memory that holds what @right refers to. */
static bool make_memory(const struct param *right, uint32_t type,
			TEEC_SharedMemory *memory)
{
	static uint8_t bytes[ROOM];
	size_t size = 16;

	memset(bytes, 0, sizeof(bytes));
	if (is_memory(right->type)) {
		size = right->value.tmpref.size;
		memcpy(bytes, right->value.tmpref.buffer, size);
	}
	if (!client_register(memory, bytes, size))
		return false;
	/* a whole block goes the one way that is right */
	if (type == TEEC_MEMREF_WHOLE && right->type == TEEC_MEMREF_TEMP_INPUT)
		memory->flags = TEEC_MEM_INPUT;
	if (type == TEEC_MEMREF_WHOLE && right->type == TEEC_MEMREF_TEMP_OUTPUT)
		memory->flags = TEEC_MEM_OUTPUT;
	return true;
}

static struct param of_type(uint32_t type, const struct param *right,
			    TEEC_SharedMemory *memory)
{
	struct param param = { .type = type };

	if (type >= TEEC_MEMREF_WHOLE)
		param.value.memref = (TEEC_RegisteredMemoryReference){
			.parent = memory, .size = memory->size,
		};
	else if (type >= TEEC_MEMREF_TEMP_INPUT && type <= TEEC_MEMREF_TEMP_INOUT)
		param.value.tmpref = (TEEC_TempMemoryReference){
			.buffer = memory->buffer, .size = memory->size,
		};
	else
		param.value = is_memory(right->type) ? (TEEC_Parameter){ 0 }
						     : right->value;
	return param;
}

static void try_type(struct victim *victim, const struct good_call *call,
		     unsigned int position, uint32_t type)
{
	const struct param *right = &call->params[position];
	struct param params[PARAMS];
	TEEC_SharedMemory memory = { 0 };

	if (!make_memory(right, type, &memory))
		return;
	memcpy(params, call->params, sizeof(params));
	params[position] = of_type(type, right, &memory);
	if (call->command == DARKNETP_CMD_BACKWARD)
		EXPECT(victim_predicts(victim));
	if (!EXPECT_RESULT(invoke_all(&victim->session, call->command, params),
			   is_equivalent(type, right->type) ? call->result
							    : BAD_PARAMETERS))
		tap_note("command %u parameter %u type %u", call->command, position,
			 type);
	TEEC_ReleaseSharedMemory(&memory);
}

static void try_call(const struct good_call *call,
		     void (*spoil)(struct victim *victim, const struct good_call *call,
				   unsigned int position))
{
	struct victim victim = { 0 };
	unsigned int position = 0;

	if (!victim_open(&victim, call->kind))
		return;
	victim_weights(room);
	for (position = 0; position < PARAMS; position++)
		spoil(&victim, call, position);
	EXPECT_WORKS(&victim);
	victim_close(&victim);
}

static void try_calls(void (*spoil)(struct victim *victim, const struct good_call *call,
				    unsigned int position))
{
	struct good_call calls[DARKNETP_CMD_TRAIN + 1];
	unsigned int count = 0;
	unsigned int i = 0;

	predict_step = step_of(1, 0);
	train_step = step_without_traces();
	count = good_calls(calls);
	for (i = 0; i < count; i++)
		try_call(&calls[i], spoil);
}

static void every_type(struct victim *victim, const struct good_call *call,
		       unsigned int position)
{
	uint32_t type = 0;

	for (type = 0; type < TYPES; type++)
		try_type(victim, call, position, type);
}

void s2_every_type_everywhere(void)
{
	try_calls(every_type);
}

/* Two numbers that would be a pointer and a size, were they believed. */
static void values_as_memory(struct victim *victim, const struct good_call *call,
			     unsigned int position)
{
	static const uint32_t pointers[] = { 0, 1, 0x41414141, 0x0e300000, UINT32_MAX };
	struct param params[PARAMS];
	unsigned int i = 0;
	uint32_t type = TEEC_VALUE_INPUT;

	if (!is_memory(call->params[position].type))
		return;
	memcpy(params, call->params, sizeof(params));
	for (i = 0; i < ARRAY_SIZE(pointers); i++)
		for (type = TEEC_VALUE_INPUT; type <= TEEC_VALUE_INOUT; type++) {
			params[position] = value(pointers[i], 64);
			params[position].type = type;
			EXPECT_RESULT(invoke_all(&victim->session, call->command,
						 params), BAD_PARAMETERS);
		}
}

void s2_values_as_memory(void)
{
	try_calls(values_as_memory);
}

void unknown_commands(void)
{
	static const uint32_t unknown[] = {
		DARKNETP_CMD_TRAIN + 1, DARKNETP_CMD_TRAIN + 2, 17, 255, 0x7fffffff,
		0x80000000, 0xdeadbeef, UINT32_MAX,
	};
	struct victim victim = { 0 };
	unsigned int i = 0;

	if (!victim_open(&victim, VICTIM_TRAIN))
		return;
	for (i = 0; i < ARRAY_SIZE(unknown); i++) {
		EXPECT_RESULT(invoke(&victim.session, unknown[i], none(), none(),
				     none(), none()), BAD_PARAMETERS);
		EXPECT_RESULT(invoke(&victim.session, unknown[i], value_out(),
				     value_out(), none(), none()), BAD_PARAMETERS);
		EXPECT_RESULT(invoke(&victim.session, unknown[i],
				     in(victim_input, 64), value_out(),
				     out(room, 64), none()), BAD_PARAMETERS);
	}
	EXPECT_WORKS(&victim);
	victim_close(&victim);
}

/* ---- Registered memory ---- */

/* Where a prediction's three buffers lie in one block. */
struct places {
	size_t step, input, output;
};

/* A prediction from and into one block, checked to the bit. */
static bool predicts_at(struct victim *victim, TEEC_SharedMemory *memory,
			struct places at)
{
	uint8_t *bytes = memory->buffer;
	struct darknetp_step step = step_of(1, 0);
	float wanted[3] = { 0 };
	struct reply reply = { 0 };

	victim_outputs(victim->kind, wanted);
	memcpy(bytes + at.input, victim_input, FLOATS(16));
	memcpy(bytes + at.step, &step, sizeof(step));
	reply = invoke(&victim->session, DARKNETP_CMD_FORWARD,
		       part_in(memory, at.step, sizeof(step)),
		       part_in(memory, at.input, FLOATS(16)), none(),
		       part_out(memory, at.output, sizeof(wanted)));
	return EXPECT_RESULT(reply, TEEC_SUCCESS)
	       && memcmp(bytes + at.output, wanted, sizeof(wanted)) == 0;
}

static void try_places(struct victim *victim, TEEC_SharedMemory *memory)
{
	size_t odd = 0;

	for (odd = 0; odd < 8; odd++)
		EXPECT(predicts_at(victim, memory,
				   (struct places){ odd, 512 + odd, 1024 + odd }));
	/* over the border of a page, and up to the very end */
	EXPECT(predicts_at(victim, memory, (struct places){ 4090, 0, 8180 }));
	EXPECT(predicts_at(victim, memory, (struct places){
		0, 512, memory->size - 12 }));
}

void registered_memory(void)
{
	static uint8_t bytes[3 * 4096];
	TEEC_SharedMemory memory = { 0 };
	struct victim victim = { 0 };

	if (!victim_open(&victim, VICTIM_PREDICT))
		return;
	if (client_allocate(&memory, sizeof(bytes))) {
		try_places(&victim, &memory);
		TEEC_ReleaseSharedMemory(&memory);
	}
	/* memory of our own, that does not start at a page either */
	if (client_register(&memory, bytes + 13, sizeof(bytes) - 13)) {
		try_places(&victim, &memory);
		TEEC_ReleaseSharedMemory(&memory);
	}
	EXPECT_WORKS(&victim);
	victim_close(&victim);
}

void registered_out_of_bounds(void)
{
	static const struct {
		size_t offset, size;
	} outside[] = {
		{ 0, 4097 }, { 4096, 4 }, { 4093, 4 }, { 4097, 0 }, { 1, 4096 },
		{ 0, SIZE_MAX }, { SIZE_MAX, 4 }, { SIZE_MAX - 3, 4 },
		{ SIZE_MAX - 3, 12 }, { SIZE_MAX / 2 + 1, SIZE_MAX / 2 + 1 },
	};
	TEEC_SharedMemory memory = { 0 };
	struct victim victim = { 0 };
	unsigned int i = 0;

	if (!victim_open(&victim, VICTIM_TRAIN))
		return;
	if (client_allocate(&memory, 4096)) {
		for (i = 0; i < ARRAY_SIZE(outside); i++)
			EXPECT_RESULT(invoke(&victim.session, DARKNETP_CMD_TENSOR_SAVE,
					     value(1, 1), value(0, 0),
					     part_out(&memory, outside[i].offset,
						      outside[i].size), none()),
				      BAD_PARAMETERS);
		TEEC_ReleaseSharedMemory(&memory);
	}
	EXPECT_WORKS(&victim);
	victim_close(&victim);
}

/* ---- Overlapping ---- */

/* The gradient of the input is written over the input; whose copy is used. */
static void train_in_place(TEEC_SharedMemory *memory)
{
	struct darknetp_step step = step_of(1, DARKNETP_STEP_UPDATE);
	float *x = memory->buffer;
	float separate[3] = { 0 };
	struct victim victim = { 0 };
	bool overlaps = false;

	do {
		if (!victim_open(&victim, VICTIM_TRAIN))
			return;
		memcpy(x, victim_input, FLOATS(3));
		EXPECT_RESULT(invoke(&victim.session, DARKNETP_CMD_TRAIN, IN(step),
				     part_in(memory, 0, FLOATS(3)),
				     in(victim_truth, FLOATS(2)),
				     overlaps ? part_out(memory, 0, FLOATS(3))
					      : OUT(separate)), TEEC_SUCCESS);
		victim_close(&victim);
		overlaps = !overlaps;
	} while (overlaps);
	EXPECT(memcmp(x, separate, sizeof(separate)) == 0);
}

void overlapping_buffers(void)
{
	TEEC_SharedMemory memory = { 0 };
	struct victim victim = { 0 };
	size_t output = 0;

	if (!client_allocate(&memory, 4096))
		return;
	if (victim_open(&victim, VICTIM_PREDICT)) {
		/* the output anywhere over step and input */
		for (output = 0; output < 128; output++)
			EXPECT(predicts_at(&victim, &memory,
					   (struct places){ 0, 48, output }));
		/* step and input over each other: nonsense, but a session lives on */
		for (output = 0; output < 64; output += 4)
			invoke(&victim.session, DARKNETP_CMD_FORWARD,
			       part_in(&memory, output, sizeof(struct darknetp_step)),
			       part_in(&memory, 0, FLOATS(16)), none(),
			       part_out(&memory, output / 2, FLOATS(3)));
		EXPECT_WORKS(&victim);
		victim_close(&victim);
	}
	train_in_place(&memory);
	TEEC_ReleaseSharedMemory(&memory);
}
