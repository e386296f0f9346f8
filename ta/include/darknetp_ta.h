/* SPDX-License-Identifier: MIT */
/*
 * The contract between darknetp in the normal world and its trusted
 * application: everything that both must agree on, and nothing else.
 *
 * Rules of the interface
 * - Integers and floats are little endian, floats are IEEE 754 binary32.
 * - All parameters are temporary memory references or values, in the order
 *   given; unused parameters are NONE. Anything else: TEE_ERROR_BAD_PARAMETERS.
 * - Sizes must match exactly what the command says, else
 *   TEE_ERROR_BAD_PARAMETERS. The TA copies a request into its own memory
 *   before it looks at it, and writes outputs once, from its own memory.
 * - State belongs to the session: VERSION at any time; BUILD until it succeeds,
 *   then never again; then tensors and steps. A session built to predict takes
 *   FORWARD; one built to train takes TRAIN if its partition reaches the
 *   network's end, else FORWARD and BACKWARD in turn (a further FORWARD starts
 *   over). A command out of order: TEE_ERROR_BAD_STATE, nothing changed.
 * - A refused command leaves the session usable.
 * - Reserved fields and unknown flags must be 0: TEE_ERROR_BAD_PARAMETERS.
 */
#ifndef DARKNETP_TA_H
#define DARKNETP_TA_H

#include <stdint.h>

#define DARKNETP_TA_UUID \
	{ 0x7fc5c039, 0x0542, 0x4ee1, \
	  { 0x80, 0xaf, 0xb4, 0xea, 0xb2, 0xf1, 0x99, 0x8d } }

/* Raised with every change of this file that an old peer would misread. */
#define DARKNETP_TA_ABI 2u

/* Limits of one model; the arithmetic has its own in nn.h. */
#define DARKNETP_MAX_LAYERS 256u	/* of the partition */
#define DARKNETP_MAX_NETWORK 65535u	/* of the whole network */
#define DARKNETP_MAX_SOURCES 8u

enum darknetp_command {
	/*
	 * Who is there.
	 * [0] value out: a = DARKNETP_TA_ABI of the TA, b = 0
	 * [1] value out: a = bytes of heap that a model may take,
	 *     b = bytes that this session's model takes now: 0 before BUILD
	 *     and after a refused one
	 */
	DARKNETP_CMD_VERSION = 0,

	/*
	 * Describe the layers of the partition; memory is laid out, weights are
	 * zero. In a training session they are then drawn at random. To train a
	 * partition that reaches the network's end, one of its layers must own
	 * a loss. Another .abi than the TA's: TEE_ERROR_NOT_SUPPORTED with
	 * a = b = 0.
	 * [0] memref in: struct darknetp_model, then .layers times
	 *     struct darknetp_layer
	 * [1] value out: a = bytes of heap the model needs, b = bytes available
	 *     (both set with TEE_ERROR_OUT_OF_MEMORY too);
	 *     with TEE_ERROR_BAD_FORMAT (makes no sense, or too large) or
	 *     TEE_ERROR_NOT_SUPPORTED (valid, not computed here; or it reads a
	 *     layer outside of the partition):
	 *     a = the refused layer, counted in the whole network, b = 1
	 */
	DARKNETP_CMD_BUILD = 1,

	/*
	 * Put parameters into a layer, whole or piece by piece; with
	 * DARKNETP_TENSOR_MOMENTUM their momentum instead, to go on from a
	 * checkpoint.
	 * [0] value in: a = layer, counted in the whole network,
	 *     b = enum darknetp_tensor, perhaps | DARKNETP_TENSOR_MOMENTUM
	 *     (training sessions, for tensors learned by descent; between
	 *     FORWARD and BACKWARD: TEE_ERROR_BAD_STATE)
	 * [1] value in: a = first element, b = enum darknetp_form; a form that
	 *     the TA does not know: TEE_ERROR_NOT_SUPPORTED
	 * [2] memref in: float[] for DARKNETP_FORM_PLAIN
	 */
	DARKNETP_CMD_TENSOR_LOAD = 2,

	/*
	 * Read parameters or momentum back, to save a trained model or a
	 * checkpoint. Training sessions only:
	 * a session that was built to predict never gives its weights away
	 * (TEE_ERROR_ACCESS_DENIED).
	 * Parameters as TENSOR_LOAD, but [2] is memref out.
	 */
	DARKNETP_CMD_TENSOR_SAVE = 3,

