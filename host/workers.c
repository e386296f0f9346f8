/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "message.h"
#include "workers.h"

struct worker {
	struct workers *all;
	uint32_t index;		/* the caller of workers_run() is 0 */
	pthread_t thread;
};

struct workers {
	struct nn_workers for_nn;
	struct worker worker[NN_MAX_WORKERS];
	pthread_mutex_t lock;	/* of what follows */
	pthread_cond_t work;	/* there are parts, or an end */
	pthread_cond_t done;	/* nothing is unfinished */
	nn_job *job;
	void *argument;
	uint32_t parts, next;	/* next < parts: not begun yet */
	uint32_t unfinished;
	bool stop;
};

uint32_t workers_default(void)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	if (processors < 1)
		return 1;
	return processors < WORKERS_DEFAULT_MOST ? (uint32_t)processors :
						   WORKERS_DEFAULT_MOST;
}

/* Do the next part; called, and returns, with the lock held. */
static void do_part(struct workers *workers, uint32_t worker)
{
	uint32_t part = workers->next++;
	nn_job *job = workers->job;
	void *argument = workers->argument;

	pthread_mutex_unlock(&workers->lock);
	job(argument, part, worker);
	pthread_mutex_lock(&workers->lock);
	if (--workers->unfinished == 0)
		pthread_cond_signal(&workers->done);
}

static void *work(void *argument)
{
	const struct worker *worker = argument;
	struct workers *workers = worker->all;

	pthread_mutex_lock(&workers->lock);
	while (!workers->stop) {
		if (workers->next < workers->parts)
			do_part(workers, worker->index);
		else
			pthread_cond_wait(&workers->work, &workers->lock);
	}
	pthread_mutex_unlock(&workers->lock);
	return NULL;
}

void workers_run(struct workers *workers, nn_job *job, void *argument,
		 uint32_t parts)
{
	pthread_mutex_lock(&workers->lock);
	workers->job = job;
	workers->argument = argument;
	workers->next = 0;
	workers->parts = parts;
	workers->unfinished = parts;
	pthread_cond_broadcast(&workers->work);
	while (workers->next < workers->parts)
		do_part(workers, 0);
	while (workers->unfinished > 0)
		pthread_cond_wait(&workers->done, &workers->lock);
	pthread_mutex_unlock(&workers->lock);
}

static void run_for_nn(void *context, nn_job *job, void *argument, uint32_t parts)
{
	workers_run(context, job, argument, parts);
}

const struct nn_workers *workers_for_nn(const struct workers *workers)
{
	return &workers->for_nn;
}

/* Signals are the main thread's. Return 0 or an error number. */
static int start_thread(struct worker *worker)
{
	sigset_t all;
	sigset_t before;
	int error = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&worker->thread, NULL, work, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

static void start_threads(struct workers *workers, uint32_t count)
{
	uint32_t *started = &workers->for_nn.count;
	int error = 0;

	for (*started = 1; *started < count; (*started)++) {
		struct worker *worker = &workers->worker[*started];

		*worker = (struct worker){ .all = workers, .index = *started };
		error = start_thread(worker);
		if (error) {
			message_note("only %u of %u threads could be started: %s",
				     *started, count, strerror(error));
			return;
		}
	}
}

int workers_start(struct workers **workers, uint32_t count)
{
	struct workers *new = calloc(1, sizeof(*new));

	*workers = new;
	if (!new)
		return message_no_memory("threads");
	new->for_nn.context = new;
	new->for_nn.run = run_for_nn;
	pthread_mutex_init(&new->lock, NULL);
	pthread_cond_init(&new->work, NULL);
	pthread_cond_init(&new->done, NULL);
	start_threads(new, count);
	return 0;
}

void workers_stop(struct workers *workers)
{
	uint32_t i = 0;

	if (!workers)
		return;
	pthread_mutex_lock(&workers->lock);
	workers->stop = true;
	pthread_cond_broadcast(&workers->work);
	pthread_mutex_unlock(&workers->lock);
	for (i = 1; i < workers->for_nn.count; i++)
		pthread_join(workers->worker[i].thread, NULL);
	pthread_cond_destroy(&workers->done);
	pthread_cond_destroy(&workers->work);
	pthread_mutex_destroy(&workers->lock);
	free(workers);
}
