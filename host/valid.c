/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>

#include "classifier.h"
#include "dataset.h"
#include "json.h"
#include "message.h"
#include "run.h"
#include "text.h"
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

static void tell_image(const struct validation *v, uint32_t index, bool in_top)
{
	json_begin("validated");
	json_string("image", v->dataset.paths.lines[index]);
	json_unsigned("class", v->dataset.classes[index]);
	json_unsigned("best", v->best[0]);
	json_bool("in_top", in_top);
	json_end();
}

static void count(struct validation *v, uint32_t index, const float *output)
{
	uint32_t class = v->dataset.classes[index];
	uint32_t outputs = run_outputs(&v->run);
	double images = index + 1.0;
	bool in_top = false;
	uint32_t i = 0;

	top_choose(output, outputs, v->top, v->best);
	for (i = 0; i < v->top; i++)
		in_top |= v->best[i] == class;
	v->right += v->best[0] == class;
	v->in_top += in_top;
	text_print(stdout, "%s, %u, %f, %f, \n",
		   v->dataset.paths.lines[index], class, (double)output[0],
		   outputs > 1 ? (double)output[1] : 0.0);
	printf("%u: top 1: %f, top %u: %f\n", index, v->right / images, v->top,
	       v->in_top / images);
	tell_image(v, index, in_top);
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

/* Of a hidden output only the first class is known. */
static uint32_t choose_top(const struct run *run)
{
	uint32_t top = run_top(run);

	if (!top)
		top = run_outputs(run);
	if (top == 1 || !partition_hides(&run->partition, &run->network))
		return top;
	message_note("the secure world tells the first class only, so that top %u cannot be counted, going with top 1",
		     top);
	return 1;
}

static int open_validation(struct validation *v)
{
	const struct run *run = &v->run;
	struct nn_shape shape = run->network.layers[0].input;

	v->top = choose_top(run);
	v->input = calloc(network_floats(shape), sizeof(*v->input));
	v->best = calloc(v->top, sizeof(*v->best));
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

static void report_accuracy(const struct validation *v)
{
	uint32_t images = v->dataset.paths.count;
	double top1 = (double)v->right / images;
	double topk = (double)v->in_top / images;

	printf("%u images: top 1: %f, top %u: %f\n", images, top1, v->top,
	       topk);
	json_begin("accuracy");
	json_unsigned("images", images);
	json_unsigned("top", v->top);
	json_double("top1", top1);
	json_double("topk", topk);
	json_end();
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
	if (!status)
		report_accuracy(&v);
	close_validation(&v);
	return status;
}
