/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "data.h"
#include "files.h"
#include "message.h"

#define BLANKS " \t\r\v\f"
#define LIST_BYTES_MAX (UINT64_C(64) << 20)	/* bytes of a file */

int data_read(struct data *data, const char *path)
{
	struct cfg_section *keys = NULL;
	int status = 0;

	*data = (struct data){ 0 };
	status = cfg_read(&data->cfg, path, CFG_FLAT);
	if (status)
		return status;
	keys = &data->cfg.sections[0];
	data->classes = cfg_count(keys, "classes", 2, CFG_QUIET);
	data->top = cfg_count(keys, "top", 1, CFG_QUIET);
	data->train = cfg_text(keys, "train", "data/train.list", CFG_QUIET);
	data->valid = cfg_text(keys, "valid", "data/train.list", CFG_QUIET);
	data->test = cfg_text(keys, "test", "data/test.list", CFG_QUIET);
	data->backup = cfg_text(keys, "backup", "/backup/", CFG_QUIET);
	data->labels = cfg_text(keys, "labels", "data/labels.list", CFG_QUIET);
	data->names = cfg_text(keys, "names", data->labels, CFG_QUIET);
	cfg_refuse_unless(keys, "tag", 0.0f);
	cfg_refuse_unless(keys, "tree", 0.0f);
	if (!data->classes)
		cfg_fail(keys, message_refused("%s:%u: classes=0: at least 1 is needed",
					       path, cfg_line(keys, "classes")));
	status = cfg_status(&data->cfg);
	if (status)
		data_free(data);
	return status;
}

void data_free(struct data *data)
{
	cfg_free(&data->cfg);
	*data = (struct data){ 0 };
}

static uint32_t count_lines(const char *text)
{
	uint32_t count = 1;

	for (; *text != '\0'; text++)
		count += *text == '\n';
	return count;
}

/* Cut blanks at both ends. */
static char *trim(char *line)
{
	size_t length = 0;

	line += strspn(line, BLANKS);
	length = strlen(line);
	while (length && strchr(BLANKS, line[length - 1]))
		line[--length] = '\0';
	return line;
}

int list_read(struct list *list, const char *path)
{
	char *rest = NULL;
	int status = 0;

	*list = (struct list){ 0 };
	status = file_read_text(path, LIST_BYTES_MAX, &list->text);
	if (status)
		return status;
	list->lines = calloc(count_lines(list->text), sizeof(*list->lines));
	if (!list->lines) {
		list_free(list);
		return message_no_memory(path);
	}
	rest = list->text;
	while (rest) {
		char *line = trim(strsep(&rest, "\n"));

		if (*line != '\0')
			list->lines[list->count++] = line;
	}
	return 0;
}

void list_free(struct list *list)
{
	free(list->lines);
	free(list->text);
	*list = (struct list){ 0 };
}

int list_read_classes(struct list *list, const char *path, uint32_t classes)
{
	uint32_t found = 0;
	int status = list_read(list, path);

	if (status || list->count >= classes)
		return status;
	found = list->count;
	list_free(list);
	return message_refused("%s: has %u lines, but there are %u classes",
			       path, found, classes);
}
