/* SPDX-License-Identifier: MIT */
/* From a plan to pages and tables of a platform, and what is found to fit. */
#include "nn_footprint.h"

#include "check.h"
#include "nn_support.h"

static const struct nn_platform platform = {
	.budget = 13 << 20, .stack = 65536, .code = 500000, .page = 4096,
	.table_span = 2 << 20, .tables = 8,
};

static struct nn_spec whole_lenet(void)
{
	struct nn_spec spec = lenet_segment(0, LENET_LAYERS - 1, 10, true);

	spec.keeps_input = true;
	return spec;
}

static uint64_t model_bytes(const struct nn_spec *spec, uint32_t micro_batch)
{
	struct nn_spec other = *spec;
	struct nn_plan plan = { 0 };

	other.micro_batch = micro_batch;
	assert_int_equal(nn_plan(&other, &plan, NULL), NN_OK);
	return plan.total + NN_MODEL_EXTRA;
}

static void sizes_are_whole_pages(void **state)
{
	struct nn_spec spec = whole_lenet();
	struct nn_plan plan = { 0 };
	struct nn_footprint f = { 0 };

	(void)state;
	assert_int_equal(nn_plan(&spec, &plan, NULL), NN_OK);
	f = nn_footprint(&platform, &spec, &plan);
	assert_int_equal(f.model, plan.total + NN_MODEL_EXTRA);
	assert_in_range(f.heap, f.model + NN_HEAP_RESERVE,
			f.model + NN_HEAP_RESERVE + 4095);
	assert_int_equal(f.heap % 4096, 0);
	assert_int_equal(f.stack, 65536);
	assert_int_equal(f.code, 503808);
	assert_int_equal(f.total, f.heap + f.stack + f.code);
	assert_int_equal(f.pages * 4096, f.total);
	/* below 2 MiB: one table, and one for what a call passes */
	assert_int_equal(f.tables, 2);
	assert_true(f.fits_budget && f.fits_tables);
}

static void limits_are_sharp(void **state)
{
	struct nn_platform tight = platform;
	struct nn_spec spec = whole_lenet();
	struct nn_plan plan = { 0 };
	struct nn_footprint f = { 0 };

	(void)state;
	assert_int_equal(nn_plan(&spec, &plan, NULL), NN_OK);
	tight.budget = nn_footprint(&platform, &spec, &plan).total;
	assert_true(nn_footprint(&tight, &spec, &plan).fits_budget);
	tight.budget--;
	assert_false(nn_footprint(&tight, &spec, &plan).fits_budget);
	tight.tables = 1;
	f = nn_footprint(&tight, &spec, &plan);
	assert_false(f.fits_tables);
}

/* The heap that is left: by memory, or by tables where they are the limit. */
static void the_largest_heap_fits_exactly(void **state)
{
	struct nn_platform other = platform;
	uint64_t rest = 65536 + 503808;

	(void)state;
	assert_int_equal(nn_largest_heap(&other, 0), (13u << 20) - rest);
	other.tables = 4;
	assert_int_equal(nn_largest_heap(&other, 0), (3u << 21) - rest);
	assert_int_equal(nn_largest_heap(&other, (2u << 20) + 1), (2u << 21) - rest);
	other.tables = 1;
	assert_int_equal(nn_largest_heap(&other, 0), 0);
	assert_int_equal(nn_model_room(NN_HEAP_RESERVE + 5), 5);
	assert_int_equal(nn_model_room(NN_HEAP_RESERVE), 0);
	assert_int_equal(nn_model_room(0), 0);
}

