/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include <tee_client_api.h>

#include "message.h"
#include "tee.h"

_Static_assert(sizeof(struct darknetp_model) == 48, "layout of the contract");
_Static_assert(sizeof(struct darknetp_layer) == 112, "layout of the contract");
_Static_assert(sizeof(struct darknetp_step) == 40, "layout of the contract");
_Static_assert(DARKNETP_CMD_TRAIN == TEE_COMMANDS - 1, "all commands counted");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "requests are sent as they lie in memory");

/* By enum darknetp_command. */
static const char *const command_names[TEE_COMMANDS] = {
	[DARKNETP_CMD_VERSION] = "version",
	[DARKNETP_CMD_BUILD] = "build",
	[DARKNETP_CMD_TENSOR_LOAD] = "tensor_load",
	[DARKNETP_CMD_TENSOR_SAVE] = "tensor_save",
	[DARKNETP_CMD_FORWARD] = "forward",
	[DARKNETP_CMD_BACKWARD] = "backward",
	[DARKNETP_CMD_TRAIN] = "train",
};

struct tee {
	TEEC_Context context;
	TEEC_Session session;
	struct tee_memory memory;	/* of the last model */
	struct tee_traffic traffic[TEE_COMMANDS];
};

/* ---- Failures ---- */

struct advice {
	TEEC_Result result;
	const char *text;
};

static const struct advice open_advice[] = {
	{ TEEC_ERROR_ITEM_NOT_FOUND,
	  "the TEE has no such application, or could not load it: is 7fc5c039-0542-4ee1-80af-b4eab2f1998d.ta in /lib/optee_armtz, is tee-supplicant running?" },
	{ TEEC_ERROR_OUT_OF_MEMORY,
	  "the TEE has not enough secure memory for the application: build it with a smaller TA_DATA_SIZE" },
	{ TEEC_ERROR_SECURITY,
	  "the TEE does not accept the application: it must be signed with the key of this OP-TEE" },
	{ 0, NULL },
};

static const struct advice command_advice[] = {
	{ TEEC_ERROR_OUT_OF_MEMORY,
	  "not enough secure memory: choose a smaller partition, or build the application with a larger TA_DATA_SIZE" },
	{ TEEC_ERROR_TARGET_DEAD,
	  "the application has crashed; the secure console says where" },
	{ 0, NULL },
};

static void give_advice(const struct advice *advice, TEEC_Result result)
{
	for (; advice->text; advice++)
		if (advice->result == result)
			message_note("%s", advice->text);
}

/* @tag: Darknetz's word for the command. */
static int command_failed(const char *tag, TEEC_Result result, uint32_t origin)
{
	int status = message_failed("TEEC_InvokeCommand(%s) failed 0x%x origin 0x%x",
				    tag, result, origin);

	give_advice(command_advice, result);
	return status;
}

static int versions_differ(void)
{
	message_note("darknetp and the application in the TEE are of different versions: build and install both together");
	return STATUS_FAILED;
}

/* ---- Session ---- */

static int open_session(struct tee *tee)
{
	static const TEEC_UUID uuid = DARKNETP_TA_UUID;
	uint32_t origin = 0;
	TEEC_Result result = TEEC_InitializeContext(NULL, &tee->context);

	if (result != TEEC_SUCCESS) {
		message_failed("TEEC_InitializeContext failed with code 0x%x",
			       result);
		message_note("no TEE answers: is /dev/tee0 there and may you open it?");
		return STATUS_FAILED;
	}
	result = TEEC_OpenSession(&tee->context, &tee->session, &uuid,
				  TEEC_LOGIN_PUBLIC, NULL, NULL, &origin);
	if (result == TEEC_SUCCESS)
		return 0;
	message_failed("TEEC_Opensession failed with code 0x%x origin 0x%x",
		       result, origin);
	give_advice(open_advice, result);
	TEEC_FinalizeContext(&tee->context);
	return STATUS_FAILED;
}

int tee_open(struct tee **tee)
{
	struct tee *opened = calloc(1, sizeof(*opened));
	int status = 0;

	if (!opened)
		return message_no_memory("the TEE session");
	status = open_session(opened);
	if (status)
		free(opened);
	else
		*tee = opened;
	return status;
}

void tee_close(struct tee *tee)
{
	TEEC_CloseSession(&tee->session);
	TEEC_FinalizeContext(&tee->context);
	free(tee);
}

/* ---- Traffic ---- */

struct tee_memory tee_last_memory(const struct tee *tee)
{
	return tee->memory;
}

struct tee_traffic tee_traffic(const struct tee *tee, uint32_t command)
{
	return tee->traffic[command];
}

struct tee_traffic tee_total_traffic(const struct tee *tee)
{
	struct tee_traffic total = { 0 };
	uint32_t command = 0;

