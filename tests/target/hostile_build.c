/* SPDX-License-Identifier: MIT */
#include "hostile.h"
#include "largest.h"

#include "nn.h"

#include <stdlib.h>

#define LONGEST	(DARKNETP_MAX_LAYERS + 2)	/* layers in a request */

/* An empty session; false: the test has failed. */
static bool open_empty(struct victim *victim)
{
	return EXPECT(client_open(&victim->session) == TEEC_SUCCESS);
}

/* After all that was refused, a session that was still empty builds and works. */
static void finish(struct victim *victim, enum victim_kind kind)
{
	if (victim_build(victim, kind))
		EXPECT_WORKS(victim);
	victim_close(victim);
}

static struct reply build_bytes(struct victim *victim, const void *bytes, size_t size)
{
	return invoke(&victim->session, DARKNETP_CMD_BUILD, in(bytes, size),
		      value_out(), none(), none());
}

/* ---- How many layers ---- */

struct long_request {
	struct darknetp_model model;
	struct darknetp_layer layers[LONGEST];
};

/* @last: kind of the last layer that may be described */
static struct reply build_layers(struct victim *victim, uint32_t claimed,
				 uint32_t sent, uint32_t last)
{
	static struct long_request request;
	uint32_t i = 0;

	request.model = victim_description(VICTIM_PREDICT).model;
	request.model.layers = claimed;
	request.model.network_layers = DARKNETP_MAX_NETWORK;
	for (i = 0; i < LONGEST; i++)
		request.layers[i] = (struct darknetp_layer){
			.kind = i < DARKNETP_MAX_LAYERS - 1 ? NN_DROPOUT : last,
			.probability = 0.5f,
		};
	return build_bytes(victim, &request,
			   sizeof(request.model) + sent * sizeof(request.layers[0]));
}

static struct reply build_long(struct victim *victim, uint32_t claimed, uint32_t sent)
{
	return build_layers(victim, claimed, sent, NN_DROPOUT);
}

void s9_too_many_layers(void)
{
	/* From 0x10000000 on, times 112 bytes wraps around 32 bits, to 0 or 112. */
	static const uint32_t claims[] = {
		0, DARKNETP_MAX_LAYERS + 1, DARKNETP_MAX_LAYERS + 2, 0x7fffffff,
		0x80000000, UINT32_MAX, 0x10000000, 0x10000001,
	};
	struct victim victim = { 0 };
	unsigned int i = 0;

	if (!open_empty(&victim))
		return;
	for (i = 0; i < ARRAY_SIZE(claims); i++) {
		EXPECT_RESULT(build_long(&victim, claims[i],
					 claims[i] < LONGEST ? claims[i] : LONGEST),
			      BAD_PARAMETERS);
		EXPECT_RESULT(build_long(&victim, claims[i], claims[i] & 1),
			      BAD_PARAMETERS);
	}
	finish(&victim, VICTIM_TRAIN);
	if (!open_empty(&victim))
		return;
	EXPECT_RESULT(build_long(&victim, DARKNETP_MAX_LAYERS, DARKNETP_MAX_LAYERS),
		      TEEC_SUCCESS);
	victim_close(&victim);
}

void s9_build_twice(void)
{
	struct description again = { 0 };
	struct victim victim = { 0 };
	enum victim_kind kind = VICTIM_PREDICT;
	enum victim_kind other = VICTIM_PREDICT;

	for (kind = VICTIM_PREDICT; kind < VICTIM_KINDS; kind++) {
		if (!victim_open(&victim, kind))
			return;
		for (other = VICTIM_PREDICT; other < VICTIM_KINDS; other++) {
			again = victim_description(other);
			EXPECT_RESULT(build(&victim.session, &again), BAD_STATE);
		}
		EXPECT_WORKS(&victim);
		victim_close(&victim);
	}
}

void s10_count_and_length_disagree(void)
{
	struct description description = victim_description(VICTIM_HIDDEN);
	uint32_t layers = description.model.layers;
	struct victim victim = { 0 };
	uint32_t sent = 0;

	if (!open_empty(&victim))
		return;
	for (sent = 0; sent <= layers + 1; sent++)
		if (sent != layers)
			EXPECT_RESULT(build_long(&victim, layers, sent),
				      BAD_PARAMETERS);
	/* and where they agree with each other, but not with the network */
	description.model.first_layer = 3;
	EXPECT_RESULT(build(&victim.session, &description), BAD_PARAMETERS);
	description.model.first_layer = UINT32_MAX;
	EXPECT_RESULT(build(&victim.session, &description), BAD_PARAMETERS);
	description.model.first_layer = 0;
	description.model.network_layers = layers - 1;
	EXPECT_RESULT(build(&victim.session, &description), BAD_PARAMETERS);
	finish(&victim, VICTIM_HIDDEN);
}

