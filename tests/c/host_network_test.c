/* SPDX-License-Identifier: MIT */
/* Networks from cfg files: shapes, defaults, aliases and refusals. */
#include "message.h"
#include "network.h"

#include "check.h"
#include "host_support.h"

static int read_network(struct network *network, const char *text)
{
	int status = 0;

	support_capture();
	status = network_read(network, support_write_text("n.cfg", text));
	support_captured();
	return status;
}

static void check_shape(struct nn_shape shape, uint32_t width, uint32_t height,
			uint32_t channels)
{
	assert_int_equal(shape.width, width);
	assert_int_equal(shape.height, height);
	assert_int_equal(shape.channels, channels);
}

static const char all_kinds[] =
	"[net]\nbatch=4\nwidth=13\nheight=9\nchannels=4\n"
	"[conv]\nfilters=6\nsize=5\npad=1\ngroups=2\nactivation=leaky\nbatch_normalize=1\n"
	"[convolutional]\nfilters=2\nsize=2\nstride=2\npadding=1\nactivation=linear\n"
	"[max]\nsize=2\n[maxpool]\nsize=3\nstride=2\npadding=1\n"
	"[dropout]\n[avg]\n[conn]\noutput=5\nactivation=tanh\n[connected]\noutput=3\n"
	"[soft]\n[cost]\ntype=smooth\nscale=2\n";

static void shapes_are_those_of_nn(void **state)
{
	struct network network = { 0 };
	struct nn_layer_spec specs[10] = { 0 };
	struct nn_spec spec = { .width = 13,
				.height = 9,
				.channels = 4,
				.n_layers = 10,
				.micro_batch = 1,
				.layers = specs };
	struct nn_plan plan = { 0 };
	struct nn_net *net = NULL;
	void *arena = NULL;
	uint32_t i = 0;

	(void)state;
	assert_int_equal(read_network(&network, all_kinds), 0);
	assert_int_equal(network.n_layers, 10);
	for (i = 0; i < 10; i++)
		specs[i] = network.layers[i].spec;
	assert_int_equal(nn_plan(&spec, &plan, NULL), NN_OK);
	arena = aligned_alloc(NN_ARENA_ALIGNMENT,
			      plan.total / NN_ARENA_ALIGNMENT * NN_ARENA_ALIGNMENT +
				      NN_ARENA_ALIGNMENT);
	assert_non_null(arena);
	assert_int_equal(nn_init(&net, &spec, arena, plan.total), NN_OK);
	for (i = 0; i < 10; i++) {
		struct nn_shape in = nn_layer_input(net, i);
		struct nn_shape out = nn_layer_output(net, i);

		check_shape(network.layers[i].input, in.width, in.height, in.channels);
		/* What follows may be one row of values. */
		assert_int_equal(network_floats(network.layers[i].output),
				 out.width * out.height * out.channels);
	}
	free(arena);
	network_free(&network);
}

static void keys_reach_the_layers(void **state)
{
	struct network network = { 0 };
	const struct nn_layer_spec *spec = NULL;

	(void)state;
	assert_int_equal(read_network(&network, all_kinds), 0);
	spec = &network.layers[0].spec;
	assert_int_equal(spec->padding, 2);
	assert_int_equal(spec->groups, 2);
	assert_int_equal(spec->activation, NN_LEAKY);
	assert_true(spec->batch_normalize);
	assert_true(network_normalizes(&network));
	check_shape(network.layers[0].output, 13, 9, 6);
	check_shape(network.layers[1].output, 7, 5, 2);
	/* maxpool: padding is size - 1 if not given, and stride is 1 */
	assert_int_equal(network.layers[2].spec.padding, 1);
	check_shape(network.layers[2].output, 7, 5, 2);
	check_shape(network.layers[3].output, 3, 2, 2);
	check_near((double)network.layers[4].spec.probability, .5, 0);
	assert_int_equal(network.layers[7].spec.activation, NN_LOGISTIC);
	check_near((double)network.layers[8].spec.temperature, 1, 0);
	assert_int_equal(network.layers[9].spec.cost, NN_COST_SMOOTH);
	check_near((double)network.layers[9].spec.scale, 2, 0);
	assert_true(network_owns_loss(&network.layers[8]));
	assert_true(network_owns_loss(&network.layers[9]));
	assert_false(network_owns_loss(&network.layers[7]));
	network_free(&network);
}

static const char residual[] =
	"[net]\nwidth=8\nheight=8\nchannels=3\n"
	"[conv]\nfilters=4\nsize=3\npad=1\n[batchnorm]\n[activation]\nactivation=leaky\n"
	"[conv]\nfilters=6\nsize=3\npad=1\nstride=2\n"
	"[shortcut]\nfrom=-4 # from 0\nbeta=.5\nactivation=relu\n"
	"[route]\nlayers=-1, 3\n[activation]\n";

