/* SPDX-License-Identifier: MIT */
#include "hostile.h"

#include <stdlib.h>

/* Around the right size there is nothing but refusals. */
static const int size_errors[] = { -4, -1, 1, 4, 4096 };

#define ROOM 4400	/* bytes: the longest right size and the largest error */

static uint8_t bytes_in[ROOM];
static uint8_t bytes_out[ROOM];

static size_t off_by(size_t right, int error)
{
	return (size_t)((int64_t)right + error);
}

/* ---- Steps ---- */

static struct reply forward(struct victim *victim, size_t input, size_t output)
{
	struct darknetp_step step = step_of(1, 0);

	return invoke(&victim->session, DARKNETP_CMD_FORWARD, IN(step),
		      in(bytes_in, input), none(), out(bytes_out, output));
}

/* Refused calls write nothing. */
static void expect_untouched(void)
{
	unsigned int i = 0;

	for (i = 0; i < ROOM; i++)
		if (!EXPECT(bytes_out[i] == 0xa5))
			return;
}

static void try_forward_sizes(struct victim *victim, bool input)
{
	const struct victim_facts *facts = victim_facts(victim->kind);
	size_t in_size = FLOATS(facts->inputs);
	size_t out_size = FLOATS(facts->outputs);
	unsigned int i = 0;

	memset(bytes_out, 0xa5, sizeof(bytes_out));
	for (i = 0; i < ARRAY_SIZE(size_errors); i++)
		EXPECT_RESULT(forward(victim,
				      input ? off_by(in_size, size_errors[i]) : in_size,
				      input ? out_size : off_by(out_size, size_errors[i])),
			      BAD_PARAMETERS);
	EXPECT_RESULT(forward(victim, input ? 0 : in_size, input ? out_size : 0),
		      BAD_PARAMETERS);
	expect_untouched();
	EXPECT_WORKS(victim);
}

static void in_both_kinds(bool input)
{
	struct victim victim = { 0 };
	enum victim_kind kind = VICTIM_PREDICT;

	for (kind = VICTIM_PREDICT; kind <= VICTIM_HIDDEN; kind++) {
		if (!victim_open(&victim, kind))
			return;
		try_forward_sizes(&victim, input);
		victim_close(&victim);
	}
}

void s3_output_size(void)
{
	in_both_kinds(false);
}

void s12_input_size(void)
{
	in_both_kinds(true);
}

static struct reply train(struct victim *victim, size_t truth, size_t input_delta)
{
	struct darknetp_step step = step_of(1, 0);

	return invoke(&victim->session, DARKNETP_CMD_TRAIN, IN(step),
		      in(victim_input, FLOATS(victim_facts(VICTIM_TRAIN)->inputs)),
		      in(bytes_in, truth), out(bytes_out, input_delta));
}

void s4_truth_size(void)
{
	const struct victim_facts *facts = victim_facts(VICTIM_TRAIN);
	size_t truth = FLOATS(facts->truths);
	size_t input_delta = FLOATS(facts->inputs);
	struct victim victim = { 0 };
	unsigned int i = 0;

	if (!victim_open(&victim, VICTIM_TRAIN))
		return;
	memset(bytes_out, 0xa5, sizeof(bytes_out));
	for (i = 0; i < ARRAY_SIZE(size_errors); i++) {
		EXPECT_RESULT(train(&victim, off_by(truth, size_errors[i]), input_delta),
			      BAD_PARAMETERS);
		EXPECT_RESULT(train(&victim, truth, off_by(input_delta, size_errors[i])),
			      BAD_PARAMETERS);
	}
	EXPECT_RESULT(train(&victim, 0, input_delta), BAD_PARAMETERS);
	EXPECT_RESULT(train(&victim, truth, 0), BAD_PARAMETERS);
	expect_untouched();
	EXPECT_WORKS(&victim);
	victim_close(&victim);
}

static struct reply backward(struct victim *victim, size_t output_delta,
			     struct param input_delta)
{
	struct darknetp_step step = step_of(1, 0);

	return invoke(&victim->session, DARKNETP_CMD_BACKWARD, IN(step),
		      in(bytes_in, output_delta), input_delta, none());
}

/* Sizes of BACKWARD: of the gradient that comes in, or of the room for the other. */
static void try_backward_sizes(bool incoming)
{
	const struct victim_facts *facts = victim_facts(VICTIM_MIDDLE);
	size_t given = FLOATS(facts->outputs);
	size_t room = FLOATS(facts->inputs);
	struct victim victim = { 0 };
	unsigned int i = 0;

	if (!victim_open(&victim, VICTIM_MIDDLE))
		return;
	EXPECT(victim_predicts(&victim));
	memset(bytes_out, 0xa5, sizeof(bytes_out));
	for (i = 0; i < ARRAY_SIZE(size_errors); i++)
		EXPECT_RESULT(incoming
			      ? backward(&victim, off_by(given, size_errors[i]),
					 out(bytes_out, room))
			      : backward(&victim, given,
					 out(bytes_out, off_by(room, size_errors[i]))),
			      BAD_PARAMETERS);
	EXPECT_RESULT(backward(&victim, incoming ? 0 : given, out(bytes_out, 0)),
		      BAD_PARAMETERS);
	EXPECT_RESULT(backward(&victim, given, none()), BAD_PARAMETERS);
	expect_untouched();
	EXPECT_WORKS(&victim);
	victim_close(&victim);
}

