/* SPDX-License-Identifier: MIT */
#include "ta_support.h"

#include "check.h"
#include "nn.h"

struct test_world world;
uint32_t last_values[2];

const float net_truth[NET_BATCH * NET_CLASSES] = {
	1, 0, 0, 0,  0, 0, 1, 0,  0, 1, 0, 0,  0, 0, 0, 1,
};

/* ---- The world ---- */

static void *world_allocate(size_t size)
{
	if (world.fail_after == 0)
		return NULL;
	world.fail_after--;
	world.blocks++;
	return malloc(size);
}

static void world_release(void *block)
{
	if (block)
		world.blocks--;
	free(block);
}

static void world_random(void *to, size_t size)
{
	world.randoms++;
	memset(to, (int)world.randoms, size);
}

static void world_trace(const char *line)
{
	world.traces++;
	snprintf(world.last_trace, sizeof(world.last_trace), "%s", line);
}

int session_open(void **state)
{
	struct model *model = malloc(sizeof(*model));

	if (!model)
		return -1;
	world = (struct test_world){
		.host = {
			.allocate = world_allocate,
			.release = world_release,
			.random = world_random,
			.trace = world_trace,
			.heap = TEST_HEAP,
		},
		.fail_after = UINT32_MAX,
	};
	model_open(model, &world.host);
	*state = model;
	return 0;
}

int session_close(void **state)
{
	model_close(*state);
	free(*state);
	return world.blocks == 0 ? 0 : -1;
}

/* ---- Parameters ---- */

struct command_param none(void)
{
	return (struct command_param){ .type = COMMAND_NONE };
}

struct command_param value(uint32_t a, uint32_t b)
{
	return (struct command_param){ .type = COMMAND_VALUE_IN, .a = a, .b = b };
}

struct command_param value_out(void)
{
	return (struct command_param){
		.type = COMMAND_VALUE_OUT, .a = 0xdead, .b = 0xbeef,
	};
}

struct command_param in(const void *bytes, size_t size)
{
	return (struct command_param){
		.type = COMMAND_BYTES_IN, .bytes = (void *)(uintptr_t)bytes,
		.size = size,
	};
}

struct command_param out(void *bytes, size_t size)
{
	return (struct command_param){
		.type = COMMAND_BYTES_OUT, .bytes = bytes, .size = size,
	};
}

static bool is_bytes(const struct command_param *param)
{
	return (param->type == COMMAND_BYTES_IN || param->type == COMMAND_BYTES_OUT)
	       && param->bytes;
}

/* One byte more than needed, so that the copy starts at an odd address. */
static uint8_t *copy_bytes(const struct command_param *param)
{
	uint8_t *copy = malloc(param->size + 1);

	assert_non_null(copy);
	memcpy(copy + 1, param->bytes, param->size);
	return copy;
}

uint32_t call(struct model *model, uint32_t command,
	      struct command_param a, struct command_param b,
	      struct command_param c, struct command_param d)
{
	const struct command_param given[COMMAND_PARAMS] = { a, b, c, d };
	struct command_param params[COMMAND_PARAMS] = { a, b, c, d };
	uint8_t *copies[COMMAND_PARAMS] = { NULL };
	uint32_t result = 0;
	unsigned int i = 0;

	for (i = 0; i < COMMAND_PARAMS; i++) {
		if (!is_bytes(&params[i]))
			continue;
		copies[i] = copy_bytes(&params[i]);
		params[i].bytes = copies[i] + 1;
	}
	result = command_invoke(model, command, params);
	for (i = 0; i < COMMAND_PARAMS; i++) {
		if (is_bytes(&given[i]) && given[i].type == COMMAND_BYTES_OUT)
			memcpy(given[i].bytes, params[i].bytes, given[i].size);
		if (given[i].type == COMMAND_VALUE_OUT) {
			last_values[0] = params[i].a;
			last_values[1] = params[i].b;
		}
		free(copies[i]);
	}
	return result;
}

/* ---- The network ---- */

static const struct darknetp_layer net[NET_LAYERS] = {
	{ .kind = NN_CONVOLUTIONAL, .activation = NN_RELU, .filters = 3,
	  .size = 3, .stride = 1, .padding = 1, .groups = 1, .learning_rate = 1 },
	{ .kind = NN_MAXPOOL, .size = 2, .stride = 2, .padding = 1 },
	{ .kind = NN_CONNECTED, .activation = NN_RELU, .outputs = 9,
	  .learning_rate = 1 },
	{ .kind = NN_DROPOUT, .probability = 0.25f },
	{ .kind = NN_CONNECTED, .activation = NN_LINEAR, .outputs = NET_CLASSES,
	  .learning_rate = 1 },
	{ .kind = NN_SOFTMAX, .groups = 1, .temperature = 1 },
	{ .kind = NN_COST, .scale = 1 },
};

