/* SPDX-License-Identifier: MIT */
/*
 * The trusted application's command layer: an input is a session, one command
 * after the other, as a hostile client may send them.
 *
 *   byte       heap of the application, an index into heaps[]
 *   byte       allocations that succeed; ff: all of them
 *   then, again and again
 *     byte     command: below f0 modulo their number, else the next word
 *     byte     above ef: another parameter type; two bytes, place and type
 *     ...      the parameters, by command, see fill()
 *
 * Claims: no byte outside a buffer is touched (exact blocks under ASan), inputs
 * are only read, a result is one that darknetp_ta.h documents for the command;
 * a refused command writes no output and changes nothing of the session; a
 * refused BUILD leaves no memory behind; a prediction behind a softmax says the
 * class and nothing else; closing wipes the model and releases everything.
 */
#include "fuzz.h"

#include "command.h"
#include "darknetp_ta.h"

#include <stdlib.h>
#include <string.h>

#define COMMANDS	(DARKNETP_CMD_TRAIN + 1u)
#define COMMANDS_MAX	24	/* of one input */
#define LAYERS_MAX	300	/* more than the application accepts */
#define BUFFER_MAX	((size_t)256 << 10)
#define UNTOUCHED	0xa5	/* what outputs hold before a command */
#define DIRTY		0xcd	/* what fresh memory holds */

static const size_t heaps[] = { 256 << 10, 64 << 10, 16 << 10, 1000, 0 };

/* ---- The world of the application ---- */

static struct {
	size_t heap;
	unsigned int succeed;	/* allocations; ALWAYS: all */
	unsigned int blocks;	/* not yet released */
	bool closing;		/* what is released must have been wiped */
	uint8_t random;
} world;

#define ALWAYS 0xff

struct block {
	size_t size;
	uint8_t bytes[];	/* 8 bytes behind malloc()'s alignment: an odd place */
};

static void *allocate(size_t size)
{
	struct block *block = NULL;

	fuzz_check(size <= world.heap);
	if (world.succeed == 0)
		return NULL;
	world.succeed -= world.succeed != ALWAYS;
	block = fuzz_allocate(sizeof(*block) + size);
	block->size = size;
	memset(block->bytes, DIRTY, size);
	world.blocks++;
	return block->bytes;
}

static bool is_wiped(const struct block *block)
{
	return block->size == 0
	       || (block->bytes[0] == 0
		   && !memcmp(block->bytes, block->bytes + 1, block->size - 1));
}

static void release(void *bytes)
{
	struct block *block = NULL;

	if (!bytes)
		return;
	block = (struct block *)(void *)((uint8_t *)bytes
					 - offsetof(struct block, bytes));
	fuzz_check(!world.closing || is_wiped(block));
	world.blocks--;
	free(block);
}

static void random_bytes(void *to, size_t size)
{
	memset(to, ++world.random, size);
}

static void trace(const char *line)
{
	fuzz_check(memchr(line, '\0', LOSS_REPORT_LINE));
}

static struct model_host host = {
	.allocate = allocate,
	.release = release,
	.random = random_bytes,
	.trace = trace,
};

/* ---- Parameters ---- */

/* A command on its way, with what is needed to judge what came of it. */
struct sent {
	uint32_t command;
	struct command_param params[COMMAND_PARAMS];
	uint8_t *copies[COMMAND_PARAMS];	/* of the buffers, before it */
	bool retyped;			/* other types than the command's */
};

/* Types by command, as in darknetp_ta.h. */
static const uint32_t signatures[COMMANDS][COMMAND_PARAMS] = {
	[DARKNETP_CMD_VERSION] = { 2, 2, 0, 0 },
	[DARKNETP_CMD_BUILD] = { 5, 2, 0, 0 },
	[DARKNETP_CMD_TENSOR_LOAD] = { 1, 1, 5, 0 },
	[DARKNETP_CMD_TENSOR_SAVE] = { 1, 1, 6, 0 },
	[DARKNETP_CMD_FORWARD] = { 5, 5, 5, 6 },
	[DARKNETP_CMD_BACKWARD] = { 5, 5, 6, 0 },
	[DARKNETP_CMD_TRAIN] = { 5, 5, 5, 6 },
};

