/* SPDX-License-Identifier: MIT */
/*
 * What a well-behaved client gets: predictions, memory it can plan with, its
 * tensors back.
 */
#include "ta_support.h"

#include "check.h"

#define MAX_INPUTS	(6 * 6 * 3)	/* of any layer */

static void fill(float *x, size_t n)
{
	size_t i = 0;

	for (i = 0; i < n; i++)
		x[i] = (float)(i * 29 % 31) / 31 - 0.4f;
}

static uint32_t save(struct model *model, uint32_t layer, uint32_t tensor,
		     float *x, uint32_t n)
{
	return call(model, DARKNETP_CMD_TENSOR_SAVE, value(layer, tensor),
		    value(0, 0), out(x, n * sizeof(*x)), none());
}

/* ---- Predicting ---- */

static uint32_t predict(struct model *model, uint32_t count, uint32_t inputs,
			float *output, uint32_t outputs)
{
	struct darknetp_step step = step_of(count, 0);
	float input[NET_BATCH * MAX_INPUTS] = { 0 };

	fill(input, ARRAY_SIZE(input));
	return call(model, DARKNETP_CMD_FORWARD, in(&step, sizeof(step)),
		    in(input, count * inputs * sizeof(float)), none(),
		    out(output, count * outputs * sizeof(float)));
}

/* One 1.0 per sample, at the place of the largest logit, zeros elsewhere. */
static void check_one_hot(const float *output, const float *logits, uint32_t count)
{
	uint32_t best = 0;
	uint32_t sample = 0;
	uint32_t i = 0;

	for (sample = 0; sample < count; sample++) {
		best = 0;
		for (i = 1; i < NET_CLASSES; i++)
			if (logits[sample * NET_CLASSES + i]
			    > logits[sample * NET_CLASSES + best])
				best = i;
		for (i = 0; i < NET_CLASSES; i++)
			assert_true(output[sample * NET_CLASSES + i]
				    == (i == best ? 1 : 0));
	}
}

static void softmax_hides_confidences(void **state)
{
	static const uint32_t ends[] = { NET_SOFTMAX, NET_COST };
	struct model logits_model = { 0 };
	float logits[NET_BATCH * NET_CLASSES] = { 0 };
	float output[NET_BATCH * NET_CLASSES] = { 0 };
	struct model model = { 0 };
	unsigned int i = 0;

	(void)state;
	model_open(&logits_model, &world.host);
	must_build(&logits_model, 2, 4, 0);
	load_all(&logits_model, 2, 4);
	assert_int_equal(predict(&logits_model, NET_BATCH, 27, logits, NET_CLASSES),
			 RESULT_SUCCESS);
	model_close(&logits_model);
	for (i = 0; i < ARRAY_SIZE(ends); i++) {
		model_open(&model, &world.host);
		must_build(&model, 2, ends[i], 0);
		load_all(&model, 2, ends[i]);
		assert_int_equal(predict(&model, NET_BATCH, 27, output, NET_CLASSES),
				 RESULT_SUCCESS);
		check_one_hot(output, logits, NET_BATCH);
		model_close(&model);
	}
}

/* Predictions of nothing but NaN: the first class, as for any tie. */
static void nan_predicts_the_first_class(void **state)
{
	struct darknetp_step step = step_of(1, 0);
	const float input[NET_CLASSES] = { NAN, NAN, NAN, NAN };
	const float expected[NET_CLASSES] = { 1 };
	float output[NET_CLASSES] = { 0 };

	must_build(*state, NET_SOFTMAX, NET_COST, 0);
	assert_int_equal(call(*state, DARKNETP_CMD_FORWARD, in(&step, sizeof(step)),
			      in(input, sizeof(input)), none(),
			      out(output, sizeof(output))), RESULT_SUCCESS);
	assert_memory_equal(output, expected, sizeof(output));
}

/* ---- Memory ---- */

static void build_tells_what_it_needs(void **state)
{
	struct build_request request = partition(0, NET_COST, TRAIN_SEEDED);
	uint32_t need = 0;

	world.host.heap = 100;
	assert_int_equal(build(*state, &request), RESULT_OUT_OF_MEMORY);
	need = last_values[0];
	assert_true(need > 100);
	assert_int_equal(last_values[1], 100);
	assert_int_equal(world.blocks, 0);
	/* one byte short, then just enough */
	world.host.heap = need - 1;
	assert_int_equal(build(*state, &request), RESULT_OUT_OF_MEMORY);
	world.host.heap = need;
	assert_int_equal(build(*state, &request), RESULT_SUCCESS);
	assert_int_equal(last_values[0], need);
	assert_int_equal(last_values[1], need);
	assert_int_equal(world.blocks, 1);
}