/* Issue 4, 3: the layers of residual networks, counted as Darknet counts them. */
static void residual_layers_are_read(void **state)
{
	struct network network = { 0 };
	const struct nn_layer_spec *spec = NULL;

	(void)state;
	assert_int_equal(read_network(&network, residual), 0);
	check_shape(network.layers[1].output, 8, 8, 4);
	assert_true(network_normalizes(&network));
	assert_int_equal(network.layers[2].spec.activation, NN_LEAKY);
	spec = &network.layers[4].spec;
	assert_int_equal(spec->kind, NN_SHORTCUT);
	assert_int_equal(spec->n_sources, 1);
	assert_int_equal(spec->sources[0], 0);
	assert_int_equal(spec->activation, NN_RELU);
	check_near((double)spec->alpha, 1, 0);
	check_near((double)spec->beta, .5, 0);
	check_shape(network.layers[4].output, 4, 4, 6);
	spec = &network.layers[5].spec;
	assert_int_equal(spec->n_sources, 2);
	assert_int_equal(spec->sources[0], 4);
	assert_int_equal(spec->sources[1], 3);
	check_shape(network.layers[5].output, 4, 4, 12);
	assert_int_equal(network.layers[6].spec.activation, NN_LINEAR);
	network_free(&network);
}

static void defaults_of_net_are_darknets(void **state)
{
	struct network network = { 0 };

	(void)state;
	support_assert_status(
		network_read(
			&network,
			support_write_text(
				"n.cfg",
				"[network]\nwidth=28\nheight=28\nchannels=3\n[cost]\n")),
		0);
	support_assert_said(
		"batch: Using default '1'\nsubdivisions: Using default '1'\n"
		"momentum: Using default '0.900000'\ndecay: Using default '0.000100'\n"
		"learning_rate: Using default '0.001000'\npolicy: Using default 'constant'\n"
		"max_batches: Using default '0'\ntype: Using default 'sse'\n");
	assert_int_equal(network.augmentation.min_crop, 28);
	assert_int_equal(network.augmentation.max_crop, 56);
	assert_true(network.augmentation.flip);
	check_near((double)network.augmentation.aspect, 1, 0);
	check_near((double)network.augmentation.hue, 0, 0);
	network_free(&network);
}

static void a_remainder_of_the_batch_is_not_computed(void **state)
{
	struct network network = { 0 };

	(void)state;
	assert_int_equal(
		read_network(
			&network,
			"[net]\nbatch=10\nsubdivisions=3\nwidth=1\nheight=1\nchannels=1\n"
			"min_ratio=3\nmax_ratio=5\n[cost]\n"),
		0);
	assert_int_equal(network.batch, 9);
	assert_int_equal(network.subdivisions, 3);
	assert_int_equal(network.augmentation.min_crop, 3);
	assert_int_equal(network.augmentation.max_crop, 5);
	network_free(&network);
}

#define NET "[net]\nwidth=28\nheight=28\nchannels=3\n"

