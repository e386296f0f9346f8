/* SPDX-License-Identifier: MIT */
/*
 * Writes the hand-made inputs of the binary harnesses, in the encoding of
 * fuzz.h, from the structures themselves: run it again when these change.
 *
 *   seeds CORPUS
 */
#include "darknetp_ta.h"
#include "nn.h"

#include <err.h>
#include <stdio.h>
#include <string.h>

#define WORDS_OF_FLOATS 7	/* what fuzz_floats() takes */

static const char *corpus;
static FILE *seed;

/* ---- The encoding ---- */

static void begin(const char *harness, const char *name)
{
	char path[512] = "";

	snprintf(path, sizeof(path), "%s/%s/%s", corpus, harness, name);
	seed = fopen(path, "wb");
	if (!seed)
		err(1, "%s", path);
}

static void end(void)
{
	if (fclose(seed))
		err(1, "%s", corpus);
}

static void byte(unsigned int value)
{
	fputc((int)value, seed);
}

static void raw(const void *from, size_t size)
{
	fwrite(from, 1, size, seed);
}

static void word(uint32_t value)
{
	unsigned int i = 0;
	float part = 0.0f;
	uint32_t bits = 0;

	if (value < 0xc0) {
		byte(value);
		return;
	}
	for (i = 0; i < 32; i++) {
		part = (float)i / 16.0f;
		memcpy(&bits, &part, sizeof(bits));
		if (bits == value) {
			byte(0xc0 + i);
			return;
		}
	}
	for (i = 0; i < 16; i++)
		if (value == UINT32_C(1) << (8 + i)) {
			byte(0xe0 + i);
			return;
		}
	byte(0xf0);
	raw(&value, sizeof(value));
}


static void words(const void *from, size_t size)
{
	const uint8_t *at = from;
	uint32_t value = 0;

	for (; size; size -= sizeof(value), at += sizeof(value)) {
		memcpy(&value, at, sizeof(value));
		word(value);
	}
}

static void floats(void)
{
	static const float pattern[WORDS_OF_FLOATS] = {
		0.5f, 1.0f, 0.0f, -0.25f, 0.0625f, 1.5f, -1.0f,
	};

	words(pattern, sizeof(pattern));
}

/* ---- fuzz_request ---- */

#define LAYERS	7
#define BATCH	4
#define EXACT	0	/* a size as it should be */

static const struct darknetp_layer layers[LAYERS] = {
	{ .kind = NN_CONVOLUTIONAL, .activation = NN_RELU, .filters = 3,
	  .size = 3, .stride = 1, .padding = 1, .groups = 1, .learning_rate = 1 },
	{ .kind = NN_MAXPOOL, .size = 2, .stride = 2, .padding = 1 },
	{ .kind = NN_CONNECTED, .activation = NN_LOGISTIC, .outputs = 9,
	  .batch_normalize = 1, .learning_rate = 1 },
	{ .kind = NN_DROPOUT, .probability = 0.25f },
	{ .kind = NN_CONNECTED, .activation = NN_LINEAR, .outputs = 4,
	  .learning_rate = 1 },
	{ .kind = NN_SOFTMAX, .groups = 1, .temperature = 1 },
	{ .kind = NN_COST, .scale = 1 },
};

static const uint32_t shapes[LAYERS][3] = {
	{ 6, 6, 2 }, { 6, 6, 3 }, { 3, 3, 3 }, { 1, 1, 9 },
	{ 1, 1, 9 }, { 1, 1, 4 }, { 1, 1, 4 },
};

static void begin_session(const char *name)
{
	begin("fuzz_request", name);
	byte(0);	/* the largest heap */
	byte(0xff);	/* allocations succeed */
}

static void command(uint32_t id)
{
	byte(id);
	byte(0);	/* the right types */
}

static void send_build(const struct darknetp_model *model,
		       const struct darknetp_layer *described)
{
	command(DARKNETP_CMD_BUILD);
	words(model, sizeof(*model));
	words(described, model->layers * sizeof(*described));
	byte(EXACT);
}

static void build(uint32_t first, uint32_t last, uint32_t flags)
{
	const struct darknetp_model model = {
		.abi = DARKNETP_TA_ABI,
		.flags = flags,
		.layers = last - first + 1,
		.first_layer = first,
		.network_layers = LAYERS,
		.micro_batch = BATCH,
		.width = shapes[first][0],
		.height = shapes[first][1],
		.channels = shapes[first][2],
		.seed_low = flags & DARKNETP_MODEL_SEEDED ? 7 : 0,
	};

	send_build(&model, layers + first);
}

