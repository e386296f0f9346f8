/* SPDX-License-Identifier: MIT */
/*
 * A client that wants in. The numbers S2 to S17 are those of the holes known in
 * the original trusted application; each has its test here or in
 * ta_malformed_test.c or, for S2 (types), in ta_command_test.c and, for S15
 * (failing allocations), in ta_model_test.c. Buffers have exactly the size they
 * claim and are gone after the call: what reads or keeps too much does not
 * survive AddressSanitizer.
 */
#include "ta_support.h"

#include "check.h"

/* The session must still do its work after all that was tried. */
static void must_predict(struct model *model, uint32_t inputs, uint32_t outputs)
{
	struct darknetp_step step = step_of(1, 0);

	assert_int_equal(call(model, DARKNETP_CMD_FORWARD, in(&step, sizeof(step)),
			      in(scratch_in, FLOATS(inputs)), none(),
			      out(scratch_out, FLOATS(outputs))), RESULT_SUCCESS);
}

/* Around @right there is nothing but refusals. */
static const int64_t size_errors[] = { -4, -1, 1, 4, 4096 };

static size_t off_by(size_t right, int64_t error)
{
	return (size_t)((int64_t)right + error);
}

/* ---- Sizes of a step ---- */

static void s3_s8_output_size_is_not_believed(void **state)
{
	struct darknetp_step step = step_of(1, 0);
	uint8_t *room = malloc(FLOATS(NET_CLASSES) + 4096);
	unsigned int i = 0;

	assert_non_null(room);
	must_build(*state, 2, NET_COST, 0);
	for (i = 0; i < ARRAY_SIZE(size_errors); i++)
		assert_int_equal(call(*state, DARKNETP_CMD_FORWARD,
				      in(&step, sizeof(step)),
				      in(scratch_in, FLOATS(27)), none(),
				      out(room, off_by(FLOATS(NET_CLASSES),
						       size_errors[i]))),
				 RESULT_BAD_PARAMETERS);
	assert_int_equal(call(*state, DARKNETP_CMD_FORWARD, in(&step, sizeof(step)),
			      in(scratch_in, FLOATS(27)), none(), out(room, 0)),
			 RESULT_BAD_PARAMETERS);
	must_predict(*state, 27, NET_CLASSES);
	must_predict(*state, 27, NET_CLASSES);
	free(room);
}

static void s4_truth_size_is_not_believed(void **state)
{
	struct darknetp_step step = step_of(2, 0);
	size_t input = FLOATS(2 * NET_INPUTS);
	unsigned int i = 0;

	must_build(*state, 0, NET_COST, TRAIN_SEEDED);
	for (i = 0; i < ARRAY_SIZE(size_errors) - 1; i++)
		assert_int_equal(train_with(*state, &step, input,
					    off_by(FLOATS(2 * NET_CLASSES),
						   size_errors[i])),
				 RESULT_BAD_PARAMETERS);
	assert_int_equal(train_with(*state, &step, input, 0), RESULT_BAD_PARAMETERS);
	must_train(*state);
}

/* A truth that nobody asked for. */
static void s4_truth_where_none_belongs(void **state)
{
	struct darknetp_step step = step_of(1, 0);

	must_build(*state, 2, NET_COST, 0);
	assert_int_equal(call(*state, DARKNETP_CMD_FORWARD, in(&step, sizeof(step)),
			      in(scratch_in, FLOATS(27)),
			      in(net_truth, FLOATS(NET_CLASSES)),
			      out(scratch_out, FLOATS(NET_CLASSES))),
			 RESULT_BAD_PARAMETERS);
	must_predict(*state, 27, NET_CLASSES);
}

static uint32_t backward_with(struct model *model, size_t output_delta,
			      struct command_param input_delta)
{
	struct darknetp_step step = step_of(1, 0);

	return call(model, DARKNETP_CMD_BACKWARD, in(&step, sizeof(step)),
		    in(scratch_in, output_delta), input_delta, none());
}

static void s5_s8_gradient_sizes_are_not_believed(void **state)
{
	size_t inputs = FLOATS(27);
	size_t outputs = FLOATS(9);
	unsigned int i = 0;

	must_build(*state, 2, 3, TRAIN_SEEDED);
	must_predict(*state, 27, 9);
	for (i = 0; i < ARRAY_SIZE(size_errors) - 1; i++) {
		assert_int_equal(backward_with(*state, off_by(outputs, size_errors[i]),
					       out(scratch_out, inputs)),
				 RESULT_BAD_PARAMETERS);
		assert_int_equal(backward_with(*state, outputs,
					       out(scratch_out,
						   off_by(inputs, size_errors[i]))),
				 RESULT_BAD_PARAMETERS);
	}
	assert_int_equal(backward_with(*state, outputs, none()),
			 RESULT_BAD_PARAMETERS);
	assert_int_equal(backward_with(*state, outputs, out(scratch_out, inputs)),
			 RESULT_SUCCESS);
}