/* A size near @exact: mostly that, else one of the ways to get it wrong. */
static size_t near(struct fuzz_input *input, size_t exact)
{
	uint8_t how = fuzz_byte(input);
	size_t size = exact;

	switch (how) {
	case 0xf8:
		size = 0;
		break;
	case 0xf9:
		size = exact - (exact > 0);
		break;
	case 0xfa:
		size = exact + 1;
		break;
	case 0xfb:
		size = exact - (exact >= 4 ? 4 : 0);
		break;
	case 0xfc:
		size = exact + 4;
		break;
	case 0xfd:
		size = fuzz_word(input);
		break;
	default:
		break;
	}
	return size < BUFFER_MAX ? size : BUFFER_MAX;
}

/* A block of exactly @size bytes, as far as @given goes a copy of it. */
static void set_input(struct command_param *param, const void *given,
		      size_t given_size, size_t size)
{
	size_t copied = size < given_size ? size : given_size;

	param->bytes = fuzz_allocate(size);
	param->size = size;
	memset(param->bytes, 0, size);
	memcpy(param->bytes, given, copied);
}

static void set_floats(struct fuzz_input *input, struct command_param *param,
		       size_t size)
{
	size_t n = size / sizeof(float) + 1;
	float *floats = fuzz_allocate(n * sizeof(*floats));

	fuzz_floats(input, floats, n);
	set_input(param, floats, n * sizeof(*floats), size);
	free(floats);
}

static void set_output(struct command_param *param, size_t size)
{
	param->bytes = fuzz_allocate(size);
	param->size = size;
	memset(param->bytes, UNTOUCHED, size);
}

static void fill_build(struct fuzz_input *input, struct sent *sent)
{
	struct {
		struct darknetp_model model;
		struct darknetp_layer layers[LAYERS_MAX];
	} request;
	uint32_t layers = 0;
	uint32_t i = 0;
	size_t size = 0;

	memset(&request, 0, sizeof(request));
	fuzz_words(input, &request.model, sizeof(request.model));
	layers = request.model.layers < LAYERS_MAX ? request.model.layers
						   : LAYERS_MAX;
	for (i = 0; i < layers; i++)
		fuzz_words(input, &request.layers[i], sizeof(request.layers[i]));
	size = sizeof(request.model) + layers * sizeof(request.layers[0]);
	set_input(&sent->params[0], &request, size, near(input, size));
}

static void fill_tensor(struct fuzz_input *input, struct sent *sent)
{
	struct command_param *data = &sent->params[2];
	size_t exact = 0;

	sent->params[0].a = fuzz_word(input);
	sent->params[0].b = fuzz_word(input);
	sent->params[1].a = fuzz_word(input);
	sent->params[1].b = fuzz_word(input);
	exact = (size_t)fuzz_word(input) * sizeof(float);
	if (sent->command == DARKNETP_CMD_TENSOR_LOAD)
		set_floats(input, data, near(input, exact));
	else
		set_output(data, near(input, exact));
}

/* Bytes of @count samples; what is too much anyway comes out as BUFFER_MAX. */
static size_t samples(uint32_t count, uint32_t floats)
{
	uint64_t size = (uint64_t)count * floats * sizeof(float);

	return size < BUFFER_MAX ? (size_t)size : BUFFER_MAX;
}

static void fill_step(struct fuzz_input *input, struct sent *sent,
		      const struct model *model)
{
	struct darknetp_step step = { 0 };
	struct command_param *params = sent->params;
	uint32_t truths = model->train ? model->truths : 0;
	uint32_t delta = model->first_layer > 0 ? model->inputs : 0;

	fuzz_words(input, &step, sizeof(step));
	set_input(&params[0], &step, sizeof(step), near(input, sizeof(step)));
	if (sent->command == DARKNETP_CMD_BACKWARD) {
		set_floats(input, &params[1],
			   near(input, samples(step.count, model->outputs)));
		set_output(&params[2], near(input, samples(step.count, delta)));
		return;
	}
	set_floats(input, &params[1],
		   near(input, samples(step.count, model->inputs)));
	set_floats(input, &params[2], near(input, samples(step.count, truths)));
	set_output(&params[3],
		   near(input, sent->command == DARKNETP_CMD_TRAIN
				       ? samples(step.count, delta)
				       : samples(step.count, model->outputs)));
}

static void fill(struct fuzz_input *input, struct sent *sent,
		 const struct model *model)
{
	switch (sent->command) {
	case DARKNETP_CMD_BUILD:
		fill_build(input, sent);
		break;
	case DARKNETP_CMD_TENSOR_LOAD:
	case DARKNETP_CMD_TENSOR_SAVE:
		fill_tensor(input, sent);
		break;
	case DARKNETP_CMD_FORWARD:
	case DARKNETP_CMD_BACKWARD:
	case DARKNETP_CMD_TRAIN:
		fill_step(input, sent, model);
		break;
	default:
		break;
	}
}

