/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "chain.h"
#include "message.h"
#include "plan.h"

/* ---- Building ---- */

/* Floats of the truth that layers @first.. compare with; 0 if none does. */
static uint32_t truths_of(const struct network *network, uint32_t first,
			  uint32_t count)
{
	uint32_t i = 0;

	for (i = first; i < first + count; i++)
		if (network_owns_loss(&network->layers[i]))
			return network_floats(network->layers[i].input);
	return 0;
}

static void add_segment(struct chain *chain, uint32_t first, uint32_t end,
			bool train)
{
	const struct network *network = chain->network;
	const struct network_layer *layers = network->layers;
	uint32_t frozen = chain->partition->frozen;

	if (first == end)
		return;
	chain->segments[chain->n_segments++] = (struct segment){
		.first = first,
		.count = end - first,
		.inputs = network_floats(layers[first].input),
		.outputs = network_floats(layers[end - 1].output),
		.truths = truths_of(network, first, end - first),
		.learns = train && first >= frozen,
		.passes_back = train && first > frozen,
		.last = end == network->n_layers,
	};
}

/* Cut the layers where the frozen ones end and where the partition does. */
static void cut(struct chain *chain, bool train)
{
	const struct partition *partition = chain->partition;
	uint32_t n = chain->network->n_layers;
	uint32_t frozen = partition->frozen;

	add_segment(chain, 0, frozen, train);
	if (!partition->secure) {
		add_segment(chain, frozen, n, train);
		return;
	}
	add_segment(chain, frozen, partition->start, train);
	add_segment(chain, partition->start, partition->end + 1, train);
	add_segment(chain, partition->end + 1, n, train);
}

static bool is_secure(const struct chain *chain, const struct segment *segment)
{
	return partition_holds(chain->partition, segment->first);
}

/* Choose the micro-batch by what the secure world has room for. */
static int plan_secure(const struct segment *segment,
		       struct segment_build *build, struct tee *tee)
{
	struct plan_request request = {
		.network = build->network, .train = build->train,
	};
	struct plan *plan = NULL;
	uint32_t room = 0;
	int status = tee_check_version(tee, &room);

	if (status)
		return status;
	plan = malloc(sizeof(*plan));
	if (!plan)
		return message_no_memory("a plan");
	request.room = room;
	status = plan_partition(plan, &request, segment->first,
				segment->first + segment->count - 1);
	if (!status && !plan->micro_batch)
		status = plan_report_misfit(plan);
	if (!status && plan->micro_batch != build->micro_batch)
		message_note("secure memory: %u images are computed in parts of %u (%llu bytes of %u)",
			     build->micro_batch, plan->micro_batch,
			     (unsigned long long)plan_bytes(plan), room);
	build->micro_batch = plan->micro_batch;
	free(plan);
	return status;
}

static int build_secure(struct segment *segment, struct segment_build *build,
			struct tee *tee)
{
	struct tee_memory memory = { 0 };
	int status = plan_secure(segment, build, tee);

	if (!status)
		status = segment_build_secure(segment, build, tee, &memory);
	/* Planned to fit: then its heap is not what VERSION told. */
	if (!status && !memory.fits)
		status = tee_report_no_memory(&memory, build->micro_batch);
	return status;
}

/* The secure segment first: its memory decides about the micro-batch. */
static int build_segments(struct chain *chain, struct segment_build *build,
			  struct tee *tee)
{
	uint32_t i = 0;
	int status = 0;

	for (i = 0; i < chain->n_segments && !status; i++)
		if (is_secure(chain, &chain->segments[i]))
			status = build_secure(&chain->segments[i], build, tee);
	for (i = 0; i < chain->n_segments && !status; i++)
		if (!is_secure(chain, &chain->segments[i]))
			status = segment_build_normal(&chain->segments[i],
						      build);
	return status;
}

int chain_build(struct chain *chain, const struct network *network,
		const struct partition *partition, struct tee *tee,
		const struct seed *seed, const struct nn_workers *workers,
		bool train)
{
	struct segment_build build = {
		.network = network,
		.seed = seed,
		.micro_batch = train ? network->batch / network->subdivisions :
				       1,
		.train = train,
		.workers = workers,
	};
	int status = 0;

	*chain = (struct chain){ .network = network, .partition = partition };
	cut(chain, train);
	status = build_segments(chain, &build, tee);
	chain->micro_batch = build.micro_batch;
	if (status)
		chain_free(chain);
	return status;
}

void chain_free(struct chain *chain)
{
	uint32_t i = 0;

	for (i = 0; i < chain->n_segments; i++)
		if (chain->segments[i].world)
			chain->segments[i].world->release(&chain->segments[i]);
	*chain = (struct chain){ 0 };
}

/* ---- The dynamics ---- */

/* @inputs gets what each segment was given. */
static int forward(struct chain *chain, const struct segment_step *step,
		   const float *input, const float *truth,
		   const float *inputs[CHAIN_SEGMENTS], const float **output)
{
	uint32_t i = 0;
	int status = 0;

	for (i = 0; i < chain->n_segments && !status; i++) {
		struct segment *segment = &chain->segments[i];

		inputs[i] = input;
		status = segment->world->forward(segment, step, input,
						 segment->truths ? truth : NULL,
						 &input);
	}
	*output = input;
	return status;
}

int chain_predict(struct chain *chain, const float *input, const float **output)
{
	const struct segment_step step = { .at = { .count = 1 } };
	const float *inputs[CHAIN_SEGMENTS] = { NULL };

	return forward(chain, &step, input, NULL, inputs, output);
}

int chain_train(struct chain *chain, const struct segment_step *step,
		const float *input, const float *truth)
{
	const float *inputs[CHAIN_SEGMENTS] = { NULL };
	const float *delta = NULL;
	const float *output = NULL;
	int status = forward(chain, step, input, truth, inputs, &output);
	uint32_t i = chain->n_segments;

	while (i-- && !status && chain->segments[i].learns) {
		struct segment *segment = &chain->segments[i];

		status = segment->world->backward(segment, step, inputs[i],
						  segment->truths ? truth :
								    NULL,
						  delta, &delta);
	}
	return status;
}

double chain_take_loss(struct chain *chain)
{
	double total = 0.0;
	uint32_t layers = 0;
	uint32_t i = 0;

	for (i = 0; i < chain->n_segments; i++) {
		struct segment *segment = &chain->segments[i];
		double sum = 0.0;

		if (is_secure(chain, segment))
			continue;
		layers += nn_loss(segment->net, &sum);
		total += sum;
		nn_loss_reset(segment->net);
	}
	return layers ? total / layers : 0.0;
}

/* ---- Parameters ---- */

static struct segment *segment_of(struct chain *chain, uint32_t layer)
{
	uint32_t i = 0;

	while (layer >= chain->segments[i].first + chain->segments[i].count)
		i++;
	return &chain->segments[i];
}

int chain_load(struct chain *chain, uint32_t layer, uint32_t tensor,
	       uint32_t first, const float *values, uint32_t count)
{
	struct segment *segment = segment_of(chain, layer);

	return segment->world->load(segment, layer, tensor, first, values, count);
}

int chain_save(struct chain *chain, uint32_t layer, uint32_t tensor,
	       uint32_t first, float *values, uint32_t count)
{
	struct segment *segment = segment_of(chain, layer);

	return segment->world->save(segment, layer, tensor, first, values, count);
}