/* Layer 0 has no gradient of its input to give. */
static void s8_no_gradient_of_the_network_input(void **state)
{
	struct darknetp_step step = step_of(1, 0);

	must_build(*state, 0, NET_COST, TRAIN_SEEDED);
	assert_int_equal(call(*state, DARKNETP_CMD_TRAIN, in(&step, sizeof(step)),
			      in(scratch_in, FLOATS(NET_INPUTS)),
			      in(net_truth, FLOATS(NET_CLASSES)),
			      out(scratch_out, FLOATS(NET_INPUTS))),
			 RESULT_BAD_PARAMETERS);
	must_train(*state);
}

static void s12_input_size_is_not_believed(void **state)
{
	struct darknetp_step step = step_of(1, 0);
	unsigned int i = 0;

	must_build(*state, 2, NET_COST, 0);
	for (i = 0; i < ARRAY_SIZE(size_errors) - 1; i++)
		assert_int_equal(call(*state, DARKNETP_CMD_FORWARD,
				      in(&step, sizeof(step)),
				      in(scratch_in, off_by(FLOATS(27), size_errors[i])),
				      none(), out(scratch_out, FLOATS(NET_CLASSES))),
				 RESULT_BAD_PARAMETERS);
	must_predict(*state, 27, NET_CLASSES);
}

/*
 * The backward pass needs the input again. The shared memory it came in is
 * freed by then: only a private copy can be used.
 */
static void s12_shared_memory_is_not_kept(void **state)
{
	must_build(*state, 2, 3, TRAIN_SEEDED);
	must_predict(*state, 27, 9);
	assert_int_equal(backward_with(*state, FLOATS(9),
				       out(scratch_out, FLOATS(27))),
			 RESULT_SUCCESS);
}

/* A NULL reference may claim any size. */
static void null_references_are_empty(void **state)
{
	struct darknetp_step step = step_of(1, 0);

	assert_int_equal(call(*state, DARKNETP_CMD_BUILD, in(NULL, 4096), value_out(),
			      none(), none()), RESULT_BAD_PARAMETERS);
	must_build(*state, 2, NET_COST, 0);
	assert_int_equal(call(*state, DARKNETP_CMD_FORWARD, in(&step, sizeof(step)),
			      in(NULL, FLOATS(27)), none(),
			      out(scratch_out, FLOATS(NET_CLASSES))),
			 RESULT_BAD_PARAMETERS);
	assert_int_equal(call(*state, DARKNETP_CMD_FORWARD, in(&step, sizeof(step)),
			      in(scratch_in, FLOATS(27)), none(),
			      out(NULL, FLOATS(NET_CLASSES))), RESULT_BAD_PARAMETERS);
	assert_int_equal(call(*state, DARKNETP_CMD_FORWARD, in(NULL, sizeof(step)),
			      in(scratch_in, FLOATS(27)), none(),
			      out(scratch_out, FLOATS(NET_CLASSES))),
			 RESULT_BAD_PARAMETERS);
	assert_int_equal(call(*state, DARKNETP_CMD_TENSOR_LOAD, value(2, 0),
			      value(0, 0), in(NULL, FLOATS(9)), none()),
			 RESULT_BAD_PARAMETERS);
}

/* ---- Tensors ---- */

struct piece_case {
	uint32_t layer, tensor, first;
	uint32_t bytes;
};

/* Layers 2 to 6; layer 2 has 9 biases and 9 * 27 weights. */
static const struct piece_case bad_pieces[] = {
	{ 2, 0, 0, 4 * 10 },		/* longer than the tensor */
	{ 2, 0, 1, 4 * 9 },		/* over its end */
	{ 2, 0, 9, 4 },			/* behind it */
	{ 2, 0, UINT32_MAX, 4 },	/* first + count wraps */
	{ 2, 0, UINT32_MAX, 8 },
	{ 2, 0, 0, 0 },			/* nothing */
	{ 2, 0, 0, 7 },			/* not whole floats */
	{ 1, 0, 0, 4 },			/* before the partition */
	{ 7, 0, 0, 4 },			/* behind it */
	{ UINT32_MAX, 0, 0, 4 },	/* layer -1 */
	{ (uint32_t)-5, 0, 0, 4 },
	{ 3, 0, 0, 4 },			/* a layer without parameters */
	{ 2, 2, 0, 4 },			/* without batch norm, no scales */
	{ 2, 5, 0, 4 },			/* no such tensor */
	{ 2, 0x100, 1, 4 * 9 },		/* over the end of a momentum */
	{ 3, 0x100, 0, 4 },		/* momentum of a layer without parameters */
	{ 2, 0x200, 0, 4 },		/* an unknown flag */
	{ 2, UINT32_MAX, 0, 4 },
};

