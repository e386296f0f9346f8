/* SPDX-License-Identifier: MIT */
/*
 * Requests that make no sense: every field of a description and of a step, every
 * size, and damage at random. S9 to S14: as in ta_hostile_test.c.
 */
#include "ta_support.h"

#include "check.h"
#include "nn.h"
#include "nn_random.h"

/* ---- Build ---- */

static uint32_t build_bytes(struct model *model,
			    const struct build_request *request, size_t size)
{
	return call(model, DARKNETP_CMD_BUILD, in(request, size), value_out(),
		    none(), none());
}

static void s9_s10_s11_request_size_is_exact(void **state)
{
	struct build_request request = partition(0, NET_COST, 0);
	size_t right = build_size(&request);
	size_t size = 0;

	for (size = 0; size < right; size++)
		assert_int_equal(build_bytes(*state, &request, size),
				 RESULT_BAD_PARAMETERS);
	/* more layers announced than sent, and fewer */
	request.model.layers++;
	request.model.network_layers++;
	assert_int_equal(build_bytes(*state, &request, right), RESULT_BAD_PARAMETERS);
	request.model.layers -= 2;
	assert_int_equal(build_bytes(*state, &request, right), RESULT_BAD_PARAMETERS);
	request.model.layers = UINT32_MAX;
	request.model.network_layers = UINT32_MAX;
	assert_int_equal(build_bytes(*state, &request, right), RESULT_BAD_PARAMETERS);
	must_build(*state, 0, NET_COST, 0);
}

/* One field of the model's description set to a bad value. */
#define MODEL_REFUSED(field, bad, result)					\
	do {									\
		struct build_request request = partition(2, NET_COST, 0);	\
										\
		request.model.field = (bad);					\
		assert_int_equal(build(*state, &request), (result));		\
	} while (0)

static void headers_are_checked(void **state)
{
	MODEL_REFUSED(abi, DARKNETP_TA_ABI + 1, RESULT_NOT_SUPPORTED);
	MODEL_REFUSED(abi, 0, RESULT_NOT_SUPPORTED);
	MODEL_REFUSED(flags, 1u << 2, RESULT_BAD_PARAMETERS);
	MODEL_REFUSED(flags, 1u << 31, RESULT_BAD_PARAMETERS);
	MODEL_REFUSED(reserved, 1, RESULT_BAD_PARAMETERS);
	MODEL_REFUSED(seed_low, 1, RESULT_BAD_PARAMETERS);
	MODEL_REFUSED(seed_high, 1, RESULT_BAD_PARAMETERS);
	MODEL_REFUSED(first_layer, 3, RESULT_BAD_PARAMETERS);
	MODEL_REFUSED(first_layer, UINT32_MAX, RESULT_BAD_PARAMETERS);
	MODEL_REFUSED(network_layers, 4, RESULT_BAD_PARAMETERS);
	MODEL_REFUSED(network_layers, 0, RESULT_BAD_PARAMETERS);
	MODEL_REFUSED(network_layers, DARKNETP_MAX_NETWORK + 1, RESULT_BAD_PARAMETERS);
	MODEL_REFUSED(micro_batch, 0, RESULT_BAD_FORMAT);
	MODEL_REFUSED(micro_batch, UINT32_MAX, RESULT_BAD_FORMAT);
	MODEL_REFUSED(width, 0, RESULT_BAD_FORMAT);
	MODEL_REFUSED(height, UINT32_MAX, RESULT_BAD_FORMAT);
	MODEL_REFUSED(channels, UINT32_MAX, RESULT_BAD_FORMAT);
	/* memory beyond any budget, but no overflow */
	MODEL_REFUSED(micro_batch, 1000000, RESULT_OUT_OF_MEMORY);
	must_build(*state, 2, NET_COST, 0);
}

/* S14: numbers that once were signed, divided by, or multiplied unchecked. */
#define LAYER_REFUSED(index, field, bad, result)				\
	do {									\
		struct build_request request = partition(0, NET_COST, 0);	\
										\
		request.layers[index].field = (bad);				\
		assert_int_equal(build(*state, &request), (result));		\
		if ((result) != RESULT_BAD_PARAMETERS) {			\
			assert_int_equal(last_values[0], (index));		\
			assert_int_equal(last_values[1], 1);			\
		}								\
	} while (0)

