/* SPDX-License-Identifier: MIT */
/*
 * The trusted application as OP-TEE sees it: sessions and the translation of
 * parameters. Everything else is in command.c and model.c, which know no TEE.
 */
#include "command.h"

#include "darknetp_ta.h"
#include "nn_footprint.h"

#include <tee_internal_api.h>
#include <trace.h>
#include <user_ta_header_defines.h>

_Static_assert(TA_DATA_SIZE > NN_HEAP_RESERVE, "TA_DATA_SIZE leaves no room for a model");
_Static_assert(sizeof(struct model) < NN_HEAP_RESERVE / 8,
	       "the reserve holds the session and what the allocator adds");
_Static_assert(TEE_NUM_PARAMS == COMMAND_PARAMS, "parameters of a command");

_Static_assert(COMMAND_NONE == TEE_PARAM_TYPE_NONE
	       && COMMAND_VALUE_IN == TEE_PARAM_TYPE_VALUE_INPUT
	       && COMMAND_VALUE_OUT == TEE_PARAM_TYPE_VALUE_OUTPUT
	       && COMMAND_BYTES_IN == TEE_PARAM_TYPE_MEMREF_INPUT
	       && COMMAND_BYTES_OUT == TEE_PARAM_TYPE_MEMREF_OUTPUT,
	       "parameter types are GlobalPlatform's");
_Static_assert(RESULT_SUCCESS == TEE_SUCCESS
	       && RESULT_ACCESS_DENIED == TEE_ERROR_ACCESS_DENIED
	       && RESULT_BAD_FORMAT == TEE_ERROR_BAD_FORMAT
	       && RESULT_BAD_PARAMETERS == TEE_ERROR_BAD_PARAMETERS
	       && RESULT_BAD_STATE == TEE_ERROR_BAD_STATE
	       && RESULT_NOT_SUPPORTED == TEE_ERROR_NOT_SUPPORTED
	       && RESULT_OUT_OF_MEMORY == TEE_ERROR_OUT_OF_MEMORY,
	       "results are GlobalPlatform's");

static void *host_allocate(size_t size)
{
	return TEE_Malloc(size, TEE_MALLOC_FILL_ZERO);
}

static void host_release(void *block)
{
	TEE_Free(block);
}

static void host_random(void *to, size_t size)
{
	TEE_GenerateRandom(to, size);
}

static void host_trace(const char *line)
{
	IMSG_RAW("%s", line);
}

static const struct model_host host = {
	.allocate = host_allocate,
	.release = host_release,
	.random = host_random,
	.trace = host_trace,
	.heap = TA_DATA_SIZE - NN_HEAP_RESERVE,
};

TEE_Result TA_CreateEntryPoint(void)
{
	return TEE_SUCCESS;
}

void TA_DestroyEntryPoint(void)
{
}

TEE_Result TA_OpenSessionEntryPoint(uint32_t param_types,
				    TEE_Param params[TEE_NUM_PARAMS],
				    void **session)
{
	struct model *model = NULL;

	(void)params;
	if (param_types != TEE_PARAM_TYPES(TEE_PARAM_TYPE_NONE,
					   TEE_PARAM_TYPE_NONE,
					   TEE_PARAM_TYPE_NONE,
					   TEE_PARAM_TYPE_NONE))
		return TEE_ERROR_BAD_PARAMETERS;
	model = TEE_Malloc(sizeof(*model), TEE_MALLOC_FILL_ZERO);
	if (!model)
		return TEE_ERROR_OUT_OF_MEMORY;
	model_open(model, &host);
	*session = model;
	return TEE_SUCCESS;
}

void TA_CloseSessionEntryPoint(void *session)
{
	model_close(session);
	TEE_Free(session);
}

static void params_from_tee(uint32_t types, const TEE_Param in[TEE_NUM_PARAMS],
			    struct command_param out[COMMAND_PARAMS])
{
	unsigned int i = 0;

	for (i = 0; i < COMMAND_PARAMS; i++) {
		out[i] = (struct command_param){
			.type = TEE_PARAM_TYPE_GET(types, i),
		};
		switch (out[i].type) {
		case COMMAND_VALUE_IN:
			out[i].a = in[i].value.a;
			out[i].b = in[i].value.b;
			break;
		case COMMAND_BYTES_IN:
		case COMMAND_BYTES_OUT:
			out[i].bytes = in[i].memref.buffer;
			out[i].size = in[i].memref.size;
			break;
		default:
			break;
		}
	}
}

TEE_Result TA_InvokeCommandEntryPoint(void *session, uint32_t command,
				      uint32_t param_types,
				      TEE_Param params[TEE_NUM_PARAMS])
{
	struct command_param translated[COMMAND_PARAMS] = { 0 };
	TEE_Result result = TEE_ERROR_GENERIC;
	unsigned int i = 0;

	params_from_tee(param_types, params, translated);
	result = command_invoke(session, command, translated);
	for (i = 0; i < COMMAND_PARAMS; i++) {
		if (translated[i].type != COMMAND_VALUE_OUT)
			continue;
		params[i].value.a = translated[i].a;
		params[i].value.b = translated[i].b;
	}
	return result;
}
