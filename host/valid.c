/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>

#include "classifier.h"
#include "dataset.h"
#include "message.h"
#include "run.h"
#include "top.h"

struct validation {
	struct run run;
	struct dataset dataset;
	float *input;		/* one sample */
	uint32_t top;		/* classes that count as "top N" */
	uint32_t *best;		/* top indices */
	uint32_t right;		/* images whose class came first */
	uint32_t in_top;	/* images whose class was among the top ones */
};

static void count(struct validation *v, uint32_t index, const float *output)
{
	uint32_t class = v->dataset.classes[index];
	uint32_t outputs = run_outputs(&v->run);
	double images = index + 1;
	uint32_t i = 0;

	top_choose(output, outputs, v->top, v->best);
	v->right += v->best[0] == class;
	for (i = 0; i < v->top; i++)
		v->in_top += v->best[i] == class;
	printf("%s, %u, %f, %f, \n", v->dataset.paths.lines[index], class,
	       (double)output[0], outputs > 1 ? (double)output[1] : 0.0);
	printf("%u: top 1: %f, top %u: %f\n", index, v->right / images, v->top,
	       v->in_top / images);
}

static int validate_image(struct validation *v, uint32_t index)
{
	struct image image = { 0 };
	const float *output = NULL;
	int status = dataset_image(&v->dataset, index, &image);

	if (status)
		return status;
	image_center_square(&image, v->run.network.layers[0].input, v->input);
	dataset_return(&v->dataset, index, &image);
	status = chain_predict(&v->run.chain, v->input, &output);
	if (!status)
		count(v, index, output);
	return status;
}

static int open_validation(struct validation *v)
{
	const struct run *run = &v->run;
	struct nn_shape shape = run->network.layers[0].input;
	uint32_t top = run->options->top ? run->options->top : run->data.top;

	if (!top || top > run_outputs(run))
		top = run_outputs(run);
	v->top = top;
	v->input = calloc(network_floats(shape), sizeof(*v->input));
	v->best = calloc(top, sizeof(*v->best));
	if (!v->input || !v->best)
		return message_no_memory("an image");
	return dataset_open(&v->dataset, run->data.valid, &run->data,
			    shape.channels);
}

static void close_validation(struct validation *v)
{
	dataset_close(&v->dataset);
	free(v->input);
	free(v->best);
	run_close(&v->run);
}

int valid_run(const struct options *options, struct tee *tee)
{
	struct validation v = { 0 };
	uint32_t i = 0;
	int status = run_open(&v.run, options, tee, false);

	if (status)
		return status;
	status = open_validation(&v);
	for (i = 0; !status && i < v.dataset.paths.count; i++)
		status = validate_image(&v, i);
	close_validation(&v);
	return status;
}
