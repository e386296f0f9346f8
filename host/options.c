/* SPDX-License-Identifier: MIT */
#include <stddef.h>
#include <string.h>

#include "message.h"
#include "number.h"
#include "options.h"
#include "workers.h"

#define RESULTS_DIRECTORY "/media/results"
#define CHECKPOINT_EVERY 1000

enum flag_kind {
	FLAG_COUNT,		/* a uint32_t */
	FLAG_SPLIT,
	FLAG_SEED,
	FLAG_ITERATIONS,
	FLAG_THREADS,
	FLAG_TEXT,		/* a const char * */
	FLAG_CLEAR,
	FLAG_NO_EFFECT,		/* alone, about GPUs */
	FLAG_NO_EFFECT_VALUE,	/* with a value, about GPUs */
	FLAG_NOISE,		/* Darknetz's, not here; as the next one */
	FLAG_CAMERA,
};

struct flag {
	const char *name;
	enum flag_kind kind;
	size_t offset;		/* of the value in struct options */
};

static const struct flag flags[] = {
	{ "-pp_start", FLAG_COUNT, offsetof(struct options, pp_start) },
	{ "-pp_start_f", FLAG_COUNT, offsetof(struct options, pp_start_f) },
	{ "-pp_f_only", FLAG_COUNT, offsetof(struct options, pp_f_only) },
	{ "-pp_end", FLAG_COUNT, offsetof(struct options, pp_end) },
	{ "-t", FLAG_COUNT, offsetof(struct options, top) },
	{ "-batch", FLAG_COUNT, offsetof(struct options, batch) },
	{ "-checkpoint", FLAG_COUNT, offsetof(struct options, checkpoint) },
	{ "-ss", FLAG_SPLIT, 0 },
	{ "-seed", FLAG_SEED, 0 },
	{ "-iterations", FLAG_ITERATIONS, 0 },
	{ "-threads", FLAG_THREADS, 0 },
	{ "-results", FLAG_TEXT, offsetof(struct options, results) },
	{ "-list", FLAG_TEXT, offsetof(struct options, list) },
	{ "-json", FLAG_TEXT, offsetof(struct options, json) },
	{ "-mode", FLAG_TEXT, offsetof(struct options, mode) },
	{ "-micro", FLAG_COUNT, offsetof(struct options, micro_batch) },
	{ "-clear", FLAG_CLEAR, 0 },
	{ "-nogpu", FLAG_NO_EFFECT, 0 },
	{ "-gpus", FLAG_NO_EFFECT_VALUE, 0 },
	{ "-i", FLAG_NO_EFFECT_VALUE, 0 },
	{ "-dp", FLAG_NOISE, 0 },
	{ "-c", FLAG_CAMERA, 0 },
};
#define N_FLAGS (sizeof(flags) / sizeof(flags[0]))

_Static_assert(N_FLAGS <= 32, "a bit for each");

static const struct flag *find_flag(const char *name)
{
	size_t i = 0;

	for (i = 0; i < N_FLAGS; i++)
		if (!strcmp(flags[i].name, name))
			return &flags[i];
	return NULL;
}

static bool stands_alone(const struct flag *flag)
{
	return flag->kind == FLAG_CLEAR || flag->kind == FLAG_NO_EFFECT;
}

static int number_of(const struct flag *flag, const char *text, uint64_t max,
		     uint64_t *value)
{
	if (number_unsigned(text, max, value))
		return 0;
	return message_refused("%s %s: expected a whole number from 0 to %llu",
			       flag->name, text, (unsigned long long)max);
}

static int set_count(struct options *options, const struct flag *flag,
		     const char *text)
{
	uint64_t value = 0;
	int status = number_of(flag, text, INT32_MAX, &value);
	uint32_t *member = (uint32_t *)((char *)options + flag->offset);

	if (!status)
		*member = (uint32_t)value;
	return status;
}

static int set_split(struct options *options, const struct flag *flag,
		     const char *text)
{
	uint64_t value = 0;
	int status = number_of(flag, text, SPLIT_SAVE, &value);

	if (!status)
		options->split = (enum options_split)value;
	return status;
}

