/* SPDX-License-Identifier: MIT */
/*
 * The model builder and the arithmetic, without the commands before them: an
 * input is a specification that mostly makes sense, see read_spec(), then the
 * numbers to compute with.
 *
 * Claims: what nn_plan() says is what nn_init() needs, to the byte, and all that
 * is used (an arena of exactly that size under ASan); one byte less is refused
 * and a plan is the same twice; shapes chain; input and truth are only read;
 * while predicting, a sample's output does not depend on its neighbours', nor on
 * layers sharing their memory: a segment laid out to train, where none do, gives
 * the same bits.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#define LAYERS_MAX	12
#define ARENA_MAX	((size_t)256 << 10)
#define DIRTY		0xcd	/* what fresh memory holds */

/* ---- The specification ---- */

/* 1..@usual from a byte below f0, anything from a word else. */
static uint32_t read_count(struct fuzz_input *input, uint32_t usual)
{
	uint8_t byte = fuzz_byte(input);

	return byte < 0xf0 ? 1 + byte % usual : fuzz_word(input);
}

/* A chance, a factor: sixteenths below f0, any float else. */
static float read_part(struct fuzz_input *input)
{
	uint8_t byte = fuzz_byte(input);

	return byte < 0xf0 ? (float)(byte % 32) / 16.0f : fuzz_float(input);
}

/* Layers before layer @index of the network, the nearest first. */
static void read_sources(struct fuzz_input *input, uint32_t index,
			 struct nn_layer_spec *layer)
{
	uint32_t i = 0;

	layer->n_sources = (uint8_t)(read_count(input, 2) % (NN_MAX_SOURCES + 1));
	for (i = 0; i < layer->n_sources; i++)
		layer->sources[i] = (uint16_t)(index - read_count(input, 4));
	layer->alpha = read_part(input);
	layer->beta = read_part(input);
}

/* The fields that most kinds use, and those of the kinds with sources. */
static void read_layer(struct fuzz_input *input, uint32_t index,
		       struct nn_layer_spec *layer)
{
	*layer = (struct nn_layer_spec){
		.kind = (enum nn_layer_kind)read_count(input, NN_ROUTE),
		.activation = (enum nn_activation)(read_count(input, NN_LHTAN + 1) - 1),
		.cost = (enum nn_cost_type)(read_count(input, NN_COST_SMOOTH + 1) - 1),
		.filters = read_count(input, 8),
		.size = read_count(input, 5),
		.stride = read_count(input, 3),
		.padding = read_count(input, 4) - 1,
		.groups = read_count(input, 2),
		.outputs = read_count(input, 20),
		.batch_normalize = fuzz_below(input, 2),
		.noloss = fuzz_below(input, 2),
		.probability = read_part(input),
		.temperature = read_part(input),
		.scale = read_part(input),
		.learning_rate = read_part(input),
	};
	if (layer->kind == NN_SHORTCUT || layer->kind == NN_ROUTE)
		read_sources(input, index, layer);
}

static void read_spec(struct fuzz_input *input, struct nn_spec *spec,
		      struct nn_layer_spec layers[LAYERS_MAX])
{
	uint8_t flags = fuzz_byte(input);
	uint32_t i = 0;

	*spec = (struct nn_spec){
		.width = read_count(input, 16),
		.height = read_count(input, 16),
		.channels = read_count(input, 4),
		.first_layer = flags & 4 ? read_count(input, 16) : 0,
		.n_layers = 1 + fuzz_below(input, LAYERS_MAX),
		.micro_batch = read_count(input, 4),
		.train = flags & 1,
		.input_delta = flags & 2,
		.keeps_input = flags & 8,
		.seed = { fuzz_byte(input) },
		.layers = layers,
	};
	for (i = 0; i < spec->n_layers; i++)
		read_layer(input, spec->first_layer + i, &layers[i]);
}

/* ---- Claims ---- */

static void check_refusal(const struct nn_spec *spec, enum nn_status status,
			  uint32_t bad_layer)
{
	fuzz_check(status == NN_ERR_SPEC || status == NN_ERR_UNSUPPORTED
		   || status == NN_ERR_SIZE || status == NN_ERR_SOURCE);
	fuzz_check(bad_layer < spec->n_layers);
	fuzz_check(nn_strerror(status));
}

static void check_layer_plans(const struct nn_spec *spec,
			      const struct nn_plan *plan,
			      const struct nn_layer_plan layers[LAYERS_MAX])
{
	struct nn_plan sum = { 0 };
	uint32_t i = 0;

	for (i = 0; i < spec->n_layers; i++) {
		sum.weights += layers[i].weights;
		sum.gradients += layers[i].gradients;
		fuzz_check(layers[i].workspace <= plan->workspace);
		fuzz_check(layers[i].activations <= plan->activations);
		fuzz_check(layers[i].deltas <= plan->deltas);
	}
	fuzz_check(sum.weights == plan->weights);
	fuzz_check(sum.gradients == plan->gradients);
}