/* The types of the command, or one of them another: NONE, too. */
static void set_types(struct fuzz_input *input, struct sent *sent)
{
	uint8_t wrong = fuzz_byte(input);
	uint32_t place = 0;

	for (place = 0; sent->command < COMMANDS && place < COMMAND_PARAMS; place++)
		sent->params[place].type = signatures[sent->command][place];
	if (wrong < 0xf0)
		return;
	place = fuzz_below(input, COMMAND_PARAMS);
	sent->params[place].type = fuzz_byte(input);
	sent->retyped = true;
}

static void keep_buffers(struct sent *sent)
{
	unsigned int i = 0;

	for (i = 0; i < COMMAND_PARAMS; i++) {
		const struct command_param *param = &sent->params[i];

		if (!param->bytes)
			continue;
		sent->copies[i] = fuzz_allocate(param->size);
		memcpy(sent->copies[i], param->bytes, param->size);
	}
}

/* ---- Claims ---- */

static bool documented(uint32_t command, uint32_t result)
{
	switch (result) {
	case RESULT_SUCCESS:
	case RESULT_BAD_PARAMETERS:
		return true;
	case RESULT_BAD_STATE:
		return command != DARKNETP_CMD_VERSION;
	case RESULT_ACCESS_DENIED:
		return command == DARKNETP_CMD_TENSOR_SAVE;
	case RESULT_NOT_SUPPORTED:
		return command == DARKNETP_CMD_BUILD
		       || command == DARKNETP_CMD_TENSOR_LOAD
		       || command == DARKNETP_CMD_TENSOR_SAVE;
	case RESULT_BAD_FORMAT:
	case RESULT_OUT_OF_MEMORY:
		return command == DARKNETP_CMD_BUILD;
	default:
		return false;
	}
}

static void check_params(const struct sent *sent, uint32_t result)
{
	unsigned int i = 0;

	for (i = 0; i < COMMAND_PARAMS; i++) {
		const struct command_param *param = &sent->params[i];

		if (sent->copies[i] && (result != RESULT_SUCCESS
					|| param->type != COMMAND_BYTES_OUT))
			fuzz_check(!memcmp(sent->copies[i], param->bytes,
					   param->size));
		if (param->type == COMMAND_VALUE_OUT && !sent->retyped
		    && (result == RESULT_BAD_PARAMETERS
			|| result == RESULT_BAD_STATE))
			fuzz_check(param->a == 0 && param->b == 0);
	}
}

/* One 1.0 a sample, else nothing but 0.0. */
static void check_hidden(const struct model *model,
			 const struct command_param *output)
{
	size_t n = output->size / sizeof(float);
	const float *x = output->bytes;
	size_t ones = 0;
	size_t i = 0;

	for (i = 0; i < n; i++) {
		fuzz_check(x[i] == 0.0f || x[i] == 1.0f);
		ones += x[i] == 1.0f;
	}
	fuzz_check(ones * model->outputs == n);
}

/* The session before a command. */
struct snapshot {
	struct model model;
	uint8_t *block;
	unsigned int blocks;
};

static struct snapshot take(const struct model *model)
{
	struct snapshot snapshot = { .blocks = world.blocks };

	memcpy(&snapshot.model, model, sizeof(*model));
	if (model->block) {
		snapshot.block = fuzz_allocate(model->block_size);
		memcpy(snapshot.block, model->block, model->block_size);
	}
	return snapshot;
}

static void check_unchanged(const struct snapshot *before,
			    const struct model *model)
{
	fuzz_check(before->blocks == world.blocks);
	fuzz_check(before->model.block == model->block);
	fuzz_check(before->model.state == model->state);
	fuzz_check(!memcmp(&before->model.pending, &model->pending,
			   sizeof(model->pending)));
	fuzz_check(!memcmp(&before->model.report, &model->report,
			   sizeof(model->report)));
	if (before->block)
		fuzz_check(!memcmp(before->block, model->block,
				   model->block_size));
}

/* An absent buffer is as good as an empty one. */
static size_t room(const struct command_param *param)
{
	return param->type == COMMAND_NONE ? 0 : param->size;
}

