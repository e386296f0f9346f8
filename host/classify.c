/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <time.h>

#include "classify.h"
#include "json.h"
#include "message.h"
#include "report.h"

static int prepare(struct classify *c)
{
	const struct run *run = &c->run;
	const struct nn_shape *shape = &run->network.layers[0].input;

	if (shape->channels != 1 && shape->channels != 3)
		return message_refused("%s: images have 1 or 3 channels, but the network wants %u",
				       run->cfg_path, shape->channels);
	c->outputs = run_outputs(run);
	c->hidden = partition_hides(&run->partition, &run->network);
	c->input = calloc(network_floats(*shape), sizeof(*c->input));
	c->best = calloc(c->outputs, sizeof(*c->best));
	if (!c->input || !c->best)
		return message_no_memory("an image");
	return list_read_classes(&c->names, run->data.names, run->data.classes);
}

int classify_open(struct classify *c, const struct options *options,
		  struct tee *tee)
{
	int status = 0;

	*c = (struct classify){ 0 };
	status = run_open(&c->run, options, tee, false);
	if (status)
		return status;
	status = prepare(c);
	if (status)
		classify_close(c);
	return status;
}

void classify_close(struct classify *c)
{
	list_free(&c->names);
	free(c->input);
	free(c->best);
	run_close(&c->run);
}

int classify_image(struct classify *c, const char *path, classify_fit *fit,
		   struct classify_result *result)
{
	struct image image = { 0 };
	int status = image_read(&image, path, c->run.network.channels);
	double start = report_clock();
	clock_t cpu_start = clock();

	if (status)
		return status;
	fit(&image, c->run.network.layers[0].input, c->input);
	image_free(&image);
	status = chain_predict(&c->run.chain, c->input, &result->output);
	result->cpu_seconds = (double)(clock() - cpu_start) / CLOCKS_PER_SEC;
	result->seconds = report_clock() - start;
	return status;
}

void classify_tell(const struct classify *c, const char *path,
		   const struct classify_result *result, uint32_t top)
{
	uint32_t known = c->hidden && top > 1 ? 1 : top;
	uint32_t i = 0;

	json_begin("prediction");
	json_string("image", path);
	json_double("seconds", result->seconds);
	json_bool("hidden", c->hidden);
	json_open_array("top");
	for (i = 0; i < known; i++) {
		uint32_t class = c->best[i];

		json_open_object(NULL);
		json_unsigned("class", class);
		json_string("name", c->names.lines[class]);
		json_float("share", result->output[class]);
		json_close_object();
	}
	json_close_array();
	json_end();
}