/* The input of each layer. */
static const uint32_t shapes[NET_LAYERS][3] = {
	{ 6, 6, 2 }, { 6, 6, 3 }, { 3, 3, 3 }, { 1, 1, 9 }, { 1, 1, 9 },
	{ 1, 1, NET_CLASSES }, { 1, 1, NET_CLASSES },
};

struct build_request partition(uint32_t first, uint32_t last, uint32_t flags)
{
	struct build_request request = {
		.model = {
			.abi = DARKNETP_TA_ABI,
			.flags = flags,
			.layers = last - first + 1,
			.first_layer = first,
			.network_layers = NET_LAYERS,
			.micro_batch = NET_BATCH,
			.width = shapes[first][0],
			.height = shapes[first][1],
			.channels = shapes[first][2],
			.seed_low = flags & DARKNETP_MODEL_SEEDED ? 7 : 0,
		},
	};

	memcpy(request.layers, net + first,
	       request.model.layers * sizeof(request.layers[0]));
	return request;
}

size_t build_size(const struct build_request *request)
{
	return sizeof(request->model)
	       + request->model.layers * sizeof(request->layers[0]);
}

uint32_t build(struct model *model, const struct build_request *request)
{
	return call(model, DARKNETP_CMD_BUILD, in(request, build_size(request)),
		    value_out(), none(), none());
}

void must_build(struct model *model, uint32_t first, uint32_t last, uint32_t flags)
{
	struct build_request request = partition(first, last, flags);

	assert_int_equal(build(model, &request), RESULT_SUCCESS);
}

struct darknetp_step step_of(uint32_t count, uint32_t flags)
{
	return (struct darknetp_step){
		.flags = flags,
		.iteration_low = 3,
		.count = count,
		.learning_rate = flags & DARKNETP_STEP_UPDATE ? 0.1f : 0,
		.momentum = flags & DARKNETP_STEP_UPDATE ? 0.9f : 0,
		.decay = flags & DARKNETP_STEP_UPDATE ? 1e-3f : 0,
		.samples = flags & DARKNETP_STEP_UPDATE ? NET_BATCH : 0,
		.report_samples = flags & DARKNETP_STEP_REPORT ? NET_BATCH : 0,
	};
}

static void load(struct model *model, uint32_t layer, uint32_t tensor, uint32_t n)
{
	float *x = malloc(n * sizeof(*x));
	uint32_t i = 0;

	assert_non_null(x);
	for (i = 0; i < n; i++)
		x[i] = (float)((i * 37 + layer * 11 + tensor * 5) % 23) / 16 - 0.6f;
	assert_int_equal(call(model, DARKNETP_CMD_TENSOR_LOAD, value(layer, tensor),
			      value(0, 0), in(x, n * sizeof(*x)), none()),
			 RESULT_SUCCESS);
	free(x);
}

void load_all(struct model *model, uint32_t first, uint32_t last)
{
	static const uint32_t counts[NET_LAYERS][2] = {
		[0] = { 3, 3 * 2 * 9 }, [2] = { 9, 9 * 27 },
		[4] = { NET_CLASSES, NET_CLASSES * 9 },
	};
	uint32_t layer = 0;

	for (layer = first; layer <= last; layer++) {
		if (counts[layer][0] == 0)
			continue;
		load(model, layer, DARKNETP_TENSOR_BIASES, counts[layer][0]);
		load(model, layer, DARKNETP_TENSOR_WEIGHTS, counts[layer][1]);
	}
}

float scratch_in[NET_BATCH * 200];
float scratch_out[NET_BATCH * 200];

uint32_t train_with(struct model *model, const struct darknetp_step *step,
		    size_t input, size_t truth)
{
	return call(model, DARKNETP_CMD_TRAIN, in(step, sizeof(*step)),
		    in(scratch_in, input), in(scratch_out, truth), none());
}

void must_train(struct model *model)
{
	struct darknetp_step step = step_of(NET_BATCH, UPDATE);

	assert_int_equal(train_with(model, &step, FLOATS(NET_BATCH * NET_INPUTS),
				    FLOATS(NET_BATCH * NET_CLASSES)),
			 RESULT_SUCCESS);
}