/* ---- Blocks that are not what they should be ---- */

static void try_lengths_of_step(struct victim *victim)
{
	uint8_t bytes[2 * sizeof(struct darknetp_step)] = { 0 };
	struct darknetp_step step = step_of(1, 0);
	float y[3] = { 0 };
	size_t size = 0;

	memcpy(bytes, &step, sizeof(step));
	for (size = 0; size <= sizeof(bytes); size++)
		if (size != sizeof(step))
			EXPECT_RESULT(invoke(&victim->session, DARKNETP_CMD_FORWARD,
					     in(bytes, size),
					     in(victim_input, FLOATS(16)), none(),
					     OUT(y)), BAD_PARAMETERS);
	EXPECT_WORKS(victim);
}

void s11_blocks_of_every_length(void)
{
	struct description description = victim_description(VICTIM_PREDICT);
	size_t right = description_size(&description);
	struct victim victim = { 0 };
	size_t size = 0;

	if (!open_empty(&victim))
		return;
	for (size = 0; size <= sizeof(description); size++)
		if (size != right)
			EXPECT_RESULT(build_bytes(&victim, &description, size),
				      BAD_PARAMETERS);
	if (victim_build(&victim, VICTIM_PREDICT))
		try_lengths_of_step(&victim);
	victim_close(&victim);
}

static bool is_refusal_of_build(TEEC_Result result)
{
	return result == BAD_PARAMETERS || result == BAD_FORMAT
	       || result == NOT_SUPPORTED || result == OUT_OF_MEMORY;
}

/* The same byte all over: the longest string, without an end, is among them. */
static void try_bytes(struct victim *victim, uint8_t byte)
{
	struct description description = { 0 };
	struct description whole_header = victim_description(VICTIM_PREDICT);

	memset(&description, byte, sizeof(description));
	EXPECT(is_refusal_of_build(build_bytes(victim, &description,
					       sizeof(description)).result));
	description.model = whole_header.model;
	EXPECT(is_refusal_of_build(build(&victim->session, &description).result));
	memset(&whole_header.model, byte, sizeof(whole_header.model));
	whole_header.model.abi = DARKNETP_TA_ABI;
	EXPECT(is_refusal_of_build(build_bytes(victim, &whole_header,
					       sizeof(whole_header)).result));
}

void s11_garbage(void)
{
	struct victim victim = { 0 };
	unsigned int byte = 0;

	if (!open_empty(&victim))
		return;
	for (byte = 0; byte <= 0xff; byte++)
		try_bytes(&victim, (uint8_t)byte);
	finish(&victim, VICTIM_MIDDLE);
}

void versions_differ(void)
{
	static const uint32_t others[] = {
		0, DARKNETP_TA_ABI - 1, DARKNETP_TA_ABI + 1, 0x80000000, UINT32_MAX,
	};
	struct description description = victim_description(VICTIM_PREDICT);
	struct victim victim = { 0 };
	struct reply reply = { 0 };
	unsigned int i = 0;

	if (!open_empty(&victim))
		return;
	reply = invoke(&victim.session, DARKNETP_CMD_VERSION, value_out(), value_out(),
		       none(), none());
	EXPECT_RESULT(reply, TEEC_SUCCESS);
	EXPECT(reply.params[0].value.a == DARKNETP_TA_ABI);
	for (i = 0; i < ARRAY_SIZE(others); i++) {
		description.model.abi = others[i];
		reply = build(&victim.session, &description);
		EXPECT_RESULT(reply, NOT_SUPPORTED);
		EXPECT(reply.params[1].value.a == 0 && reply.params[1].value.b == 0);
	}
	finish(&victim, VICTIM_PREDICT);
}

/* ---- Shapes ---- */

/* One word of the description changed. */
struct change {
	size_t at;	/* offset */
	uint32_t value;
	TEEC_Result wanted;
};