static void impossible_networks_are_refused(void **state)
{
	static const struct {
		const char *text, *said;
	} cases[] = {
		{ "", "the first section must be [net]" },
		{ "[conv]\n", "the first section must be [net]" },
		{ NET, "no layers after [net]" },
		{ "[net]\nwidth=28\n[cost]\n",
		  "n.cfg:1: [net] needs height, width and channels" },
		{ "[net]\nwidth=65536\nheight=65536\nchannels=3\n[cost]\n",
		  "[net] needs" },
		{ NET "inputs=7\n[cost]\n",
		  "n.cfg:5: inputs differs from height x width x channels = 2352" },
		{ NET "batch=2\nsubdivisions=3\n[cost]\n",
		  "n.cfg:6: batch=2 cannot be divided into subdivisions=3" },
		{ NET "subdivisions=0\n[cost]\n", "cannot be divided" },
		{ NET "aspect=0\n[cost]\n", "aspect must be above 0" },
		{ NET "max_crop=0\n[cost]\n",
		  "max_crop must be from 1 to 65535 pixels" },
		{ NET "adam=1\n[cost]\n", "n.cfg:5: adam=1 in [net] is not supported" },
		{ NET "time_steps=2\n[cost]\n",
		  "time_steps=2 in [net] is not supported" },
		{ NET "[yolo]\n",
		  "n.cfg:5: Type not recognized: [yolo] (layer 0); supported are convolutional" },
		{ NET "[conv]\nsize=0\n",
		  "a window of size 0 and stride 1 does not fit" },
		{ NET "[conv]\nstride=0\n", "stride 0 does not fit" },
		{ NET "[max]\nsize=0\n", "a window of size 0" },
		{ NET "[conv]\nsize=29\n",
		  "a window of size 29 and stride 1 does not fit an edge of 28 pixels" },
		{ NET "[conv]\nfilters=0\n",
		  "groups=1 must divide the 3 input channels and the filters=0" },
		{ NET "[conv]\nfilters=4\ngroups=2\n", "groups=2 must divide" },
		{ NET "[conv]\ngroups=0\n", "groups=0 must divide" },
		{ NET "[conv]\nfilters=2147483647\n",
		  "layer 0 [conv] would have an output of" },
		{ NET "[conv]\npadding=2147483647\n",
		  "does not fit an edge of 4294967322 pixels" },
		{ NET "[conn]\noutput=0\n", "would have an output of 1 x 1 x 0" },
		{ NET "[conv]\nxnor=1\n",
		  "n.cfg:6: xnor=1 in [conv] is not supported" },
		{ NET "[softmax]\ntree=a.tree\n",
		  "tree=a.tree in [softmax] is not supported" },
		{ NET "[cost]\nratio=.5\n", "ratio=.5 in [cost] is not supported" },
		{ NET "[conv]\ndontload=1\n", "dontload=1" },
		{ NET "[shortcut]\n", "n.cfg:5: [shortcut] from=: expected 1 to 8 layers before this one, 0" },
		{ NET "[avg]\n[shortcut]\nfrom=1\n", "n.cfg:7: [shortcut] from=1: expected" },
		{ NET "[avg]\n[shortcut]\nfrom=-2\n", "from=-2: expected" },
		{ NET "[avg]\n[shortcut]\nfrom=-0\n", "from=-0: expected" },
		{ NET "[avg]\n[shortcut]\nfrom=99999999999\n", "expected" },
		{ NET "[avg]\n[avg]\n[shortcut]\nfrom=0,1\n", "from=(a list): expected" },
		{ NET "[avg]\n[route]\nlayers=-1,\n", "layers=-1,: expected" },
		{ NET "[avg]\n[route]\nlayers=0,0,0,0,0,0,0,0,0\n", "expected 1 to 8" },
		{ NET "[avg]\n[route]\nlayers=one\n", "layers=one: expected" },
		{ NET "[conv]\n[avg]\n[route]\nlayers=0,1\n",
		  "n.cfg:7: [route] layer 1 has images of 1 x 1, not 28 x 28" },
		{ NET "[conv]\n[avg]\n[shortcut]\nfrom=0\nalpha=2\n",
		  "n.cfg:9: [shortcut] alpha=2 is supported only where" },
		{ "[net]\nwidth=28\nheight=9\nchannels=1\n[conv]\n"
		  "[max]\nsize=5\nstride=5\npadding=0\n[shortcut]\nfrom=0\n",
		  "[shortcut] images of 5 x 1 and of 28 x 9 (layer 0) differ by other factors" },
		{ NET "[dropout]\nprobability=half\n",
		  "n.cfg:6: probability=half: expected a number" },
	};
	struct network network = { 0 };
	size_t i = 0;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *path = support_write_text("n.cfg", cases[i].text);

		support_assert_status(network_read(&network, path), STATUS_REFUSED);
		support_assert_said(cases[i].said);
	}
}

static void unknown_words_fall_back_and_unknown_keys_are_told(void **state)
{
	struct network network = { 0 };

	(void)state;
	support_assert_status(
		network_read(&network,
			     support_write_text(
				     "n.cfg", NET
				     "nonsense=1\n[conn]\nactivation=rellu\nsmell=1\n"
				     "[cost]\ntype=wrong\n")),
		0);
	support_assert_said("Couldn't find activation function rellu, going with ReLU\n"
			    "Unused field: 'smell = 1'\n"
			    "Couldn't find cost type wrong, going with SSE\n");
	assert_null(strstr(support_captured(), "nonsense"));
	assert_int_equal(network.layers[0].spec.activation, NN_RELU);
	assert_int_equal(network.layers[1].spec.cost, NN_COST_SSE);
	network_free(&network);
}

static void too_many_layers_are_refused(void **state)
{
	char text[sizeof(NET) + 7 * (NN_MAX_LAYERS + 1)] = NET;
	struct network network = { 0 };
	int i = 0;

	(void)state;
	for (i = 0; i < NN_MAX_LAYERS; i++)
		strcat(text, "[cost]\n");
	assert_int_equal(read_network(&network, text), 0);
	assert_int_equal(network.n_layers, NN_MAX_LAYERS);
	network_free(&network);
	strcat(text, "[cost]\n");
	assert_int_equal(read_network(&network, text), STATUS_REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shapes_are_those_of_nn),
		cmocka_unit_test(keys_reach_the_layers),
		cmocka_unit_test(residual_layers_are_read),
		cmocka_unit_test(defaults_of_net_are_darknets),
		cmocka_unit_test(a_remainder_of_the_batch_is_not_computed),
		cmocka_unit_test(impossible_networks_are_refused),
		cmocka_unit_test(unknown_words_fall_back_and_unknown_keys_are_told),
		cmocka_unit_test(too_many_layers_are_refused),
	};

	return cmocka_run_group_tests(tests, support_make_directory,
				      support_remove_directory);
}
