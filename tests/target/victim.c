/* SPDX-License-Identifier: MIT */
#include "victim.h"

#include "nn.h"

#define EDGE	4	/* of the image that is predicted */
#define FILTERS	2
#define PIXELS	(EDGE * EDGE)
#define POOLED	(FILTERS * PIXELS / 4)
#define CLASSES	3
#define INPUTS	3	/* of the layer that trains */
#define OUTPUTS	2
#define RATE	0.5f

static const struct victim_facts facts[VICTIM_KINDS] = {
	[VICTIM_PREDICT] = { PIXELS, CLASSES, 0, 2, FILTERS, 9 * FILTERS },
	[VICTIM_HIDDEN] = { PIXELS, CLASSES, 0, 2, FILTERS, 9 * FILTERS },
	[VICTIM_MIDDLE] = { INPUTS, OUTPUTS, 0, 1, OUTPUTS, INPUTS * OUTPUTS },
	[VICTIM_TRAIN] = { INPUTS, OUTPUTS, OUTPUTS, 1, OUTPUTS, INPUTS * OUTPUTS },
};

const float victim_input[PIXELS] = {
	1, 2, -1, 0, 3, 1, 0, -2, 2, 2, 1, -1, 0, 1, 4, 1,
};
const float victim_truth[OUTPUTS] = { -1, 3 };
const float victim_delta[OUTPUTS] = { 4, 2 };

/* The convolution's weights, and before them those of the layer that trains. */
static const float first_weights[9 * FILTERS] = {
	1, -2, 3, 2, 0, -1, 1, 1, -1, 0, 2, 1, -3, 1, 2, 0, -1, 1,
};
static const float first_biases[FILTERS] = { 1, -2 };
static const float last_weights[CLASSES * POOLED] = {
	1, 0, -1, 2, 1, 1, 0, -2, 0, 3, 1, -1, 2, 0, 1, 1, -1, 1, 2, 0, 0, 2, -1, 1,
};
static const float last_biases[CLASSES] = { 2, -1, 0 };

const struct victim_facts *victim_facts(enum victim_kind kind)
{
	return &facts[kind];
}

void victim_weights(float *weights)
{
	memcpy(weights, first_weights, sizeof(first_weights));
}

/* ---- What must come out ---- */

static float at(const float *image, int row, int column)
{
	if (row < 0 || row >= EDGE || column < 0 || column >= EDGE)
		return 0;
	return image[row * EDGE + column];
}

static float convolved(const float *image, int filter, int row, int column)
{
	float sum = first_biases[filter];
	int i = 0;

	for (i = 0; i < 9; i++)
		sum += first_weights[9 * filter + i]
		       * at(image, row + i / 3 - 1, column + i % 3 - 1);
	return sum > 0 ? sum : 0;
}

/* The largest of four neighbours. */
static float pooled(const float *image, int filter, int row, int column)
{
	float most = 0;
	float x = 0;
	int i = 0;

	for (i = 0; i < 4; i++) {
		x = convolved(image, filter, 2 * row + i / 2, 2 * column + i % 2);
		most = x > most ? x : most;
	}
	return most;
}

static void connect(const float *weights, const float *biases, const float *x,
		    uint32_t inputs, uint32_t outputs, float *y)
{
	uint32_t i = 0;
	uint32_t j = 0;

	for (i = 0; i < outputs; i++) {
		y[i] = biases[i];
		for (j = 0; j < inputs; j++)
			y[i] += weights[i * inputs + j] * x[j];
	}
}

static void predict(float y[CLASSES])
{
	float x[POOLED] = { 0 };
	int i = 0;

	for (i = 0; i < POOLED; i++)
		x[i] = pooled(victim_input, i / 4, i % 4 / 2, i % 2);
	connect(last_weights, last_biases, x, POOLED, CLASSES, y);
}

/* 1 for the best class, 0 for the others. */
static void hide(float y[CLASSES])
{
	int best = 0;
	int i = 0;

	for (i = 1; i < CLASSES; i++)
		best = y[i] > y[best] ? i : best;
	for (i = 0; i < CLASSES; i++)
		y[i] = i == best ? 1 : 0;
}

void victim_outputs(enum victim_kind kind, float *outputs)
{
	if (kind == VICTIM_MIDDLE || kind == VICTIM_TRAIN)
		connect(first_weights, first_biases, victim_input, INPUTS, OUTPUTS,
			outputs);
	else
		predict(outputs);
	if (kind == VICTIM_HIDDEN)
		hide(outputs);
}

