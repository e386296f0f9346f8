/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "cfg.h"
#include "files.h"
#include "message.h"
#include "number.h"

/* Bytes of a file: every third one may begin a section. */
#define CFG_BYTES_MAX (UINT64_C(1) << 20)

/* ---- Reading ---- */

static void remove_blanks(char *line)
{
	char *to = line;
	const char *from = line;

	for (; *from != '\0'; from++)
		if (!strchr(" \t\r\v\f", *from))
			*to++ = *from;
	*to = '\0';
}

/* Arrays grow by doubling: called when @count is 0 or a power of two. */
static void *grow(void *array, size_t count, size_t size)
{
	if (count & (count - 1))
		return array;
	return reallocarray(array, count ? 2 * count : 1, size);
}

static int add_section(struct cfg *cfg, const char *name, unsigned int line)
{
	struct cfg_section *grown = grow(cfg->sections, cfg->n_sections,
					 sizeof(*grown));

	if (!grown)
		return message_no_memory(cfg->path);
	cfg->sections = grown;
	cfg->sections[cfg->n_sections++] = (struct cfg_section){
		.path = cfg->path, .name = name, .line = line,
	};
	return 0;
}

static int add_entry(struct cfg *cfg, const char *key, const char *value,
		     unsigned int line)
{
	struct cfg_section *section = &cfg->sections[cfg->n_sections - 1];
	struct cfg_entry *grown = grow(section->entries, section->n_entries,
				       sizeof(*grown));

	if (!grown)
		return message_no_memory(cfg->path);
	section->entries = grown;
	section->entries[section->n_entries++] = (struct cfg_entry){
		.key = key, .value = value, .line = line,
	};
	return 0;
}

static int syntax_error(const struct cfg *cfg, unsigned int line,
			const char *text)
{
	return message_refused("%s:%u: Config file error line %u, could parse: %.80s",
			       cfg->path, line, line, text);
}

static int read_heading(struct cfg *cfg, char *text, unsigned int line)
{
	size_t length = strlen(text);

	if (length < 3 || text[length - 1] != ']')
		return syntax_error(cfg, line, text);
	text[length - 1] = '\0';
	return add_section(cfg, text + 1, line);
}

static int read_line(struct cfg *cfg, char *text, unsigned int line,
		     enum cfg_layout layout)
{
	char *equals = NULL;

	remove_blanks(text);
	if (*text == '\0' || *text == '#' || *text == ';')
		return 0;
	if (*text == '[' && layout == CFG_SECTIONS)
		return read_heading(cfg, text, line);
	equals = strchr(text, '=');
	if (!equals || equals == text)
		return syntax_error(cfg, line, text);
	if (!cfg->n_sections)
		return message_refused("%s:%u: '%.80s' stands before the first [section]",
				       cfg->path, line, text);
	*equals = '\0';
	return add_entry(cfg, text, equals + 1, line);
}

static int read_lines(struct cfg *cfg, enum cfg_layout layout)
{
	unsigned int line = 1;
	char *rest = cfg->text;
	int status = 0;

	if (layout == CFG_FLAT)
		status = add_section(cfg, "", 1);
	for (; rest && !status; line++) {
		char *text = strsep(&rest, "\n");

		status = read_line(cfg, text, line, layout);
	}
	return status;
}

int cfg_read(struct cfg *cfg, const char *path, enum cfg_layout layout)
{
	int status = 0;

	*cfg = (struct cfg){ .path = strdup(path) };
	if (!cfg->path)
		return message_no_memory("a path");
	status = file_read_text(path, CFG_BYTES_MAX, &cfg->text);
	if (!status)
		status = read_lines(cfg, layout);
	if (status)
		cfg_free(cfg);
	return status;
}

void cfg_free(struct cfg *cfg)
{
	size_t i = 0;

	for (i = 0; i < cfg->n_sections; i++)
		free(cfg->sections[i].entries);
	free(cfg->sections);
	free(cfg->text);
	free(cfg->path);
	*cfg = (struct cfg){ 0 };
}

