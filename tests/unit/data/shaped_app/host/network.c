/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shaped.h"

static FILE *opened(const char *cfg)
{
	FILE *file = fopen(cfg, "r");

	if (!file) {
		fprintf(stderr, "Couldn't open file: %s\n", cfg);
		exit(0);
	}
	return file;
}

static const char *kind(const char *section)
{
	if (!strncmp(section, "[conv", 5))
		return "conv";
	if (!strncmp(section, "[max", 4))
		return "max";
	return strtok((char *)section, "[]\n");
}

void print_layers(const char *cfg, int first, int last)
{
	FILE *file = opened(cfg);
	char line[256] = { 0 };

	shaped_rows = -1;	/* the first section is no layer */
	while (fgets(line, sizeof(line), file)) {
		if (line[0] != '[')
			continue;
		if (shaped_rows >= 0)
			printf("%5d %s%s 1 -> 1\n", shaped_rows, kind(line),
			       shaped_rows >= first && shaped_rows <= last ? "_TA" : "");
		shaped_rows++;
	}
	fclose(file);
}

int number_in(const char *cfg, const char *key)
{
	FILE *file = opened(cfg);
	char line[256] = { 0 };
	size_t length = strlen(key);
	int value = 0;

	while (!value && fgets(line, sizeof(line), file))
		if (!strncmp(line, key, length) && line[length] == '=')
			value = atoi(line + length + 1);
	fclose(file);
	return value;
}