static void check_plan(const struct nn_spec *spec, const struct nn_plan *plan)
{
	struct nn_layer_plan layers[LAYERS_MAX];
	struct nn_plan again = { 0 };

	fuzz_check(nn_plan_layers(spec, &again, layers, NULL) == NN_OK);
	fuzz_check(!memcmp(plan, &again, sizeof(again)));
	check_layer_plans(spec, plan, layers);
	fuzz_check(plan->total == plan->weights + plan->gradients
				  + plan->activations + plan->deltas
				  + plan->workspace + plan->bookkeeping);
	if (!spec->train)
		fuzz_check(plan->gradients == 0 && plan->deltas == 0);
}

static size_t floats_of(struct nn_shape shape)
{
	return (size_t)shape.width * shape.height * shape.channels;
}

static void check_shapes(const struct nn_net *net, const struct nn_spec *spec,
			 const struct nn_plan *plan)
{
	fuzz_check(nn_inputs(net) == plan->inputs);
	fuzz_check(nn_outputs(net) == plan->outputs);
	fuzz_check(nn_truths(net) == plan->truths);
	fuzz_check(floats_of(nn_layer_input(net, 0)) == plan->inputs);
	fuzz_check(floats_of(nn_layer_output(net, spec->n_layers - 1))
		   == plan->outputs);
}

/* ---- Computing ---- */

struct run {
	struct fuzz_input *input;
	const struct nn_spec *spec;
	const struct nn_plan *plan;
	struct nn_net *net;
	float *samples;		/* (micro_batch, inputs) */
	float *truth;		/* (micro_batch, truths) or NULL */
};

static float *make_floats(struct fuzz_input *input, size_t n)
{
	float *floats = fuzz_allocate(n * sizeof(*floats));

	fuzz_floats(input, floats, n);
	return floats;
}

static uint64_t cost_of(struct nn_net *net, const struct nn_spec *spec)
{
	uint64_t cost = 0;
	uint32_t i = 0;

	for (i = 0; i < spec->n_layers; i++) {
		uint32_t weights = 0;

		nn_tensor(net, i, NN_WEIGHTS, &weights);
		cost += fuzz_layer_cost(nn_layer_input(net, i),
					nn_layer_output(net, i), weights,
					spec->layers[i].size);
	}
	return cost * spec->micro_batch;
}

/* The samples from @first on, where the segment wants them. */
static const float *give(struct run *run, uint32_t first, uint32_t count)
{
	size_t inputs = run->plan->inputs;
	const float *from = run->samples + first * inputs;
	float *to = nn_input(run->net);

	fuzz_check(!to == !run->spec->keeps_input);
	if (!to)
		return from;
	memcpy(to, from, count * inputs * sizeof(*to));
	return to;
}

static const float *give_truth(struct run *run, uint32_t count)
{
	float *to = nn_truth(run->net);

	if (!to)
		return run->truth;
	memcpy(to, run->truth, (size_t)count * run->plan->truths * sizeof(*to));
	return to;
}

static void load_parameters(struct run *run)
{
	uint32_t layer = 0;
	uint32_t count = 0;
	int kind = 0;

	for (layer = 0; layer < run->spec->n_layers; layer++)
		for (kind = 0; kind < NN_TENSOR_KINDS; kind++) {
			float *tensor = nn_tensor(run->net, layer,
						  (enum nn_tensor_kind)kind,
						  &count);

			if (tensor && fuzz_below(run->input, 4) == 3)
				fuzz_floats(run->input, tensor, count);
		}
	fuzz_check(!nn_tensor(run->net, run->spec->n_layers, NN_BIASES, &count));
}

static void train(struct run *run)
{
	struct nn_update update = {
		.learning_rate = fuzz_float(run->input),
		.momentum = fuzz_float(run->input),
		.decay = fuzz_float(run->input),
		.samples = read_count(run->input, 8),
	};
	struct nn_step step = {
		.iteration = fuzz_word(run->input),
		.sample = fuzz_byte(run->input),
		.count = 1 + fuzz_byte(run->input) % run->spec->micro_batch,
		.train = true,
	};
	const float *input = give(run, 0, step.count);
	const float *truth = give_truth(run, step.count);
	float *delta = nn_output_delta(run->net);
	double sum = 0;

	nn_forward(run->net, &step, input, truth);
	if (delta)
		fuzz_floats(run->input, delta,
			    (size_t)step.count * run->plan->outputs);
	nn_backward(run->net, &step, input, truth);
	fuzz_check(!memcmp(input, run->samples,
			   (size_t)step.count * run->plan->inputs * sizeof(*input)));
	nn_update(run->net, &update);
	fuzz_check(nn_loss(run->net, &sum) > 0 || run->plan->truths == 0);
	nn_loss_reset(run->net);
}

