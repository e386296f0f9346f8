/* SPDX-License-Identifier: MIT */
#include <stddef.h>
#include <string.h>

#include "layers.h"
#include "message.h"
#include "sources.h"

/* ---- Names ---- */

struct word {
	const char *text;
	int value;
};

static const struct word activations[] = {
	{ "logistic", NN_LOGISTIC }, { "loggy", NN_LOGGY },
	{ "relu", NN_RELU },	     { "elu", NN_ELU },
	{ "selu", NN_SELU },	     { "relie", NN_RELIE },
	{ "ramp", NN_RAMP },	     { "linear", NN_LINEAR },
	{ "tanh", NN_TANH },	     { "plse", NN_PLSE },
	{ "leaky", NN_LEAKY },	     { "stair", NN_STAIR },
	{ "hardtan", NN_HARDTAN },   { "lhtan", NN_LHTAN },
	{ NULL, 0 },
};

/* seg and wgan differ from sse only in Darknet's GPU code. */
static const struct word cost_types[] = {
	{ "sse", NN_COST_SSE },	      { "seg", NN_COST_SSE },
	{ "wgan", NN_COST_SSE },      { "masked", NN_COST_MASKED },
	{ "smooth", NN_COST_SMOOTH }, { "L1", NN_COST_L1 },
	{ NULL, 0 },
};

static const struct word *find_word(const struct word *words, const char *text)
{
	for (; words->text; words++)
		if (!strcmp(words->text, text))
			return words;
	return NULL;
}

/* @fallback: Darknet's default differs between kinds of layers */
static enum nn_activation read_activation(struct cfg_section *section,
					  const char *fallback)
{
	const char *text = cfg_text(section, "activation", fallback,
				    CFG_ANNOUNCE);
	const struct word *word = find_word(activations, text);

	if (word)
		return (enum nn_activation)word->value;
	message_note("Couldn't find activation function %s, going with ReLU",
		     text);
	return NN_RELU;
}

static enum nn_cost_type read_cost_type(struct cfg_section *section)
{
	const char *text = cfg_text(section, "type", "sse", CFG_ANNOUNCE);
	const struct word *word = find_word(cost_types, text);

	if (word)
		return (enum nn_cost_type)word->value;
	message_note("Couldn't find cost type %s, going with SSE", text);
	return NN_COST_SSE;
}

/* ---- Shapes ---- */

/*
 * Positions of a window of @size pixels along an edge of @length that was
 * widened by @padding altogether; 0, after a message, if there is none.
 */
static uint32_t positions(struct cfg_section *section, uint32_t length,
			  uint64_t padding, uint32_t size, uint32_t stride)
{
	uint64_t padded = length + padding;

	/* No padded edge may be longer than what a tensor can hold. */
	if (!section->status && (!size || !stride || size > padded ||
				 padded > NN_MAX_TENSOR_FLOATS))
		cfg_fail(section,
			 message_refused("%s:%u: [%s] a window of size %u and stride %u does not fit an edge of %llu pixels (padding included)",
					 section->path, section->line,
					 section->name, size, stride,
					 (unsigned long long)padded));
	return section->status ? 0 : (uint32_t)((padded - size) / stride + 1);
}

static struct nn_shape slide(struct cfg_section *section,
			     const struct network_layer *layer,
			     uint64_t padding, uint32_t channels)
{
	const struct nn_layer_spec *spec = &layer->spec;

	return (struct nn_shape){
		.width = positions(section, layer->input.width, padding,
				   spec->size, spec->stride),
		.height = positions(section, layer->input.height, padding,
				    spec->size, spec->stride),
		.channels = channels,
	};
}

/* ---- Kinds ---- */

static void read_convolutional(struct network_layer *layer,
			       struct cfg_section *section)
{
	static const char *const refused[] = {
		"binary", "xnor", "flipped", "dot", "numload", "dontloadscales",
	};
	struct nn_layer_spec *spec = &layer->spec;
	size_t i = 0;