/* ---- Getting ---- */

static struct cfg_entry *find(const struct cfg_section *section,
			      const char *key)
{
	size_t i = 0;

	for (i = 0; i < section->n_entries; i++)
		if (!strcmp(section->entries[i].key, key))
			return &section->entries[i];
	return NULL;
}

static struct cfg_entry *use(struct cfg_section *section, const char *key)
{
	struct cfg_entry *entry = find(section, key);

	if (entry)
		entry->used = true;
	return entry;
}

/*
 * The value up to a comment: Darknet knows comments only on lines of their own,
 * but its atoi() stopped at one, so there are files that have them.
 */
static bool number_part(const struct cfg_entry *entry, char *text, size_t size)
{
	size_t length = strcspn(entry->value, "#;");

	if (length >= size)
		return false;
	memcpy(text, entry->value, length);
	text[length] = '\0';
	return true;
}

static void bad_value(struct cfg_section *section,
		      const struct cfg_entry *entry, const char *wanted)
{
	cfg_fail(section, message_refused("%s:%u: %s=%.80s: expected %s",
					  section->path, entry->line,
					  entry->key, entry->value, wanted));
}

uint32_t cfg_count(struct cfg_section *section, const char *key,
		   uint32_t fallback, enum cfg_default announce)
{
	const struct cfg_entry *entry = use(section, key);
	uint64_t value = fallback;
	char text[64] = "";

	if (!entry && announce == CFG_ANNOUNCE)
		message_note("%s: Using default '%u'", key, fallback);
	if (entry && (!number_part(entry, text, sizeof(text)) ||
		      !number_unsigned(text, INT32_MAX, &value)))
		bad_value(section, entry,
			  "a whole number from 0 to 2147483647");
	return (uint32_t)value;
}

float cfg_number(struct cfg_section *section, const char *key, float fallback,
		 enum cfg_default announce)
{
	const struct cfg_entry *entry = use(section, key);
	float value = fallback;
	char text[64] = "";

	if (!entry && announce == CFG_ANNOUNCE)
		message_note("%s: Using default '%f'", key, (double)fallback);
	if (entry && (!number_part(entry, text, sizeof(text)) ||
		      !number_float(text, &value)))
		bad_value(section, entry, "a number");
	return value;
}

const char *cfg_text(struct cfg_section *section, const char *key,
		     const char *fallback, enum cfg_default announce)
{
	const struct cfg_entry *entry = use(section, key);

	if (entry)
		return entry->value;
	if (announce == CFG_ANNOUNCE)
		message_note("%s: Using default '%s'", key, fallback);
	return fallback;
}

void cfg_refuse_unless(struct cfg_section *section, const char *key,
		       float neutral)
{
	const struct cfg_entry *entry = use(section, key);
	float value = neutral;
	char text[64] = "";

	if (!entry)
		return;
	if (number_part(entry, text, sizeof(text)) &&
	    number_float(text, &value) && value == neutral)
		return;
	cfg_fail(section,
		 message_refused("%s:%u: %s=%.80s in [%s] is not supported by this version; remove the line or set it to %g",
				 section->path, entry->line, key, entry->value,
				 section->name, (double)neutral));
}

void cfg_fail(struct cfg_section *section, int status)
{
	if (!section->status)
		section->status = status;
}

unsigned int cfg_line(const struct cfg_section *section, const char *key)
{
	const struct cfg_entry *entry = find(section, key);

	return entry ? entry->line : section->line;
}

void cfg_report_unused(const struct cfg_section *section)
{
	size_t i = 0;

	for (i = 0; i < section->n_entries; i++)
		if (!section->entries[i].used)
			message_note("Unused field: '%s = %s'",
				     section->entries[i].key,
				     section->entries[i].value);
}

int cfg_status(const struct cfg *cfg)
{
	size_t i = 0;

	for (i = 0; i < cfg->n_sections; i++)
		if (cfg->sections[i].status)
			return cfg->sections[i].status;
	return 0;
}