static int set_seed(struct options *options, const struct flag *flag,
		    const char *text)
{
	options->seeded = true;
	return number_of(flag, text, UINT64_MAX, &options->seed);
}

static int set_iterations(struct options *options, const struct flag *flag,
			  const char *text)
{
	int status = number_of(flag, text, INT32_MAX, &options->iterations);

	if (!status && !options->iterations)
		status = message_refused("-iterations 0: at least 1 is needed");
	return status;
}

static int set_threads(struct options *options, const struct flag *flag,
		       const char *text)
{
	uint64_t value = 0;

	if (!number_unsigned(text, NN_MAX_WORKERS, &value) || !value)
		return message_refused("%s %s: expected a whole number from 1 to %d",
				       flag->name, text, NN_MAX_WORKERS);
	options->threads = (uint32_t)value;
	return 0;
}

static void set_text(struct options *options, const struct flag *flag,
		     const char *text)
{
	const char **member =
		(const char **)(void *)((char *)options + flag->offset);

	*member = text;
}

/* @text: the value of a flag that has one. */
static int set_flag(struct options *options, const struct flag *flag,
		    const char *text)
{
	switch (flag->kind) {
	case FLAG_COUNT:
		return set_count(options, flag, text);
	case FLAG_SPLIT:
		return set_split(options, flag, text);
	case FLAG_SEED:
		return set_seed(options, flag, text);
	case FLAG_ITERATIONS:
		return set_iterations(options, flag, text);
	case FLAG_THREADS:
		return set_threads(options, flag, text);
	case FLAG_TEXT:
		set_text(options, flag, text);
		return 0;
	case FLAG_CLEAR:
		options->clear = true;
		return 0;
	case FLAG_NO_EFFECT:
	case FLAG_NO_EFFECT_VALUE:
		return 0;
	case FLAG_NOISE:
		return message_refused("-dp is not supported: gradients are computed without noise in both worlds, so training is not differentially private");
	case FLAG_CAMERA:
		return message_refused("-c is not supported: it chooses the camera of demo, gun and threat, which are not here");
	}
	return STATUS_REFUSED;
}

/* @seen: a bit per flag that was given */
static int parse_flag(struct options *options, uint32_t *seen,
		      const char *name, const char *value, bool *value_taken)
{
	const struct flag *flag = find_flag(name);
	uint32_t bit = 0;

	if (!flag)
		return message_refused("unknown flag %s", name);
	bit = UINT32_C(1) << (flag - flags);
	if (*seen & bit)
		return message_refused("%s is given twice", name);
	*seen |= bit;
	*value_taken = !stands_alone(flag);
	if (*value_taken && (!value || *value == '\0' || find_flag(value)))
		return message_refused("%s needs a value", name);
	return set_flag(options, flag, value);
}

int options_parse(struct options *options, int argc, char **argv)
{
	bool flags_ended = false;
	uint32_t seen = 0;
	int i = 0;

	*options = (struct options){
		.pp_start = OPTIONS_UNSET,
		.pp_start_f = OPTIONS_UNSET,
		.pp_f_only = OPTIONS_UNSET,
		.pp_end = OPTIONS_UNSET,
		.threads = workers_default(),
		.checkpoint = CHECKPOINT_EVERY,
		.results = RESULTS_DIRECTORY,
		.program = argc ? argv[0] : "darknetp",
		.words = argv,
	};
	for (i = 1; i < argc; i++) {
		bool value_taken = false;
		int status = 0;

		if (flags_ended || argv[i][0] != '-' || argv[i][1] == '\0') {
			argv[options->n_words++] = argv[i];
			continue;
		}
		if (!strcmp(argv[i], "--")) {
			flags_ended = true;
			continue;
		}
		status = parse_flag(options, &seen, argv[i],
				    i + 1 < argc ? argv[i + 1] : NULL,
				    &value_taken);
		if (status)
			return status;
		i += value_taken;
	}
	return 0;
}
