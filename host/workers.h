/* SPDX-License-Identifier: MIT */
/*
 * workers: threads of the normal world that share work, as nn.h wants them. They
 * wait without using the processor while there is none.
 */
#ifndef WORKERS_H
#define WORKERS_H

#include <stdint.h>

#include "nn.h"

#define WORKERS_DEFAULT_MOST 8

struct workers;

/* As many as there are processors, but at most WORKERS_DEFAULT_MOST. */
uint32_t workers_default(void);

/*
 * Start @count workers, 1..NN_MAX_WORKERS, one of which is the caller of
 * workers_run(). If the system allows fewer threads there are fewer workers,
 * after a note. On success the caller ends with workers_stop().
 */
int workers_start(struct workers **workers, uint32_t count);
void workers_stop(struct workers *workers);	/* NULL: nothing to stop */

/* Call @job for each of @parts parts; return when all have returned. */
void workers_run(struct workers *workers, nn_job *job, void *argument,
		 uint32_t parts);

/* The same workers, for nn_spec.workers; good until workers_stop(). */
const struct nn_workers *workers_for_nn(const struct workers *workers);

#endif /* WORKERS_H */