	spec->filters = cfg_count(section, "filters", 1, CFG_ANNOUNCE);
	spec->size = cfg_count(section, "size", 1, CFG_ANNOUNCE);
	spec->stride = cfg_count(section, "stride", 1, CFG_ANNOUNCE);
	spec->padding = cfg_count(section, "padding", 0, CFG_QUIET);
	if (cfg_count(section, "pad", 0, CFG_QUIET))
		spec->padding = spec->size / 2;
	spec->groups = cfg_count(section, "groups", 1, CFG_QUIET);
	spec->activation = read_activation(section, "logistic");
	spec->batch_normalize = cfg_count(section, "batch_normalize", 0,
					  CFG_QUIET) != 0;
	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		cfg_refuse_unless(section, refused[i], 0.0f);
	if (!section->status &&
	    (!spec->filters || !spec->groups ||
	     spec->filters % spec->groups ||
	     layer->input.channels % spec->groups))
		cfg_fail(section,
			 message_refused("%s:%u: [%s] groups=%u must divide the %u input channels and the filters=%u",
					 section->path, section->line,
					 section->name, spec->groups,
					 layer->input.channels, spec->filters));
	layer->output = slide(section, layer, UINT64_C(2) * spec->padding,
			      spec->filters);
}

static void read_maxpool(struct network_layer *layer,
			 struct cfg_section *section)
{
	struct nn_layer_spec *spec = &layer->spec;

	spec->stride = cfg_count(section, "stride", 1, CFG_ANNOUNCE);
	spec->size = cfg_count(section, "size", spec->stride, CFG_ANNOUNCE);
	spec->padding = cfg_count(section, "padding",
				  spec->size ? spec->size - 1 : 0, CFG_QUIET);
	layer->output = slide(section, layer, spec->padding,
			      layer->input.channels);
}

static void read_avgpool(struct network_layer *layer,
			 struct cfg_section *section)
{
	(void)section;
	layer->output = (struct nn_shape){
		.width = 1, .height = 1, .channels = layer->input.channels,
	};
}

static void read_connected(struct network_layer *layer,
			   struct cfg_section *section)
{
	struct nn_layer_spec *spec = &layer->spec;

	spec->outputs = cfg_count(section, "output", 1, CFG_ANNOUNCE);
	spec->activation = read_activation(section, "logistic");
	spec->batch_normalize = cfg_count(section, "batch_normalize", 0,
					  CFG_QUIET) != 0;
	layer->output = (struct nn_shape){
		.width = 1, .height = 1, .channels = spec->outputs,
	};
}

static void read_dropout(struct network_layer *layer,
			 struct cfg_section *section)
{
	layer->spec.probability = cfg_number(section, "probability", 0.5f,
					     CFG_ANNOUNCE);
	layer->output = layer->input;
}

static void read_softmax(struct network_layer *layer,
			 struct cfg_section *section)
{
	struct nn_layer_spec *spec = &layer->spec;

	spec->groups = cfg_count(section, "groups", 1, CFG_QUIET);
	spec->temperature = cfg_number(section, "temperature", 1.0f, CFG_QUIET);
	spec->noloss = cfg_count(section, "noloss", 0, CFG_QUIET) != 0;
	cfg_refuse_unless(section, "tree", 0.0f);
	cfg_refuse_unless(section, "spatial", 0.0f);
	layer->output = layer->input;
}

static void read_batchnorm(struct network_layer *layer,
			   struct cfg_section *section)
{
	(void)section;
	layer->output = layer->input;
}

static void read_activation_layer(struct network_layer *layer,
				  struct cfg_section *section)
{
	layer->spec.activation = read_activation(section, "linear");
	layer->output = layer->input;
}

static void read_shortcut(struct network_layer *layer,
			  struct cfg_section *section)
{
	struct nn_layer_spec *spec = &layer->spec;

	spec->activation = read_activation(section, "linear");
	spec->alpha = cfg_number(section, "alpha", 1.0f, CFG_QUIET);
	spec->beta = cfg_number(section, "beta", 1.0f, CFG_QUIET);
	layer->output = layer->input;
}

