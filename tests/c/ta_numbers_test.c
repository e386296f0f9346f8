/* SPDX-License-Identifier: MIT */
/*
 * Predicting and training through commands: the numbers must be those of nn/
 * called directly.
 */
#include "ta_support.h"

#include "check.h"

/* ---- The same partition in nn/, for comparison ---- */

struct reference {
	struct nn_layer_spec layers[NET_LAYERS];
	struct nn_net *net;
	void *arena;
	uint32_t first, last;
};

static struct nn_layer_spec spec_of(const struct darknetp_layer *wire)
{
	return (struct nn_layer_spec){
		.kind = (enum nn_layer_kind)wire->kind,
		.activation = (enum nn_activation)wire->activation,
		.filters = wire->filters, .size = wire->size,
		.stride = wire->stride, .padding = wire->padding,
		.groups = wire->groups, .outputs = wire->outputs,
		.probability = wire->probability,
		.temperature = wire->temperature, .scale = wire->scale,
		.learning_rate = wire->learning_rate,
	};
}

static void reference_open(struct reference *reference, uint32_t first,
			   uint32_t last, bool train)
{
	struct build_request request = partition(first, last, 0);
	struct nn_spec spec = {
		.width = request.model.width, .height = request.model.height,
		.channels = request.model.channels, .first_layer = first,
		.n_layers = request.model.layers, .micro_batch = NET_BATCH,
		.train = train, .input_delta = true, .seed = { 7 },
		.layers = reference->layers,
	};
	struct nn_plan plan = { 0 };
	uint32_t i = 0;

	reference->first = first;
	reference->last = last;
	for (i = 0; i < request.model.layers; i++)
		reference->layers[i] = spec_of(&request.layers[i]);
	assert_int_equal(nn_plan(&spec, &plan, NULL), NN_OK);
	reference->arena = aligned_alloc(NN_ARENA_ALIGNMENT, plan.total);
	assert_int_equal(nn_init(&reference->net, &spec, reference->arena,
				 plan.total), NN_OK);
	nn_randomize(reference->net);
}

static void reference_close(struct reference *reference)
{
	free(reference->arena);
}

/* A step as the TA turns it into one of nn. */
static struct nn_step nn_step_of(uint32_t count, bool train)
{
	return (struct nn_step){ .iteration = 3, .count = count, .train = train };
}

static uint32_t save(struct model *model, uint32_t layer, uint32_t tensor,
		     float *x, uint32_t n)
{
	return call(model, DARKNETP_CMD_TENSOR_SAVE, value(layer, tensor),
		    value(0, 0), out(x, n * sizeof(*x)), none());
}

/* Hand the model's parameters to the reference. */
static void copy_parameters(struct model *model, struct reference *reference)
{
	uint32_t layer = 0;
	uint32_t kind = 0;
	uint32_t count = 0;
	float *x = NULL;

	for (layer = reference->first; layer <= reference->last; layer++) {
		for (kind = 0; kind < NN_TENSOR_KINDS; kind++) {
			x = nn_tensor(reference->net, layer - reference->first,
				      kind, &count);
			if (x)
				assert_int_equal(save(model, layer, kind, x, count),
						 RESULT_SUCCESS);
		}
	}
}

static void check_parameters(struct model *model, struct reference *reference)
{
	float saved[9 * 27] = { 0 };
	uint32_t layer = 0;
	uint32_t kind = 0;
	uint32_t count = 0;
	const float *x = NULL;

	for (layer = reference->first; layer <= reference->last; layer++) {
		for (kind = 0; kind < NN_TENSOR_KINDS; kind++) {
			x = nn_tensor(reference->net, layer - reference->first,
				      kind, &count);
			if (!x)
				continue;
			assert_true(count <= ARRAY_SIZE(saved));
			assert_int_equal(save(model, layer, kind, saved, count),
					 RESULT_SUCCESS);
			assert_memory_equal(saved, x, count * sizeof(*x));
		}
	}
}

static void fill(float *x, size_t n)
{
	size_t i = 0;

	for (i = 0; i < n; i++)
		x[i] = (float)(i * 29 % 31) / 31 - 0.4f;
}

static const struct nn_update update = {
	.learning_rate = 0.1f, .momentum = 0.9f, .decay = 1e-3f,
	.samples = NET_BATCH,
};

/* ---- Training ---- */

