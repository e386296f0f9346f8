/* SPDX-License-Identifier: MIT */
/*
 * schedule: the learning rate as a function of the batch number; Darknet's
 * policies.
 */
#ifndef SCHEDULE_H
#define SCHEDULE_H

#include <stdint.h>

#include "cfg.h"
#include "seed.h"

enum schedule_policy {
	POLICY_CONSTANT,
	POLICY_STEP,		/* rate * scale^(batch / step), whole steps */
	POLICY_STEPS,		/* rate times every scale whose step is reached */
	POLICY_EXP,		/* rate * gamma^batch */
	POLICY_POLY,		/* rate * (1 - batch / max_batches)^power */
	POLICY_RANDOM,		/* rate * U^power, U uniform in [0, 1) */
	POLICY_SIGMOID,		/* rate / (1 + e^(gamma * (batch - step))) */
};

struct schedule {
	enum schedule_policy policy;
	float learning_rate;
	float power;
	float scale;
	float gamma;
	uint32_t step;		/* batches */
	uint32_t burn_in;	/* batches before the policy: rate * (batch / burn_in)^power */
	uint64_t max_batches;	/* 0: train for ever */
	uint32_t n_steps;
	uint32_t *steps;	/* batches, n_steps of them */
	float *scales;		/* n_steps */
};

/* Read the keys of [net]; what is wrong is left in the section's status. */
void schedule_read(struct schedule *schedule, struct cfg_section *section);
void schedule_free(struct schedule *schedule);

/* @seed: of the run; only POLICY_RANDOM draws from it. */
float schedule_rate(const struct schedule *schedule, uint64_t batch,
		    const struct seed *seed);

#endif /* SCHEDULE_H */
