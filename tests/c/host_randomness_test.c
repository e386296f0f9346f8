/* SPDX-License-Identifier: MIT */
/*
 * Claim: no system call per random number. Weights, dropout and the variation of
 * pictures all come from a seed that each world asks the system for once.
 */
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "chain.h"

#include "check.h"
#include "host_support.h"

#define BATCH 4
#define INPUTS (6 * 6)
#define CLASSES 2

static const char small_cfg[] =
	"[net]\nbatch=4\nwidth=6\nheight=6\nchannels=1\n"
	"[conv]\nfilters=2\nsize=3\nactivation=relu\n"
	"[dropout]\n"
	"[connected]\noutput=200\nactivation=relu\n"
	"[dropout]\n"
	"[connected]\noutput=2\nactivation=linear\n"
	"[softmax]\n";

static unsigned int calls;

/* The C library's, counted: seed.c and the stand-in for the TEE use it. */
ssize_t getrandom(void *to, size_t size, unsigned int flags)
{
	calls++;
	return syscall(SYS_getrandom, to, size, flags);
}

static void train_batches(struct chain *chain, uint64_t batches)
{
	static const float input[BATCH * INPUTS] = { 1, 2, 3 };
	static const float truth[BATCH * CLASSES] = { 1, 0, 0, 1, 1, 0, 0, 1 };
	struct segment_step step = {
		.at = { .count = BATCH, .train = true },
		.update = true,
		.rates = { .learning_rate = .1f, .samples = BATCH },
	};

	for (; step.at.iteration < batches; step.at.iteration++)
		assert_int_equal(chain_train(chain, &step, input, truth), 0);
}

static void a_run_asks_for_a_seed_only(void **state)
{
	const struct partition partition = { .secure = true, .start = 2, .end = 5 };
	struct network network = { 0 };
	struct chain chain = { 0 };
	struct seed seed = { 0 };
	struct tee *tee = NULL;

	(void)state;
	support_capture();
	assert_int_equal(network_read(&network, support_write_text("r.cfg", small_cfg)),
			 0);
	assert_int_equal(seed_from_system(&seed), 0);
	assert_int_equal(calls, 1);
	assert_int_equal(tee_open(&tee), 0);
	assert_int_equal(chain_build(&chain, &network, &partition, tee, &seed, NULL,
				     true),
			 0);
	assert_int_equal(calls, 2);
	train_batches(&chain, 5);
	assert_int_equal(calls, 2);
	chain_free(&chain);
	tee_close(tee);
	network_free(&network);
	support_captured();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_run_asks_for_a_seed_only),
	};

	return cmocka_run_group_tests(tests, support_make_directory,
				      support_remove_directory);
}
