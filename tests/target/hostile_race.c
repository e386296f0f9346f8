/* SPDX-License-Identifier: MIT */
/*
 * While calls run, a second thread writes one version after the other into the
 * memory they were given, word by word, so that every mixture can be met.
 */
#include "hostile.h"

#include "nn.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#define VERSIONS	3
#define WORDS		128	/* most in a version */
#define CALLS		400
#define SECONDS		0.3

struct writer {
	pthread_t thread;
	atomic_bool stop;
	double began;		/* seconds */
	volatile uint32_t *at;
	uint32_t words;
	uint32_t versions[VERSIONS][WORDS];
};

static struct writer writer;
static TEEC_SharedMemory memory;

static void *rewrite(void *argument)
{
	uint32_t i = 0;
	unsigned int v = 0;

	(void)argument;
	for (v = 0; !atomic_load(&writer.stop); v = (v + 1) % VERSIONS)
		for (i = 0; i < writer.words; i++)
			writer.at[i] = writer.versions[v][i];
	return NULL;
}

static double seconds_now(void)
{
	struct timespec now = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Write all versions over and over, from the start of the shared memory. */
static bool start(const void *a, const void *b, const void *c, size_t size)
{
	const void *versions[VERSIONS] = { a, b, c };
	unsigned int v = 0;

	if (!client_allocate(&memory, sizeof(writer.versions[0])))
		return false;
	for (v = 0; v < VERSIONS; v++)
		memcpy(writer.versions[v], versions[v], size);
	writer.words = (uint32_t)(size / sizeof(uint32_t));
	writer.at = memory.buffer;
	memcpy(memory.buffer, a, size);
	atomic_store(&writer.stop, false);
	writer.began = seconds_now();
	return EXPECT(pthread_create(&writer.thread, NULL, rewrite, NULL) == 0);
}

/*
 * Whether to make another call: up to a number of them, and where calls are quick
 * on for a while, so that the threads meet on a busy machine, too.
 */
static bool go_on(unsigned int calls, unsigned int wanted)
{
	return calls < wanted || seconds_now() < writer.began + SECONDS;
}

static void stop(void)
{
	atomic_store(&writer.stop, true);
	pthread_join(writer.thread, NULL);
	TEEC_ReleaseSharedMemory(&memory);
}

/* ---- Descriptions ---- */

static bool is_answer_of_build(TEEC_Result result)
{
	return result == TEEC_SUCCESS || result == BAD_PARAMETERS
	       || result == BAD_FORMAT || result == NOT_SUPPORTED
	       || result == OUT_OF_MEMORY;
}

/* Three descriptions of one length: a good one, a wrong one, a large one. */
static void make_descriptions(struct description versions[VERSIONS])
{
	unsigned int v = 0;

	for (v = 0; v < VERSIONS; v++)
		versions[v] = victim_description(VICTIM_PREDICT);
	versions[1].model.layers = DARKNETP_MAX_LAYERS;
	versions[1].model.flags = DARKNETP_MODEL_TRAIN;
	versions[1].model.network_layers = DARKNETP_MAX_NETWORK;
	versions[1].layers[0].stride = 0;
	versions[1].layers[1].kind = NN_DROPOUT;
	versions[1].layers[2].kind = 99;
	versions[2].model.width = 40;
	versions[2].model.micro_batch = 16;
	versions[2].layers[0].filters = 20;
	versions[2].layers[1].size = 1;
	versions[2].layers[2].outputs = 30;
}

static struct reply build_shared(TEEC_Session *session, size_t size)
{
	return invoke(session, DARKNETP_CMD_BUILD, part_in(&memory, 0, size),
		      value_out(), none(), none());
}

void race_description(void)
{
	struct description versions[VERSIONS];
	struct victim victim = { 0 };
	TEEC_Result result = TEEC_SUCCESS;
	size_t size = 0;
	unsigned int i = 0;

	make_descriptions(versions);
	size = description_size(&versions[0]);
	/* the same mistake in all of them, where it is found last */
	for (i = 0; i < VERSIONS; i++)
		versions[i].layers[2].learning_rate = __builtin_inff();
	if (!EXPECT(client_open(&victim.session) == TEEC_SUCCESS))
		return;
	if (start(&versions[0], &versions[1], &versions[2], size)) {
		for (i = 0; go_on(i, 2 * CALLS); i++) {
			result = build_shared(&victim.session, size).result;
			EXPECT(result != TEEC_SUCCESS && is_answer_of_build(result));
		}
		stop();
	}
	if (victim_build(&victim, VICTIM_HIDDEN))
		EXPECT_WORKS(&victim);
	victim_close(&victim);
}

static bool is_answer_of_call(TEEC_Result result, bool built)
{
	return built ? result == TEEC_SUCCESS || result == BAD_PARAMETERS
		     : result == BAD_STATE;
}

/* Whatever was built, or was not: calls have documented ends. */
static void use(TEEC_Session *session, bool built)
{
	static float room[4 * 160];
	static const uint32_t inputs[] = { 16, 160 };
	static const uint32_t outputs[] = { 3, 30 };
	struct darknetp_step step = step_of(1, 0);
	TEEC_Result result = TEEC_SUCCESS;
	unsigned int i = 0;

	for (i = 0; i < 8; i++) {
		step = step_of(i & 4 ? 4 : 1, 0);
		result = invoke(session, DARKNETP_CMD_FORWARD, IN(step),
				in(room, FLOATS(step.count * inputs[i & 1])), none(),
				out(room, FLOATS(step.count * outputs[i / 2 & 1]))).result;
		EXPECT(is_answer_of_call(result, built));
		result = invoke(session, DARKNETP_CMD_TENSOR_LOAD, value(2 + i % 3, 1),
				value(0, 0), in(room, FLOATS(9 * i)), none()).result;
		EXPECT(is_answer_of_call(result, built));
	}
}

/* Build from what is being rewritten until it is accepted; false: it never was. */
static bool build_changing(TEEC_Session *session, size_t size)
{
	TEEC_Result result = BAD_FORMAT;
	unsigned int i = 0;

	for (i = 0; i < CALLS && result != TEEC_SUCCESS; i++) {
		result = build_shared(session, size).result;
		EXPECT(is_answer_of_build(result));
	}
	return result == TEEC_SUCCESS;
}

void race_description_to_the_end(void)
{
	struct description versions[VERSIONS];
	struct victim victim = { 0 };
	unsigned int accepted = 0;
	unsigned int i = 0;
	bool built = false;

	make_descriptions(versions);
	versions[1] = versions[0];
	versions[1].model.layers = DARKNETP_MAX_LAYERS;
	if (!start(&versions[0], &versions[1], &versions[2],
		   description_size(&versions[0])))
		return;
	for (i = 0; i < 10 && EXPECT(client_open(&victim.session) == TEEC_SUCCESS); i++) {
		built = build_changing(&victim.session, description_size(&versions[0]));
		accepted += built;
		use(&victim.session, built);
		victim_close(&victim);
	}
	stop();
	tap_note("accepted in %u of %u sessions", accepted, i);
	if (victim_open(&victim, VICTIM_TRAIN)) {
		EXPECT_WORKS(&victim);
		victim_close(&victim);
	}
}

/* ---- Steps and samples ---- */

/* The sizes are right for one sample: a step that is accepted had that count. */
static bool predicts_once(struct victim *victim, const float *wanted)
{
	static const float untouched[3] = { 7, 7, 7 };
	float y[3] = { 7, 7, 7 };
	struct reply reply = invoke(&victim->session, DARKNETP_CMD_FORWARD,
				    part_in(&memory, 0, sizeof(struct darknetp_step)),
				    in(victim_input, FLOATS(16)), none(), OUT(y));

	if (reply.result == TEEC_SUCCESS) {
		EXPECT(memcmp(y, wanted, sizeof(y)) == 0);
		return true;
	}
	EXPECT_RESULT(reply, BAD_PARAMETERS);
	EXPECT(memcmp(y, untouched, sizeof(y)) == 0);
	return false;
}

void race_step(void)
{
	struct darknetp_step good = step_of(1, 0);
	struct darknetp_step longer = step_of(VICTIM_BATCH, 0);
	struct darknetp_step wild = step_of(UINT32_MAX, UINT32_MAX);
	struct victim victim = { 0 };
	float wanted[3] = { 0 };
	unsigned int accepted = 0;
	unsigned int i = 0;

	if (!victim_open(&victim, VICTIM_PREDICT))
		return;
	victim_outputs(VICTIM_PREDICT, wanted);
	if (start(&good, &longer, &wild, sizeof(good))) {
		for (i = 0; go_on(i, 3 * CALLS); i++)
			accepted += predicts_once(&victim, wanted);
		stop();
	}
	tap_note("%u of %u steps accepted", accepted, i);
	EXPECT_WORKS(&victim);
	victim_close(&victim);
}

/*
 * Forward and backward of one sample whose memory changes all the time. The
 * weights then tell which input the backward pass saw, the output which one the
 * forward pass saw: it must be the same.
 */
static void train_on_changing_input(struct victim *victim)
{
	struct darknetp_step step = step_of(1, DARKNETP_STEP_UPDATE);
	struct darknetp_step forward = step_of(1, 0);
	float before[6] = { 0 };
	float after[6] = { 0 };
	float x[3] = { 0 };
	float y[2] = { 0 };
	unsigned int i = 0;

	victim_save(victim, before);
	EXPECT_RESULT(invoke(&victim->session, DARKNETP_CMD_FORWARD, IN(forward),
			     part_in(&memory, 0, sizeof(x)), none(), OUT(y)),
		      TEEC_SUCCESS);
	EXPECT_RESULT(invoke(&victim->session, DARKNETP_CMD_BACKWARD, IN(step),
			     in(victim_delta, FLOATS(2)), OUT(x), none()),
		      TEEC_SUCCESS);
	victim_save(victim, after);
	for (i = 0; i < 3; i++)
		x[i] = (after[i] - before[i]) / (step.learning_rate * victim_delta[0]);
	EXPECT(y[0] == 1 + before[0] * x[0] + before[1] * x[1] + before[2] * x[2]);
	victim_reload(victim);
}

void race_input(void)
{
	static const float a[3] = { 1, 2, 3 };
	static const float b[3] = { -1, 5, 0 };
	static const float c[3] = { 4, -2, 7 };
	struct victim victim = { 0 };
	unsigned int i = 0;

	if (!victim_open(&victim, VICTIM_MIDDLE))
		return;
	if (start(a, b, c, sizeof(a))) {
		for (i = 0; go_on(i, CALLS / 2); i++)
			train_on_changing_input(&victim);
		stop();
	}
	EXPECT_WORKS(&victim);
	victim_close(&victim);
}

void race_output(void)
{
	static const float a[3] = { 0, 0, 0 };
	static const float b[3] = { 9, 9, 9 };
	struct darknetp_step step = step_of(1, 0);
	struct victim victim = { 0 };
	unsigned int i = 0;

	if (!victim_open(&victim, VICTIM_HIDDEN))
		return;
	if (start(a, b, a, sizeof(a))) {
		for (i = 0; go_on(i, CALLS); i++)
			EXPECT_RESULT(invoke(&victim.session, DARKNETP_CMD_FORWARD,
					     IN(step), in(victim_input, FLOATS(16)),
					     none(), part_out(&memory, 0, sizeof(a))),
				      TEEC_SUCCESS);
		stop();
	}
	EXPECT_WORKS(&victim);
	victim_close(&victim);
}

/* As with the input: weights and gradient of the input saw the same truth. */
static void train_on_changing_truth(struct victim *victim)
{
	struct darknetp_step step = step_of(1, DARKNETP_STEP_UPDATE);
	float before[6] = { 0 };
	float after[6] = { 0 };
	float x[3] = { 0 };
	float delta[2] = { 0 };
	unsigned int i = 0;

	victim_save(victim, before);
	EXPECT_RESULT(invoke(&victim->session, DARKNETP_CMD_TRAIN, IN(step),
			     in(victim_input, FLOATS(3)),
			     part_in(&memory, 0, sizeof(delta)), OUT(x)),
		      TEEC_SUCCESS);
	victim_save(victim, after);
	for (i = 0; i < 2; i++)
		delta[i] = (after[3 * i] - before[3 * i])
			   / (step.learning_rate * victim_input[0]);
	for (i = 0; i < 3; i++)
		EXPECT(x[i] == before[i] * delta[0] + before[3 + i] * delta[1]);
	victim_reload(victim);
}

void race_truth(void)
{
	static const float a[2] = { 1, 0 };
	static const float b[2] = { 0, 1 };
	static const float c[2] = { -8, 32 };
	struct victim victim = { 0 };
	unsigned int i = 0;

	if (!victim_open(&victim, VICTIM_TRAIN))
		return;
	if (start(a, b, c, sizeof(a))) {
		for (i = 0; go_on(i, CALLS / 2); i++)
			train_on_changing_truth(&victim);
		stop();
	}
	EXPECT_WORKS(&victim);
	victim_close(&victim);
}

/* Every byte that arrives is one that was written, and nothing beside them. */
static void load_changing_tensor(struct victim *victim)
{
	float weights[6] = { 0 };
	float original[18] = { 0 };
	uint8_t bytes[FLOATS(4)] = { 0 };
	unsigned int i = 0;

	victim_weights(original);
	EXPECT_RESULT(invoke(&victim->session, DARKNETP_CMD_TENSOR_LOAD, value(1, 1),
			     value(1, 0), part_in(&memory, 0, FLOATS(4)), none()),
		      TEEC_SUCCESS);
	victim_save(victim, weights);
	memcpy(bytes, weights + 1, sizeof(bytes));
	for (i = 0; i < sizeof(bytes); i++)
		EXPECT(bytes[i] == 0x11 || bytes[i] == 0x22 || bytes[i] == 0x33);
	EXPECT(weights[0] == original[0] && weights[5] == original[5]);
	EXPECT_RESULT(invoke(&victim->session, DARKNETP_CMD_TENSOR_SAVE, value(1, 1),
			     value(0, 0), part_out(&memory, FLOATS(4), FLOATS(6)),
			     none()), TEEC_SUCCESS);
}

void race_tensor(void)
{
	uint8_t versions[VERSIONS][FLOATS(10)];
	struct victim victim = { 0 };
	unsigned int i = 0;

	for (i = 0; i < VERSIONS; i++)
		memset(versions[i], 0x11 * ((int)i + 1), sizeof(versions[i]));

	if (!victim_open(&victim, VICTIM_TRAIN))
		return;
	if (start(versions[0], versions[1], versions[2], sizeof(versions[0]))) {
		for (i = 0; go_on(i, CALLS / 2); i++)
			load_changing_tensor(&victim);
		stop();
	}
	victim_reload(&victim);
	EXPECT_WORKS(&victim);
	victim_close(&victim);
}

/* ---- And after the call ---- */

void s12_memory_is_not_kept(void)
{
	struct darknetp_step step = step_of(1, DARKNETP_STEP_UPDATE);
	struct darknetp_step forward = step_of(1, 0);
	struct victim victim = { 0 };
	float wanted[6] = { 0 };
	float weights[6] = { 0 };
	float x[3] = { 0 };
	float y[2] = { 0 };

	if (!victim_open(&victim, VICTIM_MIDDLE))
		return;
	victim_trained(VICTIM_MIDDLE, wanted, x);
	if (client_allocate(&memory, 4096)) {
		memcpy(memory.buffer, victim_input, sizeof(x));
		EXPECT_RESULT(invoke(&victim.session, DARKNETP_CMD_FORWARD, IN(forward),
				     part_in(&memory, 0, sizeof(x)), none(), OUT(y)),
			      TEEC_SUCCESS);
		memset(memory.buffer, 0xff, memory.size);
		TEEC_ReleaseSharedMemory(&memory);
		EXPECT_RESULT(invoke(&victim.session, DARKNETP_CMD_BACKWARD, IN(step),
				     in(victim_delta, FLOATS(2)), OUT(x), none()),
			      TEEC_SUCCESS);
		victim_save(&victim, weights);
		EXPECT(memcmp(weights, wanted, sizeof(weights)) == 0);
		victim_reload(&victim);
	}
	EXPECT_WORKS(&victim);
	victim_close(&victim);
}
