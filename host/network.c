/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "cfg.h"
#include "layers.h"
#include "message.h"
#include "network.h"

/* ---- [net] ---- */

/* Like Darknet: parts of equal size, a remainder is not computed. */
static void use_batch(struct network *network, uint32_t batch)
{
	network->batch = batch / network->subdivisions * network->subdivisions;
	if (network->batch != batch)
		message_note("batch=%u is not a multiple of subdivisions=%u, going with %u",
			     batch, network->subdivisions, network->batch);
}

static void read_batch(struct network *network, struct cfg_section *section)
{
	uint32_t batch = cfg_count(section, "batch", 1, CFG_ANNOUNCE);

	network->subdivisions = cfg_count(section, "subdivisions", 1,
					  CFG_ANNOUNCE);
	if (!section->status &&
	    (!network->subdivisions || batch < network->subdivisions))
		cfg_fail(section,
			 message_refused("%s:%u: batch=%u cannot be divided into subdivisions=%u",
					 section->path,
					 cfg_line(section, "subdivisions"),
					 batch, network->subdivisions));
	if (!section->status)
		use_batch(network, batch);
}

int network_set_batch(struct network *network, uint32_t batch)
{
	if (batch < network->subdivisions)
		return message_refused("-batch %u: cannot be divided into subdivisions=%u of %s",
				       batch, network->subdivisions,
				       network->path);
	use_batch(network, batch);
	return 0;
}

static void read_input(struct network *network, struct cfg_section *section)
{
	uint64_t area = 0;
	uint64_t inputs = 0;

	network->height = cfg_count(section, "height", 0, CFG_QUIET);
	network->width = cfg_count(section, "width", 0, CFG_QUIET);
	network->channels = cfg_count(section, "channels", 0, CFG_QUIET);
	if (section->status)
		return;
	area = (uint64_t)network->width * network->height;
	if (!area || !network->channels ||
	    area > NN_MAX_TENSOR_FLOATS / network->channels) {
		cfg_fail(section,
			 message_refused("%s:%u: [net] needs height, width and channels, together from 1 to %u values",
					 section->path, section->line,
					 NN_MAX_TENSOR_FLOATS));
		return;
	}
	inputs = area * network->channels;
	if (cfg_count(section, "inputs", (uint32_t)inputs, CFG_QUIET) != inputs)
		cfg_fail(section,
			 message_refused("%s:%u: inputs differs from height x width x channels = %llu",
					 section->path,
					 cfg_line(section, "inputs"),
					 (unsigned long long)inputs));
}

/* The crop edge as pixels, or as a multiple of the width if @ratio_key is there. */
static uint32_t read_crop(const struct network *network,
			  struct cfg_section *section, const char *key,
			  const char *ratio_key, uint32_t fallback)
{
	uint32_t crop = cfg_count(section, key, fallback, CFG_QUIET);
	float ratio = cfg_number(section, ratio_key, -1.0f, CFG_QUIET);
	float pixels = ratio * (float)network->width;

	if (ratio >= 0.0f)
		crop = pixels < 65536.0f ? (uint32_t)pixels : 65536;
	if (!section->status && (crop < 1 || crop > 65535))
		cfg_fail(section,
			 message_refused("%s:%u: %s must be from 1 to 65535 pixels",
					 section->path,
					 cfg_line(section, key), key));
	return crop;
}

/* A factor f that stands for the range from 1/f to f. */
static float read_range(struct cfg_section *section, const char *key)
{
	float factor = cfg_number(section, key, 1.0f, CFG_QUIET);

	if (!section->status && factor <= 0.0f)
		cfg_fail(section, message_refused("%s:%u: %s must be above 0",
						  section->path,
						  cfg_line(section, key), key));
	return factor;
}

static void read_augmentation(struct network *network,
			      struct cfg_section *section)
{
	struct network_augmentation *a = &network->augmentation;
	uint32_t width = network->width;