static bool same(float a, float b)
{
	return !memcmp(&a, &b, sizeof(a)) || (a != a && b != b);
}

/* All samples in one call, then the last one by itself. */
static void predict(struct run *run)
{
	uint32_t last = run->spec->micro_batch - 1;
	size_t outputs = run->plan->outputs;
	struct nn_step step = { .count = last + 1 };
	float *kept = fuzz_allocate(outputs * sizeof(*kept));
	size_t i = 0;

	nn_forward(run->net, &step, give(run, 0, step.count), NULL);
	memcpy(kept, nn_output(run->net) + last * outputs,
	       outputs * sizeof(*kept));
	step.count = 1;
	nn_forward(run->net, &step, give(run, last, 1), NULL);
	for (i = 0; i < outputs; i++)
		fuzz_check(same(kept[i], nn_output(run->net)[i]));
	free(kept);
}

static void copy_parameters(struct nn_net *to, struct nn_net *from,
			    uint32_t n_layers)
{
	uint32_t layer = 0;
	int kind = 0;

	for (layer = 0; layer < n_layers; layer++)
		for (kind = 0; kind < NN_TENSOR_KINDS; kind++) {
			enum nn_tensor_kind tensor = (enum nn_tensor_kind)kind;
			uint32_t counts[2] = { 0 };
			const float *source = nn_tensor(from, layer, tensor, &counts[0]);
			float *target = nn_tensor(to, layer, tensor, &counts[1]);

			fuzz_check(!source == !target && counts[0] == counts[1]);
			if (source)
				memcpy(target, source, counts[0] * sizeof(*target));
		}
}

/* Predict with the same parameters in a segment that keeps every output. */
static void check_sharing(struct run *run)
{
	const struct nn_step step = { .count = run->spec->micro_batch };
	size_t n = (size_t)step.count * run->plan->outputs;
	struct nn_spec spec = *run->spec;
	struct nn_plan plan = { 0 };
	struct nn_net *net = NULL;
	void *arena = NULL;
	size_t i = 0;

	spec.train = true;
	spec.keeps_input = false;
	if (nn_plan(&spec, &plan, NULL) != NN_OK || plan.total > 4 * ARENA_MAX)
		return;
	arena = aligned_alloc(NN_ARENA_ALIGNMENT, plan.total);
	fuzz_check(arena && nn_init(&net, &spec, arena, plan.total) == NN_OK);
	copy_parameters(net, run->net, spec.n_layers);
	nn_forward(net, &step, run->samples, NULL);
	nn_forward(run->net, &step, give(run, 0, step.count), NULL);
	for (i = 0; i < n; i++)
		fuzz_check(same(nn_output(net)[i], nn_output(run->net)[i]));
	free(arena);
}

static void compute(struct run *run)
{
	size_t inputs = (size_t)run->spec->micro_batch * run->plan->inputs;
	size_t truths = (size_t)run->spec->micro_batch * run->plan->truths;
	float *copy = fuzz_allocate(inputs * sizeof(*copy));

	run->samples = make_floats(run->input, inputs);
	run->truth = truths ? make_floats(run->input, truths) : NULL;
	memcpy(copy, run->samples, inputs * sizeof(*copy));
	load_parameters(run);
	if (run->spec->train) {
		train(run);
		train(run);
	}
	predict(run);
	if (!run->spec->train)
		check_sharing(run);
	fuzz_check(!memcmp(copy, run->samples, inputs * sizeof(*copy)));
	free(copy);
	free(run->samples);
	free(run->truth);
}

static void build(struct fuzz_input *input, const struct nn_spec *spec,
		  const struct nn_plan *plan)
{
	struct run run = { .input = input, .spec = spec, .plan = plan };
	void *arena = aligned_alloc(NN_ARENA_ALIGNMENT, plan->total);

	fuzz_check(arena);
	memset(arena, DIRTY, plan->total);
	fuzz_check(nn_init(&run.net, spec, arena, plan->total - 1) == NN_ERR_ARENA);
	fuzz_check(nn_init(&run.net, spec, arena, plan->total) == NN_OK);
	check_shapes(run.net, spec, plan);
	if (spec->train)
		nn_randomize(run.net);
	if (cost_of(run.net, spec) <= FUZZ_COST_MAX)
		compute(&run);
	free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	struct nn_layer_spec layers[LAYERS_MAX];
	struct nn_spec spec = { 0 };
	struct nn_plan plan = { 0 };
	uint32_t bad_layer = 0;
	enum nn_status status = NN_OK;

	read_spec(&input, &spec, layers);
	status = nn_plan(&spec, &plan, &bad_layer);
	if (status != NN_OK) {
		check_refusal(&spec, status, bad_layer);
		return 0;
	}
	check_plan(&spec, &plan);
	if (plan.total <= ARENA_MAX)
		build(&input, &spec, &plan);
	return 0;
}