#define MODEL(field)	offsetof(struct darknetp_model, field)
#define LAYER(n, field)	(sizeof(struct darknetp_model)			\
			 + (n) * sizeof(struct darknetp_layer)		\
			 + offsetof(struct darknetp_layer, field))
#define NOT_A_NUMBER	0x7fc00000
#define INFINITE	0x7f800000
#define MINUS_ONE	0xbf800000
#define ONE		0x3f800000

static void try_change(struct victim *victim, enum victim_kind kind,
		       const struct change *change)
{
	struct description description = victim_description(kind);
	struct reply reply = { 0 };

	memcpy((uint8_t *)&description + change->at, &change->value,
	       sizeof(change->value));
	reply = build_bytes(victim, &description, sizeof(struct darknetp_model)
			    + victim_description(kind).model.layers
			      * sizeof(struct darknetp_layer));
	if (change->wanted == OUT_OF_MEMORY)
		EXPECT(reply.result == OUT_OF_MEMORY || reply.result == BAD_FORMAT);
	else
		EXPECT_RESULT(reply, change->wanted);
	if (tap_failures())
		tap_note("word %zu = 0x%x", change->at, change->value);
}

static void try_changes(enum victim_kind kind, const struct change *changes,
			unsigned int count)
{
	struct victim victim = { 0 };
	unsigned int i = 0;

	if (!open_empty(&victim))
		return;
	for (i = 0; i < count; i++)
		try_change(&victim, kind, &changes[i]);
	finish(&victim, kind);
}

/* Of VICTIM_HIDDEN: convolutional, maxpool, connected, softmax. */
static const struct change impossible[] = {
	{ MODEL(width), 0, BAD_FORMAT },
	{ MODEL(height), 0, BAD_FORMAT },
	{ MODEL(channels), 0, BAD_FORMAT },
	{ MODEL(micro_batch), 0, BAD_FORMAT },
	{ MODEL(flags), 0x80000000, BAD_PARAMETERS },
	{ MODEL(seed_low), 1, BAD_PARAMETERS },		/* without SEEDED */
	{ MODEL(seed_high), 1, BAD_PARAMETERS },
	{ MODEL(reserved), 1, BAD_PARAMETERS },
	{ MODEL(first_layer), 3, BAD_PARAMETERS },	/* over the end */
	{ MODEL(first_layer), UINT32_MAX, BAD_PARAMETERS },
	{ MODEL(network_layers), 3, BAD_PARAMETERS },
	{ MODEL(network_layers), DARKNETP_MAX_NETWORK + 1, BAD_PARAMETERS },
	{ LAYER(0, kind), 0, NOT_SUPPORTED },
	{ LAYER(0, kind), 99, NOT_SUPPORTED },
	{ LAYER(0, kind), UINT32_MAX, NOT_SUPPORTED },
	{ LAYER(0, kind), NN_COST, NOT_SUPPORTED },	/* not the last */
	{ LAYER(0, activation), 99, NOT_SUPPORTED },
	{ LAYER(0, activation), UINT32_MAX, NOT_SUPPORTED },
	{ LAYER(0, filters), 0, BAD_FORMAT },
	{ LAYER(0, size), 0, BAD_FORMAT },
	{ LAYER(0, size), 7, BAD_FORMAT },		/* more than image and padding */
	{ LAYER(0, stride), 0, BAD_FORMAT },		/* a division */
	{ LAYER(0, groups), 0, BAD_FORMAT },		/* another */
	{ LAYER(0, groups), 3, BAD_FORMAT },
	{ LAYER(0, batch_normalize), 2, BAD_PARAMETERS },
	{ LAYER(0, noloss), 2, BAD_PARAMETERS },
	{ LAYER(0, reserved[0]), 1, BAD_PARAMETERS },
	{ LAYER(0, reserved[1]), 1, BAD_PARAMETERS },
	{ LAYER(0, n_sources), DARKNETP_MAX_SOURCES + 1, BAD_PARAMETERS },
	{ LAYER(0, n_sources), UINT32_MAX, BAD_PARAMETERS },
	{ LAYER(0, sources[0]), 1, BAD_PARAMETERS },	/* without being counted */
	{ LAYER(0, learning_rate), NOT_A_NUMBER, BAD_FORMAT },
	{ LAYER(0, learning_rate), INFINITE, BAD_FORMAT },
	{ LAYER(1, size), 0, BAD_FORMAT },
	{ LAYER(1, stride), 0, BAD_FORMAT },
	{ LAYER(2, outputs), 0, BAD_FORMAT },
	{ LAYER(3, groups), 0, BAD_FORMAT },
	{ LAYER(3, groups), 2, BAD_FORMAT },		/* of three classes */
	{ LAYER(3, temperature), 0, BAD_FORMAT },
	{ LAYER(3, temperature), NOT_A_NUMBER, BAD_FORMAT },
};

