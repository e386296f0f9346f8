/* SPDX-License-Identifier: MIT */
/*
 * The sessions that are attacked. Their numbers are small and whole, so that
 * float32 holds every sum exactly: what a working session answers is known to
 * the bit, from a few plain loops here and without the kernels under test.
 */
#ifndef VICTIM_H
#define VICTIM_H

#include "client.h"

#include <string.h>

enum victim_kind {
	VICTIM_PREDICT,	/* convolution, pooling, connected: outputs in clear */
	VICTIM_HIDDEN,	/* the same and a softmax: only the best class */
	VICTIM_MIDDLE,	/* trains one connected layer inside a network */
	VICTIM_TRAIN,	/* trains the same layer and the cost at the end */
};
#define VICTIM_KINDS 4

#define VICTIM_LAYERS 4		/* most in one of them */
#define VICTIM_BATCH 4		/* micro_batch of all of them */

struct victim {
	TEEC_Session session;
	enum victim_kind kind;
};

/* Floats per sample, and where the first layer's parameters are. */
struct victim_facts {
	uint32_t inputs, outputs, truths;
	uint32_t first_layer;
	uint32_t biases, weights;	/* floats of the first layer */
};
const struct victim_facts *victim_facts(enum victim_kind kind);

/* A description as BUILD wants it; layers may be changed, and fewer or more sent. */
struct description {
	struct darknetp_model model;
	struct darknetp_layer layers[VICTIM_LAYERS];
};
struct description victim_description(enum victim_kind kind);
size_t description_size(const struct description *description);
struct reply build(TEEC_Session *session, const struct description *description);

/* Open, build, load; false: the test has failed. */
bool victim_open(struct victim *victim, enum victim_kind kind);
/* The last two of these: @victim->session is open, and nothing built in it yet. */
bool victim_build(struct victim *victim, enum victim_kind kind);
void victim_close(struct victim *victim);

/*
 * Fail the test unless the session still does its work, with the right bits:
 * weights are where they were, predictions and training steps come out right.
 */
#define EXPECT_WORKS(victim) victim_check(__FILE__, __LINE__, victim)
void victim_check(const char *file, int line, struct victim *victim);

/* One sample forward through a session that predicts; false: wrong or refused. */
bool victim_predicts(struct victim *victim);

/* ---- What good calls are made of ---- */

extern const float victim_input[];	/* of every kind, one sample */
extern const float victim_truth[];
extern const float victim_delta[];	/* a gradient of the output, MIDDLE */

struct darknetp_step step_of(uint32_t count, uint32_t flags);
void victim_outputs(enum victim_kind kind, float *outputs);
void victim_weights(float *weights);	/* of the first layer, as loaded */

/* Weights and gradient of the input after a training step with update. */
void victim_trained(enum victim_kind kind, float *weights, float *input_delta);

/* Of a session that trains: read the first layer's weights, restore them. */
bool victim_save(struct victim *victim, float *weights);
bool victim_reload(struct victim *victim);

/* The memory reference that holds a local variable or array. */
#define IN(x)	in(&(x), sizeof(x))
#define OUT(x)	out(&(x), sizeof(x))

#define FLOATS(n) ((n) * sizeof(float))

#endif /* VICTIM_H */
