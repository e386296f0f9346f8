/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "json.h"
#include "plan_table.h"

static bool fits_room(const struct plan *plan, const struct plan_limits *limits)
{
	return plan->micro_batch && plan_bytes(plan) <= limits->room;
}

bool plan_fits(const struct plan *plan, const struct plan_limits *limits)
{
	struct nn_footprint f = { .fits_budget = true, .fits_tables = true };

	if (limits->platform)
		f = nn_footprint(limits->platform, &plan->spec, &plan->total);
	return fits_room(plan, limits) && f.fits_budget && f.fits_tables;
}

static bool is_secure(const struct plan *plan, uint32_t layer)
{
	return layer >= plan->first && layer <= plan->last;
}

/* Of the whole model, as those of a layer. */
static struct nn_layer_plan sums_of(const struct nn_plan *total)
{
	return (struct nn_layer_plan){
		.weights = total->weights,
		.gradients = total->gradients,
		.activations = total->activations,
		.deltas = total->deltas,
		.workspace = total->workspace,
	};
}

/* ---- For people ---- */

static void print_sizes(const struct nn_layer_plan *sizes)
{
	printf(" %11llu %11llu %11llu %11llu %11llu\n",
	       (unsigned long long)sizes->weights,
	       (unsigned long long)sizes->gradients,
	       (unsigned long long)sizes->activations,
	       (unsigned long long)sizes->deltas,
	       (unsigned long long)sizes->workspace);
}

static void print_layers(const struct plan *plan)
{
	const struct network *network = plan->request.network;
	uint32_t i = 0;

	printf("layer kind          world      weights   gradients activations      deltas   workspace\n");
	for (i = 0; i < network->n_layers; i++) {
		printf("%5u %-13s %-6s", i, network->layers[i].name,
		       is_secure(plan, i) ? "secure" : "normal");
		if (is_secure(plan, i))
			print_sizes(&plan->layers[i - plan->first]);
		else
			printf("\n");
	}
}

static void print_total(const struct plan *plan)
{
	struct nn_layer_plan sums = sums_of(&plan->total);

	printf("%-26s", "model, memory shared");
	print_sizes(&sums);
	printf("%s %u:%u, %u of %u image%s at a time: %llu bytes (%llu of them to keep account)\n",
	       plan->request.train ? "train" : "predict", plan->first,
	       plan->last, plan->spec.micro_batch, plan->samples,
	       plan->samples == 1 ? "" : "s",
	       (unsigned long long)plan_bytes(plan),
	       (unsigned long long)(plan->total.bookkeeping + NN_MODEL_EXTRA));
}

static void print_platform(const struct plan *plan,
			   const struct nn_platform *platform)
{
	struct nn_footprint f = nn_footprint(platform, &plan->spec,
					     &plan->total);

	printf("with stack %llu and code %llu: %llu bytes, %llu pages, %llu translation tables\n",
	       (unsigned long long)f.stack, (unsigned long long)f.code,
	       (unsigned long long)f.total, (unsigned long long)f.pages,
	       (unsigned long long)f.tables);
	printf("---- secure memory %llu bytes: %s; tables %llu: %s\n",
	       (unsigned long long)platform->budget,
	       f.fits_budget ? "fits" : "DOES NOT FIT",
	       (unsigned long long)platform->tables,
	       f.fits_tables ? "fits" : "DOES NOT FIT");
}

void plan_print(const struct plan *plan, const struct plan_limits *limits)
{
	print_layers(plan);
	print_total(plan);
	printf("TA_DATA_SIZE %llu\n", (unsigned long long)plan_heap(plan));
	if (limits->room != UINT64_MAX)
		printf("---- a model may take %llu bytes: %s\n",
		       (unsigned long long)limits->room,
		       fits_room(plan, limits) ? "fits" : "DOES NOT FIT");
	if (limits->platform)
		print_platform(plan, limits->platform);
}

/* ---- For programs ---- */

static void tell_sizes(const struct nn_layer_plan *sizes)
{
	json_unsigned("weights", sizes->weights);
	json_unsigned("gradients", sizes->gradients);
	json_unsigned("activations", sizes->activations);
	json_unsigned("deltas", sizes->deltas);
	json_unsigned("workspace", sizes->workspace);
}

static void tell_layers(const struct plan *plan)
{
	static const struct nn_layer_plan nothing;
	const struct network *network = plan->request.network;
	uint32_t i = 0;

	json_open_array("layers");
	for (i = 0; i < network->n_layers; i++) {
		bool secure = is_secure(plan, i);

		json_open_object(NULL);
		json_unsigned("index", i);
		json_string("kind", network->layers[i].name);
		json_string("world", secure ? "secure" : "normal");
		tell_sizes(secure ? &plan->layers[i - plan->first] : &nothing);
		json_close_object();
	}
	json_close_array();
}

static void tell_total(const struct plan *plan)
{
	struct nn_layer_plan sums = sums_of(&plan->total);

	tell_sizes(&sums);
	json_unsigned("bookkeeping", plan->total.bookkeeping);
	json_unsigned("model", plan_bytes(plan));
	json_unsigned("heap", plan_heap(plan));
}

static void tell_platform(const struct plan *plan,
			  const struct nn_platform *platform)
{
	struct nn_footprint f = { 0 };

	if (!platform) {
		json_null("platform");
		return;
	}
	f = nn_footprint(platform, &plan->spec, &plan->total);
	json_open_object("platform");
	json_unsigned("stack", f.stack);
	json_unsigned("code", f.code);
	json_unsigned("total", f.total);
	json_unsigned("pages", f.pages);
	json_unsigned("tables", f.tables);
	json_unsigned("budget", platform->budget);
	json_bool("fits_budget", f.fits_budget);
	json_bool("fits_tables", f.fits_tables);
	json_close_object();
}

void plan_tell(const struct plan *plan, const struct plan_limits *limits)
{
	json_begin("plan");
	json_string("mode", plan->request.train ? "train" : "predict");
	json_open_object("partition");
	json_unsigned("start", plan->first);
	json_unsigned("end", plan->last);
	json_close_object();
	json_unsigned("samples", plan->samples);
	json_unsigned("micro_batch", plan->micro_batch);
	tell_layers(plan);
	tell_total(plan);
	if (limits->room == UINT64_MAX)
		json_null("room");
	else
		json_unsigned("room", limits->room);
	tell_platform(plan, limits->platform);
	json_bool("fits", plan_fits(plan, limits));
	json_end();
}