/* Three layers in the middle of a network, the last of which reads two. */
static void build_residual(uint32_t flags)
{
	static const struct darknetp_layer residual[] = {
		{ .kind = NN_CONVOLUTIONAL, .activation = NN_LEAKY, .filters = 2,
		  .size = 3, .stride = 1, .padding = 1, .groups = 1,
		  .learning_rate = 1 },
		{ .kind = NN_SHORTCUT, .activation = NN_RELU, .alpha = 1,
		  .beta = 0.5f, .n_sources = 1, .sources = { 4 } },
		{ .kind = NN_ROUTE, .n_sources = 2, .sources = { 6, 5 } },
	};
	const struct darknetp_model model = {
		.abi = DARKNETP_TA_ABI,
		.flags = flags,
		.layers = 3,
		.first_layer = 5,
		.network_layers = 9,
		.micro_batch = 2,
		.width = 5,
		.height = 4,
		.channels = 2,
	};

	send_build(&model, residual);
}

static void tensor(uint32_t id, uint32_t layer, uint32_t kind, uint32_t count)
{
	command(id);
	word(layer);
	word(kind);
	word(0);	/* first element */
	word(0);	/* reserved */
	word(count);
	byte(EXACT);
	if (id == DARKNETP_CMD_TENSOR_LOAD)
		floats();
}

static void step(uint32_t id, uint32_t count, uint32_t flags)
{
	const struct darknetp_step given = {
		.flags = flags,
		.iteration_low = 3,
		.count = count,
		.learning_rate = flags & DARKNETP_STEP_UPDATE ? 0.125f : 0,
		.momentum = flags & DARKNETP_STEP_UPDATE ? 0.875f : 0,
		.decay = flags & DARKNETP_STEP_UPDATE ? 0.0625f : 0,
		.samples = flags & DARKNETP_STEP_UPDATE ? BATCH : 0,
		.report_samples = flags & DARKNETP_STEP_REPORT ? BATCH : 0,
	};

	command(id);
	words(&given, sizeof(given));
	byte(EXACT);
	byte(EXACT);
	floats();
	if (id != DARKNETP_CMD_BACKWARD) {
		byte(EXACT);
		floats();
	}
	byte(EXACT);
}

static void write_sessions(void)
{
	const uint32_t both = DARKNETP_STEP_UPDATE | DARKNETP_STEP_REPORT;

	begin_session("predict-hidden");
	command(DARKNETP_CMD_VERSION);
	build(0, 6, 0);
	tensor(DARKNETP_CMD_TENSOR_LOAD, 0, DARKNETP_TENSOR_WEIGHTS, 3 * 2 * 9);
	tensor(DARKNETP_CMD_TENSOR_LOAD, 4, DARKNETP_TENSOR_BIASES, 4);
	step(DARKNETP_CMD_FORWARD, BATCH, 0);
	tensor(DARKNETP_CMD_TENSOR_SAVE, 4, DARKNETP_TENSOR_BIASES, 4);
	end();
	begin_session("predict-middle");
	build(1, 4, 0);
	tensor(DARKNETP_CMD_TENSOR_LOAD, 2, DARKNETP_TENSOR_ROLLING_VARIANCE, 9);
	step(DARKNETP_CMD_FORWARD, 1, 0);
	end();
	begin_session("train-whole");
	build(0, 6, DARKNETP_MODEL_TRAIN | DARKNETP_MODEL_SEEDED);
	step(DARKNETP_CMD_TRAIN, BATCH, both);
	tensor(DARKNETP_CMD_TENSOR_SAVE, 2, DARKNETP_TENSOR_SCALES, 9);
	end();
	begin_session("train-end");
	build(4, 6, DARKNETP_MODEL_TRAIN);
	step(DARKNETP_CMD_TRAIN, 2, 0);
	step(DARKNETP_CMD_TRAIN, 2, both);
	end();
	begin_session("train-middle");
	build(1, 4, DARKNETP_MODEL_TRAIN);
	step(DARKNETP_CMD_FORWARD, 3, 0);
	step(DARKNETP_CMD_BACKWARD, 3, DARKNETP_STEP_UPDATE);
	end();
	begin_session("predict-residual");
	build_residual(0);
	step(DARKNETP_CMD_FORWARD, 2, 0);
	command(DARKNETP_CMD_VERSION);
	end();
	begin_session("train-residual");
	build_residual(DARKNETP_MODEL_TRAIN);
	step(DARKNETP_CMD_FORWARD, 2, 0);
	step(DARKNETP_CMD_BACKWARD, 2, DARKNETP_STEP_UPDATE);
	tensor(DARKNETP_CMD_TENSOR_SAVE, 5,
	       DARKNETP_TENSOR_WEIGHTS | DARKNETP_TENSOR_MOMENTUM, 2 * 2 * 9);
	tensor(DARKNETP_CMD_TENSOR_LOAD, 5, DARKNETP_TENSOR_MOMENTUM, 2);
	end();
	begin_session("train-softmax");
	build(0, 5, DARKNETP_MODEL_TRAIN);
	step(DARKNETP_CMD_FORWARD, 2, 0);
	step(DARKNETP_CMD_BACKWARD, 2, both);
	tensor(DARKNETP_CMD_TENSOR_SAVE, 0, DARKNETP_TENSOR_WEIGHTS, 3 * 2 * 9);
	end();
}

