/* SPDX-License-Identifier: MIT */
/*
 * Data sets: the input is three files with a byte ff between them, a data file,
 * its list of images and its list of labels. Images are not opened: fuzz_image.c.
 *
 * Claims: reading ends, in a status that is documented; lines of a list are
 * trimmed and none is empty; an accepted data set has a class for every image.
 */
#include "fuzz.h"

#include "dataset.h"
#include "message.h"

#include <ctype.h>
#include <string.h>

#define MARK 0xff

static const char *file_of(unsigned int slot, struct fuzz_input *input)
{
	struct fuzz_input part = fuzz_part(input, MARK);

	return fuzz_file(slot, part.at, part.left);
}

static void check_status(int status)
{
	fuzz_check(status == STATUS_FAILED || status == STATUS_REFUSED);
}

static void check_list(const char *path)
{
	struct list list = { 0 };
	int status = list_read(&list, path);
	uint32_t i = 0;

	if (status) {
		check_status(status);
		return;
	}
	for (i = 0; i < list.count; i++) {
		const char *line = list.lines[i];

		fuzz_check(*line != '\0' && !strchr(line, '\n'));
		fuzz_check(!isspace((unsigned char)line[0]));
		fuzz_check(!isspace((unsigned char)line[strlen(line) - 1]));
	}
	list_free(&list);
}

static void open_dataset(struct data *data, const char *images,
			 const char *labels)
{
	struct dataset dataset = { 0 };
	int status = 0;
	uint32_t i = 0;

	data->labels = labels;
	status = dataset_open(&dataset, images, data, 3);
	if (status) {
		check_status(status);
		fuzz_check(!dataset.classes && !dataset.kept);
		return;
	}
	fuzz_check(dataset.paths.count > 0 && dataset.n_classes == data->classes);
	for (i = 0; i < dataset.paths.count; i++)
		fuzz_check(dataset.classes[i] < dataset.n_classes);
	dataset_close(&dataset);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct fuzz_input input = { bytes, size };
	const char *keys = file_of(0, &input);
	const char *images = file_of(1, &input);
	const char *labels = file_of(2, &input);
	struct data data = { 0 };
	int status = data_read(&data, keys);

	check_list(images);
	check_list(labels);
	if (status) {
		check_status(status);
		return 0;
	}
	fuzz_check(data.classes > 0);
	fuzz_check(data.train && data.valid && data.backup && data.labels
		   && data.names);
	open_dataset(&data, images, labels);
	data_free(&data);
	return 0;
}