static uint32_t train(struct model *model, const struct darknetp_step *step,
		      const float *input, uint32_t inputs, float *delta)
{
	size_t bytes = step->count * inputs * sizeof(float);

	return call(model, DARKNETP_CMD_TRAIN, in(step, sizeof(*step)),
		    in(input, bytes),
		    in(net_truth, step->count * NET_CLASSES * sizeof(float)),
		    delta ? out(delta, bytes) : none());
}

static void reference_train(struct reference *reference, const float *input)
{
	struct nn_step step = nn_step_of(NET_BATCH, true);
	float *delta = nn_output_delta(reference->net);

	nn_forward(reference->net, &step, input, net_truth);
	if (delta)
		memset(delta, 0, NET_BATCH * nn_outputs(reference->net)
				 * sizeof(*delta));
	nn_backward(reference->net, &step, input, net_truth);
	nn_update(reference->net, &update);
}

static void trains_a_whole_network_like_nn(void **state)
{
	struct darknetp_step step = step_of(NET_BATCH, UPDATE);
	struct reference reference = { 0 };
	float input[NET_BATCH * NET_INPUTS] = { 0 };
	int i = 0;

	fill(input, ARRAY_SIZE(input));
	must_build(*state, 0, NET_COST, TRAIN_SEEDED);
	reference_open(&reference, 0, NET_COST, true);
	check_parameters(*state, &reference);
	for (i = 0; i < 3; i++) {
		assert_int_equal(train(*state, &step, input, NET_INPUTS, NULL),
				 RESULT_SUCCESS);
		reference_train(&reference, input);
	}
	check_parameters(*state, &reference);
	reference_close(&reference);
}

static void trains_the_end_of_a_network_like_nn(void **state)
{
	struct darknetp_step step = step_of(NET_BATCH, UPDATE);
	struct reference reference = { 0 };
	float input[NET_BATCH * 27] = { 0 };
	float delta[NET_BATCH * 27] = { 0 };

	fill(input, ARRAY_SIZE(input));
	must_build(*state, 2, NET_COST, TRAIN_SEEDED);
	reference_open(&reference, 2, NET_COST, true);
	assert_int_equal(train(*state, &step, input, 27, delta), RESULT_SUCCESS);
	reference_train(&reference, input);
	assert_memory_equal(delta, nn_input_delta(reference.net), sizeof(delta));
	check_parameters(*state, &reference);
	reference_close(&reference);
}

static uint32_t forward(struct model *model, const struct darknetp_step *step,
			const float *input, uint32_t inputs, bool truth,
			float *output, uint32_t outputs)
{
	return call(model, DARKNETP_CMD_FORWARD, in(step, sizeof(*step)),
		    in(input, step->count * inputs * sizeof(float)),
		    truth ? in(net_truth, step->count * NET_CLASSES * sizeof(float))
			  : none(),
		    out(output, step->count * outputs * sizeof(float)));
}

static uint32_t backward(struct model *model, const struct darknetp_step *step,
			 const float *output_delta, uint32_t outputs,
			 float *input_delta, uint32_t inputs)
{
	return call(model, DARKNETP_CMD_BACKWARD, in(step, sizeof(*step)),
		    in(output_delta, step->count * outputs * sizeof(float)),
		    input_delta ? out(input_delta, step->count * inputs * sizeof(float))
				: none(),
		    none());
}

static void trains_the_middle_like_nn(void **state)
{
	struct darknetp_step step = step_of(NET_BATCH, 0);
	struct nn_step nn_step = nn_step_of(NET_BATCH, true);
	struct reference reference = { 0 };
	float input[NET_BATCH * 27] = { 0 };
	float output[NET_BATCH * 9] = { 0 };
	float gradient[NET_BATCH * 9] = { 0 };
	float delta[NET_BATCH * 27] = { 0 };

	fill(input, ARRAY_SIZE(input));
	fill(gradient, ARRAY_SIZE(gradient));
	must_build(*state, 2, 3, TRAIN_SEEDED);
	reference_open(&reference, 2, 3, true);
	assert_int_equal(forward(*state, &step, input, 27, false, output, 9),
			 RESULT_SUCCESS);
	nn_forward(reference.net, &nn_step, input, NULL);
	assert_memory_equal(output, nn_output(reference.net), sizeof(output));
	step = step_of(NET_BATCH, UPDATE);
	assert_int_equal(backward(*state, &step, gradient, 9, delta, 27),
			 RESULT_SUCCESS);
	memcpy(nn_output_delta(reference.net), gradient, sizeof(gradient));
	nn_backward(reference.net, &nn_step, input, NULL);
	nn_update(reference.net, &update);
	assert_memory_equal(delta, nn_input_delta(reference.net), sizeof(delta));
	check_parameters(*state, &reference);
	reference_close(&reference);
}