static void s14_layers_are_checked(void **state)
{
	LAYER_REFUSED(0, filters, UINT32_MAX, RESULT_BAD_FORMAT);
	LAYER_REFUSED(0, filters, 0, RESULT_BAD_FORMAT);
	LAYER_REFUSED(0, size, UINT32_MAX, RESULT_BAD_FORMAT);
	LAYER_REFUSED(0, stride, 0, RESULT_BAD_FORMAT);
	LAYER_REFUSED(0, groups, 0, RESULT_BAD_FORMAT);
	LAYER_REFUSED(0, padding, UINT32_MAX, RESULT_BAD_FORMAT);
	LAYER_REFUSED(0, kind, 0, RESULT_NOT_SUPPORTED);
	LAYER_REFUSED(0, kind, UINT32_MAX, RESULT_NOT_SUPPORTED);
	LAYER_REFUSED(0, activation, 14, RESULT_NOT_SUPPORTED);
	LAYER_REFUSED(0, learning_rate, NAN, RESULT_BAD_FORMAT);
	LAYER_REFUSED(0, batch_normalize, 2, RESULT_BAD_PARAMETERS);
	LAYER_REFUSED(0, reserved[0], 1, RESULT_BAD_PARAMETERS);
	LAYER_REFUSED(0, reserved[1], 1, RESULT_BAD_PARAMETERS);
	LAYER_REFUSED(0, sources[0], 1, RESULT_BAD_PARAMETERS);
	LAYER_REFUSED(0, sources[7], UINT32_MAX, RESULT_BAD_PARAMETERS);
	LAYER_REFUSED(0, n_sources, 9, RESULT_BAD_PARAMETERS);
	LAYER_REFUSED(0, n_sources, UINT32_MAX, RESULT_BAD_PARAMETERS);
	LAYER_REFUSED(1, stride, 0, RESULT_BAD_FORMAT);
	LAYER_REFUSED(1, size, 0, RESULT_BAD_FORMAT);
	LAYER_REFUSED(1, padding, 9, RESULT_BAD_FORMAT);
	LAYER_REFUSED(2, outputs, UINT32_MAX, RESULT_BAD_FORMAT);
	LAYER_REFUSED(2, outputs, 0, RESULT_BAD_FORMAT);
	LAYER_REFUSED(3, probability, NAN, RESULT_BAD_FORMAT);
	LAYER_REFUSED(3, probability, 1, RESULT_BAD_FORMAT);
	LAYER_REFUSED(5, groups, 0, RESULT_BAD_FORMAT);
	LAYER_REFUSED(5, temperature, 0, RESULT_BAD_FORMAT);
	LAYER_REFUSED(5, noloss, 2, RESULT_BAD_PARAMETERS);
	LAYER_REFUSED(6, cost, 4, RESULT_NOT_SUPPORTED);
	LAYER_REFUSED(6, scale, INFINITY, RESULT_BAD_FORMAT);
	assert_int_equal(world.blocks, 0);
	must_build(*state, 0, NET_COST, 0);
}

/* Two convolutions, a shortcut around them, a route, and an end with a loss. */
static struct build_request residual(void)
{
	struct build_request request = partition(0, NET_COST, TRAIN_SEEDED);

	request.layers[0].filters = 2;
	request.layers[1] = request.layers[0];
	request.layers[2] = (struct darknetp_layer){
		.kind = NN_SHORTCUT, .activation = NN_RELU, .alpha = 1, .beta = 1,
		.n_sources = 1,
	};
	request.layers[3] = (struct darknetp_layer){
		.kind = NN_ROUTE, .n_sources = 2, .sources = { 2, 1 },
	};
	return request;
}

/* Every source comes before its layer, and is of the partition. */
static void sources_are_checked(void **state)
{
	struct build_request request = residual();

	request.layers[2].sources[0] = 2;
	assert_int_equal(build(*state, &request), RESULT_BAD_FORMAT);
	assert_int_equal(last_values[0], 2);
	request.layers[2].sources[0] = DARKNETP_MAX_NETWORK;
	assert_int_equal(build(*state, &request), RESULT_BAD_PARAMETERS);
	request = residual();
	request.layers[3].n_sources = 0;
	assert_int_equal(build(*state, &request), RESULT_BAD_PARAMETERS);
	request = residual();
	request.layers[2].n_sources = 2;
	assert_int_equal(build(*state, &request), RESULT_BAD_FORMAT);
	/* the same layers further on in a network: their sources lie before it */
	request = residual();
	request.model.first_layer = 3;
	request.model.network_layers += 3;
	assert_int_equal(build(*state, &request), RESULT_NOT_SUPPORTED);
	assert_int_equal(last_values[0], 3 + 2);
	assert_int_equal(last_values[1], 1);
	assert_int_equal(world.blocks, 0);
	request = residual();
	assert_int_equal(build(*state, &request), RESULT_SUCCESS);
	must_train(*state);
}

/* A cost layer with something behind it would have no place for its gradient. */
static void cost_ends_the_network(void **state)
{
	struct build_request request = partition(2, NET_COST, TRAIN_SEEDED);

	request.model.network_layers++;
	assert_int_equal(build(*state, &request), RESULT_NOT_SUPPORTED);
	assert_int_equal(last_values[0], NET_COST);
}

/* Training the end of a network that has no loss there leads nowhere. */
static void training_needs_a_loss(void **state)
{
	struct build_request request = partition(2, 4, TRAIN_SEEDED);

	request.model.network_layers = 5;
	assert_int_equal(build(*state, &request), RESULT_NOT_SUPPORTED);
	assert_int_equal(last_values[0], 4);
	request.model.flags = 0;
	request.model.seed_low = 0;
	assert_int_equal(build(*state, &request), RESULT_SUCCESS);
}

/* ---- Steps ---- */