static void s6_s7_pieces_stay_inside_their_tensor(void **state)
{
	const struct piece_case *c = NULL;
	unsigned int i = 0;

	must_build(*state, 2, NET_COST, TRAIN_SEEDED);
	for (i = 0; i < ARRAY_SIZE(bad_pieces); i++) {
		c = &bad_pieces[i];
		assert_int_equal(call(*state, DARKNETP_CMD_TENSOR_LOAD,
				      value(c->layer, c->tensor), value(c->first, 0),
				      in(scratch_in, c->bytes), none()),
				 RESULT_BAD_PARAMETERS);
		assert_int_equal(call(*state, DARKNETP_CMD_TENSOR_SAVE,
				      value(c->layer, c->tensor), value(c->first, 0),
				      out(scratch_out, c->bytes), none()),
				 RESULT_BAD_PARAMETERS);
	}
	/* a form that is not known here */
	assert_int_equal(call(*state, DARKNETP_CMD_TENSOR_LOAD, value(2, 0),
			      value(0, 1), in(scratch_in, 4), none()),
			 RESULT_NOT_SUPPORTED);
	assert_int_equal(call(*state, DARKNETP_CMD_TENSOR_SAVE, value(2, 0),
			      value(0, UINT32_MAX), out(scratch_out, 4), none()),
			 RESULT_NOT_SUPPORTED);
	load_all(*state, 2, NET_COST);
}

/* S13: what once was an array on the stack, of the caller's length. */
static void s13_large_tensors_need_no_stack(void **state)
{
	const uint32_t n = 150000;
	struct build_request request = partition(2, 2, 0);
	float *x = calloc(n, sizeof(*x));

	assert_non_null(x);
	request.layers[0].outputs = n / 27 + 1;
	assert_int_equal(build(*state, &request), RESULT_SUCCESS);
	assert_int_equal(call(*state, DARKNETP_CMD_TENSOR_LOAD,
			      value(2, DARKNETP_TENSOR_WEIGHTS), value(0, 0),
			      in(x, FLOATS(n)), none()), RESULT_SUCCESS);
	free(x);
}

/* ---- Order ---- */

/* Every command whose state is wrong, with parameters that would be right. */
static uint32_t forward_middle(struct model *model, uint32_t iteration)
{
	struct darknetp_step step = step_of(1, 0);

	step.iteration_low = iteration;
	return call(model, DARKNETP_CMD_FORWARD, in(&step, sizeof(step)),
		    in(scratch_in, FLOATS(27)), none(), out(scratch_out, FLOATS(9)));
}

static uint32_t backward_middle(struct model *model)
{
	return backward_with(model, FLOATS(9), out(scratch_out, FLOATS(27)));
}

static void s16_nothing_runs_before_build(void **state)
{
	struct darknetp_step step = step_of(1, 0);

	assert_int_equal(forward_middle(*state, 3), RESULT_BAD_STATE);
	assert_int_equal(backward_middle(*state), RESULT_BAD_STATE);
	assert_int_equal(train_with(*state, &step, FLOATS(27), FLOATS(4)),
			 RESULT_BAD_STATE);
	assert_int_equal(call(*state, DARKNETP_CMD_TENSOR_LOAD, value(2, 0),
			      value(0, 0), in(scratch_in, 4), none()),
			 RESULT_BAD_STATE);
	assert_int_equal(call(*state, DARKNETP_CMD_TENSOR_SAVE, value(2, 0),
			      value(0, 0), out(scratch_out, 4), none()),
			 RESULT_BAD_STATE);
}

static void s9_build_succeeds_once(void **state)
{
	struct build_request request = partition(2, NET_COST, 0);

	assert_int_equal(build(*state, &request), RESULT_SUCCESS);
	assert_int_equal(build(*state, &request), RESULT_BAD_STATE);
	assert_int_equal(world.blocks, 1);
	must_predict(*state, 27, NET_CLASSES);
}

static void backward_follows_forward(void **state)
{
	must_build(*state, 2, 3, TRAIN_SEEDED);
	assert_int_equal(backward_middle(*state), RESULT_BAD_STATE);
	assert_int_equal(forward_middle(*state, 3), RESULT_SUCCESS);
	assert_int_equal(backward_middle(*state), RESULT_SUCCESS);
	assert_int_equal(backward_middle(*state), RESULT_BAD_STATE);
	/* of another iteration: not the other half */
	assert_int_equal(forward_middle(*state, 4), RESULT_SUCCESS);
	assert_int_equal(backward_middle(*state), RESULT_BAD_STATE);
	/* a forward may start over */
	assert_int_equal(forward_middle(*state, 3), RESULT_SUCCESS);
	assert_int_equal(backward_middle(*state), RESULT_SUCCESS);
}

