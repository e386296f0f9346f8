/* SPDX-License-Identifier: MIT */
/*
 * What the files of nn/ share and nobody else sees: the layer, the table of
 * functions that each kind fills in, the arena, and the common kernels.
 *
 * A layer kind is one file with one `struct nn_layer_ops`.
 */
#ifndef NN_INTERNAL_H
#define NN_INTERNAL_H

#include "nn.h"
#include "nn_random.h"

/* ---- The arena ---- */

enum nn_use {
	NN_USE_WEIGHTS,
	NN_USE_GRADIENTS,
	NN_USE_ACTIVATIONS,
	NN_USE_DELTAS,
	NN_USE_WORKSPACE,
	NN_USE_BOOKKEEPING,
	NN_USES,
};

/* Without a base it only counts: the same code plans and lays out. */
struct nn_arena {
	uint8_t *base;
	uint64_t used;
	uint64_t used_by[NN_USES];
	bool too_large;		/* something asked for passed a limit */
	const struct nn_value *values;	/* of the layers laid out so far */
};

/* Bytes taken for @bytes. */
static inline uint64_t nn_padded(uint64_t bytes)
{
	return bytes + (NN_ARENA_ALIGNMENT - bytes % NN_ARENA_ALIGNMENT)
		       % NN_ARENA_ALIGNMENT;
}

/* @count zeroed things of @size bytes; NULL when only counting. */
void *nn_arena_take(struct nn_arena *arena, enum nn_use use, uint64_t count,
		    size_t size);
float *nn_arena_floats(struct nn_arena *arena, enum nn_use use, uint64_t count);

/* ---- Values: what passes between layers ---- */

/*
 * Value 0 is the input of the segment, value i + 1 the output of layer i. In
 * between, time is counted the same way: at time i + 1 layer i runs, forward
 * and backward. A value (predicting) or its delta (training) takes memory from
 * its birth to its last use; those that never meet may share it.
 */
struct nn_value {
	struct nn_shape shape;
	uint32_t floats;	/* per sample */
	uint16_t owner;		/* the value that has its memory; itself, unless
				 * a layer passes its input on
				 */
	uint16_t born;		/* time of its layer */
	uint16_t last;		/* time of the last layer that reads it */
	uint32_t units;		/* of NN_ARENA_ALIGNMENT bytes, to be placed */
	uint32_t at;		/* where, in units from the start of the region */
};

#define NN_MAX_VALUES	(NN_MAX_LAYERS + 1)

/*
 * Place @n values, in order of birth, so that those alive at the same time do
 * not overlap.
 * Return the units of the region; it may pass UINT32_MAX, and places are then
 * meaningless.
 */
uint64_t nn_place(struct nn_value *values, uint32_t n);

/* ---- Layers ---- */

struct nn_layer;

/* A further value that a layer reads, as it sees it during a call. */
struct nn_source {
	struct nn_shape shape;
	uint32_t floats;	/* per sample */
	const float *value;	/* (count, floats) */
	float *delta;		/* backward: (count, floats) to add to, or NULL */
};

/* One call of nn_forward() or nn_backward(), as a layer sees it. */
struct nn_call {
	const struct nn_step *step;
	const float *input;	/* (count, inputs) */
	const float *truth;	/* (count, inputs) of a loss layer, or NULL */
	float *delta;		/* backward: (count, outputs), free to change;
				 * NULL: of a layer that passes
				 */
	float *input_delta;	/* backward: (count, inputs) to add to, or NULL */
	float *workspace;	/* (workspace_floats) of the layer, one worker's */
	const struct nn_workers *workers;
	struct nn_source source[NN_MAX_SOURCES];	/* of spec.n_sources */
};

struct nn_layer_ops {
	/*
	 * Check layer->spec, set the output shape and what the kind needs,
	 * take parameters. The output buffer is not its business.
	 */
	enum nn_status (*layout)(struct nn_layer *layer,
				 const struct nn_spec *spec,
				 struct nn_arena *arena);
	void (*forward)(struct nn_layer *layer, const struct nn_call *call);
	void (*backward)(struct nn_layer *layer, const struct nn_call *call);
	void (*randomize)(struct nn_layer *layer, struct nn_random *random);
};

struct nn_parameter {
	float *value;
	float *gradient;	/* NULL: predicting, or not learned by descent */
	uint32_t count;
};

struct nn_layer {
	struct nn_layer_spec spec;
	const struct nn_layer_ops *ops;
	struct nn_shape in, out;
	uint32_t inputs, outputs;	/* floats per sample */
	struct nn_parameter parameter[NN_TENSOR_KINDS];
	uint32_t workspace_floats;
	uint16_t last;		/* of its value: see struct nn_value */
	bool passes;		/* its output is its input: no buffer */
	bool owns_loss;		/* compares with the truth */
	bool reports_loss;	/* counts in the mean of the losses, be it as 0 */
	float *output;		/* (micro_batch, outputs); NULL: the input's */
	float *delta;		/* training: (micro_batch, outputs); NULL: passes */
	float *unnormalized;	/* batch norm, training: (micro_batch, outputs) */
	float *mean;		/* batch norm, training: (channels), this call's */
	float *variance;	/* the same */
	uint32_t dropout_key[NN_KEY_WORDS];
	double loss;		/* since nn_loss_reset() */
};

struct nn_net {
	struct nn_layer *layers;
	uint32_t n_layers;
	uint32_t first_layer;
	uint32_t inputs, outputs, truths;	/* floats per sample */
	uint32_t seed[NN_SEED_WORDS];
	uint16_t input_last;	/* of value 0: see struct nn_value */
	bool train;
	float *input;		/* (micro_batch, inputs); NULL: not kept */
	float *truth;		/* (micro_batch, truths); NULL: not kept */
	float *input_delta;	/* (micro_batch, inputs); NULL: not wanted */
	float *workspace;	/* one for each worker */
	const struct nn_workers *workers;	/* NULL: none */
	const float *result;	/* of the last nn_forward() */
};

