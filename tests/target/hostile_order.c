/* SPDX-License-Identifier: MIT */
#include "hostile.h"

#define MARK 12345.0f	/* in memory that must not be written */

static struct reply save(struct victim *victim, uint32_t layer, uint32_t tensor,
			 float *values, uint32_t count)
{
	return invoke(&victim->session, DARKNETP_CMD_TENSOR_SAVE, value(layer, tensor),
		      value(0, 0), out(values, FLOATS(count)), none());
}

static void try_saving(struct victim *victim, uint32_t layer, uint32_t tensor)
{
	static const uint32_t counts[] = { 1, 2, 3, 18, 24 };
	float stolen[24] = { 0 };
	unsigned int i = 0;

	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		stolen[0] = MARK;
		EXPECT_RESULT(save(victim, layer, tensor, stolen, counts[i]),
			      ACCESS_DENIED);
		EXPECT(stolen[0] == MARK);
	}
}

void s1_weights_stay_inside(void)
{
	struct victim victim = { 0 };
	enum victim_kind kind = VICTIM_PREDICT;
	uint32_t layer = 0;
	uint32_t tensor = 0;

	for (kind = VICTIM_PREDICT; kind <= VICTIM_HIDDEN; kind++) {
		if (!victim_open(&victim, kind))
			return;
		for (layer = 1; layer <= 6; layer++)
			for (tensor = 0; tensor <= 5; tensor++)
				try_saving(&victim, layer, tensor);
		EXPECT_WORKS(&victim);
		victim_close(&victim);
	}
}

/* ---- Calls that are right in their sizes ---- */

static struct reply forward(struct victim *victim, struct darknetp_step step)
{
	const struct victim_facts *facts = victim_facts(victim->kind);
	float y[3] = { 0 };

	return invoke(&victim->session, DARKNETP_CMD_FORWARD, IN(step),
		      in(victim_input, FLOATS(facts->inputs)), none(),
		      out(y, FLOATS(facts->outputs)));
}

static struct reply backward(struct victim *victim, struct darknetp_step step)
{
	float x[16] = { 0 };

	return invoke(&victim->session, DARKNETP_CMD_BACKWARD, IN(step),
		      in(victim_delta, FLOATS(step.count * 2)),
		      out(x, FLOATS(step.count * victim_facts(victim->kind)->inputs)),
		      none());
}

static struct reply train(struct victim *victim, struct darknetp_step step)
{
	const struct victim_facts *facts = victim_facts(victim->kind);
	float x[16] = { 0 };

	return invoke(&victim->session, DARKNETP_CMD_TRAIN, IN(step),
		      in(victim_input, FLOATS(facts->inputs)),
		      in(victim_truth, FLOATS(facts->truths)),
		      out(x, FLOATS(facts->inputs)));
}

static struct darknetp_step update_step(void)
{
	struct darknetp_step step = step_of(1, DARKNETP_STEP_UPDATE);

	step.learning_rate = 0;	/* so that the weights stay what they are */
	return step;
}

/* ---- Order ---- */

static void try_before_build(struct victim *victim)
{
	float x[1] = { 0 };

	EXPECT_RESULT(forward(victim, step_of(1, 0)), BAD_STATE);
	EXPECT_RESULT(backward(victim, step_of(1, 0)), BAD_STATE);
	EXPECT_RESULT(train(victim, step_of(1, 0)), BAD_STATE);
	EXPECT_RESULT(save(victim, 1, 0, x, 1), BAD_STATE);
	EXPECT_RESULT(invoke(&victim->session, DARKNETP_CMD_TENSOR_LOAD, value(1, 0),
			     value(0, 0), IN(x), none()), BAD_STATE);
}

void s16_nothing_before_build(void)
{
	struct victim victim = { .kind = VICTIM_TRAIN };
	struct description bad = victim_description(VICTIM_TRAIN);
	enum victim_kind kind = VICTIM_PREDICT;

	bad.layers[0].outputs = 0;
	for (kind = VICTIM_PREDICT; kind < VICTIM_KINDS; kind++) {
		if (!EXPECT(client_open(&victim.session) == TEEC_SUCCESS))
			return;
		try_before_build(&victim);
		EXPECT_RESULT(build(&victim.session, &bad), BAD_FORMAT);
		try_before_build(&victim);
		if (victim_build(&victim, kind))
			EXPECT_WORKS(&victim);
		victim_close(&victim);
	}
}