/* Darknet's delta of squared errors: half the negative derivative. */
static void deltas(enum victim_kind kind, float delta[OUTPUTS])
{
	float y[OUTPUTS] = { 0 };
	int i = 0;

	victim_outputs(kind, y);
	for (i = 0; i < OUTPUTS; i++)
		delta[i] = kind == VICTIM_MIDDLE ? victim_delta[i]
						 : victim_truth[i] - y[i];
}

void victim_trained(enum victim_kind kind, float *weights, float *input_delta)
{
	float delta[OUTPUTS] = { 0 };
	int i = 0;
	int j = 0;

	deltas(kind, delta);
	memset(input_delta, 0, FLOATS(INPUTS));
	for (i = 0; i < OUTPUTS * INPUTS; i++) {
		j = i % INPUTS;
		weights[i] = first_weights[i]
			     + RATE * delta[i / INPUTS] * victim_input[j];
		input_delta[j] += first_weights[i] * delta[i / INPUTS];
	}
}

/* ---- Descriptions ---- */

static const struct darknetp_layer predicting[] = {
	{ .kind = NN_CONVOLUTIONAL, .activation = NN_RELU, .filters = FILTERS,
	  .size = 3, .stride = 1, .padding = 1, .groups = 1, .learning_rate = 1 },
	{ .kind = NN_MAXPOOL, .size = 2, .stride = 2 },
	{ .kind = NN_CONNECTED, .activation = NN_LINEAR, .outputs = CLASSES,
	  .learning_rate = 1 },
	{ .kind = NN_SOFTMAX, .groups = 1, .temperature = 1 },
};
static const struct darknetp_layer training[] = {
	{ .kind = NN_CONNECTED, .activation = NN_LINEAR, .outputs = OUTPUTS,
	  .learning_rate = 1 },
	{ .kind = NN_COST, .cost = NN_COST_SSE, .scale = 1 },
};

static struct description predicting_description(uint32_t layers)
{
	struct description description = {
		.model = {
			.abi = DARKNETP_TA_ABI,
			.layers = layers,
			.first_layer = 2,
			.network_layers = 6,
			.micro_batch = VICTIM_BATCH,
			.width = EDGE, .height = EDGE, .channels = 1,
		},
	};

	memcpy(description.layers, predicting, layers * sizeof(predicting[0]));
	return description;
}

static struct description training_description(uint32_t layers)
{
	struct description description = {
		.model = {
			.abi = DARKNETP_TA_ABI,
			.flags = DARKNETP_MODEL_TRAIN | DARKNETP_MODEL_SEEDED,
			.layers = layers,
			.first_layer = 1,
			.network_layers = 3,
			.micro_batch = VICTIM_BATCH,
			.width = 1, .height = 1, .channels = INPUTS,
			.seed_low = 7,
		},
	};

	memcpy(description.layers, training, layers * sizeof(training[0]));
	return description;
}

struct description victim_description(enum victim_kind kind)
{
	switch (kind) {
	case VICTIM_PREDICT:
		return predicting_description(3);
	case VICTIM_HIDDEN:
		return predicting_description(4);
	case VICTIM_MIDDLE:
		return training_description(1);
	default:
		return training_description(2);
	}
}

size_t description_size(const struct description *description)
{
	return sizeof(description->model)
	       + description->model.layers * sizeof(description->layers[0]);
}

struct reply build(TEEC_Session *session, const struct description *description)
{
	return invoke(session, DARKNETP_CMD_BUILD,
		      in(description, description_size(description)), value_out(),
		      none(), none());
}

struct darknetp_step step_of(uint32_t count, uint32_t flags)
{
	return (struct darknetp_step){
		.flags = flags,
		.iteration_low = 3,
		.count = count,
		.learning_rate = flags & DARKNETP_STEP_UPDATE ? RATE : 0,
		.samples = flags & DARKNETP_STEP_UPDATE ? 1 : 0,
		.report_samples = flags & DARKNETP_STEP_REPORT ? 1 : 0,
	};
}

/* ---- Sessions ---- */

static bool load(struct victim *victim, uint32_t layer, uint32_t tensor,
		 const float *values, uint32_t count)
{
	return EXPECT_RESULT(invoke(&victim->session, DARKNETP_CMD_TENSOR_LOAD,
				    value(layer, tensor), value(0, 0),
				    in(values, FLOATS(count)), none()), TEEC_SUCCESS);
}