/*
 * Bytes reserved for these in an arena: enough on every machine, so that a plan
 * made on one holds on the other.
 */
#define NN_NET_BYTES	112
#define NN_LAYER_BYTES	336

/* Does the layer read the one before it, beside its sources? */
static inline bool nn_reads_previous(const struct nn_layer_spec *spec)
{
	return spec->kind != NN_ROUTE;
}

extern const struct nn_layer_ops nn_convolutional_ops;
extern const struct nn_layer_ops nn_maxpool_ops;
extern const struct nn_layer_ops nn_avgpool_ops;
extern const struct nn_layer_ops nn_connected_ops;
extern const struct nn_layer_ops nn_dropout_ops;
extern const struct nn_layer_ops nn_softmax_ops;
extern const struct nn_layer_ops nn_cost_ops;
extern const struct nn_layer_ops nn_batchnorm_ops;
extern const struct nn_layer_ops nn_activation_ops;
extern const struct nn_layer_ops nn_shortcut_ops;
extern const struct nn_layer_ops nn_route_ops;

static inline size_t nn_pixels(struct nn_shape shape)
{
	return (size_t)shape.width * shape.height;
}

/* ---- Sharing work ---- */

/* Items @first..@end-1 of a layer's work; @call has the worker's own workspace. */
typedef void nn_part(struct nn_layer *layer, const struct nn_call *call,
		     size_t first, size_t end);

/*
 * Do items 0..@n-1, independent of each other, in parts of whole multiples of
 * @grain items (but for the last): by the workers at the same time, or in one
 * part by the caller.
 */
void nn_share(struct nn_layer *layer, const struct nn_call *call, size_t n,
	      size_t grain, nn_part *part);

/* The least items worth a part when each means going over @floats once or twice. */
size_t nn_grain(size_t floats);

/* The samples of the call, each so many floats to go over. */
void nn_share_samples(struct nn_layer *layer, const struct nn_call *call,
		      size_t floats, nn_part *part);

/* ---- Layout helpers ---- */

bool nn_is_finite(float x);

/* Set *floats; false beyond NN_MAX_TENSOR_FLOATS. */
bool nn_shape_floats(struct nn_shape shape, uint32_t *floats);

/*
 * Set layer->out and layer->outputs.
 * Return NN_ERR_SPEC if one of them is 0, NN_ERR_SIZE beyond the limit.
 */
enum nn_status nn_layout_shape(struct nn_layer *layer, struct nn_shape out);

/*
 * Positions of a window of @size along an edge of @length pixels of which
 * @padding (both ends together) are added; 0 when the window does not fit.
 */
uint32_t nn_window_positions(uint32_t length, uint64_t padding, uint32_t size,
			     uint32_t stride);

/* Value @source of the layer's spec; valid, and laid out before the layer. */
const struct nn_value *nn_layout_source(const struct nn_layer *layer,
					const struct nn_spec *spec,
					const struct nn_arena *arena,
					uint32_t source);

/* A parameter tensor, with room for its gradient when @learned and training. */
void nn_layout_parameter(struct nn_layer *layer, const struct nn_spec *spec,
			 struct nn_arena *arena, enum nn_tensor_kind kind,
			 uint64_t count, bool learned);

/*
 * What convolutional and connected layers have in common: biases, batch norm
 * and a valid activation. After nn_layout_shape().
 */
enum nn_status nn_layout_affine(struct nn_layer *layer,
				const struct nn_spec *spec,
				struct nn_arena *arena);

/*
 * Scales and statistics of batch normalisation. Refused when training could see
 * a single value only, whose variance is undefined.
 * @learned: scales have gradients
 */
enum nn_status nn_layout_normalization(struct nn_layer *layer,
				       const struct nn_spec *spec,
				       struct nn_arena *arena, bool learned);

/* ---- Kernels ---- */

#define NN_TILE_ROWS	6	/* that a matrix product computes together */

/* Element (i, k) is at[i * row + k * column]. */
struct nn_matrix {
	const float *at;
	size_t row, column;
};

/*
 * c (m, n) += a (m, k) b (k, n); rows of b and c are contiguous. Each element
 * is a running sum over k in order, so cutting k between calls changes nothing.
 */
void nn_gemm(size_t m, size_t n, size_t k, struct nn_matrix a, const float *b,
	     size_t b_row, float *c, size_t c_row);

/*
 * c (m, n) += a (m, k) times the transpose of b (n, k); rows of a and b are
 * contiguous. Each product sum is made in eight interleaved partial sums,
 * added up in a fixed order, then added to c.
 */
void nn_gemm_transposed(size_t m, size_t n, size_t k, const float *a,
			size_t a_row, const float *b, size_t b_row, float *c,
			size_t c_row);

/* x := activation(x) */
void nn_activate(enum nn_activation activation, float *x, size_t n);

/* delta := delta * activation'(y), as a function of the activation's output. */
void nn_activation_gradient(enum nn_activation activation, const float *y,
			    float *delta, size_t n);

/* to[] += from[] */
void nn_add(float *to, const float *from, size_t n);

/* to[] += factor * from[] */
void nn_add_scaled(float *to, const float *from, float factor, size_t n);

/* After the product: normalisation or biases, then the activation. */
void nn_affine_forward(struct nn_layer *layer, const struct nn_call *call);

/*
 * Turn call->delta into the gradient of the product, adding to the gradients
 * of biases and scales on the way.
 */
void nn_affine_backward(struct nn_layer *layer, const struct nn_call *call);

#endif /* NN_INTERNAL_H */
