/* SPDX-License-Identifier: MIT */
/*
 * nn: the layers of a Darknet network, one copy of the arithmetic for both
 * worlds and for the native tests.
 *
 * The unit is the *segment*: a run of consecutive layers of a network. A
 * partition 4:10 of an 11-layer network makes two segments, 0..3 in the normal
 * world and 4..10 in the secure world; 2:6 makes three. Segments are chained by
 * handing the output of one to the next and, when training, the gradient of
 * its input back to the one before.
 *
 * Layers follow one another; a shortcut or route reads further ones, which must
 * be of its own segment, or the one right before it.
 *
 * A segment lives in one block of memory given by the caller (the arena).
 * nn_plan() says how large that block must be; nn_init() lays the segment out
 * in it with the very same code, so that the plan cannot drift from the use.
 * Nothing here allocates, prints, or calls the system.
 *
 * Results do not depend on where a segment boundary lies nor on how a batch is
 * cut into micro-batches: every sum over samples is a running sum in the order
 * of the samples. The exception is batch normalisation while training, which
 * normalises the nn_step.count samples of one call together: such networks
 * need the whole batch in one call. Compile with the flags of nn.mk
 * (contraction of floating-point expressions off, no errno from arithmetic),
 * without -ffast-math; the same bits then come out on x86-64 and on AArch64.
 *
 * Tensors are float32, row-major; activations are (sample, channel, row,
 * column). Deltas follow Darknet's sign convention: they are *negative*
 * gradients, and updates are added.
 */
#ifndef NN_H
#define NN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Limits that every segment keeps; beyond them nn_plan() refuses. */
#define NN_MAX_LAYERS		256	/* of a segment */
#define NN_MAX_NETWORK		65535	/* layers of the whole network */
#define NN_MAX_SOURCES		8	/* layers that one layer reads */
#define NN_MAX_WORKERS		64	/* threads that share the work */
#define NN_MAX_TENSOR_FLOATS	(UINT32_C(1) << 28)	/* floats in one tensor */
#define NN_ARENA_ALIGNMENT	16			/* bytes */
#define NN_SEED_WORDS		8			/* a ChaCha20 key */

enum nn_status {
	NN_OK = 0,
	NN_ERR_SPEC,		/* a layer's parameters make no sense */
	NN_ERR_UNSUPPORTED,	/* valid in Darknet, not computed here */
	NN_ERR_SIZE,		/* a size overflows or passes a limit above */
	NN_ERR_ARENA,		/* the arena is smaller than the plan, or not aligned */
	NN_ERR_SOURCE,		/* a layer reads one that is outside of the segment */
};

enum nn_layer_kind {
	NN_CONVOLUTIONAL = 1,
	NN_MAXPOOL = 2,
	NN_AVGPOOL = 3,
	NN_CONNECTED = 4,
	NN_DROPOUT = 5,
	NN_SOFTMAX = 6,
	NN_COST = 7,
	NN_BATCHNORM = 8,
	NN_ACTIVATION = 9,
	NN_SHORTCUT = 10,
	NN_ROUTE = 11,
};

enum nn_activation {
	NN_LOGISTIC = 0,
	NN_LOGGY = 1,
	NN_RELU = 2,
	NN_ELU = 3,
	NN_SELU = 4,
	NN_RELIE = 5,
	NN_RAMP = 6,
	NN_LINEAR = 7,
	NN_TANH = 8,
	NN_PLSE = 9,
	NN_LEAKY = 10,
	NN_STAIR = 11,
	NN_HARDTAN = 12,
	NN_LHTAN = 13,
};

enum nn_cost_type {
	NN_COST_SSE = 0,
	NN_COST_MASKED = 1,
	NN_COST_L1 = 2,
	NN_COST_SMOOTH = 3,
};

/* One layer as the cfg file describes it; fields a kind does not use are 0. */
struct nn_layer_spec {
	enum nn_layer_kind kind;
	enum nn_activation activation;	/* convolutional, connected, activation, shortcut */
	enum nn_cost_type cost;		/* cost */
	uint32_t filters;		/* convolutional: output channels */
	uint32_t size;			/* convolutional, maxpool: window edge, pixels */
	uint32_t stride;		/* convolutional, maxpool: pixels */
	uint32_t padding;		/* convolutional: each side; maxpool: both sides together */
	uint32_t groups;		/* convolutional, softmax: at least 1 */
	uint32_t outputs;		/* connected */
	bool batch_normalize;		/* convolutional, connected */
	bool noloss;			/* softmax: pass the truth by */
	uint8_t n_sources;		/* shortcut: 1; route: 1..NN_MAX_SOURCES */
	uint16_t sources[NN_MAX_SOURCES];	/* earlier layers, counted in the
						 * whole network; a shortcut adds its
						 * one to the layer before it
						 */
	float probability;		/* dropout: chance that a unit is dropped, 0 <= p < 1 */
	float temperature;		/* softmax */
	float scale;			/* cost: factor on the delta */
	float learning_rate;		/* factor on the network's rate */
	float alpha;			/* shortcut: factor on the layer before it */
	float beta;			/* shortcut: factor on the source */
};

