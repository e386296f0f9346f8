/* SPDX-License-Identifier: MIT */
#include <tee_internal_api.h>
#include <tee_internal_api_extensions.h>

#include <shaped_ta.h>

TEE_Result TA_CreateEntryPoint(void)
{
	return TEE_SUCCESS;
}

void TA_DestroyEntryPoint(void)
{
}

TEE_Result TA_OpenSessionEntryPoint(uint32_t types, TEE_Param params[4], void **session)
{
	(void)types;
	(void)params;
	(void)session;
	IMSG("secure world opened!");
	return TEE_SUCCESS;
}

void TA_CloseSessionEntryPoint(void *session)
{
	(void)session;
	IMSG("Goodbye!");
}

TEE_Result TA_InvokeCommandEntryPoint(void *session, uint32_t command, uint32_t types,
				      TEE_Param params[4])
{
	const uint32_t expected = TEE_PARAM_TYPES(TEE_PARAM_TYPE_VALUE_INPUT, TEE_PARAM_TYPE_NONE,
						  TEE_PARAM_TYPE_NONE, TEE_PARAM_TYPE_NONE);

	(void)session;
	if (types != expected)
		return TEE_ERROR_BAD_PARAMETERS;
	if (command == CMD_PANIC)
		TEE_Panic(1);
	if (command == CMD_LOSS)
		IMSG("loss = 1.%02u, avg loss = 1.%02u from the TA",
		     99 - params[0].value.a % 100, 99 - params[0].value.a % 100);
	return TEE_SUCCESS;
}