void order_of_halves(void)
{
	struct darknetp_step step = update_step();
	struct darknetp_step other = update_step();
	struct victim victim = { 0 };

	if (!victim_open(&victim, VICTIM_MIDDLE))
		return;
	EXPECT_RESULT(backward(&victim, step), BAD_STATE);
	EXPECT_RESULT(forward(&victim, step_of(1, 0)), TEEC_SUCCESS);
	other.iteration_low++;
	EXPECT_RESULT(backward(&victim, other), BAD_STATE);
	other = step;
	other.iteration_high++;
	EXPECT_RESULT(backward(&victim, other), BAD_STATE);
	other = step;
	other.sample++;
	EXPECT_RESULT(backward(&victim, other), BAD_STATE);
	EXPECT_RESULT(backward(&victim, step), TEEC_SUCCESS);
	EXPECT_RESULT(backward(&victim, step), BAD_STATE);
	/* a forward may start over */
	EXPECT_RESULT(forward(&victim, step_of(1, 0)), TEEC_SUCCESS);
	EXPECT_RESULT(forward(&victim, step_of(1, 0)), TEEC_SUCCESS);
	EXPECT_RESULT(backward(&victim, step), TEEC_SUCCESS);
	EXPECT_WORKS(&victim);
	victim_close(&victim);
}

#define MOMENTUM (DARKNETP_TENSOR_MOMENTUM | DARKNETP_TENSOR_WEIGHTS)

/* Move the momentum of the first layer's weights, both ways. */
static void expect_momentum(struct victim *victim, TEEC_Result load, TEEC_Result saved)
{
	const struct victim_facts *facts = victim_facts(victim->kind);
	float x[18] = { 0 };

	EXPECT_RESULT(invoke(&victim->session, DARKNETP_CMD_TENSOR_LOAD,
			     value(facts->first_layer, MOMENTUM), value(0, 0),
			     in(x, FLOATS(facts->weights)), none()), load);
	EXPECT_RESULT(save(victim, facts->first_layer, MOMENTUM, x, facts->weights),
		      saved);
}

/* Not between the halves of a step, and not where nothing is trained. */
void order_of_momentum(void)
{
	struct victim victim = { 0 };

	if (!victim_open(&victim, VICTIM_MIDDLE))
		return;
	expect_momentum(&victim, TEEC_SUCCESS, TEEC_SUCCESS);
	EXPECT_RESULT(forward(&victim, step_of(1, 0)), TEEC_SUCCESS);
	expect_momentum(&victim, BAD_STATE, BAD_STATE);
	EXPECT_RESULT(backward(&victim, update_step()), TEEC_SUCCESS);
	expect_momentum(&victim, TEEC_SUCCESS, TEEC_SUCCESS);
	EXPECT_WORKS(&victim);
	victim_close(&victim);
	if (!victim_open(&victim, VICTIM_PREDICT))
		return;
	expect_momentum(&victim, BAD_PARAMETERS, ACCESS_DENIED);
	EXPECT_WORKS(&victim);
	victim_close(&victim);
}

/* Halves where a step is whole, whole steps where there are halves, training
 * where there is nothing to train.
 */
void commands_of_the_other_kind(void)
{
	struct victim victim = { 0 };
	enum victim_kind kind = VICTIM_PREDICT;

	for (kind = VICTIM_PREDICT; kind < VICTIM_KINDS; kind++) {
		if (!victim_open(&victim, kind))
			return;
		EXPECT_RESULT(backward(&victim, step_of(1, 0)), BAD_STATE);
		if (kind == VICTIM_TRAIN)
			EXPECT_RESULT(forward(&victim, step_of(1, 0)), BAD_STATE);
		else
			EXPECT_RESULT(train(&victim, step_of(1, 0)), BAD_STATE);
		EXPECT_WORKS(&victim);
		victim_close(&victim);
	}
}

/* ---- Steps ---- */

#define STEP(field)	(offsetof(struct darknetp_step, field) / sizeof(uint32_t))
#define NOT_A_NUMBER	0x7fc00000
#define INFINITE	0xff800000