#define STEP_REFUSED(flag, field, bad)						\
	do {									\
		struct darknetp_step step = step_of(1, (flag));			\
										\
		step.field = (bad);						\
		assert_int_equal(train_with(*state, &step, FLOATS(NET_INPUTS),	\
					    FLOATS(NET_CLASSES)),		\
				 RESULT_BAD_PARAMETERS);			\
	} while (0)

static void steps_are_checked(void **state)
{
	must_build(*state, 0, NET_COST, TRAIN_SEEDED);
	STEP_REFUSED(0, flags, 1u << 2);
	STEP_REFUSED(0, count, 0);
	STEP_REFUSED(0, count, NET_BATCH + 1);
	STEP_REFUSED(0, count, UINT32_MAX);
	STEP_REFUSED(0, sample, UINT32_MAX);
	STEP_REFUSED(UPDATE, samples, 0);
	STEP_REFUSED(UPDATE, learning_rate, NAN);
	STEP_REFUSED(UPDATE, learning_rate, INFINITY);
	STEP_REFUSED(UPDATE, momentum, NAN);
	STEP_REFUSED(UPDATE, decay, -INFINITY);
	STEP_REFUSED(REPORT, report_samples, 0);
	assert_int_equal(world.traces, 1);
	must_train(*state);
}

static void s11_step_size_is_exact(void **state)
{
	uint8_t bytes[sizeof(struct darknetp_step) + 1] = { 0 };
	struct darknetp_step step = step_of(1, 0);
	size_t size = 0;

	memcpy(bytes, &step, sizeof(step));
	must_build(*state, 0, NET_COST, TRAIN_SEEDED);
	for (size = 0; size <= sizeof(bytes); size++) {
		if (size == sizeof(step))
			continue;
		assert_int_equal(call(*state, DARKNETP_CMD_TRAIN, in(bytes, size),
				      in(scratch_in, FLOATS(NET_INPUTS)),
				      in(scratch_out, FLOATS(NET_CLASSES)), none()),
				 RESULT_BAD_PARAMETERS);
	}
}

/* ---- Chance ---- */

#define FUZZ_ROUNDS	20000
#define FUZZ_WORK	50000	/* floats of a sample: larger ones are not run */

/* Half of the values small, so that something is built now and then. */
static void damage(struct build_request *request, struct nn_random *random)
{
	uint32_t *words = (uint32_t *)(void *)request;
	size_t n = build_size(request) / sizeof(*words);
	uint32_t hits = 1 + nn_random_word(random) % 3;
	uint32_t x = 0;

	for (; hits > 0; hits--) {
		x = nn_random_word(random);
		words[nn_random_word(random) % n] =
			nn_random_word(random) % 2 ? x % 9 : x;
	}
}

static void run_anything(struct model *model)
{
	struct darknetp_step step = step_of(1, 0);
	size_t inputs = model->inputs;
	size_t outputs = model->outputs;
	float *input = calloc(inputs + outputs + model->truths, sizeof(*input));

	assert_non_null(input);
	if (model->train && model->reaches_end)
		call(model, DARKNETP_CMD_TRAIN, in(&step, sizeof(step)),
		     in(input, FLOATS(inputs)), in(input, FLOATS(model->truths)),
		     model->first_layer > 0 ? out(input, FLOATS(inputs)) : none());
	call(model, DARKNETP_CMD_FORWARD, in(&step, sizeof(step)),
	     in(input, FLOATS(inputs)),
	     model->train && model->truths ? in(input, FLOATS(model->truths)) : none(),
	     out(input + inputs, FLOATS(outputs)));
	free(input);
}

static void damaged_requests_do_no_harm(void **state)
{
	const uint32_t key[NN_KEY_WORDS] = { 0xf022 };
	struct nn_random random = { 0 };
	struct build_request request = { 0 };
	struct model model = { 0 };
	unsigned int built = 0;
	unsigned int i = 0;

	(void)state;
	nn_random_start(&random, key, 0, 0);
	for (i = 0; i < FUZZ_ROUNDS; i++) {
		request = partition(i % 2 ? 0 : 2, i % 3 ? 4 : NET_COST,
				    i % 5 ? 0 : TRAIN_SEEDED);
		if (i % 4 == 0)
			request = residual();
		damage(&request, &random);
		model_open(&model, &world.host);
		if (request.model.layers <= NET_LAYERS
		    && build(&model, &request) == RESULT_SUCCESS) {
			built++;
			if (model.inputs < FUZZ_WORK && model.outputs < FUZZ_WORK)
				run_anything(&model);
		}
		model_close(&model);
	}
	assert_in_range(built, FUZZ_ROUNDS / 20, FUZZ_ROUNDS * 19 / 20);
}

#define IN_SESSION(test) \
	cmocka_unit_test_setup_teardown(test, session_open, session_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SESSION(s9_s10_s11_request_size_is_exact),
		IN_SESSION(headers_are_checked),
		IN_SESSION(s14_layers_are_checked),
		IN_SESSION(sources_are_checked),
		IN_SESSION(cost_ends_the_network),
		IN_SESSION(training_needs_a_loss),
		IN_SESSION(steps_are_checked),
		IN_SESSION(s11_step_size_is_exact),
		IN_SESSION(damaged_requests_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