/* Softmax inside, cost outside: the truth goes in, confidences come out. */
static void trains_up_to_the_softmax(void **state)
{
	struct darknetp_step step = step_of(2, 0);
	const float input[2 * NET_CLASSES] = { 1, 2, 3, 4, 4, 3, 2, 1 };
	const float gradient[2 * NET_CLASSES] = { 0.5f };
	float p[2 * NET_CLASSES] = { 0 };
	float delta[2 * NET_CLASSES] = { 0 };
	unsigned int i = 0;

	must_build(*state, NET_SOFTMAX, NET_SOFTMAX, TRAIN_SEEDED);
	assert_int_equal(forward(*state, &step, input, NET_CLASSES, false, p,
				 NET_CLASSES), RESULT_BAD_PARAMETERS);
	assert_int_equal(forward(*state, &step, input, NET_CLASSES, true, p,
				 NET_CLASSES), RESULT_SUCCESS);
	check_near(p[0], 1 / (1 + exp(1) + exp(2) + exp(3)), 1e-6);
	step = step_of(2, REPORT);
	assert_int_equal(backward(*state, &step, gradient, NET_CLASSES, delta,
				  NET_CLASSES), RESULT_SUCCESS);
	for (i = 0; i < ARRAY_SIZE(delta); i++)
		check_near(delta[i], gradient[i] + (net_truth[i] - p[i]), 1e-6);
	assert_int_equal(world.traces, 2);	/* opened, loss */
}

/* Gradients add up over micro-batches; one update at the end. */
static void micro_batches_make_one_batch(void **state)
{
	struct darknetp_step step = step_of(NET_BATCH, UPDATE);
	struct model pieces = { 0 };
	float input[NET_BATCH * NET_INPUTS] = { 0 };
	float whole[3 * 2 * 9] = { 0 };
	float cut[3 * 2 * 9] = { 0 };

	fill(input, ARRAY_SIZE(input));
	must_build(*state, 0, NET_COST, TRAIN_SEEDED);
	assert_int_equal(train(*state, &step, input, NET_INPUTS, NULL), RESULT_SUCCESS);
	model_open(&pieces, &world.host);
	must_build(&pieces, 0, NET_COST, TRAIN_SEEDED);
	step = step_of(1, 0);
	assert_int_equal(train(&pieces, &step, input, NET_INPUTS, NULL), RESULT_SUCCESS);
	assert_int_equal(save(&pieces, 0, DARKNETP_TENSOR_WEIGHTS, cut, 54), RESULT_SUCCESS);
	assert_int_equal(save(*state, 0, DARKNETP_TENSOR_WEIGHTS, whole, 54), RESULT_SUCCESS);
	assert_memory_not_equal(cut, whole, sizeof(cut));
	step = step_of(3, UPDATE);
	step.sample = 1;
	assert_int_equal(call(&pieces, DARKNETP_CMD_TRAIN, in(&step, sizeof(step)),
			      in(input + NET_INPUTS, 3 * NET_INPUTS * sizeof(float)),
			      in(net_truth + NET_CLASSES,
				 3 * NET_CLASSES * sizeof(float)),
			      none()), RESULT_SUCCESS);
	assert_int_equal(save(&pieces, 0, DARKNETP_TENSOR_WEIGHTS, cut, 54), RESULT_SUCCESS);
	assert_memory_equal(cut, whole, sizeof(cut));
	model_close(&pieces);
}

/* ---- Predicting ---- */

static void predicts_like_nn(void **state)
{
	struct model trained = { 0 };
	struct reference reference = { 0 };
	struct darknetp_step step = step_of(3, 0);
	struct nn_step nn_step = nn_step_of(3, false);
	float input[3 * NET_INPUTS] = { 0 };
	float output[3 * NET_CLASSES] = { 0 };

	/* only a training session gives weights away: borrow them from one */
	model_open(&trained, &world.host);
	must_build(&trained, 0, 4, TRAIN_SEEDED);
	load_all(&trained, 0, 4);
	reference_open(&reference, 0, 4, false);
	copy_parameters(&trained, &reference);
	model_close(&trained);

	must_build(*state, 0, 4, 0);
	load_all(*state, 0, 4);
	fill(input, ARRAY_SIZE(input));
	assert_int_equal(forward(*state, &step, input, NET_INPUTS, false, output,
				 NET_CLASSES), RESULT_SUCCESS);
	nn_forward(reference.net, &nn_step, input, NULL);
	assert_memory_equal(output, nn_output(reference.net), sizeof(output));
	reference_close(&reference);
}

