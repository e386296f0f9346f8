/* SPDX-License-Identifier: MIT */
/*
 * tee: the session with the trusted application, one function per command of
 * darknetp_ta.h. Nothing else in darknetp uses the TEE client API.
 *
 * Every failure is reported in Darknetz's words ("TEEC_InvokeCommand(forward)
 * failed 0xffff000c origin 0x4"), followed by a line that says what to do where
 * that is known.
 */
#ifndef TEE_H
#define TEE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "darknetp_ta.h"

/* Commands of the interface, numbered from 0. */
#define TEE_COMMANDS 7u

struct tee;

/* Bytes of the TA's heap. */
struct tee_memory {
	uint32_t needed, available;
	bool fits;
};

/* What went between the worlds since tee_open(). */
struct tee_traffic {
	uint64_t calls;		/* commands: world switches there and back */
	uint64_t to_secure;	/* bytes in memory references */
	uint64_t from_secure;
};

/* A run of floats in normal memory, made by tee_input() or tee_output(). */
struct tee_floats {
	float *at;		/* NULL: the parameter is NONE */
	size_t count;
};

/* Floats that the TA reads. */
static inline struct tee_floats tee_input(const float *at, size_t count)
{
	/* The client API knows no const, but leaves input references alone. */
	return (struct tee_floats){ (float *)(uintptr_t)at, count };
}

/* Floats that the TA writes. */
static inline struct tee_floats tee_output(float *at, size_t count)
{
	return (struct tee_floats){ at, count };
}

/* Connect and open a session; on success the caller ends with tee_close(). */
int tee_open(struct tee **tee);
void tee_close(struct tee *tee);

/* Heap that the model built last needed, and the TA's; zeros without one. */
struct tee_memory tee_last_memory(const struct tee *tee);

/* Traffic of command @command, as in darknetp_ta.h, and its name ("forward"). */
struct tee_traffic tee_traffic(const struct tee *tee, uint32_t command);
struct tee_traffic tee_total_traffic(const struct tee *tee);
const char *tee_command_name(uint32_t command);

/*
 * Check that the TA speaks our version of darknetp_ta.h.
 * @room: bytes that a model may take
 */
int tee_check_version(struct tee *tee, uint32_t *room);

/*
 * Describe the partition to the TA. A model that the TA has no memory for is
 * not a failure: 0 is returned with memory->fits false, and another one may be
 * tried. @refused gets the layer (in the whole network) that the TA refuses, or
 * UINT32_MAX.
 */
int tee_build(struct tee *tee, const struct darknetp_model *model,
	      const struct darknetp_layer *layers, struct tee_memory *memory,
	      uint32_t *refused);

/* Say that the model does not fit, in the words of a failed command. */
int tee_report_no_memory(const struct tee_memory *memory, uint32_t micro_batch);

/* Write or read parameters @first.. of a layer (in the whole network). */
int tee_tensor_load(struct tee *tee, uint32_t layer, uint32_t tensor,
		    uint32_t first, const float *values, uint32_t count);
int tee_tensor_save(struct tee *tee, uint32_t layer, uint32_t tensor,
		    uint32_t first, float *values, uint32_t count);

/* The dynamics; see darknetp_ta.h for the sizes. */
int tee_forward(struct tee *tee, const struct darknetp_step *step,
		struct tee_floats input, struct tee_floats truth,
		struct tee_floats output);
int tee_backward(struct tee *tee, const struct darknetp_step *step,
		 struct tee_floats output_delta,
		 struct tee_floats input_delta);
int tee_train(struct tee *tee, const struct darknetp_step *step,
	      struct tee_floats input, struct tee_floats truth,
	      struct tee_floats input_delta);

#endif /* TEE_H */