/* Fewer samples went forward than now shall go back: activations are missing. */
static void backward_has_the_same_samples(void **state)
{
	struct darknetp_step step = step_of(2, 0);

	must_build(*state, 2, 3, TRAIN_SEEDED);
	assert_int_equal(forward_middle(*state, 3), RESULT_SUCCESS);
	assert_int_equal(call(*state, DARKNETP_CMD_BACKWARD, in(&step, sizeof(step)),
			      in(scratch_in, FLOATS(2 * 9)),
			      out(scratch_out, FLOATS(2 * 27)), none()),
			 RESULT_BAD_STATE);
	step = step_of(1, 0);
	step.sample = 1;
	assert_int_equal(call(*state, DARKNETP_CMD_BACKWARD, in(&step, sizeof(step)),
			      in(scratch_in, FLOATS(9)),
			      out(scratch_out, FLOATS(27)), none()),
			 RESULT_BAD_STATE);
	assert_int_equal(backward_middle(*state), RESULT_SUCCESS);
}

static void whole_steps_only_at_the_end_of_a_network(void **state)
{
	struct darknetp_step step = step_of(1, 0);

	must_build(*state, 2, 3, TRAIN_SEEDED);
	assert_int_equal(train_with(*state, &step, FLOATS(27), FLOATS(4)),
			 RESULT_BAD_STATE);
	assert_int_equal(forward_middle(*state, 3), RESULT_SUCCESS);
}

static void halves_only_in_the_middle_of_a_network(void **state)
{
	struct darknetp_step step = step_of(1, 0);

	must_build(*state, 0, NET_COST, TRAIN_SEEDED);
	assert_int_equal(call(*state, DARKNETP_CMD_FORWARD, in(&step, sizeof(step)),
			      in(scratch_in, FLOATS(NET_INPUTS)),
			      in(net_truth, FLOATS(NET_CLASSES)),
			      out(scratch_out, FLOATS(NET_CLASSES))),
			 RESULT_BAD_STATE);
	assert_int_equal(backward_middle(*state), RESULT_BAD_STATE);
	must_train(*state);
}

/* S17: nothing but the best class leaves a session that predicts. */
static void s17_predicting_gives_nothing_else_away(void **state)
{
	struct darknetp_step step = step_of(1, UPDATE);

	must_build(*state, 2, NET_COST, 0);
	load_all(*state, 2, NET_COST);
	must_predict(*state, 27, NET_CLASSES);
	assert_int_equal(backward_middle(*state), RESULT_BAD_STATE);
	assert_int_equal(train_with(*state, &step, FLOATS(27), FLOATS(NET_CLASSES)),
			 RESULT_BAD_STATE);
	assert_int_equal(call(*state, DARKNETP_CMD_TENSOR_SAVE, value(2, 0),
			      value(0, 0), out(scratch_out, FLOATS(9)), none()),
			 RESULT_ACCESS_DENIED);
	step.flags = REPORT;
	step.report_samples = 1;
	assert_int_equal(call(*state, DARKNETP_CMD_FORWARD, in(&step, sizeof(step)),
			      in(scratch_in, FLOATS(27)), none(),
			      out(scratch_out, FLOATS(NET_CLASSES))),
			 RESULT_BAD_PARAMETERS);
	assert_int_equal(world.traces, 1);
}

#define IN_SESSION(test) \
	cmocka_unit_test_setup_teardown(test, session_open, session_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SESSION(s3_s8_output_size_is_not_believed),
		IN_SESSION(s4_truth_size_is_not_believed),
		IN_SESSION(s4_truth_where_none_belongs),
		IN_SESSION(s5_s8_gradient_sizes_are_not_believed),
		IN_SESSION(s8_no_gradient_of_the_network_input),
		IN_SESSION(s12_input_size_is_not_believed),
		IN_SESSION(s12_shared_memory_is_not_kept),
		IN_SESSION(null_references_are_empty),
		IN_SESSION(s6_s7_pieces_stay_inside_their_tensor),
		IN_SESSION(s13_large_tensors_need_no_stack),
		IN_SESSION(s16_nothing_runs_before_build),
		IN_SESSION(s9_build_succeeds_once),
		IN_SESSION(backward_follows_forward),
		IN_SESSION(backward_has_the_same_samples),
		IN_SESSION(whole_steps_only_at_the_end_of_a_network),
		IN_SESSION(halves_only_in_the_middle_of_a_network),
		IN_SESSION(s17_predicting_gives_nothing_else_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