/* ---- fuzz_build ---- */

/* As read_count() and read_part() of fuzz_build.c read it. */
static void count(uint32_t value)
{
	byte(value - 1);
}

static void part(float value)
{
	byte((unsigned int)(value * 16.0f));
}

/* Sources are given as the distance to the layer here. */
static void spec_layer(const struct nn_layer_spec *layer)
{
	uint32_t i = 0;

	count(layer->kind);
	count((uint32_t)layer->activation + 1);
	count((uint32_t)layer->cost + 1);
	count(layer->filters ? layer->filters : 1);
	count(layer->size ? layer->size : 1);
	count(layer->stride ? layer->stride : 1);
	count(layer->padding + 1);
	count(layer->groups ? layer->groups : 1);
	count(layer->outputs ? layer->outputs : 1);
	byte(layer->batch_normalize);
	byte(layer->noloss);
	part(layer->probability);
	part(layer->temperature > 0 ? layer->temperature : 1.0f);
	part(1.0f);
	part(1.0f);
	if (layer->kind != NN_SHORTCUT && layer->kind != NN_ROUTE)
		return;
	count(layer->n_sources);
	for (i = 0; i < layer->n_sources; i++)
		count(layer->sources[i]);
	part(1.0f);
	part(0.5f);
}

static void spec(const char *name, unsigned int flags,
		 const struct nn_layer_spec *given, uint32_t n)
{
	uint32_t i = 0;

	begin("fuzz_build", name);
	byte(flags);
	count(8);
	count(8);
	count(2);
	if (flags & 4)
		count(3);
	count(n);
	count(3);	/* micro-batch */
	byte(1);	/* seed */
	for (i = 0; i < n; i++)
		spec_layer(&given[i]);
	floats();
	floats();
	end();
}

/* Outputs of a batch that take 2^36 bytes, in few other ones. */
static void write_large_spec(void)
{
	begin("fuzz_build", "predict-too-large");
	byte(8);
	count(2);
	count(2);
	count(1);
	count(1);	/* layers */
	byte(0xff);
	word(64);	/* micro-batch */
	byte(1);
	count(NN_CONVOLUTIONAL);
	count(1);
	count(1);
	count(1);	/* filters */
	count(1);	/* size */
	count(1);
	byte(0xff);
	word(1 << 13);	/* padding + 1 */
	count(1);
	end();
}