/* Issue 4, 7: ceil(10 / parts) is 10, 5, 4, 3, 2 and 1, never 9 and a rest. */
static void micro_batches_divide_evenly(void **state)
{
	static const uint32_t even[] = { 10, 5, 4, 3, 2, 1 };
	struct nn_spec spec = whole_lenet();
	struct nn_room room = { .samples = 10 };
	struct nn_plan plan = { 0 };
	uint32_t micro_batch = 0;
	unsigned int i = 0;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(even); i++) {
		room.model = model_bytes(&spec, even[i]);
		assert_int_equal(nn_fit_micro_batch(&spec, &room, &plan,
						    &micro_batch), NN_OK);
		assert_int_equal(micro_batch, even[i]);
		assert_int_equal(plan.total + NN_MODEL_EXTRA, room.model);
		room.model--;
		nn_fit_micro_batch(&spec, &room, &plan, &micro_batch);
		assert_int_equal(micro_batch, i + 1 < ARRAY_SIZE(even) ? even[i + 1]
								       : 0);
	}
	/* none fits: the plan is that of the smallest */
	assert_int_equal(plan.total + NN_MODEL_EXTRA, model_bytes(&spec, 1));
}

static void work_is_the_networks_multiplications(void **state)
{
	const struct nn_layer_spec layers[] = {
		{ .kind = NN_CONVOLUTIONAL, .activation = NN_RELU, .filters = 4,
		  .size = 3, .stride = 1, .padding = 1, .groups = 1 },
		{ .kind = NN_CONNECTED, .activation = NN_LINEAR, .outputs = 5 },
	};
	struct nn_spec spec = one_layer(layers, 8, 8, 3, 7);
	struct nn_plan plan = { 0 };
	const uint64_t convolution = 64 * (4 * 27) + 4 * 64;
	const uint64_t connected = 5 * (4 * 64) + 5;

	(void)state;
	spec.n_layers = 2;
	assert_int_equal(nn_plan(&spec, &plan, NULL), NN_OK);
	assert_int_equal(plan.work, 3 * (convolution + connected));
	spec.train = false;
	assert_int_equal(nn_plan(&spec, &plan, NULL), NN_OK);
	assert_int_equal(plan.work, convolution + connected);
}

static void calls_are_kept_short(void **state)
{
	struct nn_spec spec = whole_lenet();
	struct nn_room room = { .model = UINT64_MAX, .samples = 10 };
	struct nn_plan plan = { 0 };
	uint32_t micro_batch = 0;

	(void)state;
	assert_int_equal(nn_plan(&spec, &plan, NULL), NN_OK);
	room.work = 4 * plan.work;
	nn_fit_micro_batch(&spec, &room, &plan, &micro_batch);
	assert_int_equal(micro_batch, 4);
	room.work = plan.work - 1;	/* one sample is always computed */
	nn_fit_micro_batch(&spec, &room, &plan, &micro_batch);
	assert_int_equal(micro_batch, 1);
	room.whole = true;		/* what cannot be divided is not */
	nn_fit_micro_batch(&spec, &room, &plan, &micro_batch);
	assert_int_equal(micro_batch, 10);
}

static void batch_normalization_is_not_divided(void **state)
{
	struct nn_spec spec = whole_lenet();
	struct nn_room room = { .samples = 10, .whole = true };
	struct nn_plan plan = { 0 };
	uint32_t micro_batch = 0;

	(void)state;
	room.model = model_bytes(&spec, 10) - 1;
	assert_int_equal(nn_fit_micro_batch(&spec, &room, &plan, &micro_batch),
			 NN_OK);
	assert_int_equal(micro_batch, 0);
}

static void refusals_come_through(void **state)
{
	const struct nn_layer_spec wrong = { .kind = NN_MAXPOOL };
	struct nn_spec spec = one_layer(&wrong, 4, 4, 1, 1);
	struct nn_room room = { .model = UINT64_MAX, .samples = 4 };
	struct nn_plan plan = { 0 };
	uint32_t micro_batch = 9;

	(void)state;
	assert_int_equal(nn_fit_micro_batch(&spec, &room, &plan, &micro_batch),
			 NN_ERR_SPEC);
	assert_int_equal(micro_batch, 0);
}

/* ---- Searching for a partition ---- */

/* nn_plan(), counted: what a search costs. */
enum nn_status __real_nn_plan(const struct nn_spec *spec, struct nn_plan *plan,
			      uint32_t *bad_layer);
enum nn_status __wrap_nn_plan(const struct nn_spec *spec, struct nn_plan *plan,
			      uint32_t *bad_layer);

