/* SPDX-License-Identifier: MIT */
/*
 * Random calls to the trusted application, most of them right but for a few
 * places, so that they come far:
 *
 *   campaign [-seed S] [-n CALLS]
 *
 * The same seed gives the same calls. Every answer must be one that the contract
 * knows, and the very one it says where the call was right; refused calls write
 * nothing; a session beside the others does its work all the time; and at the
 * end all memory is back. Exit status: 0 passed, 1 failed, 2 cannot be run.
 */
#include "campaign_random.h"
#include "campaign_slot.h"
#include "campaign_stats.h"
#include "largest.h"
#include "victim.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SLOTS_MOST	2
#define WITNESS_CALLS	500	/* between looks at the session beside the others */
/*
 * All sessions share the pages of the application's code, but have them at
 * addresses of their own. QEMU keeps its translations for each of these until
 * the code is loaded anew, which takes minutes when they are many: so now and
 * then close all sessions.
 */
#define ROUND_CALLS	5000
#define SESSIONS_MOST	64

static unsigned long calls = 100000;
static unsigned long long seed = 1;

/* What there was before the first call. */
static struct memory {
	unsigned int sessions;	/* open at once, with the largest model in each */
	uint64_t bytes;		/* of all these models */
	bool has_stats;
	struct stats stats;
} at_start;

/* ---- Memory ---- */

static void fill_with_largest(struct memory *memory)
{
	TEEC_Session sessions[SESSIONS_MOST];
	TEEC_Value size = { 0 };
	unsigned int i = 0;

	while (memory->sessions < SESSIONS_MOST
	       && client_open(&sessions[memory->sessions]) == TEEC_SUCCESS) {
		if (largest_build(&sessions[memory->sessions], &size))
			memory->bytes += size.a;
		memory->sessions++;
	}
	for (i = 0; i < memory->sessions; i++)
		TEEC_CloseSession(&sessions[i]);
}

static struct memory measure(void)
{
	struct memory memory = { 0 };

	fill_with_largest(&memory);
	memory.has_stats = stats_read(&memory.stats);
	return memory;
}

static void measure_at_start(void)
{
	at_start = measure();
	tap_note("%u sessions at once, with models of %llu bytes in all",
		 at_start.sessions, (unsigned long long)at_start.bytes);
	if (at_start.has_stats)
		tap_note("in use: %u bytes by applications, %u of the core's heap",
			 at_start.stats.ta_memory, at_start.stats.core_heap);
	else
		tap_note("this TEE gives no statistics");
}

static void memory_is_back(void)
{
	struct memory now = measure();

	EXPECT(now.sessions == at_start.sessions);
	EXPECT(now.bytes == at_start.bytes);
	EXPECT(now.has_stats == at_start.has_stats);
	if (!now.has_stats)
		return;
	tap_note("in use: %u bytes by applications, %u of the core's heap",
		 now.stats.ta_memory, now.stats.core_heap);
	EXPECT(now.stats.ta_memory == at_start.stats.ta_memory);
	EXPECT(now.stats.core_heap == at_start.stats.core_heap);
}

/* ---- Calls ---- */

static time_t began;
static unsigned long done, opened;	/* calls, sessions */

/* One call in one of the sessions, which is opened before and closed after its last. */
static void call_one(struct slot *slot)
{
	done++;
	if (slot->state == SLOT_CLOSED) {
		opened++;
		if (!slot_open(slot))
			return;
	}
	slot_call(slot);
	if (slot->calls_left == 0)
		slot_close(slot);
}

static void close_all(struct slot *slots)
{
	unsigned int i = 0;

	for (i = 0; i < SLOTS_MOST; i++)
		if (slots[i].state != SLOT_CLOSED)
			slot_close(&slots[i]);
}

static void call_round(unsigned int n_slots, struct victim *witness)
{
	struct slot slots[SLOTS_MOST] = { 0 };
	unsigned long end = done + ROUND_CALLS < calls ? done + ROUND_CALLS : calls;

	while (done < end && !tap_failures()) {
		call_one(&slots[random_below(n_slots)]);
		if (done % WITNESS_CALLS == 0)
			EXPECT_WORKS(witness);
	}
	close_all(slots);
	tap_note("%lu of %lu calls in %lu sessions, %ld s", done, calls, opened,
		 (long)(time(NULL) - began));
}

static void call_all(void)
{
	unsigned int n_slots = at_start.sessions - 1;
	struct victim witness = { 0 };

	n_slots = n_slots < SLOTS_MOST ? n_slots : SLOTS_MOST;
	while (done < calls && !tap_failures()) {
		if (!victim_open(&witness, VICTIM_TRAIN))
			return;
		call_round(n_slots, &witness);
		victim_close(&witness);
	}
}

static void random_calls(void)
{
	random_seed(seed);
	began = time(NULL);
	if (!EXPECT(at_start.sessions >= 2) || !campaign_open_arena())
		return;
	call_all();
	campaign_close_arena();
	if (tap_failures())
		tap_note("at call %lu of seed %llu", done, seed);
}

/* Else the generator does not get where it should. */
static void every_answer_was_seen(void)
{
	EXPECT(slot_report());
}

static const struct tap_test tests[] = {
	{ "memory at the start", measure_at_start },
	{ "random calls", random_calls },
	{ "every documented answer was seen", every_answer_was_seen },
	{ "memory is back", memory_is_back },
};

/* ---- Command line ---- */

static bool read_number(const char *text, unsigned long long *number)
{
	char *end = NULL;

	*number = strtoull(text, &end, 0);
	return *text != '\0' && *end == '\0';
}

static bool read_options(int argc, char **argv)
{
	unsigned long long number = 0;
	int i = 0;

	for (i = 1; i < argc; i += 2) {
		if (i + 1 == argc || !read_number(argv[i + 1], &number))
			return false;
		if (!strcmp(argv[i], "-seed"))
			seed = number;
		else if (!strcmp(argv[i], "-n"))
			calls = (unsigned long)number;
		else
			return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	int status = 0;

	if (!read_options(argc, argv)) {
		fprintf(stderr, "usage: campaign [-seed S] [-n CALLS]\n");
		return 2;
	}
	if (!client_connect()) {
		fprintf(stderr, "campaign: no TEE answers\n");
		return 2;
	}
	tap_note("seed %llu", seed);
	status = tap_run(tests, ARRAY_SIZE(tests), NULL);
	client_disconnect();
	return status;
}
