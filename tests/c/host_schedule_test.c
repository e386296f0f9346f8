/* SPDX-License-Identifier: MIT */
/* Learning rates: every policy against its formula, and what is refused. */
#include "message.h"
#include "schedule.h"

#include "check.h"
#include "host_support.h"

static const struct seed seed = { .words = { 1, 2, 3 } };

/* The schedule of the keys in @text; the status of the file. */
static int read_schedule(struct schedule *schedule, const char *text)
{
	struct cfg cfg = { 0 };
	int status = cfg_read(&cfg, support_write_text("a.cfg", text), CFG_SECTIONS);

	assert_int_equal(status, 0);
	schedule_read(schedule, &cfg.sections[0]);
	status = cfg_status(&cfg);
	cfg_free(&cfg);
	return status;
}

struct point {
	uint64_t batch;
	double rate;
};

static void check_points(const char *text, const struct point *points, size_t n)
{
	struct schedule schedule = { 0 };
	size_t i = 0;

	support_assert_status(read_schedule(&schedule, text), 0);
	support_captured();
	for (i = 0; i < n; i++)
		check_near(schedule_rate(&schedule, points[i].batch, &seed),
			   points[i].rate, 1e-7);
	schedule_free(&schedule);
}

#define CHECK_POINTS(text, ...)                                                        \
	do {                                                                           \
		const struct point points[] = { __VA_ARGS__ };                         \
                                                                                       \
		check_points(text, points, ARRAY_SIZE(points));                        \
	} while (0)

static void policies_follow_their_formulas(void **state)
{
	(void)state;
	CHECK_POINTS("[net]\nlearning_rate=.5\n", { 0, .5 }, { 100000, .5 });
	CHECK_POINTS("[net]\nlearning_rate=1\npolicy=step\nstep=10\nscale=.5\n",
		     { 0, 1 }, { 9, 1 }, { 10, .5 }, { 39, .125 });
	CHECK_POINTS(
		"[net]\nlearning_rate=1\npolicy=steps\nsteps=10,20,30\nscales=.5,.1,4\n",
		{ 9, 1 }, { 10, .5 }, { 20, .05 }, { 30, .2 }, { 99, .2 });
	CHECK_POINTS("[net]\nlearning_rate=2\npolicy=exp\ngamma=.9\n", { 0, 2 },
		     { 2, 1.62 });
	CHECK_POINTS(
		"[net]\nlearning_rate=.01\npolicy=poly\npower=4\nmax_batches=10000\n",
		{ 0, .01 }, { 1, .0099960006 }, { 10000, 0 });
	CHECK_POINTS("[net]\nlearning_rate=4\npolicy=sigmoid\ngamma=.5\nstep=10\n",
		     { 4, 4 / (1 + exp(-3.)) }, { 10, 2 }, { 14, 4 / (1 + exp(2.)) });
}

static void burn_in_comes_before_the_policy(void **state)
{
	(void)state;
	CHECK_POINTS(
		"[net]\nlearning_rate=1\nburn_in=10\npower=2\npolicy=step\nstep=5\nscale=.1\n",
		{ 0, 0 }, { 5, .25 }, { 9, .81 }, { 10, .01 });
}

static void random_rates_are_below_the_base_and_can_be_repeated(void **state)
{
	struct schedule schedule = { 0 };
	double sum = 0;
	int i = 0;

	(void)state;
	support_assert_status(
		read_schedule(&schedule,
			      "[net]\nlearning_rate=2\npolicy=random\npower=1\n"),
		0);
	support_captured();
	for (i = 0; i < 1000; i++) {
		float rate = schedule_rate(&schedule, (uint64_t)i, &seed);

		assert_true(rate >= 0.0f && rate < 2.0f);
		assert_true(rate == schedule_rate(&schedule, (uint64_t)i, &seed));
		sum += (double)rate;
	}
	check_near(sum / 1000, 1, .1);
}

static void unknown_policies_are_announced_and_constant(void **state)
{
	struct schedule schedule = { 0 };

	(void)state;
	support_assert_status(
		read_schedule(&schedule, "[net]\nlearning_rate=1\npolicy=slow\n"), 0);
	support_assert_said("Couldn't find policy slow, going with constant");
	check_near(schedule_rate(&schedule, 77, &seed), 1, 0);
}

static void incomplete_policies_are_refused(void **state)
{
	static const struct {
		const char *text, *said;
	} cases[] = {
		{ "[net]\npolicy=steps\n", "needs steps= and scales=" },
		{ "[net]\npolicy=steps\nsteps=1,2\nscales=.1\n",
		  "a.cfg:3: policy=steps needs" },
		{ "[net]\npolicy=steps\nsteps=1,x\nscales=.1,.1\n",
		  "separated by commas" },
		{ "[net]\npolicy=steps\nsteps=1,,2\nscales=.1,.1,.1\n",
		  "separated by commas" },
		{ "[net]\npolicy=steps\nsteps=1\nscales=nan\n", "separated by commas" },
		{ "[net]\npolicy=step\nstep=0\n", "a.cfg:3: step=0" },
		{ "[net]\npolicy=poly\n", "a.cfg:2: policy=poly needs max_batches=" },
	};
	struct schedule schedule = { 0 };
	size_t i = 0;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		support_assert_status(read_schedule(&schedule, cases[i].text),
				      STATUS_REFUSED);
		support_assert_said(cases[i].said);
		schedule_free(&schedule);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(policies_follow_their_formulas),
		cmocka_unit_test(burn_in_comes_before_the_policy),
		cmocka_unit_test(random_rates_are_below_the_base_and_can_be_repeated),
		cmocka_unit_test(unknown_policies_are_announced_and_constant),
		cmocka_unit_test(incomplete_policies_are_refused),
	};

	return cmocka_run_group_tests(tests, support_make_directory,
				      support_remove_directory);
}