void s5_gradient_size(void)
{
	try_backward_sizes(true);
}

void s8_gradient_room(void)
{
	try_backward_sizes(false);
}

/* ---- Tensors ---- */

struct piece {
	uint32_t layer, tensor, first;
	size_t bytes;
};

/* Around layer 1 of a session that trains: 2 biases, 6 weights, no batch norm. */
static const struct piece bad_pieces[] = {
	{ 1, 1, 0, 4 * 7 },		/* longer than the tensor */
	{ 1, 1, 1, 4 * 6 },		/* over its end */
	{ 1, 1, 6, 4 },			/* behind it */
	{ 1, 1, UINT32_MAX, 4 },	/* first + count wraps */
	{ 1, 1, UINT32_MAX, 8 },
	{ 1, 1, UINT32_MAX - 5, 4 * 6 },
	{ 1, 1, 0x40000000, 4 },	/* first * 4 wraps */
	{ 1, 1, 0, 0 },			/* nothing */
	{ 1, 1, 0, 7 },			/* not whole floats */
	{ 1, 0, 0, 4 * 6 },		/* the size of another tensor */
	{ 0, 1, 0, 4 },			/* before the partition */
	{ 2, 1, 0, 4 },			/* a layer without parameters, or behind it */
	{ 3, 1, 0, 4 },
	{ UINT32_MAX, 1, 0, 4 },	/* layer -1 */
	{ (uint32_t)-5, 1, 0, 4 },
	{ 0x80000001, 1, 0, 4 },
	{ 1, 2, 0, 4 },			/* without batch norm, no scales */
	{ 1, 3, 0, 4 },
	{ 1, 4, 0, 4 },
	{ 1, 5, 0, 4 },			/* no such tensor */
	{ 1, UINT32_MAX, 0, 4 },
	{ 1, 0x80000001, 0, 4 },
	{ 1, DARKNETP_TENSOR_MOMENTUM | 1, 0, 4 * 7 },	/* the same for momentum */
	{ 1, DARKNETP_TENSOR_MOMENTUM | 1, 6, 4 },
	{ 1, DARKNETP_TENSOR_MOMENTUM | 1, UINT32_MAX, 8 },
	{ 1, DARKNETP_TENSOR_MOMENTUM | 2, 0, 4 },
	{ 1, DARKNETP_TENSOR_MOMENTUM | 5, 0, 4 },
	{ 0, DARKNETP_TENSOR_MOMENTUM | 1, 0, 4 },
	{ UINT32_MAX, DARKNETP_TENSOR_MOMENTUM | 1, 0, 4 },
};

static struct reply move(struct victim *victim, bool save, struct piece p,
			 uint32_t form)
{
	return invoke(&victim->session,
		      save ? DARKNETP_CMD_TENSOR_SAVE : DARKNETP_CMD_TENSOR_LOAD,
		      value(p.layer, p.tensor), value(p.first, form),
		      save ? out(bytes_out, p.bytes) : in(bytes_in, p.bytes), none());
}

static void try_pieces(bool save, enum victim_kind kind)
{
	struct victim victim = { 0 };
	unsigned int i = 0;

	if (!victim_open(&victim, kind))
		return;
	memset(bytes_in, 0x5a, sizeof(bytes_in));
	memset(bytes_out, 0xa5, sizeof(bytes_out));
	for (i = 0; i < ARRAY_SIZE(bad_pieces); i++)
		if (!EXPECT_RESULT(move(&victim, save, bad_pieces[i], 0),
				   BAD_PARAMETERS))
			tap_note("piece %u", i);
	EXPECT_RESULT(move(&victim, save, (struct piece){ 1, 1, 0, 4 },
			   DARKNETP_FORM_PLAIN + 1), NOT_SUPPORTED);
	EXPECT_RESULT(move(&victim, save, (struct piece){ 1, 1, 0, 4 }, UINT32_MAX),
		      NOT_SUPPORTED);
	expect_untouched();
	EXPECT_WORKS(&victim);
	victim_close(&victim);
}

void s6_load_out_of_bounds(void)
{
	try_pieces(false, VICTIM_MIDDLE);
	try_pieces(false, VICTIM_TRAIN);
}

void s7_save_out_of_bounds(void)
{
	try_pieces(true, VICTIM_MIDDLE);
	try_pieces(true, VICTIM_TRAIN);
}

/* ---- Lengths ---- */

#define MAPPABLE ((size_t)5 << 20)	/* bytes, on every board */