/* A step was taken: every buffer has the size that darknetp_ta.h gives it. */
static void check_sizes(const struct model *model, const struct sent *sent)
{
	const struct command_param *params = sent->params;
	const struct darknetp_step *step = params[0].bytes;
	uint64_t truths = model->train ? model->truths : 0;
	uint64_t delta = model->train && model->first_layer > 0 ? model->inputs : 0;
	uint64_t bytes = 0;

	fuzz_check(params[0].size == sizeof(*step));
	fuzz_check(step->count >= 1 && step->count <= model->micro_batch);
	bytes = step->count * sizeof(float);
	if (sent->command == DARKNETP_CMD_BACKWARD) {
		fuzz_check(params[1].size == bytes * model->outputs);
		fuzz_check(room(&params[2]) == bytes * delta);
		return;
	}
	fuzz_check(params[1].size == bytes * model->inputs);
	fuzz_check(room(&params[2]) == bytes * truths);
	fuzz_check(room(&params[3])
		   == bytes * (sent->command == DARKNETP_CMD_TRAIN
				       ? delta : model->outputs));
}

/* Nothing that a step takes or gives can be larger than the model's memory. */
static void check_built(const struct model *model)
{
	uint64_t bytes = (uint64_t)model->micro_batch * sizeof(float);

	fuzz_check(model->block_size <= world.heap && world.blocks == 1);
	fuzz_check(bytes * model->inputs <= model->block_size);
	fuzz_check(bytes * model->outputs <= model->block_size);
	fuzz_check(!model->train || bytes * model->truths <= model->block_size);
}

static void check(const struct snapshot *before, const struct model *model,
		  const struct sent *sent, uint32_t result)
{
	fuzz_check(documented(sent->command, result));
	check_params(sent, result);
	if (result != RESULT_SUCCESS)
		check_unchanged(before, model);
	else if (sent->command == DARKNETP_CMD_VERSION)
		fuzz_check(sent->params[1].b == model->block_size);
	else if (sent->command == DARKNETP_CMD_BUILD)
		check_built(model);
	else if (sent->command >= DARKNETP_CMD_FORWARD)
		check_sizes(model, sent);
	if (result == RESULT_SUCCESS && sent->command == DARKNETP_CMD_FORWARD
	    && model->hides_confidence)
		check_hidden(model, &sent->params[3]);
}

/* ---- Sessions ---- */

static void discard(struct sent *sent)
{
	unsigned int i = 0;

	for (i = 0; i < COMMAND_PARAMS; i++) {
		free(sent->params[i].bytes);
		free(sent->copies[i]);
	}
}

/* Multiplications of one step of the model that was just built. */
static uint64_t cost_of(struct model *model, const struct sent *sent)
{
	const struct darknetp_model *header = sent->params[0].bytes;
	const struct darknetp_layer *layers = (const void *)(header + 1);
	uint64_t cost = 0;
	uint32_t i = 0;

	for (i = 0; i < header->layers; i++) {
		uint32_t weights = 0;

		nn_tensor(model->net, i, NN_WEIGHTS, &weights);
		cost += fuzz_layer_cost(nn_layer_input(model->net, i),
					nn_layer_output(model->net, i), weights,
					layers[i].size);
	}
	return cost * header->micro_batch;
}

/* Send one command; false if the session had better end here. */
static bool invoke(struct fuzz_input *input, struct model *model)
{
	struct sent sent = { 0 };
	struct snapshot before = take(model);
	uint32_t result = RESULT_SUCCESS;
	bool cheap = true;

	sent.command = fuzz_byte(input);
	sent.command = sent.command < 0xf0 ? sent.command % COMMANDS
					   : fuzz_word(input);
	set_types(input, &sent);
	fill(input, &sent, model);
	keep_buffers(&sent);
	result = command_invoke(model, sent.command, sent.params);
	check(&before, model, &sent, result);
	if (sent.command == DARKNETP_CMD_BUILD && result == RESULT_SUCCESS)
		cheap = cost_of(model, &sent) <= FUZZ_COST_MAX;
	free(before.block);
	discard(&sent);
	return cheap;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	struct model model = { 0 };
	unsigned int n = 0;

	memset(&world, 0, sizeof(world));
	world.heap = heaps[fuzz_below(&input, sizeof(heaps) / sizeof(heaps[0]))];
	world.succeed = fuzz_byte(&input);
	host.heap = world.heap;
	model_open(&model, &host);
	while (input.left > 0 && n++ < COMMANDS_MAX && invoke(&input, &model))
		;
	world.closing = true;
	model_close(&model);
	fuzz_check(world.blocks == 0);
	fuzz_check(model.block == NULL && model.state == MODEL_EMPTY);
	return 0;
}