bool victim_reload(struct victim *victim)
{
	const struct victim_facts *f = &facts[victim->kind];

	return load(victim, f->first_layer, DARKNETP_TENSOR_BIASES, first_biases,
		    f->biases)
	       && load(victim, f->first_layer, DARKNETP_TENSOR_WEIGHTS,
		       first_weights, f->weights);
}

static bool load_last(struct victim *victim)
{
	uint32_t layer = facts[victim->kind].first_layer + 2;

	return load(victim, layer, DARKNETP_TENSOR_BIASES, last_biases, CLASSES)
	       && load(victim, layer, DARKNETP_TENSOR_WEIGHTS, last_weights,
		       CLASSES * POOLED);
}

static bool trains(const struct victim *victim)
{
	return victim->kind == VICTIM_MIDDLE || victim->kind == VICTIM_TRAIN;
}

bool victim_build(struct victim *victim, enum victim_kind kind)
{
	struct description description = victim_description(kind);

	victim->kind = kind;
	return EXPECT_RESULT(build(&victim->session, &description), TEEC_SUCCESS)
	       && victim_reload(victim) && (trains(victim) || load_last(victim));
}

bool victim_open(struct victim *victim, enum victim_kind kind)
{
	if (!EXPECT(client_open(&victim->session) == TEEC_SUCCESS))
		return false;
	if (victim_build(victim, kind))
		return true;
	victim_close(victim);
	return false;
}

void victim_close(struct victim *victim)
{
	TEEC_CloseSession(&victim->session);
}

/* ---- Does it still work? ---- */

bool victim_predicts(struct victim *victim)
{
	struct darknetp_step step = step_of(1, 0);
	float wanted[CLASSES] = { 0 };
	float y[CLASSES] = { 0 };
	uint32_t outputs = facts[victim->kind].outputs;

	victim_outputs(victim->kind, wanted);
	return invoke(&victim->session, DARKNETP_CMD_FORWARD, IN(step),
		      in(victim_input, FLOATS(facts[victim->kind].inputs)), none(),
		      out(y, FLOATS(outputs))).result == TEEC_SUCCESS
	       && memcmp(y, wanted, FLOATS(outputs)) == 0;
}

bool victim_save(struct victim *victim, float *weights)
{
	const struct victim_facts *f = &facts[victim->kind];

	return EXPECT_RESULT(invoke(&victim->session, DARKNETP_CMD_TENSOR_SAVE,
				    value(f->first_layer, DARKNETP_TENSOR_WEIGHTS),
				    value(0, 0), out(weights, FLOATS(f->weights)),
				    none()), TEEC_SUCCESS);
}

static bool has_weights(struct victim *victim, const float *wanted)
{
	float weights[OUTPUTS * INPUTS] = { 0 };

	return victim_save(victim, weights)
	       && memcmp(weights, wanted, sizeof(weights)) == 0;
}

/* A training step over one sample, in one call or two. */
static bool steps(struct victim *victim, float input_delta[INPUTS])
{
	struct darknetp_step step = step_of(1, DARKNETP_STEP_UPDATE);

	if (victim->kind == VICTIM_TRAIN)
		return invoke(&victim->session, DARKNETP_CMD_TRAIN, IN(step),
			      in(victim_input, FLOATS(INPUTS)), IN(victim_truth),
			      out(input_delta, FLOATS(INPUTS))).result
		       == TEEC_SUCCESS;
	return victim_predicts(victim)
	       && invoke(&victim->session, DARKNETP_CMD_BACKWARD, IN(step),
			 IN(victim_delta), out(input_delta, FLOATS(INPUTS)),
			 none()).result == TEEC_SUCCESS;
}

static bool victim_trains(struct victim *victim)
{
	float weights[OUTPUTS * INPUTS] = { 0 };
	float wanted[INPUTS] = { 0 };
	float input_delta[INPUTS] = { 0 };

	victim_trained(victim->kind, weights, wanted);
	return has_weights(victim, first_weights) && steps(victim, input_delta)
	       && memcmp(input_delta, wanted, sizeof(wanted)) == 0
	       && has_weights(victim, weights) && victim_reload(victim);
}

void victim_check(const char *file, int line, struct victim *victim)
{
	if (!(trains(victim) ? victim_trains(victim) : victim_predicts(victim)))
		tap_fail(file, line, "the session does not do its work any more");
}
