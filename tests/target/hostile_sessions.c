/* SPDX-License-Identifier: MIT */
#include "hostile.h"

#include "nn.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#define SESSIONS 64	/* more than secure memory holds */

void many_sessions(void)
{
	static struct victim victims[SESSIONS];
	unsigned int count = client_sessions_left();
	unsigned int round = 0;
	unsigned int i = 0;

	count = count < SESSIONS ? count : SESSIONS;
	for (i = 0; i < count; i++)
		if (!victim_open(&victims[i], (enum victim_kind)((i + 1) % VICTIM_KINDS)))
			return;
	for (round = 0; round < 10; round++)
		for (i = 0; i < count; i++)
			EXPECT_WORKS(&victims[(i * 7 + round) % count]);
	/* those that stay do not notice that others go */
	for (i = count; i-- > 0;) {
		EXPECT_WORKS(&victims[i]);
		EXPECT_WORKS(&victims[0]);
		victim_close(&victims[i]);
	}
	EXPECT(client_sessions_left() == count);
}

/* ---- Threads ---- */

static void *predict_often(void *argument)
{
	struct victim *victim = argument;
	uintptr_t wrong = 0;
	unsigned int i = 0;

	for (i = 0; i < 200; i++)
		wrong += !victim_predicts(victim);
	return (void *)wrong;
}

void two_threads_in_a_session(void)
{
	struct victim victim = { 0 };
	pthread_t thread = 0;
	void *theirs = NULL;
	void *ours = NULL;

	if (!victim_open(&victim, VICTIM_PREDICT))
		return;
	if (EXPECT(pthread_create(&thread, NULL, predict_often, &victim) == 0)) {
		ours = predict_often(&victim);
		pthread_join(thread, &theirs);
		EXPECT(!ours && !theirs);
	}
	EXPECT_WORKS(&victim);
	victim_close(&victim);
}

static TEEC_Operation cancelled;
static atomic_bool cancelling;

static void *cancel_often(void *argument)
{
	(void)argument;
	while (atomic_load(&cancelling))
		TEEC_RequestCancellation(&cancelled);
	return NULL;
}

static void predict_though_cancelled(struct victim *victim)
{
	static struct darknetp_step step;
	static float y[3];
	uint32_t origin = 0;

	step = step_of(1, 0);
	cancelled.paramTypes = TEEC_PARAM_TYPES(TEEC_MEMREF_TEMP_INPUT,
						TEEC_MEMREF_TEMP_INPUT, TEEC_NONE,
						TEEC_MEMREF_TEMP_OUTPUT);
	cancelled.params[0] = IN(step).value;
	cancelled.params[1] = in(victim_input, FLOATS(16)).value;
	cancelled.params[3] = OUT(y).value;
	EXPECT(TEEC_InvokeCommand(&victim->session, DARKNETP_CMD_FORWARD, &cancelled,
				  &origin) == TEEC_SUCCESS);
}

/* The application does not take part in cancellation: calls run to their end. */
void cancelled_calls(void)
{
	struct victim victim = { 0 };
	pthread_t thread = 0;
	unsigned int i = 0;

	if (!victim_open(&victim, VICTIM_PREDICT))
		return;
	predict_though_cancelled(&victim);
	atomic_store(&cancelling, true);
	if (EXPECT(pthread_create(&thread, NULL, cancel_often, NULL) == 0)) {
		for (i = 0; i < 200; i++)
			predict_though_cancelled(&victim);
		atomic_store(&cancelling, false);
		pthread_join(thread, NULL);
	}
	EXPECT_WORKS(&victim);
	victim_close(&victim);
}

/* ---- Clients that die ---- */

#define SLOW_EDGE	32
#define SLOW_CHANNELS	8
#define SLOW_BATCH	8

/* A convolution that takes a good part of a second under emulation. */
static struct description slow_description(void)
{
	struct description description = victim_description(VICTIM_PREDICT);

	description.model.layers = 1;
	description.model.width = description.model.height = SLOW_EDGE;
	description.model.channels = SLOW_CHANNELS;
	description.model.micro_batch = SLOW_BATCH;
	description.layers[0].filters = SLOW_CHANNELS;
	return description;
}

/* The client to be killed: calls for ever, and says so before each. */
static void call_for_ever(int tell)
{
	static float x[SLOW_BATCH * SLOW_CHANNELS * SLOW_EDGE * SLOW_EDGE];
	struct description description = slow_description();
	struct darknetp_step step = step_of(SLOW_BATCH, 0);
	TEEC_Session session = { 0 };

	if (!client_connect() || client_open(&session) != TEEC_SUCCESS
	    || build(&session, &description).result != TEEC_SUCCESS)
		_exit(1);
	while (write(tell, "", 1) == 1
	       && invoke(&session, DARKNETP_CMD_FORWARD, IN(step), IN(x), none(),
			 OUT(x)).result == TEEC_SUCCESS)
		;
	_exit(1);
}

/* Return whether it was our signal that ended the client. */
static bool kill_after(pid_t child, int told, useconds_t microseconds)
{
	char byte = 0;
	int status = 0;
	bool ran = read(told, &byte, 1) == 1;

	usleep(microseconds);
	kill(child, SIGKILL);
	return waitpid(child, &status, 0) == child && ran && WIFSIGNALED(status);
}

static void kill_one(useconds_t microseconds)
{
	int ends[2] = { 0 };
	pid_t child = 0;

	if (!EXPECT(pipe(ends) == 0))
		return;
	child = fork();
	if (child == 0)
		call_for_ever(ends[1]);
	if (EXPECT(child > 0))
		EXPECT(kill_after(child, ends[0], microseconds));
	close(ends[0]);
	close(ends[1]);
}

void killed_clients(void)
{
	static const useconds_t delays[] = { 0, 1000, 20000, 50000, 150000, 400000 };
	unsigned int count = client_sessions_left();
	struct victim victim = { 0 };
	unsigned int i = 0;

	if (!victim_open(&victim, VICTIM_TRAIN))
		return;
	for (i = 0; i < ARRAY_SIZE(delays); i++) {
		kill_one(delays[i]);
		EXPECT(client_sessions_left() == count - 1);
		EXPECT_WORKS(&victim);
	}
	victim_close(&victim);
	EXPECT(client_sessions_left() == count);
}