static unsigned int plans;

enum nn_status __wrap_nn_plan(const struct nn_spec *spec, struct nn_plan *plan,
			      uint32_t *bad_layer)
{
	plans++;
	return __real_nn_plan(spec, plan, bad_layer);
}

static void find_inputs(const struct nn_spec *network, struct nn_shape *inputs)
{
	struct segment segment = segment_open(network);
	uint32_t i = 0;

	for (i = 0; i < network->n_layers; i++)
		inputs[i] = nn_layer_input(segment.net, i);
	segment_close(&segment);
}

static bool may_start(const struct nn_spec *network, uint32_t first)
{
	uint32_t source = 0;
	uint32_t i = 0;

	for (i = first; i < network->n_layers; i++)
		if (nn_reads_over(&network->layers[i], first, &source))
			return false;
	return true;
}

/* Bytes of layers first..last, computed sample by sample. */
static uint64_t least_bytes(const struct nn_spec *network,
			    const struct nn_shape *inputs, uint32_t first,
			    uint32_t last)
{
	struct nn_spec part = nn_part(network, inputs, first, last);

	return model_bytes(&part, 1);
}

/*
 * By trying all, with the same rule: most layers, then the later end. Return how
 * many layers; 0: nothing fits.
 */
static uint32_t try_all(const struct nn_spec *network,
			const struct nn_shape *inputs, uint64_t model,
			struct nn_partition *best)
{
	uint32_t most = 0;
	uint32_t first = 0;
	uint32_t last = 0;

	for (first = 0; first < network->n_layers; first++) {
		for (last = first; last < network->n_layers; last++) {
			if (!may_start(network, first)
			    || !may_start(network, last + 1)
			    || least_bytes(network, inputs, first, last) > model)
				continue;
			if (last - first + 1 < most
			    || (last - first + 1 == most && last < best->last))
				continue;
			most = last - first + 1;
			*best = (struct nn_partition){ first, last, 0 };
		}
	}
	return most;
}

static void search_finds_the_best(const struct nn_spec *network, uint64_t from,
				  uint64_t to, uint64_t step)
{
	const struct nn_choice any = {
		.first_max = network->n_layers - 1,
		.last_max = network->n_layers - 1,
	};
	struct nn_shape inputs[16] = { 0 };
	struct nn_room room = { .samples = 10 };
	struct nn_partition found = { 0 };
	struct nn_partition best = { 0 };

	find_inputs(network, inputs);
	for (room.model = from; room.model < to; room.model += step) {
		found = best = (struct nn_partition){ 0 };
		assert_int_equal(nn_fit_partition(network, inputs, &room, &any,
						  &found),
				 try_all(network, inputs, room.model, &best) > 0);
		assert_int_equal(found.first, best.first);
		assert_int_equal(found.last, best.last);
	}
	assert_int_equal(found.last - found.first, network->n_layers - 1);
	assert_true(found.micro_batch >= 1);
	room.model = 10;
	assert_false(nn_fit_partition(network, inputs, &room, &any, &found));
}

static void the_largest_partition_is_found(void **state)
{
	struct nn_spec spec = whole_lenet();

	(void)state;
	search_finds_the_best(&spec, 2000, 300000, 7000);
	spec.train = false;
	search_finds_the_best(&spec, 2000, 200000, 3000);
}

/* Blocks that a cut must spare, of different sizes: large ones in the middle. */
static void the_largest_of_whole_blocks_is_found(void **state)
{
	const struct nn_layer_spec plain = {
		.kind = NN_CONVOLUTIONAL, .activation = NN_LEAKY, .filters = 4,
		.size = 3, .stride = 1, .padding = 1, .groups = 1,
	};
	const struct nn_layer_spec join = {
		.kind = NN_SHORTCUT, .activation = NN_LINEAR, .n_sources = 1,
		.alpha = 1, .beta = 1,
	};
	struct nn_layer_spec layers[12] = { 0 };
	struct nn_spec spec = one_layer(layers, 6, 6, 4, 1);
	uint32_t i = 0;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(layers); i++) {
		layers[i] = i % 3 == 2 ? join : plain;
		if (i % 3 == 2)
			layers[i].sources[0] = (uint16_t)(i - 2);
	}
	layers[4].size = 5;
	layers[4].padding = 2;
	spec.first_layer = 0;
	spec.n_layers = ARRAY_SIZE(layers);
	spec.keeps_input = true;
	search_finds_the_best(&spec, 1000, 120000, 1500);
	spec.train = false;
	search_finds_the_best(&spec, 1000, 60000, 700);
}