	for (command = 0; command < TEE_COMMANDS; command++) {
		total.calls += tee->traffic[command].calls;
		total.to_secure += tee->traffic[command].to_secure;
		total.from_secure += tee->traffic[command].from_secure;
	}
	return total;
}

const char *tee_command_name(uint32_t command)
{
	return command_names[command];
}

static void count_call(struct tee_traffic *traffic, const TEEC_Operation *op)
{
	uint32_t i = 0;

	traffic->calls++;
	for (i = 0; i < TEEC_CONFIG_PAYLOAD_REF_COUNT; i++) {
		uint32_t type = TEEC_PARAM_TYPE_GET(op->paramTypes, i);

		if (type == TEEC_MEMREF_TEMP_INPUT)
			traffic->to_secure += op->params[i].tmpref.size;
		else if (type == TEEC_MEMREF_TEMP_OUTPUT)
			traffic->from_secure += op->params[i].tmpref.size;
	}
}

/* All commands go through here. */
static TEEC_Result invoke(struct tee *tee, uint32_t command, TEEC_Operation *op,
			  uint32_t *origin)
{
	count_call(&tee->traffic[command], op);
	return TEEC_InvokeCommand(&tee->session, command, op, origin);
}

/* ---- Commands ---- */

static uint32_t type_of(struct tee_floats floats, uint32_t direction)
{
	return floats.at ? direction : TEEC_NONE;
}

static TEEC_TempMemoryReference reference(struct tee_floats floats)
{
	return (TEEC_TempMemoryReference){
		.buffer = floats.at,
		.size = floats.count * sizeof(float),
	};
}

int tee_check_version(struct tee *tee, uint32_t *room)
{
	TEEC_Operation op = {
		.paramTypes = TEEC_PARAM_TYPES(TEEC_VALUE_OUTPUT,
					       TEEC_VALUE_OUTPUT, TEEC_NONE,
					       TEEC_NONE),
	};
	uint32_t origin = 0;
	TEEC_Result result = invoke(tee, DARKNETP_CMD_VERSION, &op, &origin);

	if (result != TEEC_SUCCESS) {
		command_failed("version", result, origin);
		return result == TEEC_ERROR_BAD_PARAMETERS ? versions_differ() :
							     STATUS_FAILED;
	}
	*room = op.params[1].value.a;
	if (op.params[0].value.a == DARKNETP_TA_ABI)
		return 0;
	message_failed("the application in the TEE speaks version %u of the interface, darknetp speaks %u",
		       op.params[0].value.a, DARKNETP_TA_ABI);
	return versions_differ();
}

static void *make_request(const struct darknetp_model *model,
			  const struct darknetp_layer *layers, size_t *size)
{
	size_t layers_size = model->layers * sizeof(*layers);
	char *request = malloc(sizeof(*model) + layers_size);

	if (!request)
		return NULL;
	memcpy(request, model, sizeof(*model));
	memcpy(request + sizeof(*model), layers, layers_size);
	*size = sizeof(*model) + layers_size;
	return request;
}

static bool names_a_layer(TEEC_Result result, const TEEC_Operation *op)
{
	return (result == TEEC_ERROR_BAD_FORMAT ||
		result == TEEC_ERROR_NOT_SUPPORTED) &&
	       op->params[1].value.b == 1;
}

int tee_build(struct tee *tee, const struct darknetp_model *model,
	      const struct darknetp_layer *layers, struct tee_memory *memory,
	      uint32_t *refused)
{
	TEEC_Operation op = {
		.paramTypes = TEEC_PARAM_TYPES(TEEC_MEMREF_TEMP_INPUT,
					       TEEC_VALUE_OUTPUT, TEEC_NONE,
					       TEEC_NONE),
	};
	size_t size = 0;
	void *request = make_request(model, layers, &size);
	TEEC_Result result = TEEC_ERROR_GENERIC;
	uint32_t origin = 0;

	*memory = (struct tee_memory){ 0 };
	*refused = UINT32_MAX;
	if (!request)
		return message_no_memory("the description of the partition");
	op.params[0].tmpref = (TEEC_TempMemoryReference){ request, size };
	result = invoke(tee, DARKNETP_CMD_BUILD, &op, &origin);
	free(request);
	*memory = (struct tee_memory){
		.needed = op.params[1].value.a,
		.available = op.params[1].value.b,
		.fits = result == TEEC_SUCCESS,
	};
	tee->memory = *memory;
	if (result == TEEC_SUCCESS)
		return 0;
	/* Without numbers it is not the model that found no memory. */
	if (result == TEEC_ERROR_OUT_OF_MEMORY &&
	    origin == TEEC_ORIGIN_TRUSTED_APP && memory->needed)
		return 0;
	if (names_a_layer(result, &op))
		*refused = op.params[1].value.a;
	return command_failed("MAKE_NET", result, origin);
}

