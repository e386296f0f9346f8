/* SPDX-License-Identifier: MIT */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tee_client_api.h>

#include <shaped_ta.h>

#include "shaped.h"

static TEEC_Context context;
static TEEC_Session session;

static void open_session(void)
{
	TEEC_UUID uuid = TA_SHAPED_UUID;
	uint32_t origin = 0;
	TEEC_Result res = TEEC_InitializeContext(NULL, &context);

	if (res)
		errx(1, "TEEC_InitializeContext failed with code 0x%x", res);
	res = TEEC_OpenSession(&context, &session, &uuid, TEEC_LOGIN_PUBLIC,
			       NULL, NULL, &origin);
	if (res)
		errx(1, "TEEC_Opensession failed with code 0x%x origin 0x%x",
		     res, origin);
}

static void ask(uint32_t command, uint32_t number)
{
	TEEC_Operation op = { 0 };
	uint32_t origin = 0;
	TEEC_Result res = TEEC_SUCCESS;

	op.paramTypes = TEEC_PARAM_TYPES(TEEC_VALUE_INPUT, TEEC_NONE,
					 TEEC_NONE, TEEC_NONE);
	op.params[0].value.a = number;
	res = TEEC_InvokeCommand(&session, command, &op, &origin);
	if (res)
		errx(1, "TEEC_InvokeCommand(forward) failed 0x%x origin 0x%x",
		     res, origin);
}

/* Takes a flag and its number out of the words; 999 when it is not there. */
static int flag(int *argc, char **argv, const char *name)
{
	int value = 999;

	for (int n = 1; n + 1 < *argc; n++) {
		if (strcmp(argv[n], name))
			continue;
		value = atoi(argv[n + 1]);
		memmove(argv + n, argv + n + 2, (*argc - n - 1) * sizeof(*argv));
		*argc -= 2;
		break;
	}
	return value;
}

/* Like darknetz, it makes no folders. */
static void save(const char *folder)
{
	char path[256] = { 0 };
	FILE *file = NULL;

	snprintf(path, sizeof(path), "%s/shaped.out", folder);
	file = fopen(path, "w");
	if (!file)
		errx(1, "Couldn't open file: %s", path);
	fclose(file);
}

static void train(const char *data, const char *cfg)
{
	int batches = atoi(value_in(cfg, "max_batches"));
	int batch = atoi(value_in(cfg, "batch"));

	save("/media/results");
	for (int n = 1; n <= batches; n++) {
		ask(CMD_LOSS, n);
		printf("%d, 0.1: 0.000000, 0.000000 avg, 0.01 rate, 0.001 seconds, %d images\n",
		       n, n * batch);
	}
	save(value_in(data, "backup"));
}

static void predict(const char *image)
{
	ask(CMD_NOTHING, 0);
	printf("%s: Predicted in 0.001 seconds.\n", image);
	printf("1001840967680.00%%: 3\n -nan%%: 1\n");
}

int main(int argc, char *argv[])
{
	int first = flag(&argc, argv, "-pp_start");
	int last = flag(&argc, argv, "-pp_end");

	flag(&argc, argv, "-t");
	open_session();
	if (argc < 5) {
		fprintf(stderr, "usage: %s <function>\n", argv[0]);
	} else {
		print_layers(argv[4], first, last);
		if (!strcmp(argv[2], "train"))
			train(argv[3], argv[4]);
		else if (!strcmp(argv[2], "panic"))
			ask(CMD_PANIC, 0);
		else
			predict(argv[argc - 1]);
	}
	TEEC_CloseSession(&session);
	TEEC_FinalizeContext(&context);
	return 0;
}