static void read_cost(struct network_layer *layer, struct cfg_section *section)
{
	layer->spec.cost = read_cost_type(section);
	layer->spec.scale = cfg_number(section, "scale", 1.0f, CFG_QUIET);
	cfg_refuse_unless(section, "ratio", 0.0f);
	cfg_refuse_unless(section, "noobj", 1.0f);
	cfg_refuse_unless(section, "thresh", 0.0f);
	layer->output = layer->input;
}

static const struct layer_kind {
	const char *name, *alias;
	enum nn_layer_kind kind;
	/* Its own keys and shape; NULL: a route has but its sources. */
	void (*read)(struct network_layer *layer, struct cfg_section *section);
	/* @layers: of the network, up to this one */
	void (*connect)(struct network_layer *layers, uint32_t index,
			struct cfg_section *section);
} kinds[] = {
	{ "convolutional", "conv", NN_CONVOLUTIONAL, read_convolutional, NULL },
	{ "maxpool", "max", NN_MAXPOOL, read_maxpool, NULL },
	{ "avgpool", "avg", NN_AVGPOOL, read_avgpool, NULL },
	{ "connected", "conn", NN_CONNECTED, read_connected, NULL },
	{ "dropout", "dropout", NN_DROPOUT, read_dropout, NULL },
	{ "softmax", "soft", NN_SOFTMAX, read_softmax, NULL },
	{ "cost", "cost", NN_COST, read_cost, NULL },
	{ "batchnorm", "batchnorm", NN_BATCHNORM, read_batchnorm, NULL },
	{ "activation", "activation", NN_ACTIVATION, read_activation_layer, NULL },
	{ "shortcut", "shortcut", NN_SHORTCUT, read_shortcut, sources_shortcut },
	{ "route", "route", NN_ROUTE, NULL, sources_route },
};

static const struct layer_kind *find_kind(const char *name)
{
	size_t i = 0;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kinds[i].name, name) ||
		    !strcmp(kinds[i].alias, name))
			return &kinds[i];
	return NULL;
}

/* Keys that every layer may have. */
static void read_common(struct network_layer *layer,
			struct cfg_section *section)
{
	static const char *const refused[] = {
		"truth", "onlyforward", "dontsave", "dontload", "smooth",
	};
	size_t i = 0;

	layer->spec.learning_rate = cfg_number(section, "learning_rate", 1.0f,
					       CFG_QUIET);
	layer->stopbackward = cfg_count(section, "stopbackward", 0,
					CFG_QUIET) != 0;
	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		cfg_refuse_unless(section, refused[i], 0.0f);
}

static void check_size(const struct network_layer *layer,
		       struct cfg_section *section, uint32_t index)
{
	const struct nn_shape *out = &layer->output;
	uint64_t area = (uint64_t)out->width * out->height;

	if (section->status)
		return;
	if (!area || !out->channels ||
	    area > NN_MAX_TENSOR_FLOATS / out->channels)
		cfg_fail(section,
			 message_refused("%s:%u: layer %u [%s] would have an output of %u x %u x %u; from 1 to %u values are possible",
					 section->path, section->line, index,
					 section->name, out->width, out->height,
					 out->channels, NN_MAX_TENSOR_FLOATS));
}

void layer_read(struct network_layer *layers, struct cfg_section *section,
		uint32_t index)
{
	const struct layer_kind *kind = find_kind(section->name);
	struct network_layer *layer = &layers[index];

	layer->line = section->line;
	if (!kind) {
		cfg_fail(section,
			 message_refused("%s:%u: Type not recognized: [%.40s] (layer %u); supported are convolutional, maxpool, avgpool, connected, dropout, softmax, cost, batchnorm, activation, shortcut and route",
					 section->path, section->line,
					 section->name, index));
		return;
	}
	layer->name = kind->name;
	layer->spec.kind = kind->kind;
	if (kind->read)
		kind->read(layer, section);
	if (kind->connect)
		kind->connect(layers, index, section);
	read_common(layer, section);
	check_size(layer, section, index);
	cfg_report_unused(section);
}
