/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "message.h"
#include "plan.h"

#define PAGE 4096u	/* of OP-TEE, on every machine */

/*
 * Multiplications of one call: some two seconds on an emulated processor. OP-TEE
 * may hold the processor all that time, and Linux has a watchdog for that.
 */
#define LONGEST_CALL 200000000u

struct nn_spec plan_spec(const struct network *network, uint32_t first,
			 uint32_t count, struct nn_layer_spec *layers)
{
	const struct nn_shape *input = &network->layers[first].input;
	uint32_t i = 0;

	for (i = 0; i < count; i++)
		layers[i] = network->layers[first + i].spec;
	return (struct nn_spec){
		.width = input->width,
		.height = input->height,
		.channels = input->channels,
		.first_layer = first,
		.n_layers = count,
		.layers = layers,
	};
}

/* The whole network, as the application would have it. */
static void start(struct plan *plan, const struct plan_request *request)
{
	const struct network *network = request->network;
	uint32_t part = network->batch / network->subdivisions;
	uint32_t i = 0;

	*plan = (struct plan){
		.request = *request,
		.samples = request->train ? part : 1,
		.room = {
			.model = request->room,
			.whole = request->train && network_normalizes(network),
			.work = LONGEST_CALL,
		},
	};
	plan->room.samples = plan->samples;
	if (request->micro_batch) {
		plan->room.samples = request->micro_batch;
		plan->room.whole = true;
	}
	plan->spec = plan_spec(network, 0, network->n_layers, plan->specs);
	plan->spec.train = request->train;
	plan->spec.input_delta = true;
	plan->spec.keeps_input = true;
	for (i = 0; i < network->n_layers; i++)
		plan->inputs[i] = network->layers[i].input;
}

/* Narrow the specification to the partition. */
static void narrow(struct plan *plan, uint32_t first, uint32_t last)
{
	plan->first = first;
	plan->last = last;
	plan->spec = nn_part(&plan->spec, plan->inputs, first, last);
}

int plan_check_layers(struct plan *plan, const struct network *network)
{
	struct nn_spec whole = plan_spec(network, 0, network->n_layers,
					 plan->specs);
	uint32_t bad_layer = 0;
	enum nn_status result = NN_ERR_SPEC;

	whole.micro_batch = 1;
	result = nn_plan(&whole, &plan->total, &bad_layer);
	if (result == NN_OK)
		return 0;
	return network_refuse_layer(network, bad_layer, nn_strerror(result));
}

int plan_partition(struct plan *plan, const struct plan_request *request,
		   uint32_t first, uint32_t last)
{
	uint32_t bad_layer = 0;
	enum nn_status result = NN_ERR_SPEC;

	start(plan, request);
	narrow(plan, first, last);
	nn_fit_micro_batch(&plan->spec, &plan->room, &plan->total,
			   &plan->micro_batch);
	plan->spec.micro_batch = plan->micro_batch;
	if (!plan->micro_batch)
		plan->spec.micro_batch = plan->room.whole ? plan->room.samples : 1;
	/* Once more, for the layers and, where one is refused, which. */
	result = nn_plan_layers(&plan->spec, &plan->total, plan->layers,
				&bad_layer);
	if (result == NN_OK)
		return 0;
	return network_refuse_layer(request->network, first + bad_layer,
				    nn_strerror(result));
}

bool plan_largest(struct plan *plan, const struct plan_request *request,
		  const struct nn_choice *choice,
		  struct nn_partition *partition)
{
	start(plan, request);
	return nn_fit_partition(&plan->spec, plan->inputs, &plan->room, choice,
				partition);
}

uint64_t plan_bytes(const struct plan *plan)
{
	return plan->total.total + NN_MODEL_EXTRA;
}

uint64_t plan_heap(const struct plan *plan)
{
	return nn_heap(&plan->total, PAGE);
}

/* ---- What would fit ---- */

static void suggest(const struct plan *plan, const char *what,
		    const struct nn_choice *choice)
{
	struct plan *other = malloc(sizeof(*other));
	struct nn_partition partition = { 0 };

	if (other && plan_largest(other, &plan->request, choice, &partition))
		message_note("the largest partition that fits and %s: %u:%u",
			     what, partition.first, partition.last);
	free(other);
}

static void suggest_partitions(const struct plan *plan)
{
	const struct nn_choice same_end = {
		.first_max = plan->last, .last_min = plan->last,
		.last_max = plan->last,
	};
	const struct nn_choice same_start = {
		.first_min = plan->first, .first_max = plan->first,
		.last_min = plan->first, .last_max = plan->last,
	};

	suggest(plan, "ends alike", &same_end);
	suggest(plan, "starts alike", &same_start);
}

int plan_report_misfit(const struct plan *plan)
{
	uint32_t samples = plan->spec.micro_batch;
	int status = message_failed("not enough secure memory for partition %u:%u: it needs %llu bytes of secure heap to compute %u image%s at a time, the application has %llu",
				    plan->first, plan->last,
				    (unsigned long long)plan_bytes(plan),
				    samples, samples == 1 ? "" : "s",
				    (unsigned long long)plan->room.model);

	if (plan->room.whole && samples > 1 && !plan->request.micro_batch)
		message_note("batch normalisation needs the whole batch at once, so it cannot be computed in smaller parts: reduce batch, or raise subdivisions");
	suggest_partitions(plan);
	message_note("choose a smaller partition, or build the application with a larger TA_DATA_SIZE: at least %llu",
		     (unsigned long long)plan_heap(plan));
	return status;
}
