/* SPDX-License-Identifier: MIT */
/* The threads of the normal world: every part once, and fewer where few start. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "message.h"
#include "workers.h"

#include "check.h"
#include "host_support.h"

#define PARTS 1000

static uint32_t threads_allowed = UINT32_MAX;

/* The C library's, until there are as many threads as allowed. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
		   void *(*start)(void *), void *argument)
{
	int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *),
		    void *) = NULL;

	if (threads_allowed == 0)
		return EAGAIN;
	threads_allowed--;
	*(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
	return real(thread, attributes, start, argument);
}

struct tally {
	_Atomic uint32_t done[PARTS];
	_Atomic bool busy[NN_MAX_WORKERS];
	uint32_t workers;
};

static void count_part(void *argument, uint32_t part, uint32_t worker)
{
	struct tally *tally = argument;

	assert_true(worker < tally->workers);
	assert_false(atomic_exchange(&tally->busy[worker], true));
	tally->done[part]++;
	sched_yield();
	tally->busy[worker] = false;
}

static void run_and_check(struct workers *workers, uint32_t parts)
{
	struct tally tally = { .workers = workers_for_nn(workers)->count };
	uint32_t i = 0;

	workers_run(workers, count_part, &tally, parts);
	for (i = 0; i < PARTS; i++)
		assert_int_equal(tally.done[i], i < parts);
}

static void every_part_is_done_once(void **state)
{
	static const uint32_t counts[] = { 1, 2, 3, 8, NN_MAX_WORKERS };
	struct workers *workers = NULL;
	size_t i = 0;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		assert_int_equal(workers_start(&workers, counts[i]), 0);
		assert_int_equal(workers_for_nn(workers)->count, counts[i]);
		run_and_check(workers, PARTS);
		run_and_check(workers, 1);
		run_and_check(workers, 0);
		run_and_check(workers, 7);
		workers_stop(workers);
	}
	workers_stop(NULL);
}

/* Two threads meet in a part each: neither is done before both have begun. */
static void meet(void *argument, uint32_t part, uint32_t worker)
{
	pthread_barrier_t *barrier = argument;

	(void)part;
	(void)worker;
	pthread_barrier_wait(barrier);
}

static void parts_are_done_at_the_same_time(void **state)
{
	pthread_barrier_t barrier;
	struct workers *workers = NULL;

	(void)state;
	pthread_barrier_init(&barrier, NULL, 2);
	assert_int_equal(workers_start(&workers, 2), 0);
	workers_run(workers, meet, &barrier, 2);
	workers_stop(workers);
	pthread_barrier_destroy(&barrier);
}

static void fewer_threads_do_the_same_work(void **state)
{
	struct workers *workers = NULL;

	(void)state;
	threads_allowed = 2;
	support_assert_status(workers_start(&workers, 8), 0);
	support_assert_said("only 3 of 8 threads could be started: Resource temporarily unavailable");
	threads_allowed = UINT32_MAX;
	assert_int_equal(workers_for_nn(workers)->count, 3);
	run_and_check(workers, PARTS);
	workers_stop(workers);
}

static void the_default_is_a_thread_per_processor(void **state)
{
	(void)state;
	assert_true(workers_default() >= 1);
	assert_true(workers_default() <= WORKERS_DEFAULT_MOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_part_is_done_once),
		cmocka_unit_test(parts_are_done_at_the_same_time),
		cmocka_unit_test(fewer_threads_do_the_same_work),
		cmocka_unit_test(the_default_is_a_thread_per_processor),
	};

	return cmocka_run_group_tests(tests, support_make_directory,
				      support_remove_directory);
}