/* ---- Seeds ---- */

static void weights_of(struct model *model, uint32_t flags, uint32_t seed,
		       float weights[54])
{
	struct build_request request = partition(0, NET_COST, flags);

	model_open(model, &world.host);
	request.model.seed_high = seed;
	assert_int_equal(build(model, &request), RESULT_SUCCESS);
	assert_int_equal(save(model, 0, DARKNETP_TENSOR_WEIGHTS, weights, 54),
			 RESULT_SUCCESS);
	model_close(model);
}

static void seeds_decide_initial_weights(void **state)
{
	struct model model = { 0 };
	float a[54] = { 0 };
	float b[54] = { 0 };

	(void)state;
	weights_of(&model, TRAIN_SEEDED, 1, a);
	weights_of(&model, TRAIN_SEEDED, 1, b);
	assert_memory_equal(a, b, sizeof(a));
	weights_of(&model, TRAIN_SEEDED, 2, b);
	assert_memory_not_equal(a, b, sizeof(a));
	assert_int_equal(world.randoms, 0);
	weights_of(&model, DARKNETP_MODEL_TRAIN, 0, a);
	weights_of(&model, DARKNETP_MODEL_TRAIN, 0, b);
	assert_memory_not_equal(a, b, sizeof(a));
	assert_int_equal(world.randoms, 2);
}

/* ---- The secure console ---- */

static void loss_is_reported_when_asked(void **state)
{
	struct darknetp_step step = step_of(NET_BATCH, 0);
	float input[NET_BATCH * NET_INPUTS] = { 0 };
	struct reference reference = { 0 };
	char expected[128] = "";
	double sum = 0;

	fill(input, ARRAY_SIZE(input));
	assert_string_equal(world.last_trace, "secure world opened!");
	must_build(*state, 0, NET_COST, TRAIN_SEEDED);
	reference_open(&reference, 0, NET_COST, true);
	reference_train(&reference, input);
	assert_int_equal(nn_loss(reference.net, &sum), 2);
	assert_int_equal(train(*state, &step, input, NET_INPUTS, NULL), RESULT_SUCCESS);
	assert_int_equal(world.traces, 1);
	step = step_of(NET_BATCH, REPORT);
	step.report_samples = 2 * NET_BATCH;
	assert_int_equal(train(*state, &step, input, NET_INPUTS, NULL), RESULT_SUCCESS);
	assert_int_equal(world.traces, 2);
	snprintf(expected, sizeof(expected),
		 "loss = %.5f, avg loss = %.5f from the TA", sum / 2 / NET_BATCH,
		 sum / 2 / NET_BATCH);
	assert_string_equal(world.last_trace, expected);
	/* the next report starts from nothing; nothing was learned in between */
	step.report_samples = NET_BATCH;
	assert_int_equal(train(*state, &step, input, NET_INPUTS, NULL), RESULT_SUCCESS);
	assert_string_equal(world.last_trace, expected);
	reference_close(&reference);
}

static void no_loss_no_line(void **state)
{
	struct darknetp_step step = step_of(1, 0);
	float input[27] = { 0 };
	float output[9] = { 0 };
	float delta[27] = { 0 };

	must_build(*state, 2, 3, TRAIN_SEEDED);
	assert_int_equal(forward(*state, &step, input, 27, false, output, 9),
			 RESULT_SUCCESS);
	step = step_of(1, REPORT);
	assert_int_equal(backward(*state, &step, output, 9, delta, 27),
			 RESULT_SUCCESS);
	assert_int_equal(world.traces, 1);
}

#define IN_SESSION(test) \
	cmocka_unit_test_setup_teardown(test, session_open, session_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SESSION(trains_a_whole_network_like_nn),
		IN_SESSION(trains_the_end_of_a_network_like_nn),
		IN_SESSION(trains_the_middle_like_nn),
		IN_SESSION(trains_up_to_the_softmax),
		IN_SESSION(micro_batches_make_one_batch),
		IN_SESSION(predicts_like_nn),
		IN_SESSION(seeds_decide_initial_weights),
		IN_SESSION(loss_is_reported_when_asked),
		IN_SESSION(no_loss_no_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