	/*
	 * Run samples forward; .flags must be 0.
	 * [0] memref in: struct darknetp_step
	 * [1] memref in: float[count][inputs]
	 * [2] memref in: float[count][truths]; NONE when predicting or when no
	 *     layer of the partition owns a loss (nn_truths() of nn.h)
	 * [3] memref out: float[count][outputs]. A cost layer passes its input
	 *     on. Predicting with a partition that contains a softmax gives
	 *     only the first of the best classes: 1.0 there, 0.0 elsewhere.
	 */
	DARKNETP_CMD_FORWARD = 4,

	/*
	 * Second half of a training step whose partition ends before the network
	 * does; iteration, sample and count must equal those of the FORWARD
	 * before it (else TEE_ERROR_BAD_STATE).
	 * [0] memref in: struct darknetp_step
	 * [1] memref in: float[count][outputs], gradient of the output from the
	 *     layers that follow
	 * [2] memref out: float[count][inputs], gradient of the input; NONE for
	 *     a partition that starts at layer 0
	 */
	DARKNETP_CMD_BACKWARD = 5,

	/*
	 * A whole training step of a partition that reaches the network's end.
	 * [0] memref in: struct darknetp_step
	 * [1] memref in: float[count][inputs]
	 * [2] memref in: float[count][truths]
	 * [3] memref out: as BACKWARD [2]
	 */
	DARKNETP_CMD_TRAIN = 6,
};

/* Flags of struct darknetp_model. */
#define DARKNETP_MODEL_TRAIN	(1u << 0)	/* else predict */
#define DARKNETP_MODEL_SEEDED	(1u << 1)	/* use .seed; else the TA draws its own */

/* 48 bytes */
struct darknetp_model {
	uint32_t abi;			/* DARKNETP_TA_ABI */
	uint32_t flags;
	uint32_t layers;		/* 1..DARKNETP_MAX_LAYERS */
	uint32_t first_layer;		/* index in the whole network */
	uint32_t network_layers;	/* of the whole network */
	uint32_t micro_batch;		/* most samples in one step */
	uint32_t width, height, channels;	/* input of the partition */
	uint32_t seed_low, seed_high;	/* with SEEDED, else 0 */
	uint32_t reserved;		/* 0 */
};

/* 112 bytes; values of kind, activation and cost: the enums of nn.h */
struct darknetp_layer {
	uint32_t kind;
	uint32_t activation;
	uint32_t cost;
	uint32_t filters;
	uint32_t size;
	uint32_t stride;
	uint32_t padding;
	uint32_t groups;
	uint32_t outputs;
	uint32_t batch_normalize;	/* 0 or 1 */
	uint32_t noloss;		/* 0 or 1 */
	float probability;
	float temperature;
	float scale;
	float learning_rate;
	float alpha, beta;
	uint32_t n_sources;		/* 0..DARKNETP_MAX_SOURCES */
	uint32_t sources[DARKNETP_MAX_SOURCES];	/* counted in the whole network;
						 * 0 from n_sources on
						 */
	uint32_t reserved[2];		/* 0 */
};

/* Flags of struct darknetp_step. */
#define DARKNETP_STEP_UPDATE	(1u << 0)	/* update the weights after this step */
#define DARKNETP_STEP_REPORT	(1u << 1)	/* trace the loss since the last report */

/* 40 bytes */
struct darknetp_step {
	uint32_t flags;
	uint32_t iteration_low, iteration_high;	/* batch number, from 0 */
	uint32_t sample;		/* first sample within the batch */
	uint32_t count;			/* 1..micro_batch */
	float learning_rate;		/* with UPDATE, finite, as the next two */
	float momentum;
	float decay;
	uint32_t samples;		/* with UPDATE, at least 1: batch times
					 * subdivisions
					 */
	uint32_t report_samples;	/* with REPORT, at least 1: the loss is
					 * divided by this
					 */
};

/* Values of enum nn_tensor_kind. */
enum darknetp_tensor {
	DARKNETP_TENSOR_BIASES = 0,
	DARKNETP_TENSOR_WEIGHTS = 1,
	DARKNETP_TENSOR_SCALES = 2,
	DARKNETP_TENSOR_ROLLING_MEAN = 3,
	DARKNETP_TENSOR_ROLLING_VARIANCE = 4,
};

/* Added to a tensor: its momentum, (the same shape). */
#define DARKNETP_TENSOR_MOMENTUM 0x100u

/* How the values of a tensor are written. */
enum darknetp_form {
	DARKNETP_FORM_PLAIN = 0,	/* float[] */
};

#endif /* DARKNETP_TA_H */