static void smaller_micro_batch_fits(void **state)
{
	struct build_request request = partition(0, NET_COST, TRAIN_SEEDED);
	uint32_t need = 0;

	world.host.heap = 0;
	assert_int_equal(build(*state, &request), RESULT_OUT_OF_MEMORY);
	need = last_values[0];
	world.host.heap = need - 1;
	request.model.micro_batch /= 2;
	assert_int_equal(build(*state, &request), RESULT_SUCCESS);
	assert_true(last_values[0] < need);
}

static void failing_allocations_leave_the_session_usable(void **state)
{
	struct build_request request = partition(0, NET_COST, TRAIN_SEEDED);

	world.fail_after = 0;
	assert_int_equal(build(*state, &request), RESULT_OUT_OF_MEMORY);
	assert_int_equal(world.blocks, 0);
	/* one allocation is all that a model makes */
	world.fail_after = 1;
	assert_int_equal(build(*state, &request), RESULT_SUCCESS);
}

/* ---- Tensors ---- */

static void tensors_go_in_by_pieces(void **state)
{
	float x[9 * 27] = { 0 };
	float got[9 * 27] = { 0 };
	uint32_t at = 0;
	uint32_t n = 0;

	fill(x, ARRAY_SIZE(x));
	must_build(*state, 2, NET_COST, TRAIN_SEEDED);
	for (at = 0; at < ARRAY_SIZE(x); at += n) {
		n = ARRAY_SIZE(x) - at < 50 ? ARRAY_SIZE(x) - at : 50;
		assert_int_equal(call(*state, DARKNETP_CMD_TENSOR_LOAD,
				      value(2, DARKNETP_TENSOR_WEIGHTS), value(at, 0),
				      in(x + at, n * sizeof(*x)), none()),
				 RESULT_SUCCESS);
	}
	assert_int_equal(save(*state, 2, DARKNETP_TENSOR_WEIGHTS, got,
			      ARRAY_SIZE(got)), RESULT_SUCCESS);
	assert_memory_equal(got, x, sizeof(x));
	assert_int_equal(call(*state, DARKNETP_CMD_TENSOR_SAVE,
			      value(2, DARKNETP_TENSOR_WEIGHTS), value(7, 0),
			      out(got, 3 * sizeof(*got)), none()), RESULT_SUCCESS);
	assert_memory_equal(got, x + 7, 3 * sizeof(*got));
}

static void predicting_sessions_keep_their_weights(void **state)
{
	float x[9] = { 0 };

	must_build(*state, 2, NET_COST, 0);
	assert_int_equal(save(*state, 2, DARKNETP_TENSOR_BIASES, x, 9),
			 RESULT_ACCESS_DENIED);
}

/* ---- Momentum ---- */

#define BIASES		DARKNETP_TENSOR_BIASES
#define MOMENTUM	DARKNETP_TENSOR_MOMENTUM

static uint32_t put(struct model *model, uint32_t layer, uint32_t tensor,
		    const float *x, uint32_t n)
{
	return call(model, DARKNETP_CMD_TENSOR_LOAD, value(layer, tensor),
		    value(0, 0), in(x, n * sizeof(*x)), none());
}

/* One batch of the end of the network, layers 4 to 6. */
static void train_end(struct model *model)
{
	struct darknetp_step step = step_of(NET_BATCH, DARKNETP_STEP_UPDATE);
	float input[NET_BATCH * 9] = { 0 };
	float delta[NET_BATCH * 9] = { 0 };

	fill(input, ARRAY_SIZE(input));
	assert_int_equal(call(model, DARKNETP_CMD_TRAIN, in(&step, sizeof(step)),
			      in(input, sizeof(input)),
			      in(net_truth, sizeof(net_truth)),
			      out(delta, sizeof(delta))), RESULT_SUCCESS);
}