/* Of VICTIM_TRAIN: connected, cost. */
static const struct change impossible_training[] = {
	{ LAYER(1, cost), 99, NOT_SUPPORTED },
	{ LAYER(1, scale), NOT_A_NUMBER, BAD_FORMAT },
	{ LAYER(1, scale), INFINITE, BAD_FORMAT },
	{ LAYER(1, kind), NN_DROPOUT, NOT_SUPPORTED },	/* nothing owns a loss */
};

void s14_impossible_shapes(void)
{
	try_changes(VICTIM_HIDDEN, impossible, ARRAY_SIZE(impossible));
	try_changes(VICTIM_TRAIN, impossible_training, ARRAY_SIZE(impossible_training));
}

/* Products that wrap around 32 or 64 bits, or are merely too large. */
static const struct change overflowing[] = {
	{ MODEL(width), 0x10000, OUT_OF_MEMORY },
	{ MODEL(width), 0x40000000, OUT_OF_MEMORY },	/* width * height * 4 = 0 */
	{ MODEL(width), UINT32_MAX, OUT_OF_MEMORY },
	{ MODEL(height), 0x80000000, OUT_OF_MEMORY },
	{ MODEL(channels), 0x08000000, OUT_OF_MEMORY },
	{ MODEL(channels), UINT32_MAX, OUT_OF_MEMORY },
	{ MODEL(micro_batch), 0x10000000, OUT_OF_MEMORY },
	{ MODEL(micro_batch), 0x40000001, OUT_OF_MEMORY },
	{ MODEL(micro_batch), UINT32_MAX, OUT_OF_MEMORY },
	{ LAYER(0, filters), 0x01000000, OUT_OF_MEMORY },
	{ LAYER(0, filters), 0x40000001, OUT_OF_MEMORY },
	{ LAYER(0, filters), UINT32_MAX, OUT_OF_MEMORY },
	{ LAYER(0, size), 0x10000, OUT_OF_MEMORY },
	{ LAYER(0, size), UINT32_MAX, OUT_OF_MEMORY },
	{ LAYER(0, padding), 0x7fffffff, OUT_OF_MEMORY },
	{ LAYER(0, padding), 0x80000000, OUT_OF_MEMORY },	/* twice that = 0 */
	{ LAYER(0, padding), UINT32_MAX, OUT_OF_MEMORY },
	{ LAYER(1, padding), UINT32_MAX, OUT_OF_MEMORY },
	{ LAYER(1, size), UINT32_MAX, OUT_OF_MEMORY },
	{ LAYER(2, outputs), 0x08000001, OUT_OF_MEMORY },
	{ LAYER(2, outputs), 0x40000001, OUT_OF_MEMORY },
	{ LAYER(2, outputs), UINT32_MAX, OUT_OF_MEMORY },
};

/* Of a route in the place of VICTIM_HIDDEN's pooling: what it may not read. */
static struct reply build_route(struct victim *victim, uint32_t sources,
				uint32_t source)
{
	struct description description = victim_description(VICTIM_HIDDEN);
	uint32_t i = 0;

	description.layers[1] = (struct darknetp_layer){
		.kind = NN_ROUTE, .n_sources = sources,
	};
	for (i = 0; i < sources && i < DARKNETP_MAX_SOURCES; i++)
		description.layers[1].sources[i] = source;
	return build(&victim->session, &description);
}

