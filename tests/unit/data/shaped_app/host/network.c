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

static const char *kind(char *section)
{
	if (!strncmp(section, "[conv", 5))
		return "conv";
	if (!strncmp(section, "[max", 4))
		return "max";
	return strtok(section, "[]\n");
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

const char *value_in(const char *cfg, const char *key)
{
	static char value[128];
	FILE *file = opened(cfg);
	char line[256] = { 0 };
	char name[64] = { 0 };

	value[0] = '\0';
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, " %63[^= \n] = %127s", name, value) == 2 && !strcmp(name, key))
			break;
		else
			value[0] = '\0';
	fclose(file);
	return value;
}