static void write_specs(void)
{
	static const struct nn_layer_spec small[] = {
		{ .kind = NN_CONVOLUTIONAL, .activation = NN_LEAKY, .filters = 4,
		  .size = 3, .stride = 1, .padding = 1, .groups = 2,
		  .batch_normalize = true },
		{ .kind = NN_MAXPOOL, .size = 2, .stride = 2, .padding = 1 },
		{ .kind = NN_CONVOLUTIONAL, .activation = NN_ELU, .filters = 3,
		  .size = 1, .stride = 1 },
		{ .kind = NN_CONNECTED, .activation = NN_TANH, .outputs = 9 },
		{ .kind = NN_DROPOUT, .probability = 0.5f },
		{ .kind = NN_CONNECTED, .activation = NN_LINEAR, .outputs = 4,
		  .batch_normalize = true },
		{ .kind = NN_SOFTMAX, .groups = 2, .temperature = 1.5f },
		{ .kind = NN_COST, .cost = NN_COST_SMOOTH },
	};
	static const struct nn_layer_spec pooled[] = {
		{ .kind = NN_DROPOUT, .probability = 0.25f },
		{ .kind = NN_CONVOLUTIONAL, .activation = NN_STAIR, .filters = 6,
		  .size = 2, .stride = 2 },
		{ .kind = NN_AVGPOOL },
		{ .kind = NN_SOFTMAX, .noloss = true },
		{ .kind = NN_COST, .cost = NN_COST_MASKED },
	};
	static const struct nn_layer_spec residual[] = {
		{ .kind = NN_CONVOLUTIONAL, .activation = NN_RELU, .filters = 2,
		  .size = 3, .stride = 1, .padding = 1 },
		{ .kind = NN_BATCHNORM },
		{ .kind = NN_SHORTCUT, .activation = NN_LEAKY, .n_sources = 1,
		  .sources = { 2 } },
		{ .kind = NN_ACTIVATION, .activation = NN_LOGISTIC },
		{ .kind = NN_ROUTE, .n_sources = 2, .sources = { 1, 4 } },
		{ .kind = NN_AVGPOOL },
		{ .kind = NN_SOFTMAX },
	};

	spec("predict", 0, small, 8);
	spec("train", 1, small, 8);
	spec("train-middle", 7, small, 6);
	spec("train-pooled", 7, pooled, 5);
	spec("predict-pooled", 4, pooled, 3);
	spec("train-residual", 7 + 8, residual, 7);
	spec("predict-residual", 8, residual, 7);
}

/* ---- fuzz_weights ---- */

#define NORMAL_FLOATS	24
#define SECURE_FLOATS	36

static void file(int32_t major, int32_t minor, unsigned int first, unsigned int n)
{
	const int32_t version[3] = { major, minor, 0 };
	const uint64_t seen = 32;
	bool old = major >= 1000 || minor >= 1000 || (major == 0 && minor < 2);
	unsigned int i = 0;

	raw(version, sizeof(version));
	raw(&seen, old ? sizeof(uint32_t) : sizeof(seen));
	for (i = first; i < first + n; i++) {
		float value = (float)i + 0.25f;

		raw(&value, sizeof(value));
	}
}

static void write_weights(void)
{
	const unsigned int all = NORMAL_FLOATS + SECURE_FLOATS;

	begin("fuzz_weights", "normal");
	byte(0);
	file(0, 2, 0, all);
	end();
	begin("fuzz_weights", "secure");
	byte(1);
	file(0, 2, 0, all);
	end();
	begin("fuzz_weights", "old");
	byte(0);
	file(0, 1, 0, all);
	end();
	begin("fuzz_weights", "transposed");
	byte(1);
	file(0, 1001, 0, all);
	end();
	begin("fuzz_weights", "split");
	byte(2);
	word(5 * sizeof(uint32_t) + SECURE_FLOATS * sizeof(float));
	file(0, 2, NORMAL_FLOATS, SECURE_FLOATS);
	file(0, 2, 0, NORMAL_FLOATS);
	end();
}

/* ---- fuzz_state ---- */

#define MOMENTUM_FLOATS 50

/* The file of host/state.h, without the sum: fuzz_state.c adds it. */
static void state(const char *name, unsigned int how, uint32_t files)
{
	const uint32_t numbers[] = { 1, 3, files, 2 };	/* version, flags, files, batch */
	const uint64_t counts[] = { 32, 7, 100, 200 };	/* seen, seed, two ends */
	const double average = 1.5;
	const uint64_t marks[] = { 260, 1, 0, 0 };
	const uint64_t n = MOMENTUM_FLOATS;
	unsigned int i = 0;

	begin("fuzz_state", name);
	byte(how);
	raw("dnpstate", 8);
	raw(numbers, sizeof(numbers));
	raw(counts, sizeof(counts));
	raw(&average, sizeof(average));
	raw(marks, sizeof(marks));
	raw(&n, sizeof(n));
	for (i = 0; i < MOMENTUM_FLOATS; i++) {
		float value = (float)i + 0.25f;

		raw(&value, sizeof(value));
	}
	end();
}

static void write_states(void)
{
	state("normal", 2, 1);
	state("secure", 3, 2);
	state("wrong-sum", 0, 1);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		errx(2, "usage: seeds CORPUS");
	corpus = argv[1];
	write_sessions();
	write_specs();
	write_large_spec();
	write_weights();
	write_states();
	return 0;
}
