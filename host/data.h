/* SPDX-License-Identifier: MIT */
/*
 * data: the data file of a classifier (.data, .dataset) and the lists that it
 * names: text files with one entry per line.
 */
#ifndef DATA_H
#define DATA_H

#include <stdint.h>

#include "cfg.h"

struct data {
	struct cfg cfg;		/* the strings below live in it */
	uint32_t classes;
	uint32_t top;		/* classes to print for a prediction */
	const char *train;	/* list of images to train on */
	const char *valid;	/* list of images to evaluate on */
	const char *test;	/* list of images without known classes */
	const char *backup;	/* directory for trained weights */
	const char *labels;	/* list of strings that mark classes in file names */
	const char *names;	/* list of names to print */
};

/* Read a data file; on success the caller ends with data_free(). */
int data_read(struct data *data, const char *path);
void data_free(struct data *data);

/* The lines of a text file, without empty ones and blanks around them. */
struct list {
	char *text;
	char **lines;
	uint32_t count;
};

int list_read(struct list *list, const char *path);
void list_free(struct list *list);

/* Read a list of @classes names or labels; a shorter one is refused. */
int list_read_classes(struct list *list, const char *path, uint32_t classes);

#endif /* DATA_H */
