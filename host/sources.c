/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "message.h"
#include "number.h"
#include "sources.h"

static void refuse(struct cfg_section *section, const char *key,
		   const char *text, uint32_t index)
{
	cfg_fail(section,
		 message_refused("%s:%u: [%s] %s=%.80s: expected 1 to %u layers before this one, %u: from 0 on, or back from -1 on, separated by commas",
				 section->path, cfg_line(section, key),
				 section->name, key, text, NN_MAX_SOURCES,
				 index));
}

/* One number of the list, of @length characters. As in cfg.c, '#' and ';' end it. */
static bool parse_layer(const char *text, size_t length, uint32_t index,
			uint16_t *layer)
{
	bool back = *text == '-';
	char digits[16] = "";
	uint64_t number = 0;

	if (length >= sizeof(digits))
		return false;
	memcpy(digits, text + back, length - back);
	if (!number_unsigned(digits, NN_MAX_NETWORK, &number))
		return false;
	if (back)
		number = number <= index ? index - number : index;
	*layer = (uint16_t)number;
	return number < index;
}

static bool parse_list(const char *text, uint32_t index,
		       struct nn_layer_spec *spec)
{
	size_t length = 0;

	for (spec->n_sources = 0; spec->n_sources < NN_MAX_SOURCES;
	     text += length + 1) {
		length = strcspn(text, ",#;");
		if (!parse_layer(text, length, index,
				 &spec->sources[spec->n_sources]))
			return false;
		spec->n_sources++;
		if (text[length] != ',')
			return true;
	}
	return false;
}

static void read_sources(struct network_layer *layer, uint32_t index,
			 struct cfg_section *section, const char *key)
{
	const char *text = cfg_text(section, key, "", CFG_QUIET);

	if (!parse_list(text, index, &layer->spec))
		refuse(section, key, text, index);
}

static bool same_step(uint32_t a_width, uint32_t a_height, uint32_t b_width,
		      uint32_t b_height)
{
	return a_width / b_width == a_height / b_height &&
	       b_width / a_width == b_height / a_height;
}

/* As nn/ checks it, but with file and line. */
static void check_meeting(const struct network_layer *layer,
			  struct cfg_section *section)
{
	const struct nn_shape *a = &layer->input;
	const struct nn_shape *b = &layer->source;
	bool same = !memcmp(a, b, sizeof(*a));
	float alpha = layer->spec.alpha;

	if (!same_step(a->width, a->height, b->width, b->height))
		cfg_fail(section,
			 message_refused("%s:%u: [%s] images of %u x %u and of %u x %u (layer %u) differ by other factors in width and height",
					 section->path, section->line,
					 section->name, a->width, a->height,
					 b->width, b->height,
					 layer->spec.sources[0]));
	else if (!same && (alpha < 1 || alpha > 1))
		cfg_fail(section,
			 message_refused("%s:%u: [%s] alpha=%g is supported only where both images have the same shape",
					 section->path,
					 cfg_line(section, "alpha"),
					 section->name, (double)alpha));
}

void sources_shortcut(struct network_layer *layers, uint32_t index,
		      struct cfg_section *section)
{
	struct network_layer *layer = &layers[index];

	read_sources(layer, index, section, "from");
	if (!section->status && layer->spec.n_sources != 1)
		refuse(section, "from", "(a list)", index);
	if (section->status)
		return;
	layer->source = layers[layer->spec.sources[0]].output;
	check_meeting(layer, section);
}

static void join(struct network_layer *layer, const struct nn_shape *source,
		 uint32_t number, struct cfg_section *section)
{
	struct nn_shape *out = &layer->output;

	if (!out->channels)
		*out = (struct nn_shape){ source->width, source->height, 0 };
	if (out->width != source->width || out->height != source->height)
		cfg_fail(section,
			 message_refused("%s:%u: [%s] layer %u has images of %u x %u, not %u x %u as the first one",
					 section->path, section->line,
					 section->name, number, source->width,
					 source->height, out->width,
					 out->height));
	out->channels += source->channels;
}

void sources_route(struct network_layer *layers, uint32_t index,
		   struct cfg_section *section)
{
	struct network_layer *layer = &layers[index];
	uint32_t i = 0;

	read_sources(layer, index, section, "layers");
	for (i = 0; i < layer->spec.n_sources && !section->status; i++)
		join(layer, &layers[layer->spec.sources[i]].output,
		     layer->spec.sources[i], section);
}
