/* SPDX-License-Identifier: MIT */
/*
 * Network descriptions: the input is a cfg file.
 *
 * Claims: reading ends, in a status that is documented; what was accepted has
 * the limits that the rest of the program relies on, its shapes are those that
 * nn/ computes, its learning rate can be asked for at any time, a plan that is
 * said to fit into some room does, and so does the largest partition, which may
 * be cut out.
 */
#include "fuzz.h"

#include "message.h"
#include "network.h"
#include "plan.h"

#include <stdlib.h>

#define BATCHES_MAX (UINT64_C(1) << 40)
#define ROOM	    (UINT64_C(1) << 20)	/* bytes, of a secure world */

static bool valid_shape(struct nn_shape shape)
{
	uint64_t area = (uint64_t)shape.width * shape.height;

	return area && shape.channels
	       && area <= NN_MAX_TENSOR_FLOATS / shape.channels;
}

static void check_layers(const struct network *network)
{
	uint32_t i = 0;

	fuzz_check(network->n_layers >= 1 && network->n_layers <= NN_MAX_LAYERS);
	for (i = 0; i < network->n_layers; i++) {
		fuzz_check(valid_shape(network->layers[i].input));
		fuzz_check(valid_shape(network->layers[i].output));
		fuzz_check(network->layers[i].line > 0);
	}
}

static void check_numbers(const struct network *network)
{
	const struct network_augmentation *a = &network->augmentation;

	fuzz_check(network->subdivisions > 0);
	fuzz_check(network->batch >= network->subdivisions);
	fuzz_check(network->batch % network->subdivisions == 0);
	fuzz_check(a->min_crop >= 1 && a->max_crop >= 1);
	fuzz_check(a->aspect > 0.0f && a->saturation > 0.0f && a->exposure > 0.0f);
}

static void check_rates(const struct network *network)
{
	static const uint64_t batches[] = { 0, 1, 1000, BATCHES_MAX };
	const struct seed seed = { .words = { 1 } };
	volatile float rate = 0.0f;
	size_t i = 0;

	for (i = 0; i < sizeof(batches) / sizeof(batches[0]); i++)
		rate = schedule_rate(&network->schedule, batches[i], &seed);
	(void)rate;
}

/* Both worlds must agree about what comes out of a layer. */
static void check_arithmetic(const struct network *network)
{
	struct nn_layer_spec *layers = fuzz_allocate(network->n_layers
						     * sizeof(*layers));
	const struct nn_spec spec = {
		.width = network->width,
		.height = network->height,
		.channels = network->channels,
		.n_layers = network->n_layers,
		.micro_batch = 1,
		.layers = layers,
	};
	struct nn_plan plan = { 0 };
	uint32_t i = 0;

	for (i = 0; i < network->n_layers; i++)
		layers[i] = network->layers[i].spec;
	if (nn_plan(&spec, &plan, NULL) == NN_OK) {
		fuzz_check(plan.inputs == network_floats(network->layers[0].input));
		fuzz_check(plan.outputs
			   == network_floats(network->layers[network->n_layers - 1].output));
	}
	free(layers);
}

static void check_plan(const struct network *network, bool train)
{
	static struct plan plan;
	const struct plan_request request = {
		.network = network, .train = train, .room = ROOM,
	};
	uint32_t samples = train ? network->batch / network->subdivisions : 1;
	int status = plan_partition(&plan, &request, 0, network->n_layers - 1);

	if (status) {
		fuzz_check(status == STATUS_FAILED || status == STATUS_REFUSED);
		return;
	}
	fuzz_check(plan.micro_batch <= samples);
	fuzz_check(!plan.micro_batch || plan_bytes(&plan) <= ROOM);
}

static void check_largest(const struct network *network, bool train)
{
	static struct plan plan;
	const struct plan_request request = {
		.network = network, .train = train, .room = ROOM,
	};
	const struct nn_choice any = {
		.first_max = network->n_layers - 1,
		.last_max = network->n_layers - 1,
	};
	struct nn_partition found = { 0 };

	if (!plan_largest(&plan, &request, &any, &found))
		return;
	fuzz_check(partition_may_cut(network, found.first));
	fuzz_check(partition_may_cut(network, found.last + 1));
	fuzz_check(!plan_partition(&plan, &request, found.first, found.last));
	fuzz_check(plan.micro_batch == found.micro_batch);
	fuzz_check(plan_bytes(&plan) <= ROOM);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct network network = { 0 };
	int status = network_read(&network, fuzz_file(0, data, size));

	if (status) {
		fuzz_check(status == STATUS_FAILED || status == STATUS_REFUSED);
		fuzz_check(!network.layers && !network.path);
		return 0;
	}
	check_layers(&network);
	check_numbers(&network);
	check_rates(&network);
	check_arithmetic(&network);
	check_plan(&network, false);
	check_plan(&network, true);
	check_largest(&network, false);
	check_largest(&network, true);
	network_free(&network);
	return 0;
}