int tee_report_no_memory(const struct tee_memory *memory, uint32_t micro_batch)
{
	int status = command_failed("MAKE_NET", TEEC_ERROR_OUT_OF_MEMORY,
				    TEEC_ORIGIN_TRUSTED_APP);

	message_note("the partition needs %u bytes of secure heap to compute %u image%s at a time, the application has %u",
		     memory->needed, micro_batch, micro_batch == 1 ? "" : "s",
		     memory->available);
	return status;
}

static int move_tensor(struct tee *tee, uint32_t command, uint32_t layer,
		       uint32_t tensor, uint32_t first,
		       struct tee_floats values)
{
	bool load = command == DARKNETP_CMD_TENSOR_LOAD;
	TEEC_Operation op = {
		.paramTypes = TEEC_PARAM_TYPES(TEEC_VALUE_INPUT,
					       TEEC_VALUE_INPUT,
					       load ? TEEC_MEMREF_TEMP_INPUT :
						      TEEC_MEMREF_TEMP_OUTPUT,
					       TEEC_NONE),
	};
	TEEC_Result result = TEEC_ERROR_GENERIC;
	uint32_t origin = 0;

	op.params[0].value = (TEEC_Value){ layer, tensor };
	op.params[1].value = (TEEC_Value){ first, 0 };
	op.params[2].tmpref = reference(values);
	result = invoke(tee, command, &op, &origin);
	if (result != TEEC_SUCCESS)
		return command_failed(load ? "TRANS_WEI" : "SAVE_WEI", result,
				      origin);
	return 0;
}

int tee_tensor_load(struct tee *tee, uint32_t layer, uint32_t tensor,
		    uint32_t first, const float *values, uint32_t count)
{
	return move_tensor(tee, DARKNETP_CMD_TENSOR_LOAD, layer, tensor, first,
			   tee_input(values, count));
}

int tee_tensor_save(struct tee *tee, uint32_t layer, uint32_t tensor,
		    uint32_t first, float *values, uint32_t count)
{
	return move_tensor(tee, DARKNETP_CMD_TENSOR_SAVE, layer, tensor, first,
			   tee_output(values, count));
}

/* A step and up to three runs of floats, each input or output or NONE. */
static int run_step(struct tee *tee, const char *tag, uint32_t command,
		    struct darknetp_step step, uint32_t types,
		    const struct tee_floats floats[3])
{
	TEEC_Operation op = { .paramTypes = types };
	TEEC_Result result = TEEC_ERROR_GENERIC;
	uint32_t origin = 0;
	int i = 0;

	op.params[0].tmpref =
		(TEEC_TempMemoryReference){ &step, sizeof(step) };
	for (i = 0; i < 3; i++)
		op.params[1 + i].tmpref = reference(floats[i]);
	result = invoke(tee, command, &op, &origin);
	if (result != TEEC_SUCCESS)
		return command_failed(tag, result, origin);
	return 0;
}

int tee_forward(struct tee *tee, const struct darknetp_step *step,
		struct tee_floats input, struct tee_floats truth,
		struct tee_floats output)
{
	const struct tee_floats floats[] = { input, truth, output };

	return run_step(tee, "forward", DARKNETP_CMD_FORWARD, *step,
			TEEC_PARAM_TYPES(TEEC_MEMREF_TEMP_INPUT,
					 TEEC_MEMREF_TEMP_INPUT,
					 type_of(truth, TEEC_MEMREF_TEMP_INPUT),
					 TEEC_MEMREF_TEMP_OUTPUT),
			floats);
}

int tee_backward(struct tee *tee, const struct darknetp_step *step,
		 struct tee_floats output_delta,
		 struct tee_floats input_delta)
{
	const struct tee_floats floats[] = { output_delta, input_delta,
					     { NULL, 0 } };

	return run_step(tee, "backward", DARKNETP_CMD_BACKWARD, *step,
			TEEC_PARAM_TYPES(TEEC_MEMREF_TEMP_INPUT,
					 TEEC_MEMREF_TEMP_INPUT,
					 type_of(input_delta,
						 TEEC_MEMREF_TEMP_OUTPUT),
					 TEEC_NONE),
			floats);
}

int tee_train(struct tee *tee, const struct darknetp_step *step,
	      struct tee_floats input, struct tee_floats truth,
	      struct tee_floats input_delta)
{
	const struct tee_floats floats[] = { input, truth, input_delta };

	return run_step(tee, "train", DARKNETP_CMD_TRAIN, *step,
			TEEC_PARAM_TYPES(TEEC_MEMREF_TEMP_INPUT,
					 TEEC_MEMREF_TEMP_INPUT,
					 TEEC_MEMREF_TEMP_INPUT,
					 type_of(input_delta,
						 TEEC_MEMREF_TEMP_OUTPUT)),
			floats);
}