/* Beyond that the core may refuse before the application does, for want of tables. */
static void expect_refused(struct reply reply, size_t size,
			   TEEC_Result by_the_application)
{
	if (size <= MAPPABLE || reply.result != OUT_OF_MEMORY)
		EXPECT_RESULT(reply, by_the_application);
}

static void try_length(struct victim *victim, TEEC_SharedMemory *memory)
{
	struct darknetp_step step = step_of(1, 0);
	struct param all = part_in(memory, 0, memory->size);
	struct param room = part_out(memory, 0, memory->size);

	expect_refused(invoke(&victim->session, DARKNETP_CMD_TENSOR_LOAD,
				 value(2, DARKNETP_TENSOR_WEIGHTS), value(0, 0), all,
				 none()), memory->size, BAD_PARAMETERS);
	expect_refused(invoke(&victim->session, DARKNETP_CMD_FORWARD, IN(step), all,
				 none(), room), memory->size, BAD_PARAMETERS);
	expect_refused(invoke(&victim->session, DARKNETP_CMD_BUILD, all,
				 value_out(), none(), none()), memory->size, BAD_STATE);
	EXPECT_WORKS(victim);
}

static void with_memory(struct victim *victim, size_t size,
			void (*try)(struct victim *victim, TEEC_SharedMemory *memory))
{
	TEEC_SharedMemory memory = { 0 };
	void *block = calloc(1, size);

	if (EXPECT(block) && client_register(&memory, block, size)) {
		try(victim, &memory);
		TEEC_ReleaseSharedMemory(&memory);
	}
	free(block);
}

/* A tensor that is larger than the application's stack. */
static void load_large(struct victim *victim, TEEC_SharedMemory *memory)
{
	struct description description = victim_description(VICTIM_PREDICT);

	description.model.layers = 1;
	description.layers[0] = description.layers[2];
	description.layers[0].outputs =
		(uint32_t)(memory->size / FLOATS(victim_facts(VICTIM_PREDICT)->inputs));
	if (EXPECT_RESULT(build(&victim->session, &description), TEEC_SUCCESS))
		EXPECT_RESULT(invoke(&victim->session, DARKNETP_CMD_TENSOR_LOAD,
				     value(2, DARKNETP_TENSOR_WEIGHTS), value(0, 0),
				     part_in(memory, 0, memory->size), none()),
			      TEEC_SUCCESS);
}

void s13_huge_lengths(void)
{
	static const size_t megabytes[] = { 1, 3, 5, 12, 24 };
	struct victim victim = { 0 };
	unsigned int i = 0;

	if (!victim_open(&victim, VICTIM_HIDDEN))
		return;
	for (i = 0; i < ARRAY_SIZE(megabytes); i++)
		with_memory(&victim, megabytes[i] << 20, try_length);
	victim_close(&victim);
	if (!EXPECT(client_open(&victim.session) == TEEC_SUCCESS))
		return;
	with_memory(&victim, 1 << 20, load_large);
	victim_close(&victim);
}

static void try_null(struct victim *victim, size_t size)
{
	const struct victim_facts *facts = victim_facts(victim->kind);
	struct darknetp_step step = step_of(1, 0);
	TEEC_Session *session = &victim->session;
	struct param input = in(victim_input, FLOATS(facts->inputs));
	struct param output = out(bytes_out, FLOATS(facts->outputs));

	EXPECT_RESULT(invoke(session, DARKNETP_CMD_FORWARD, in(NULL, size), input,
			     none(), output), BAD_PARAMETERS);
	EXPECT_RESULT(invoke(session, DARKNETP_CMD_FORWARD, IN(step), in(NULL, size),
			     none(), output), BAD_PARAMETERS);
	EXPECT_RESULT(invoke(session, DARKNETP_CMD_FORWARD, IN(step), input, none(),
			     out(NULL, size)), BAD_PARAMETERS);
	EXPECT_RESULT(invoke(session, DARKNETP_CMD_TENSOR_LOAD,
			     value(2, DARKNETP_TENSOR_BIASES), value(0, 0),
			     in(NULL, size), none()), BAD_PARAMETERS);
}

void null_buffers(void)
{
	static const size_t sizes[] = {
		0, 4, FLOATS(3), FLOATS(16), sizeof(struct darknetp_step), 4096,
		0x7fffffff, 0xffffffff,
	};
	TEEC_Session empty = { 0 };
	struct victim victim = { 0 };
	unsigned int i = 0;

	if (!victim_open(&victim, VICTIM_PREDICT))
		return;
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		try_null(&victim, sizes[i]);
	EXPECT_WORKS(&victim);
	victim_close(&victim);
	if (!EXPECT(client_open(&empty) == TEEC_SUCCESS))
		return;
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		EXPECT_RESULT(invoke(&empty, DARKNETP_CMD_BUILD, in(NULL, sizes[i]),
				     value_out(), none(), none()), BAD_PARAMETERS);
	TEEC_CloseSession(&empty);
}
