/* SPDX-License-Identifier: MIT */
/*
 * The verb test: Darknet's table of what the network makes of a list of images,
 * one line per image,
 *
 *   PATH	VALUE	VALUE	...
 *
 * separated by tabs, a value per class; below a heading with the classes' names.
 */
#include <stdio.h>

#include "classifier.h"
#include "classify.h"
#include "message.h"
#include "text.h"
#include "top.h"

static void print_heading(const struct classify *c)
{
	uint32_t i = 0;

	printf("path");
	for (i = 0; i < c->outputs; i++)
		text_print(stdout, "\t%s", c->names.lines[i]);
	printf("\n");
}

static int test_image(struct classify *c, const char *path)
{
	struct classify_result result = { 0 };
	uint32_t i = 0;
	int status = classify_image(c, path, image_stretch, &result);

	if (status)
		return status;
	text_print(stdout, "%s", path);
	for (i = 0; i < c->outputs; i++)
		printf("\t%g", (double)result.output[i]);
	printf("\n");
	top_choose(result.output, c->outputs, c->outputs, c->best);
	classify_tell(c, path, &result, c->outputs);
	return 0;
}

/* An image that fails does not keep the others from being tried. */
static int test_list(struct classify *c, const struct list *list)
{
	int first_failure = 0;
	uint32_t i = 0;

	print_heading(c);
	for (i = 0; i < list->count; i++) {
		int status = test_image(c, list->lines[i]);

		if (!first_failure)
			first_failure = status;
	}
	return first_failure;
}

int test_run(const struct options *options, struct tee *tee)
{
	struct classify c = { 0 };
	struct list list = { 0 };
	int status = classify_open(&c, options, tee);

	if (status)
		return status;
	status = list_read(&list, c.run.data.test);
	if (!status && !list.count)
		status = message_refused("%s: lists no images", c.run.data.test);
	if (!status)
		status = test_list(&c, &list);
	list_free(&list);
	classify_close(&c);
	return status;
}