	a->max_crop = read_crop(network, section, "max_crop", "max_ratio",
				2 * width);
	a->min_crop = read_crop(network, section, "min_crop", "min_ratio",
				width);
	a->angle = cfg_number(section, "angle", 0.0f, CFG_QUIET);
	a->aspect = read_range(section, "aspect");
	a->saturation = read_range(section, "saturation");
	a->exposure = read_range(section, "exposure");
	a->hue = cfg_number(section, "hue", 0.0f, CFG_QUIET);
	a->flip = cfg_count(section, "flip", 1, CFG_QUIET) != 0;
}

static void read_net(struct network *network, struct cfg_section *section)
{
	static const char *const refused[] = {
		"notruth", "random", "adam", "center", "clip",
	};
	size_t i = 0;

	read_batch(network, section);
	network->momentum = cfg_number(section, "momentum", 0.9f, CFG_ANNOUNCE);
	network->decay = cfg_number(section, "decay", 0.0001f, CFG_ANNOUNCE);
	schedule_read(&network->schedule, section);
	cfg_refuse_unless(section, "time_steps", 1.0f);
	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		cfg_refuse_unless(section, refused[i], 0.0f);
	read_input(network, section);
	read_augmentation(network, section);
}

/* ---- Layers ---- */

static int check_layer_count(const struct cfg *cfg)
{
	if (!cfg->n_sections || (strcmp(cfg->sections[0].name, "net") &&
				 strcmp(cfg->sections[0].name, "network")))
		return message_refused("%s: the first section must be [net] or [network]",
				       cfg->path);
	if (cfg->n_sections < 2)
		return message_refused("%s: no layers after [net]", cfg->path);
	if (cfg->n_sections - 1 > NN_MAX_LAYERS)
		return message_refused("%s: %zu layers; at most %u are possible",
				       cfg->path, cfg->n_sections - 1,
				       NN_MAX_LAYERS);
	return 0;
}

static int read_layers(struct network *network, struct cfg *cfg)
{
	struct nn_shape shape = { network->width, network->height,
				  network->channels };
	uint32_t i = 0;

	network->n_layers = (uint32_t)cfg->n_sections - 1;
	network->layers = calloc(network->n_layers, sizeof(*network->layers));
	if (!network->layers)
		return message_no_memory(cfg->path);
	for (i = 0; i < network->n_layers; i++) {
		struct cfg_section *section = &cfg->sections[i + 1];

		network->layers[i].input = shape;
		layer_read(network->layers, section, i);
		if (section->status)
			return section->status;
		shape = network->layers[i].output;
	}
	return 0;
}

static int read_sections(struct network *network, struct cfg *cfg)
{
	int status = check_layer_count(cfg);

	if (status)
		return status;
	read_net(network, &cfg->sections[0]);
	status = cfg_status(cfg);
	return status ? status : read_layers(network, cfg);
}

int network_read(struct network *network, const char *path)
{
	struct cfg cfg = { 0 };
	int status = cfg_read(&cfg, path, CFG_SECTIONS);

	*network = (struct network){ 0 };
	if (status)
		return status;
	network->path = strdup(path);
	status = network->path ? read_sections(network, &cfg) :
				 message_no_memory("a path");
	cfg_free(&cfg);
	if (status)
		network_free(network);
	return status;
}

void network_free(struct network *network)
{
	schedule_free(&network->schedule);
	free(network->layers);
	free(network->path);
	*network = (struct network){ 0 };
}

uint32_t network_floats(struct nn_shape shape)
{
	return shape.width * shape.height * shape.channels;
}

bool network_owns_loss(const struct network_layer *layer)
{
	return layer->spec.kind == NN_COST ||
	       (layer->spec.kind == NN_SOFTMAX && !layer->spec.noloss);
}

bool network_normalizes(const struct network *network)
{
	uint32_t i = 0;

	for (i = 0; i < network->n_layers; i++)
		if (network->layers[i].spec.batch_normalize ||
		    network->layers[i].spec.kind == NN_BATCHNORM)
			return true;
	return false;
}

int network_refuse_layer(const struct network *network, uint32_t layer,
			 const char *reason)
{
	return message_refused("%s:%u: layer %u cannot be computed: %s",
			       network->path, network->layers[layer].line,
			       layer, reason);
}