/* Work that can be done in parts, in any order and at the same time. */
typedef void nn_job(void *argument, uint32_t part, uint32_t worker);

/*
 * Threads that share the work on a segment. They belong to the caller: nn/ knows
 * none. What one computes does not depend on how many there are, nor on which
 * does what: every sum is made by one of them, in the same order.
 */
struct nn_workers {
	uint32_t count;		/* 1..NN_MAX_WORKERS */
	void *context;		/* of run() */
	/*
	 * Call @job once for each of parts 0..@parts-1; no two calls at the
	 * same time have the same worker, 0..count-1. Return when all have.
	 */
	void (*run)(void *context, nn_job *job, void *argument, uint32_t parts);
};

struct nn_spec {
	uint32_t width, height, channels;	/* of one input sample */
	uint32_t first_layer;	/* index in the whole network of layers[0] */
	uint32_t n_layers;	/* 1..NN_MAX_LAYERS */
	uint32_t micro_batch;	/* most samples in one nn_forward() */
	bool train;		/* also lay out gradients */
	bool input_delta;	/* training: the gradient of the input is wanted;
				 * ignored where first_layer is 0
				 */
	bool keeps_input;	/* room for the input and the truth in the
				 * arena: nn_input() and nn_truth()
				 */
	uint32_t seed[NN_SEED_WORDS];	/* key of dropout masks and initial
					 * weights; of a 64-bit number: low half,
					 * high half, zeros
					 */
	const struct nn_layer_spec *layers;	/* copied by nn_init() */
	const struct nn_workers *workers;	/* NULL: the caller alone; must
						 * outlive the segment
						 */
};

/*
 * Bytes of the arena, by use, each with its padding, and the sizes of what the
 * caller keeps. The same on every machine, whatever the size of its pointers.
 */
struct nn_plan {
	uint64_t weights;	/* parameters (weights, biases, scales, statistics) */
	uint64_t gradients;	/* of the parameters: training only */
	uint64_t activations;	/* training: outputs, kept; predicting: one region
				 * that outputs share, a chain of layers two at
				 * a time; input and truth where kept
				 */
	uint64_t deltas;	/* of the outputs: training only, one shared region */
	uint64_t workspace;	/* convolution columns: the largest of the layers',
				 * for each worker
				 */
	uint64_t bookkeeping;	/* layer structures */
	uint64_t total;		/* sum of the above: what nn_init() needs */
	uint64_t work;		/* multiplications for one sample, there and back */
	uint32_t inputs;	/* floats per sample */
	uint32_t outputs;	/* floats per sample */
	uint32_t truths;	/* floats per sample, see nn_truths() */
};

/*
 * What one layer needs, bytes. Activations and deltas are those of its output:
 * where layers share a region these are parts of it, not of the sum.
 */
struct nn_layer_plan {
	uint64_t weights;
	uint64_t gradients;
	uint64_t activations;
	uint64_t deltas;
	uint64_t workspace;
};

/* A segment laid out in an arena; its members are private to nn/. */
struct nn_net;

/*
 * Position of a call in the training run: random masks are a function of the
 * seed and of this, so that both worlds and every cut into micro-batches draw
 * the same ones.
 */
struct nn_step {
	uint64_t iteration;	/* batch number, counted from 0 */
	uint32_t sample;	/* first sample of this call within the batch */
	uint32_t count;		/* samples in this call, 1..micro_batch */
	bool train;		/* dropout drops, batch norm uses batch statistics;
				 * needs a segment planned to train
				 */
};

struct nn_update {
	float learning_rate;
	float momentum;
	float decay;
	uint32_t samples;	/* samples summed into the gradients since the last update */
};

enum nn_tensor_kind {
	NN_BIASES = 0,		/* (outputs) */
	NN_WEIGHTS = 1,		/* convolutional (n, c/groups, k, k); connected (outputs, inputs) */
	NN_SCALES = 2,		/* batch_normalize only, as the next two: (n) */
	NN_ROLLING_MEAN = 3,
	NN_ROLLING_VARIANCE = 4,
};
#define NN_TENSOR_KINDS 5

struct nn_shape {
	uint32_t width, height, channels;
};

/*
 * Check a specification and compute the arena it needs.
 * @bad_layer: index within the segment of the refused layer (NULL: not wanted)
 * Return NN_OK, or NN_ERR_SPEC, NN_ERR_UNSUPPORTED, NN_ERR_SIZE, NN_ERR_SOURCE.
 */
enum nn_status nn_plan(const struct nn_spec *spec, struct nn_plan *plan,
		       uint32_t *bad_layer);

