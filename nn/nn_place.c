/* SPDX-License-Identifier: MIT */
/*
 * Memory for values that live for a time. They are placed in order of birth,
 * by turns as low and as high as they fit into the least region there can be:
 * what is alive at the fullest moment. A chain of layers, each reading the one
 * before, always fits: neighbours are at opposite ends.
 */
#include "nn_internal.h"

/* Units of all values alive at @time. */
static uint64_t alive_at(const struct nn_value *values, uint32_t n,
			 uint32_t time)
{
	uint64_t units = 0;
	uint32_t i = 0;

	for (i = 0; i < n; i++)
		if (values[i].born <= time && time <= values[i].last)
			units += values[i].units;
	return units;
}

/* The most can only be reached when something is born. */
static uint64_t most_alive(const struct nn_value *values, uint32_t n)
{
	uint64_t most = 0;
	uint64_t units = 0;
	uint32_t i = 0;

	for (i = 0; i < n; i++) {
		units = alive_at(values, n, values[i].born);
		most = units > most ? units : most;
	}
	return most;
}

/* A value placed before @value that is alive with it and in its way at @at. */
static const struct nn_value *obstacle(const struct nn_value *values,
				       const struct nn_value *value, uint64_t at)
{
	const struct nn_value *other = values;

	for (; other < value; other++)
		if (other->units > 0 && value->born <= other->last
		    && at < (uint64_t)other->at + other->units
		    && other->at < at + value->units)
			return other;
	return NULL;
}

static uint64_t lowest_place(const struct nn_value *values,
			     const struct nn_value *value)
{
	const struct nn_value *other = NULL;
	uint64_t at = 0;

	while ((other = obstacle(values, value, at)))
		at = (uint64_t)other->at + other->units;
	return at;
}

/* As high as possible below @end; false if there is no place. */
static bool highest_place(const struct nn_value *values,
			  const struct nn_value *value, uint64_t end,
			  uint64_t *at)
{
	const struct nn_value *other = NULL;

	*at = end - value->units;
	while ((other = obstacle(values, value, *at))) {
		if (other->at < value->units)
			return false;
		*at = other->at - value->units;
	}
	return true;
}

/* At the wanted end; at the other if only that one keeps to the region. */
static uint64_t choose_place(const struct nn_value *values,
			     const struct nn_value *value, uint64_t region,
			     bool high)
{
	uint64_t low = lowest_place(values, value);
	uint64_t at = 0;

	if ((high || low + value->units > region)
	    && highest_place(values, value, region, &at))
		return at;
	return low;
}

uint64_t nn_place(struct nn_value *values, uint32_t n)
{
	uint64_t region = most_alive(values, n);
	uint64_t at = 0;
	bool high = false;
	uint32_t i = 0;

	for (i = 0; i < n; i++) {
		if (values[i].units == 0)
			continue;
		at = choose_place(values, &values[i], region, high);
		if (at + values[i].units > region)
			region = at + values[i].units;
		if (region > UINT32_MAX)
			return region;
		values[i].at = (uint32_t)at;
		high = !high;
	}
	return region;
}