static void only_what_may_be_chosen_is(void **state)
{
	const struct nn_choice ends_at_3 = {
		.first_max = 3, .last_min = 3, .last_max = 3,
	};
	const struct nn_choice starts_at_5 = {
		.first_min = 5, .first_max = 5, .last_min = 5,
		.last_max = LENET_LAYERS - 1,
	};
	struct nn_spec spec = whole_lenet();
	struct nn_shape inputs[LENET_LAYERS] = { 0 };
	struct nn_room room = { .samples = 10, .model = UINT64_MAX };
	struct nn_partition found = { 0 };

	(void)state;
	find_inputs(&spec, inputs);
	assert_true(nn_fit_partition(&spec, inputs, &room, &ends_at_3, &found));
	assert_int_equal(found.first, 0);
	assert_int_equal(found.last, 3);
	assert_int_equal(found.micro_batch, 10);
	assert_true(nn_fit_partition(&spec, inputs, &room, &starts_at_5, &found));
	assert_int_equal(found.first, 5);
	assert_int_equal(found.last, LENET_LAYERS - 1);
	/* a shorter one would end later, but starts elsewhere */
	room.model = least_bytes(&spec, inputs, 5, 7);
	assert_true(nn_fit_partition(&spec, inputs, &room, &starts_at_5, &found));
	assert_int_equal(found.first, 5);
	assert_int_equal(found.last, 7);
}

/* A hostile cfg: as many layers and samples as can be, whatever the room. */
static void the_largest_search_is_short(void **state)
{
	static struct nn_layer_spec layers[NN_MAX_LAYERS];
	static struct nn_shape inputs[NN_MAX_LAYERS];
	const struct nn_choice any = {
		.first_max = NN_MAX_LAYERS - 1, .last_max = NN_MAX_LAYERS - 1,
	};
	struct nn_spec spec = one_layer(layers, 1, 1, 10, 1);
	struct nn_room room = { .samples = INT32_MAX };
	struct nn_partition found = { 0 };
	uint32_t i = 0;

	(void)state;
	for (i = 0; i < NN_MAX_LAYERS; i++) {
		inputs[i] = (struct nn_shape){ 1, 1, 10 };
		layers[i] = (struct nn_layer_spec){
			.kind = NN_CONNECTED, .outputs = 10,
		};
	}
	spec.first_layer = 0;
	spec.n_layers = NN_MAX_LAYERS;
	for (room.model = 100; room.model < UINT64_C(1) << 40; room.model *= 7) {
		plans = 0;
		nn_fit_partition(&spec, inputs, &room, &any, &found);
		assert_in_range(plans, 1, 2 * NN_MAX_LAYERS + 33);
	}
	assert_int_equal(found.last - found.first, NN_MAX_LAYERS - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_whole_pages),
		cmocka_unit_test(limits_are_sharp),
		cmocka_unit_test(the_largest_heap_fits_exactly),
		cmocka_unit_test(micro_batches_divide_evenly),
		cmocka_unit_test(work_is_the_networks_multiplications),
		cmocka_unit_test(calls_are_kept_short),
		cmocka_unit_test(batch_normalization_is_not_divided),
		cmocka_unit_test(refusals_come_through),
		cmocka_unit_test(the_largest_partition_is_found),
		cmocka_unit_test(the_largest_of_whole_blocks_is_found),
		cmocka_unit_test(only_what_may_be_chosen_is),
		cmocka_unit_test(the_largest_search_is_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
