/* SPDX-License-Identifier: MIT */
#include "command.h"

#include "darknetp_ta.h"

typedef uint32_t (*handler)(struct model *model,
			    struct command_param params[COMMAND_PARAMS]);

static struct request request_of(const struct command_param *param)
{
	struct request request = { 0 };

	if (param->type == COMMAND_BYTES_IN)
		request_init(&request, param->bytes, param->size);
	return request;
}

static struct answer answer_of(const struct command_param *param)
{
	struct answer answer = { 0 };

	if (param->type == COMMAND_BYTES_OUT)
		answer_init(&answer, param->bytes, param->size);
	return answer;
}

static uint32_t saturate(size_t size)
{
	return size > UINT32_MAX ? UINT32_MAX : (uint32_t)size;
}

static uint32_t version(struct model *model,
			struct command_param params[COMMAND_PARAMS])
{
	params[0].a = DARKNETP_TA_ABI;
	params[1].a = saturate(model->host->heap);
	params[1].b = saturate(model->block_size);
	return RESULT_SUCCESS;
}

static uint32_t build(struct model *model,
		      struct command_param params[COMMAND_PARAMS])
{
	struct request request = request_of(&params[0]);
	uint32_t numbers[2] = { 0 };
	uint32_t result = model_build(model, &request, numbers);

	params[1].a = numbers[0];
	params[1].b = numbers[1];
	return result;
}

static struct model_piece piece_of(const struct command_param params[COMMAND_PARAMS])
{
	return (struct model_piece){
		.layer = params[0].a,
		.tensor = params[0].b,
		.first = params[1].a,
		.form = params[1].b,
	};
}

static uint32_t tensor_load(struct model *model,
			    struct command_param params[COMMAND_PARAMS])
{
	struct model_piece piece = piece_of(params);
	struct request data = request_of(&params[2]);

	return model_load(model, &piece, &data);
}

static uint32_t tensor_save(struct model *model,
			    struct command_param params[COMMAND_PARAMS])
{
	struct model_piece piece = piece_of(params);
	struct answer data = answer_of(&params[2]);

	return model_save(model, &piece, &data);
}

static uint32_t forward(struct model *model,
			struct command_param params[COMMAND_PARAMS])
{
	struct request step = request_of(&params[0]);
	struct request input = request_of(&params[1]);
	struct request truth = request_of(&params[2]);
	struct answer output = answer_of(&params[3]);

	return model_forward(model, &step, &input, &truth, &output);
}

static uint32_t backward(struct model *model,
			 struct command_param params[COMMAND_PARAMS])
{
	struct request step = request_of(&params[0]);
	struct request output_delta = request_of(&params[1]);
	struct answer input_delta = answer_of(&params[2]);

	return model_backward(model, &step, &output_delta, &input_delta);
}

static uint32_t train(struct model *model,
		      struct command_param params[COMMAND_PARAMS])
{
	struct request step = request_of(&params[0]);
	struct request input = request_of(&params[1]);
	struct request truth = request_of(&params[2]);
	struct answer input_delta = answer_of(&params[3]);

	return model_train(model, &step, &input, &truth, &input_delta);
}

/* The parameters of each command, in the order of darknetp_ta.h. */
static const struct command {
	handler run;
	uint32_t types[COMMAND_PARAMS];
	bool optional[COMMAND_PARAMS];	/* NONE will do: the model decides */
} commands[] = {
	[DARKNETP_CMD_VERSION] = {
		version,
		{ COMMAND_VALUE_OUT, COMMAND_VALUE_OUT, COMMAND_NONE, COMMAND_NONE },
		{ 0 },
	},
	[DARKNETP_CMD_BUILD] = {
		build,
		{ COMMAND_BYTES_IN, COMMAND_VALUE_OUT, COMMAND_NONE, COMMAND_NONE },
		{ 0 },
	},
	[DARKNETP_CMD_TENSOR_LOAD] = {
		tensor_load,
		{ COMMAND_VALUE_IN, COMMAND_VALUE_IN, COMMAND_BYTES_IN, COMMAND_NONE },
		{ 0 },
	},
	[DARKNETP_CMD_TENSOR_SAVE] = {
		tensor_save,
		{ COMMAND_VALUE_IN, COMMAND_VALUE_IN, COMMAND_BYTES_OUT, COMMAND_NONE },
		{ 0 },
	},
	[DARKNETP_CMD_FORWARD] = {
		forward,
		{ COMMAND_BYTES_IN, COMMAND_BYTES_IN, COMMAND_BYTES_IN, COMMAND_BYTES_OUT },
		{ [2] = true },
	},
	[DARKNETP_CMD_BACKWARD] = {
		backward,
		{ COMMAND_BYTES_IN, COMMAND_BYTES_IN, COMMAND_BYTES_OUT, COMMAND_NONE },
		{ [2] = true },
	},
	[DARKNETP_CMD_TRAIN] = {
		train,
		{ COMMAND_BYTES_IN, COMMAND_BYTES_IN, COMMAND_BYTES_IN, COMMAND_BYTES_OUT },
		{ [3] = true },
	},
};

static bool types_match(const struct command *command,
			const struct command_param params[COMMAND_PARAMS])
{
	unsigned int i = 0;

	for (i = 0; i < COMMAND_PARAMS; i++) {
		if (params[i].type == command->types[i])
			continue;
		if (params[i].type != COMMAND_NONE || !command->optional[i])
			return false;
	}
	return true;
}

uint32_t command_invoke(struct model *model, uint32_t command,
			struct command_param params[COMMAND_PARAMS])
{
	unsigned int i = 0;

	if (command >= sizeof(commands) / sizeof(commands[0]))
		return RESULT_BAD_PARAMETERS;
	if (!types_match(&commands[command], params))
		return RESULT_BAD_PARAMETERS;
	for (i = 0; i < COMMAND_PARAMS; i++)
		if (params[i].type == COMMAND_VALUE_OUT)
			params[i].a = params[i].b = 0;
	return commands[command].run(model, params);
}
