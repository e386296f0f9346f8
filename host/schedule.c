/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "nn_random.h"
#include "number.h"
#include "schedule.h"

/* ---- Reading ---- */

static enum schedule_policy read_policy(struct cfg_section *section)
{
	static const char *const names[] = {
		[POLICY_CONSTANT] = "constant", [POLICY_STEP] = "step",
		[POLICY_STEPS] = "steps",	[POLICY_EXP] = "exp",
		[POLICY_POLY] = "poly",		[POLICY_RANDOM] = "random",
		[POLICY_SIGMOID] = "sigmoid",
	};
	const char *text = cfg_text(section, "policy", "constant",
				    CFG_ANNOUNCE);
	size_t i = 0;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(names[i], text))
			return (enum schedule_policy)i;
	message_note("Couldn't find policy %s, going with constant", text);
	return POLICY_CONSTANT;
}

static uint32_t count_items(const char *list)
{
	uint32_t items = *list != '\0';

	for (; *list != '\0'; list++)
		items += *list == ',';
	return items;
}

/* Copy the next item of a comma-separated list; false if it is too long. */
static bool next_item(const char **list, char *item, size_t size)
{
	size_t length = strcspn(*list, ",");
	bool fits = length < size;

	if (fits) {
		memcpy(item, *list, length);
		item[length] = '\0';
	}
	*list += length + ((*list)[length] == ',');
	return fits;
}

static int parse_lists(struct schedule *schedule, const char *steps,
		       const char *scales)
{
	uint32_t i = 0;

	for (i = 0; i < schedule->n_steps; i++) {
		char item[32] = "";
		uint64_t step = 0;

		if (!next_item(&steps, item, sizeof(item)) ||
		    !number_unsigned(item, UINT32_MAX, &step) ||
		    !next_item(&scales, item, sizeof(item)) ||
		    !number_float(item, &schedule->scales[i]))
			return STATUS_REFUSED;
		schedule->steps[i] = (uint32_t)step;
	}
	return 0;
}

static int read_lists(struct schedule *schedule, struct cfg_section *section)
{
	const char *steps = cfg_text(section, "steps", "", CFG_QUIET);
	const char *scales = cfg_text(section, "scales", "", CFG_QUIET);
	uint32_t n = count_items(steps);

	if (!n || n != count_items(scales))
		return message_refused("%s:%u: policy=steps needs steps= and scales=, lists of the same length",
				       section->path, cfg_line(section, "steps"));
	schedule->n_steps = n;
	schedule->steps = calloc(n, sizeof(*schedule->steps));
	schedule->scales = calloc(n, sizeof(*schedule->scales));
	if (!schedule->steps || !schedule->scales)
		return message_no_memory("learning-rate steps");
	if (parse_lists(schedule, steps, scales))
		return message_refused("%s:%u: steps= must hold whole numbers and scales= numbers, separated by commas",
				       section->path, cfg_line(section, "steps"));
	return 0;
}

static void read_step(struct schedule *schedule, struct cfg_section *section)
{
	schedule->step = cfg_count(section, "step", 1, CFG_ANNOUNCE);
	schedule->scale = cfg_number(section, "scale", 1.0f, CFG_ANNOUNCE);
	if (!schedule->step)
		cfg_fail(section, message_refused("%s:%u: step=0: at least 1 is needed",
						  section->path,
						  cfg_line(section, "step")));
}

static void read_poly(const struct schedule *schedule,
		      struct cfg_section *section)
{
	if (!schedule->max_batches)
		cfg_fail(section,
			 message_refused("%s:%u: policy=poly needs max_batches=, where the rate reaches 0",
					 section->path,
					 cfg_line(section, "policy")));
}

static void read_policy_keys(struct schedule *schedule,
			     struct cfg_section *section)
{
	switch (schedule->policy) {
	case POLICY_STEP:
		read_step(schedule, section);
		break;
	case POLICY_STEPS:
		cfg_fail(section, read_lists(schedule, section));
		break;
	case POLICY_EXP:
		schedule->gamma = cfg_number(section, "gamma", 1.0f,
					     CFG_ANNOUNCE);
		break;
	case POLICY_SIGMOID:
		schedule->gamma = cfg_number(section, "gamma", 1.0f,
					     CFG_ANNOUNCE);
		schedule->step = cfg_count(section, "step", 1, CFG_ANNOUNCE);
		break;
	case POLICY_POLY:
		read_poly(schedule, section);
		break;
	case POLICY_CONSTANT:
	case POLICY_RANDOM:
		break;
	}
}

void schedule_read(struct schedule *schedule, struct cfg_section *section)
{
	*schedule = (struct schedule){ 0 };
	schedule->learning_rate = cfg_number(section, "learning_rate", 0.001f,
					     CFG_ANNOUNCE);
	schedule->policy = read_policy(section);
	schedule->burn_in = cfg_count(section, "burn_in", 0, CFG_QUIET);
	schedule->power = cfg_number(section, "power", 4.0f, CFG_QUIET);
	schedule->max_batches = cfg_count(section, "max_batches", 0,
					  CFG_ANNOUNCE);
	read_policy_keys(schedule, section);
}

void schedule_free(struct schedule *schedule)
{
	free(schedule->steps);
	free(schedule->scales);
	*schedule = (struct schedule){ 0 };
}

/* ---- Rates ---- */

static double draw(const struct seed *seed, uint64_t batch)
{
	uint32_t key[NN_KEY_WORDS] = { 0 };
	struct nn_random random = { 0 };

	nn_random_derive(key, seed->words, NN_RANDOM_RATE, 0);
	nn_random_start(&random, key, batch, 0);
	return (double)nn_random_unit(&random);
}

static double steps_factor(const struct schedule *schedule, uint64_t batch)
{
	double factor = 1.0;
	uint32_t i = 0;

	for (i = 0; i < schedule->n_steps && schedule->steps[i] <= batch; i++)
		factor *= (double)schedule->scales[i];
	return factor;
}

static double factor_at(const struct schedule *schedule, uint64_t batch,
			const struct seed *seed)
{
	double at = (double)batch;

	if (batch < schedule->burn_in)
		return pow(at / schedule->burn_in, (double)schedule->power);
	switch (schedule->policy) {
	case POLICY_STEP:
		return pow((double)schedule->scale,
			   (double)(batch / schedule->step));
	case POLICY_STEPS:
		return steps_factor(schedule, batch);
	case POLICY_EXP:
		return pow((double)schedule->gamma, at);
	case POLICY_POLY:
		return pow(1.0 - at / (double)schedule->max_batches,
			   (double)schedule->power);
	case POLICY_RANDOM:
		return pow(draw(seed, batch), (double)schedule->power);
	case POLICY_SIGMOID:
		/* Before the step, too, where Darknet's unsigned difference
		 * gives a rate of 0. */
		return 1.0 / (1.0 + exp((double)schedule->gamma *
					(at - (double)schedule->step)));
	case POLICY_CONSTANT:
		break;
	}
	return 1.0;
}

float schedule_rate(const struct schedule *schedule, uint64_t batch,
		    const struct seed *seed)
{
	return (float)((double)schedule->learning_rate *
		       factor_at(schedule, batch, seed));
}