/* A checkpoint is parameters and momentum: with both, the same continuation. */
static void momentum_continues_a_training(void **state)
{
	static const uint32_t counts[] = { NET_CLASSES, NET_CLASSES * 9 };
	float saved[2][2][NET_CLASSES * 9] = { 0 };
	float expected[NET_CLASSES * 9] = { 0 };
	float got[NET_CLASSES * 9] = { 0 };
	struct model resumed = { 0 };
	uint32_t kind = 0;

	must_build(*state, 4, NET_COST, TRAIN_SEEDED);
	train_end(*state);
	for (kind = BIASES; kind <= DARKNETP_TENSOR_WEIGHTS; kind++) {
		assert_int_equal(save(*state, 4, kind, saved[0][kind], counts[kind]),
				 RESULT_SUCCESS);
		assert_int_equal(save(*state, 4, kind | MOMENTUM, saved[1][kind],
				      counts[kind]), RESULT_SUCCESS);
	}
	train_end(*state);
	save(*state, 4, DARKNETP_TENSOR_WEIGHTS, expected, ARRAY_SIZE(expected));

	model_open(&resumed, &world.host);
	must_build(&resumed, 4, NET_COST, DARKNETP_MODEL_TRAIN);
	for (kind = BIASES; kind <= DARKNETP_TENSOR_WEIGHTS; kind++) {
		assert_int_equal(put(&resumed, 4, kind, saved[0][kind], counts[kind]),
				 RESULT_SUCCESS);
		assert_int_equal(put(&resumed, 4, kind | MOMENTUM, saved[1][kind],
				     counts[kind]), RESULT_SUCCESS);
	}
	train_end(&resumed);
	save(&resumed, 4, DARKNETP_TENSOR_WEIGHTS, got, ARRAY_SIZE(got));
	assert_memory_equal(got, expected, sizeof(got));
	model_close(&resumed);
}

/* A gradient that is half computed is nobody's business. */
static void momentum_only_between_steps(void **state)
{
	struct darknetp_step step = step_of(1, 0);
	float input[27] = { 0 };
	float x[9] = { 0 };

	must_build(*state, 2, 3, TRAIN_SEEDED);
	assert_int_equal(save(*state, 2, BIASES | MOMENTUM, x, 9), RESULT_SUCCESS);
	assert_int_equal(call(*state, DARKNETP_CMD_FORWARD, in(&step, sizeof(step)),
			      in(input, sizeof(input)), none(),
			      out(x, sizeof(x))), RESULT_SUCCESS);
	assert_int_equal(save(*state, 2, BIASES | MOMENTUM, x, 9), RESULT_BAD_STATE);
	assert_int_equal(put(*state, 2, BIASES | MOMENTUM, x, 9), RESULT_BAD_STATE);
	assert_int_equal(save(*state, 2, BIASES, x, 9), RESULT_SUCCESS);
}

static void predicting_sessions_have_no_momentum(void **state)
{
	float x[9] = { 0 };

	must_build(*state, 2, NET_COST, 0);
	assert_int_equal(put(*state, 2, BIASES | MOMENTUM, x, 9),
			 RESULT_BAD_PARAMETERS);
	assert_int_equal(save(*state, 2, BIASES | MOMENTUM, x, 9),
			 RESULT_ACCESS_DENIED);
}

/* ---- The secure console ---- */

static void closing_says_goodbye(void **state)
{
	struct model model = { 0 };

	(void)state;
	model_open(&model, &world.host);
	must_build(&model, 0, NET_COST, 0);
	model_close(&model);
	assert_string_equal(world.last_trace, "Goodbye!");
	assert_int_equal(world.blocks, 0);
}

#define IN_SESSION(test) \
	cmocka_unit_test_setup_teardown(test, session_open, session_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SESSION(softmax_hides_confidences),
		IN_SESSION(nan_predicts_the_first_class),
		IN_SESSION(build_tells_what_it_needs),
		IN_SESSION(smaller_micro_batch_fits),
		IN_SESSION(failing_allocations_leave_the_session_usable),
		IN_SESSION(tensors_go_in_by_pieces),
		IN_SESSION(predicting_sessions_keep_their_weights),
		IN_SESSION(momentum_continues_a_training),
		IN_SESSION(momentum_only_between_steps),
		IN_SESSION(predicting_sessions_have_no_momentum),
		IN_SESSION(closing_says_goodbye),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