void s14_sources_out_of_reach(void)
{
	/*
	 * Layers 2 to 5 are in the partition, the route is layer 3; what layer 1
	 * gives is the partition's input.
	 */
	static const uint32_t unreachable[] = { 0, 3, 4, 5, 6, 300 };
	static const uint32_t impossible_ones[] = {
		DARKNETP_MAX_NETWORK, DARKNETP_MAX_NETWORK + 3, 0x10002, UINT32_MAX,
	};
	struct victim victim = { 0 };
	struct reply reply = { 0 };
	unsigned int i = 0;

	if (!open_empty(&victim))
		return;
	for (i = 0; i < ARRAY_SIZE(unreachable); i++) {
		reply = build_route(&victim, 1, unreachable[i]);
		EXPECT_RESULT(reply, unreachable[i] < 3 ? NOT_SUPPORTED : BAD_FORMAT);
		EXPECT(reply.params[1].value.a == 3 && reply.params[1].value.b == 1);
	}
	for (i = 0; i < ARRAY_SIZE(impossible_ones); i++)
		EXPECT_RESULT(build_route(&victim, 1, impossible_ones[i]),
			      BAD_PARAMETERS);
	EXPECT_RESULT(build_route(&victim, 0, 0), BAD_FORMAT);
	EXPECT_RESULT(build_route(&victim, DARKNETP_MAX_SOURCES + 1, 2), BAD_PARAMETERS);
	EXPECT_RESULT(build_route(&victim, UINT32_MAX, 2), BAD_PARAMETERS);
	finish(&victim, VICTIM_HIDDEN);
	if (!open_empty(&victim))
		return;
	EXPECT_RESULT(build_route(&victim, DARKNETP_MAX_SOURCES, 2), TEEC_SUCCESS);
	victim_close(&victim);
}

void s14_overflowing_shapes(void)
{
	try_changes(VICTIM_HIDDEN, overflowing, ARRAY_SIZE(overflowing));
}

/* ---- Memory ---- */

static void try_large_models(struct victim *victim)
{
	struct reply reply = { 0 };
	unsigned int i = 0;

	for (i = 0; i < 200; i++) {
		reply = largest_try(&victim->session, 50000 + 5000 * i);
		EXPECT_RESULT(reply, OUT_OF_MEMORY);
		EXPECT(reply.params[1].value.a > reply.params[1].value.b);
	}
}

/* Long descriptions with a mistake at their end: what they took must be given back. */
static void try_long_models(struct victim *victim)
{
	unsigned int i = 0;

	for (i = 0; i < 50; i++)
		EXPECT_RESULT(build_layers(victim, DARKNETP_MAX_LAYERS,
					   DARKNETP_MAX_LAYERS, 99), NOT_SUPPORTED);
}

static void expect_nothing_taken(struct victim *victim)
{
	struct reply reply = invoke(&victim->session, DARKNETP_CMD_VERSION, value_out(),
				    value_out(), none(), none());

	EXPECT_RESULT(reply, TEEC_SUCCESS);
	EXPECT(reply.params[1].value.b == 0);
}

void s15_too_large_a_model(void)
{
	struct victim victim = { 0 };
	TEEC_Value size = { 0 };

	if (!open_empty(&victim))
		return;
	try_large_models(&victim);
	try_long_models(&victim);
	expect_nothing_taken(&victim);
	/* the whole heap is there, and has its use */
	if (largest_build(&victim.session, &size))
		tap_note("a model of %u of %u bytes", size.a, size.b);
	victim_close(&victim);
	if (!open_empty(&victim))
		return;
	try_large_models(&victim);
	finish(&victim, VICTIM_TRAIN);
}

#define SESSIONS 64	/* more than any secure memory holds */

static unsigned int open_all(struct victim *victims)
{
	unsigned int opened = 0;
	TEEC_Result result = TEEC_SUCCESS;

	while (opened < SESSIONS && result == TEEC_SUCCESS) {
		result = client_open(&victims[opened].session);
		if (result != TEEC_SUCCESS)
			break;
		EXPECT(victim_build(&victims[opened],
				    (enum victim_kind)(opened % VICTIM_KINDS)));
		opened++;
	}
	EXPECT(result == OUT_OF_MEMORY);
	return opened;
}

static void close_all(struct victim *victims, unsigned int opened)
{
	unsigned int i = 0;

	for (i = 0; i < opened; i++) {
		EXPECT_WORKS(&victims[i]);
		victim_close(&victims[i]);
	}
}

void s15_all_memory_taken(void)
{
	static struct victim victims[SESSIONS];
	unsigned int opened = open_all(victims);

	tap_note("%u sessions at once", opened);
	EXPECT(opened > 0);
	close_all(victims, opened);
	EXPECT(open_all(victims) == opened);
	close_all(victims, opened);
}
