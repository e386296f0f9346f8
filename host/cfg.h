/* SPDX-License-Identifier: MIT */
/*
 * cfg: Darknet's configuration text. Sections "[name]" hold lines "key=value";
 * blanks and tabs anywhere in a line do not count, lines that are empty or
 * start with '#' or ';' are skipped, and of two equal keys the first wins.
 *
 * Getters never fail at once: a value that cannot be used is reported with
 * file and line, the default is returned, and the section remembers the status.
 * So a reader asks for everything, looks at cfg_status() once, and the user
 * sees all mistakes of a file together.
 */
#ifndef CFG_H
#define CFG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cfg_entry {
	const char *key;
	const char *value;
	unsigned int line;
	bool used;		/* asked for by a getter */
};

struct cfg_section {
	const char *path;	/* of the file, for messages */
	const char *name;	/* without brackets; "" in a file without sections */
	unsigned int line;
	struct cfg_entry *entries;
	size_t n_entries;
	int status;		/* of the first value that could not be used */
};

struct cfg {
	char *path;
	char *text;		/* names, keys and values point into it */
	struct cfg_section *sections;
	size_t n_sections;
};

enum cfg_layout {
	CFG_SECTIONS,		/* a network: nothing before the first section */
	CFG_FLAT,		/* a data file: one section without a name */
};

/* What a getter does when the key is missing. */
enum cfg_default {
	CFG_QUIET,
	CFG_ANNOUNCE,		/* "KEY: Using default 'V'" on stderr */
};

/* Read @path; on success the caller ends with cfg_free(). */
int cfg_read(struct cfg *cfg, const char *path, enum cfg_layout layout);
void cfg_free(struct cfg *cfg);

/* A whole number from 0 to 2147483647. */
uint32_t cfg_count(struct cfg_section *section, const char *key,
		   uint32_t fallback, enum cfg_default announce);

float cfg_number(struct cfg_section *section, const char *key, float fallback,
		 enum cfg_default announce);

/* Text as it stands, blanks removed; lives as long as the cfg. */
const char *cfg_text(struct cfg_section *section, const char *key,
		     const char *fallback, enum cfg_default announce);

/*
 * Refuse the section if @key asks for something else than @neutral: a feature
 * of Darknet that is not computed here. A text that is no number asks too.
 */
void cfg_refuse_unless(struct cfg_section *section, const char *key,
		       float neutral);

/* Mark the section as unusable after a message about its line was printed. */
void cfg_fail(struct cfg_section *section, int status);

/* Line of the first entry @key, or of the section itself without one. */
unsigned int cfg_line(const struct cfg_section *section, const char *key);

/* Print "Unused field: 'KEY = VALUE'" for what no getter has asked for. */
void cfg_report_unused(const struct cfg_section *section);

/* 0, or the status of the first section that has one. */
int cfg_status(const struct cfg *cfg);

#endif /* CFG_H */
