/* SPDX-License-Identifier: MIT */
#include "largest.h"

#include "victim.h"

#define WIDE	64	/* inputs of the connected layer */
#define TRIES	16

struct reply largest_try(TEEC_Session *session, uint32_t outputs)
{
	struct description description = victim_description(VICTIM_PREDICT);

	description.model.layers = 1;
	description.model.width = description.model.height = 1;
	description.model.channels = WIDE;
	description.layers[0] = description.layers[2];
	description.layers[0].outputs = outputs;
	return build(session, &description);
}

/*
 * The most outputs that fit, from what two refusals say they would need.
 * @each: bytes per output
 */
static uint32_t outputs_that_fit(TEEC_Session *session, uint32_t *each)
{
	const uint32_t large = 100000;
	TEEC_Value one = largest_try(session, large).params[1].value;
	TEEC_Value two = largest_try(session, 2 * large).params[1].value;

	*each = (two.a - one.a) / large;
	if (!EXPECT(one.b > 0 && one.a > one.b && two.a > one.a && *each > 0))
		return 0;
	return large - (one.a - one.b) / *each;
}

bool largest_build(TEEC_Session *session, TEEC_Value *size)
{
	const float last[] = { 1 };
	uint32_t each = 0;
	uint32_t outputs = outputs_that_fit(session, &each);
	struct reply reply = { .result = OUT_OF_MEMORY };
	unsigned int tries = 0;

	for (outputs += 2; reply.result == OUT_OF_MEMORY && tries < TRIES; tries++)
		reply = largest_try(session, --outputs);
	*size = reply.params[1].value;
	return EXPECT_RESULT(reply, TEEC_SUCCESS)
	       && EXPECT(size->b - size->a < 2 * each)
	       && EXPECT_RESULT(invoke(session, DARKNETP_CMD_TENSOR_LOAD,
				       value(2, DARKNETP_TENSOR_WEIGHTS),
				       value(outputs * WIDE - 1, 0), IN(last), none()),
				TEEC_SUCCESS);
}
