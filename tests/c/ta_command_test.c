/* SPDX-License-Identifier: MIT */
/* Parameter types: every command with every wrong type in every place. */
#include "ta_support.h"

#include "check.h"

#define COMMANDS 7

static const uint32_t all_types[] = { 0, 1, 2, 3, 5, 6, 7, 4, 0xf, UINT32_MAX };

/* The types darknetp_ta.h asks for, and the place that may also be NONE. */
static const struct {
	uint32_t types[COMMAND_PARAMS];
	int optional;
} signatures[COMMANDS] = {
	[DARKNETP_CMD_VERSION] = { { 2, 2, 0, 0 }, -1 },
	[DARKNETP_CMD_BUILD] = { { 5, 2, 0, 0 }, -1 },
	[DARKNETP_CMD_TENSOR_LOAD] = { { 1, 1, 5, 0 }, -1 },
	[DARKNETP_CMD_TENSOR_SAVE] = { { 1, 1, 6, 0 }, -1 },
	[DARKNETP_CMD_FORWARD] = { { 5, 5, 5, 6 }, 2 },
	[DARKNETP_CMD_BACKWARD] = { { 5, 5, 6, 0 }, 2 },
	[DARKNETP_CMD_TRAIN] = { { 5, 5, 5, 6 }, 3 },
};

static uint32_t call_with_types(struct model *model, uint32_t command,
				const uint32_t types[COMMAND_PARAMS])
{
	struct command_param params[COMMAND_PARAMS] = { { 0 } };
	uint8_t byte = 0;
	unsigned int i = 0;

	for (i = 0; i < COMMAND_PARAMS; i++)
		params[i] = (struct command_param){
			.type = types[i], .bytes = &byte, .size = 1,
		};
	return command_invoke(model, command, params);
}

static void wrong_types_are_refused(void **state)
{
	uint32_t types[COMMAND_PARAMS] = { 0 };
	uint32_t command = 0;
	int place = 0;
	unsigned int i = 0;

	for (command = 0; command < COMMANDS; command++) {
		for (place = 0; place < COMMAND_PARAMS; place++) {
			for (i = 0; i < ARRAY_SIZE(all_types); i++) {
				memcpy(types, signatures[command].types, sizeof(types));
				if (types[place] == all_types[i])
					continue;
				if (all_types[i] == 0
				    && signatures[command].optional == place)
					continue;
				types[place] = all_types[i];
				assert_int_equal(call_with_types(*state, command, types),
						 RESULT_BAD_PARAMETERS);
			}
		}
	}
}

/* With the right types the commands get further: the session has no model. */
static void right_types_reach_the_model(void **state)
{
	uint32_t types[COMMAND_PARAMS] = { 0 };
	uint32_t command = 0;

	for (command = DARKNETP_CMD_TENSOR_LOAD; command < COMMANDS; command++) {
		memcpy(types, signatures[command].types, sizeof(types));
		assert_int_equal(call_with_types(*state, command, types),
				 RESULT_BAD_STATE);
		if (signatures[command].optional < 0)
			continue;
		types[signatures[command].optional] = COMMAND_NONE;
		assert_int_equal(call_with_types(*state, command, types),
				 RESULT_BAD_STATE);
	}
}

static void unknown_commands_are_refused(void **state)
{
	assert_int_equal(call(*state, COMMANDS, none(), none(), none(), none()),
			 RESULT_BAD_PARAMETERS);
	assert_int_equal(call(*state, UINT32_MAX, none(), none(), none(), none()),
			 RESULT_BAD_PARAMETERS);
}

static void version_tells_abi_and_heap(void **state)
{
	struct command_param params[COMMAND_PARAMS] = { value_out(), value_out() };

	assert_int_equal(command_invoke(*state, DARKNETP_CMD_VERSION, params),
			 RESULT_SUCCESS);
	assert_int_equal(params[0].a, DARKNETP_TA_ABI);
	assert_int_equal(params[0].b, 0);
	assert_int_equal(params[1].a, TEST_HEAP);
	assert_int_equal(params[1].b, 0);
}

/* What a model takes is told while it has it, so that a leak would show. */
static void version_tells_memory_in_use(void **state)
{
	struct command_param params[COMMAND_PARAMS] = { value_out(), value_out() };
	struct build_request request = partition(0, NET_COST, 0);
	uint32_t need = 0;

	world.host.heap = 100;
	assert_int_equal(build(*state, &request), RESULT_OUT_OF_MEMORY);
	command_invoke(*state, DARKNETP_CMD_VERSION, params);
	assert_int_equal(params[1].b, 0);
	world.host.heap = TEST_HEAP;
	assert_int_equal(build(*state, &request), RESULT_SUCCESS);
	need = last_values[0];
	command_invoke(*state, DARKNETP_CMD_VERSION, params);
	assert_int_equal(params[1].b, need);
}

/* What the client left in a value parameter does not come back as an answer. */
static void refused_build_clears_its_numbers(void **state)
{
	assert_int_equal(call(*state, DARKNETP_CMD_BUILD, in("", 1), value_out(),
			      none(), none()), RESULT_BAD_PARAMETERS);
	assert_int_equal(last_values[0], 0);
	assert_int_equal(last_values[1], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(wrong_types_are_refused,
						session_open, session_close),
		cmocka_unit_test_setup_teardown(right_types_reach_the_model,
						session_open, session_close),
		cmocka_unit_test_setup_teardown(unknown_commands_are_refused,
						session_open, session_close),
		cmocka_unit_test_setup_teardown(version_tells_abi_and_heap,
						session_open, session_close),
		cmocka_unit_test_setup_teardown(version_tells_memory_in_use,
						session_open, session_close),
		cmocka_unit_test_setup_teardown(refused_build_clears_its_numbers,
						session_open, session_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