static const struct {
	uint32_t word, value;
} bad_words[] = {
	{ STEP(flags), 4 | DARKNETP_STEP_UPDATE },
	{ STEP(flags), UINT32_MAX },
	{ STEP(flags), DARKNETP_STEP_UPDATE | DARKNETP_STEP_REPORT },	/* of nothing */
	{ STEP(count), 0 },
	{ STEP(count), VICTIM_BATCH + 1 },
	{ STEP(count), 0x40000001 },
	{ STEP(count), UINT32_MAX },
	{ STEP(sample), UINT32_MAX },		/* sample + count wraps */
	{ STEP(learning_rate), NOT_A_NUMBER },
	{ STEP(learning_rate), INFINITE },
	{ STEP(momentum), NOT_A_NUMBER },
	{ STEP(momentum), INFINITE },
	{ STEP(decay), NOT_A_NUMBER },
	{ STEP(decay), INFINITE },
	{ STEP(samples), 0 },			/* a division */
};

static void try_words(struct victim *victim)
{
	struct darknetp_step step = { 0 };
	uint32_t words[sizeof(step) / sizeof(uint32_t)];
	unsigned int i = 0;

	for (i = 0; i < ARRAY_SIZE(bad_words); i++) {
		step = update_step();
		memcpy(words, &step, sizeof(step));
		words[bad_words[i].word] = bad_words[i].value;
		memcpy(&step, words, sizeof(step));
		EXPECT(victim->kind == VICTIM_TRAIN || victim_predicts(victim));
		step.count = bad_words[i].word == STEP(count) ? bad_words[i].value : 1;
		if (victim->kind == VICTIM_TRAIN)
			EXPECT_RESULT(train(victim, step), BAD_PARAMETERS);
		else
			EXPECT_RESULT(invoke(&victim->session, DARKNETP_CMD_BACKWARD,
					     IN(step), in(victim_delta, FLOATS(2)),
					     OUT(step), none()), BAD_PARAMETERS);
	}
	EXPECT_WORKS(victim);
}

void flags_and_numbers_of_a_step(void)
{
	struct victim victim = { 0 };
	enum victim_kind kind = VICTIM_MIDDLE;

	for (kind = VICTIM_MIDDLE; kind <= VICTIM_TRAIN; kind++) {
		if (!victim_open(&victim, kind))
			return;
		try_words(&victim);
		victim_close(&victim);
	}
}

/* ---- S17 ---- */

void s17_only_the_best_class(void)
{
	struct darknetp_step step = step_of(1, DARKNETP_STEP_REPORT);
	struct victim victim = { 0 };
	float y[VICTIM_BATCH * 3] = { 0 };
	float x[VICTIM_BATCH * 16] = { 0 };
	unsigned int ones = 0;
	unsigned int i = 0;

	if (!victim_open(&victim, VICTIM_HIDDEN))
		return;
	step = step_of(VICTIM_BATCH, 0);
	memcpy(x + 16, victim_input, FLOATS(16));
	x[32] = 1e30f;
	x[48] = __builtin_nanf("");
	EXPECT_RESULT(invoke(&victim.session, DARKNETP_CMD_FORWARD, IN(step), IN(x),
			     none(), OUT(y)), TEEC_SUCCESS);
	for (i = 0; i < ARRAY_SIZE(y); i++) {
		EXPECT(y[i] == 0 || y[i] == 1);
		ones += y[i] == 1;
	}
	EXPECT(ones == VICTIM_BATCH);
	/* and there is no way around: no loss, no gradient, no truth */
	EXPECT_RESULT(forward(&victim, step_of(1, DARKNETP_STEP_REPORT)),
		      BAD_PARAMETERS);
	EXPECT_RESULT(forward(&victim, update_step()), BAD_PARAMETERS);
	step = step_of(1, 0);
	EXPECT_RESULT(invoke(&victim.session, DARKNETP_CMD_FORWARD, IN(step),
			     in(victim_input, FLOATS(16)), in(victim_truth, FLOATS(2)),
			     out(y, FLOATS(3))), BAD_PARAMETERS);
	EXPECT_WORKS(&victim);
	victim_close(&victim);
}
