/* SPDX-License-Identifier: MIT */
#include "report.h"

static void print_convolutional(const struct network_layer *layer,
				bool secure)
{
	const struct nn_layer_spec *spec = &layer->spec;
	const struct nn_shape *in = &layer->input;
	const struct nn_shape *out = &layer->output;
	double operations = 2.0 * spec->filters * spec->size * spec->size *
			    in->channels / spec->groups * out->height *
			    out->width;

	fprintf(stderr,
		"%s%5u %2u x%2u /%2u  %4u x%4u x%4u   ->  %4u x%4u x%4u  %5.3f BFLOPs\n",
		secure ? "conv_TA" : "conv  ", spec->filters, spec->size,
		spec->size, spec->stride, in->width, in->height, in->channels,
		out->width, out->height, out->channels, operations / 1e9);
}

static void print_maxpool(const struct network_layer *layer, bool secure)
{
	const struct nn_layer_spec *spec = &layer->spec;
	const struct nn_shape *in = &layer->input;
	const struct nn_shape *out = &layer->output;

	fprintf(stderr,
		"%s%u x %u / %u  %4u x%4u x%4u   ->  %4u x%4u x%4u\n",
		secure ? "max_TA       " : "max          ", spec->size,
		spec->size, spec->stride, in->width, in->height, in->channels,
		out->width, out->height, out->channels);
}

static void print_avgpool(const struct network_layer *layer, bool secure)
{
	fprintf(stderr, "%s%4u x%4u x%4u   ->  %4u\n",
		secure ? "avg_TA                  " :
			 "avg                     ",
		layer->input.width, layer->input.height, layer->input.channels,
		layer->output.channels);
}

static void print_connected(const struct network_layer *layer, bool secure)
{
	fprintf(stderr, "%s%4u  ->  %4u\n",
		secure ? "connected_TA                         " :
			 "connected                            ",
		network_floats(layer->input), network_floats(layer->output));
}

static void print_dropout(const struct network_layer *layer, bool secure)
{
	fprintf(stderr, "%sp = %.2f               %4u  ->  %4u\n",
		secure ? "dropout_TA    " : "dropout       ",
		(double)layer->spec.probability, network_floats(layer->input),
		network_floats(layer->output));
}

static void print_softmax(const struct network_layer *layer, bool secure)
{
	fprintf(stderr, "%s%4u\n",
		secure ? "softmax_TA                                     " :
			 "softmax                                        ",
		network_floats(layer->input));
}

static void print_cost(const struct network_layer *layer, bool secure)
{
	fprintf(stderr, "%s%4u\n",
		secure ? "cost_TA                                        " :
			 "cost                                           ",
		network_floats(layer->input));
}

static void print_batchnorm(const struct network_layer *layer, bool secure)
{
	fprintf(stderr, "Batch Normalization Layer%s: %u x %u x %u image\n",
		secure ? "_TA" : "", layer->input.width, layer->input.height,
		layer->input.channels);
}

static void print_activation(const struct network_layer *layer, bool secure)
{
	fprintf(stderr, "Activation Layer%s: %u inputs\n", secure ? "_TA" : "",
		network_floats(layer->input));
}

static void print_shortcut(const struct network_layer *layer, bool secure)
{
	const struct nn_shape *from = &layer->source;
	const struct nn_shape *out = &layer->output;

	fprintf(stderr, "%s%3u%s%4u x%4u x%4u   ->  %4u x%4u x%4u\n",
		secure ? "res_TA" : "res  ", layer->spec.sources[0],
		secure ? "               " : "                ", from->width,
		from->height, from->channels, out->width, out->height,
		out->channels);
}

static void print_route(const struct network_layer *layer, bool secure)
{
	uint32_t i = 0;

	fputs(secure ? "route_TA " : "route ", stderr);
	for (i = 0; i < layer->spec.n_sources; i++)
		fprintf(stderr, " %u", layer->spec.sources[i]);
	fputc('\n', stderr);
}

/* Bytes of the matrix that the largest convolution unrolls its input to. */
static uint64_t workspace_size(const struct network *network)
{
	uint64_t largest = 0;
	uint32_t i = 0;

	for (i = 0; i < network->n_layers; i++) {
		const struct network_layer *layer = &network->layers[i];
		const struct nn_layer_spec *spec = &layer->spec;
		uint64_t size = 0;

		if (spec->kind != NN_CONVOLUTIONAL)
			continue;
		size = (uint64_t)layer->output.width * layer->output.height *
		       spec->size * spec->size *
		       (layer->input.channels / spec->groups) * sizeof(float);
		if (size > largest)
			largest = size;
	}
	return largest;
}

static void print_layer(const struct network_layer *layer, bool secure)
{
	static void (*const printers[])(const struct network_layer *layer,
					bool secure) = {
		[NN_CONVOLUTIONAL] = print_convolutional,
		[NN_MAXPOOL] = print_maxpool,
		[NN_AVGPOOL] = print_avgpool,
		[NN_CONNECTED] = print_connected,
		[NN_DROPOUT] = print_dropout,
		[NN_SOFTMAX] = print_softmax,
		[NN_COST] = print_cost,
		[NN_BATCHNORM] = print_batchnorm,
		[NN_ACTIVATION] = print_activation,
		[NN_SHORTCUT] = print_shortcut,
		[NN_ROUTE] = print_route,
	};

	printers[layer->spec.kind](layer, secure);
}

void report_layers(const struct network *network,
		   const struct partition *partition)
{
	uint64_t workspace = workspace_size(network);
	uint32_t i = 0;

	fflush(stdout);
	fputs("layer     filters    size              input                output\n",
	      stderr);
	for (i = 0; i < network->n_layers; i++) {
		fprintf(stderr, "%5u ", i);
		print_layer(&network->layers[i],
			    partition_holds(partition, i));
	}
	if (workspace)
		printf("workspace_size=%llu\n", (unsigned long long)workspace);
}
