/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "classifier.h"
#include "image.h"
#include "message.h"
#include "report.h"
#include "run.h"
#include "top.h"

/* Positional words before the images. */
#define WORDS_BEFORE_IMAGES 5

struct prediction {
	struct run run;
	struct list names;
	struct report report;
	uint32_t top;		/* classes to print */
	float *input;		/* one sample */
	uint32_t *best;		/* top indices */
};

static void print_top(const struct prediction *p, const float *output)
{
	uint32_t i = 0;

	top_choose(output, run_outputs(&p->run), p->top, p->best);
	for (i = 0; i < p->top; i++)
		printf("%5.2f%%: %s\n", (double)output[p->best[i]] * 100.0,
		       p->names.lines[p->best[i]]);
}

static int classify(struct prediction *p, const struct image *image,
		    const char *path)
{
	const float *output = NULL;
	clock_t start = 0;
	int status = 0;

	report_start_usage(&p->report);
	start = clock();
	image_letterbox(image, p->run.network.layers[0].input, p->input);
	status = chain_predict(&p->run.chain, p->input, &output);
	if (status)
		return status;
	report_print(&p->report, stderr, "%s: Predicted in %f seconds.\n", path,
		     (double)(clock() - start) / CLOCKS_PER_SEC);
	print_top(p, output);
	report_usage(&p->report);
	return 0;
}

static int predict_image(struct prediction *p, const char *path)
{
	struct image image = { 0 };
	int status = image_read(&image, path, p->run.network.channels);

	if (status)
		return status;
	status = classify(p, &image, path);
	image_free(&image);
	return status;
}

/* An image that fails does not keep the others from being tried. */
static int predict_words(struct prediction *p, char *const *paths, int n)
{
	int first_failure = 0;
	int i = 0;

	for (i = 0; i < n; i++) {
		int status = predict_image(p, paths[i]);

		if (!first_failure)
			first_failure = status;
	}
	return first_failure;
}

static int predict_input(struct prediction *p)
{
	char *line = NULL;
	size_t size = 0;
	int first_failure = 0;

	for (;;) {
		int status = 0;

		printf("Enter Image Path: ");
		fflush(stdout);
		if (getline(&line, &size, stdin) < 0)
			break;
		line[strcspn(line, "\r\n")] = '\0';
		if (*line != '\0')
			status = predict_image(p, line);
		if (!first_failure)
			first_failure = status;
	}
	printf("\n");
	free(line);
	return first_failure;
}

static int open_prediction(struct prediction *p)
{
	const struct run *run = &p->run;
	const struct nn_shape *shape = &run->network.layers[0].input;
	uint32_t top = run->options->top ? run->options->top : run->data.top;
	int status = 0;

	if (shape->channels != 1 && shape->channels != 3)
		return message_refused("%s: images have 1 or 3 channels, but the network wants %u",
				       run->cfg_path, shape->channels);
	p->top = top < run_outputs(run) ? top : run_outputs(run);
	p->input = calloc(network_floats(*shape), sizeof(*p->input));
	p->best = calloc(p->top ? p->top : 1, sizeof(*p->best));
	if (!p->input || !p->best)
		return message_no_memory("an image");
	status = list_read_classes(&p->names, run->data.names,
				   run->data.classes);
	if (status)
		return status;
	return report_open(&p->report, run->options, "predict", run->cfg_path);
}

static void close_prediction(struct prediction *p)
{
	report_close(&p->report);
	list_free(&p->names);
	free(p->input);
	free(p->best);
	run_close(&p->run);
}

int predict_run(const struct options *options, struct tee *tee)
{
	struct prediction p = { 0 };
	int images = options->n_words - WORDS_BEFORE_IMAGES;
	int status = run_open(&p.run, options, tee, false);

	if (status)
		return status;
	status = open_prediction(&p);
	if (!status && images)
		status = predict_words(&p, options->words + WORDS_BEFORE_IMAGES,
				       images);
	else if (!status)
		status = predict_input(&p);
	close_prediction(&p);
	return status;
}