/* The same, and what each layer needs: @layers has room for spec->n_layers. */
enum nn_status nn_plan_layers(const struct nn_spec *spec, struct nn_plan *plan,
			      struct nn_layer_plan *layers, uint32_t *bad_layer);

/*
 * Lay the segment out in @arena (@size bytes, aligned to NN_ARENA_ALIGNMENT)
 * and zero it; parameters start as zeros, scales as ones. The arena must
 * outlive *net, @spec need not.
 * Return what nn_plan() returns, or NN_ERR_ARENA.
 */
enum nn_status nn_init(struct nn_net **net, const struct nn_spec *spec,
		       void *arena, size_t size);

/* Draw Darknet's initial distributions from the segment's seed. */
void nn_randomize(struct nn_net *net);

/* Text for a status, for messages. */
const char *nn_strerror(enum nn_status status);

/*
 * Does @layer, the layer @boundary or a later one, read over it: a source further
 * back than the layer before it? Then nothing may be cut there. *source: that one.
 */
bool nn_reads_over(const struct nn_layer_spec *layer, uint32_t boundary,
		   uint32_t *source);

/* ---- Shapes: layer is an index within the segment, 0..n_layers-1 ---- */
uint32_t nn_inputs(const struct nn_net *net);	/* floats per sample */
uint32_t nn_outputs(const struct nn_net *net);	/* floats per sample */
struct nn_shape nn_layer_input(const struct nn_net *net, uint32_t layer);
struct nn_shape nn_layer_output(const struct nn_net *net, uint32_t layer);

/*
 * Floats per sample of the truth, when a layer of the segment owns a loss (cost,
 * softmax but for noloss): training then needs one. 0 when no layer does.
 */
uint32_t nn_truths(const struct nn_net *net);

/*
 * A parameter tensor, to be read or written in place.
 * Return its first float and set *count, or NULL when there is no such layer or
 * tensor.
 */
float *nn_tensor(struct nn_net *net, uint32_t layer, enum nn_tensor_kind kind,
		 uint32_t *count);

/*
 * The gradient of a parameter tensor, which between nn_update() and the next
 * nn_backward() is its momentum: what a checkpoint holds beside the parameters.
 * NULL when there is none: predicting, or a tensor not learned by descent.
 */
float *nn_momentum(struct nn_net *net, uint32_t layer, enum nn_tensor_kind kind,
		   uint32_t *count);

/* ---- The dynamics ---- */

/*
 * With spec.keeps_input: where the caller puts (micro_batch, inputs) and, when
 * training with nn_truths(), (micro_batch, truths), to hand them to nn_forward()
 * and nn_backward(); else NULL. Predicting, nn_forward() writes over the input.
 */
float *nn_input(struct nn_net *net);
float *nn_truth(struct nn_net *net);

/*
 * Run @step->count samples.
 * @input: (count, inputs)
 * @truth: (count, truths), or NULL when predicting or when nn_truths() is 0
 * The output, (count, outputs), is at nn_output() until the next call. A cost
 * layer passes its input on, so the output of a whole network is its prediction.
 * With a truth, losses are added to the sums behind nn_loss().
 */
void nn_forward(struct nn_net *net, const struct nn_step *step,
		const float *input, const float *truth);

/* May be the input itself, if no layer of the segment computes. */
const float *nn_output(const struct nn_net *net);

/*
 * Where the caller puts the gradient of the output, (count, outputs), before
 * nn_backward(). NULL when the last layer is a cost layer, which nothing
 * follows, or when the segment only predicts. Undefined after nn_backward(),
 * which computes in place: fill it every time, with zeros if the segment is the
 * network's end (the loss layers add their own part).
 */
float *nn_output_delta(struct nn_net *net);

/*
 * Add this call's gradients to those of the parameters; same arguments as the
 * nn_forward() before it, with @input and @truth unchanged. Training only.
 * The gradient of the input, (count, inputs), is at nn_input_delta() afterwards
 * if the specification asked for it (else NULL).
 */
void nn_backward(struct nn_net *net, const struct nn_step *step,
		 const float *input, const float *truth);
const float *nn_input_delta(const struct nn_net *net);

/*
 * Apply the gradients (SGD with momentum and decay, as Darknet) and fade them:
 * the same memory carries the momentum to the next batch.
 */
void nn_update(struct nn_net *net, const struct nn_update *update);

/*
 * Loss since the last nn_loss_reset(), summed over samples and layers: divide by
 * the samples and by what is returned for the printed loss.
 * Return how many layers that loss is the mean of. As in Darknet these are all
 * cost and softmax layers, even a softmax with noloss, which adds nothing.
 */
uint32_t nn_loss(const struct nn_net *net, double *sum);
void nn_loss_reset(struct nn_net *net);

#endif /* NN_H */
