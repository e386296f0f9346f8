/* SPDX-License-Identifier: MIT */
/*
 * A session of the trusted application without a TEE: commands with their
 * parameters in exact-size, unaligned memory, as hostile a client may send them.
 */
#ifndef TA_SUPPORT_H
#define TA_SUPPORT_H

#include "command.h"
#include "darknetp_ta.h"

#define TEST_HEAP (1024 * 1024)

/* What the model asked its world for. */
struct test_world {
	struct model_host host;
	unsigned int traces;
	char last_trace[128];
	unsigned int randoms;		/* calls */
	unsigned int blocks;		/* allocated and not released */
	unsigned int fail_after;	/* allocations that still succeed */
};
extern struct test_world world;

/* cmocka fixtures: *state is a struct model; the world is reset. */
int session_open(void **state);
int session_close(void **state);	/* fails if memory was not released */

/* ---- Parameters ---- */

struct command_param none(void);
struct command_param value(uint32_t a, uint32_t b);
struct command_param value_out(void);
struct command_param in(const void *bytes, size_t size);
struct command_param out(void *bytes, size_t size);

/*
 * Invoke with copies of the parameters: inputs and outputs are malloc'ed with
 * exactly their size, at an odd address. Outputs come back.
 */
uint32_t call(struct model *model, uint32_t command,
	      struct command_param a, struct command_param b,
	      struct command_param c, struct command_param d);

/* The VALUE_OUT parameter of the last call. */
extern uint32_t last_values[2];

/* ---- A small network: conv, maxpool, connected, dropout, connected, softmax, cost ---- */

#define NET_LAYERS	7
#define NET_INPUTS	(6 * 6 * 2)
#define NET_CLASSES	4
#define NET_SOFTMAX	5
#define NET_COST	6
#define NET_BATCH	4

/* Flags as most tests want them. */
#define TRAIN_SEEDED	(DARKNETP_MODEL_TRAIN | DARKNETP_MODEL_SEEDED)
#define UPDATE		DARKNETP_STEP_UPDATE
#define REPORT		DARKNETP_STEP_REPORT

#define FLOATS(n)	((n) * sizeof(float))

struct build_request {
	struct darknetp_model model;
	struct darknetp_layer layers[NET_LAYERS];
};

/* Layers first..last of the network. */
struct build_request partition(uint32_t first, uint32_t last, uint32_t flags);
size_t build_size(const struct build_request *request);
uint32_t build(struct model *model, const struct build_request *request);

/* Build and fail the test if that is refused. */
void must_build(struct model *model, uint32_t first, uint32_t last, uint32_t flags);

struct darknetp_step step_of(uint32_t count, uint32_t flags);

/* Room for any tensor of a step. */
extern float scratch_in[NET_BATCH * 200];
extern float scratch_out[NET_BATCH * 200];

/* TRAIN with so many bytes of each. */
uint32_t train_with(struct model *model, const struct darknetp_step *step,
		    size_t input, size_t truth);
/* One that is right, of a session with the end of the network from layer 0 on. */
void must_train(struct model *model);

/* Give every tensor of the model numbers that depend on its place only. */
void load_all(struct model *model, uint32_t first, uint32_t last);

/* Truths of NET_BATCH samples. */
extern const float net_truth[NET_BATCH * NET_CLASSES];

#endif /* TA_SUPPORT_H */
