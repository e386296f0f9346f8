/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "classifier.h"
#include "classify.h"
#include "message.h"
#include "report.h"
#include "text.h"
#include "top.h"

struct prediction {
	struct classify classify;
	struct report report;
	uint32_t top;		/* classes to print */
	int status;		/* the first that was not 0 */
};

static void print_top(const struct prediction *p, const float *output)
{
	const struct classify *c = &p->classify;
	uint32_t i = 0;

	top_choose(output, c->outputs, p->top, c->best);
	for (i = 0; i < p->top; i++)
		text_print(stdout, "%5.2f%%: %s\n",
			   (double)output[c->best[i]] * 100.0,
			   c->names.lines[c->best[i]]);
}

static int predict_image(struct prediction *p, const char *path)
{
	struct classify_result result = { 0 };
	int status = 0;

	report_start_usage(&p->report);
	status = classify_image(&p->classify, path, image_letterbox, &result);
	if (status)
		return status;
	report_print(&p->report, stderr, "%s: Predicted in %f seconds.\n", path,
		     result.cpu_seconds);
	print_top(p, result.output);
	report_usage(&p->report);
	classify_tell(&p->classify, path, &result, p->top);
	return 0;
}

static void note_status(struct prediction *p, int status)
{
	if (!p->status)
		p->status = status;
}

/* An image that fails does not keep the others from being tried. */
static void try_image(struct prediction *p, const char *path)
{
	note_status(p, predict_image(p, path));
}

static int predict_list(struct prediction *p, const char *path)
{
	struct list list = { 0 };
	uint32_t i = 0;
	int status = list_read(&list, path);

	if (status)
		return status;
	for (i = 0; i < list.count; i++)
		try_image(p, list.lines[i]);
	list_free(&list);
	return p->status;
}

/*
 * A line of standard input without its end. False: there is no more, or what
 * comes is no list of paths, which is no reason to fill the memory with it.
 */
static bool read_path(struct prediction *p, char path[PATH_MAX])
{
	size_t length = 0;
	int c = 0;

	while ((c = getchar()) != EOF && c != '\n') {
		if (length == PATH_MAX - 1) {
			note_status(p, message_refused("standard input: a line is longer than any path, %d bytes",
						       PATH_MAX - 1));
			return false;
		}
		path[length++] = (char)c;
	}
	path[length] = '\0';
	path[strcspn(path, "\r")] = '\0';
	return c != EOF || length;
}

static int predict_input(struct prediction *p)
{
	char path[PATH_MAX] = "";

	for (;;) {
		printf("Enter Image Path: ");
		fflush(stdout);
		if (!read_path(p, path))
			break;
		if (*path != '\0')
			try_image(p, path);
	}
	printf("\n");
	return p->status;
}

/* Images named as words, then those of a list, or standard input's. */
static int predict_all(struct prediction *p)
{
	const struct options *options = p->classify.run.options;
	int i = 0;

	for (i = WORD_IMAGES; i < options->n_words; i++)
		try_image(p, options->words[i]);
	if (options->list)
		return predict_list(p, options->list);
	return i > WORD_IMAGES ? p->status : predict_input(p);
}

int predict_run(const struct options *options, struct tee *tee)
{
	struct prediction p = { 0 };
	int status = classify_open(&p.classify, options, tee);

	if (status)
		return status;
	p.top = run_top(&p.classify.run);
	status = report_open(&p.report, options, "predict",
			     p.classify.run.cfg_path);
	if (!status)
		status = predict_all(&p);
	status = report_close(&p.report, status);
	classify_close(&p.classify);
	return status;
}
