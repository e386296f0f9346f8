/* SPDX-License-Identifier: MIT */
#include "small.h"

#include "fuzz.h"
#include "tee.h"

#include <stdlib.h>

static const char cfg[] =
	"[net]\nbatch=2\nwidth=3\nheight=3\nchannels=2\n"
	"[conv]\nfilters=2\nsize=2\nbatch_normalize=1\nactivation=relu\n"
	"[connected]\noutput=3\nbatch_normalize=1\nactivation=linear\n"
	"[softmax]\n";

static struct network network;
static struct tee *tee;
static struct chain chains[2];

void small_build(void)
{
	static const struct partition partitions[2] = {
		{ .secure = false },
		{ .secure = true, .start = 1, .end = 1 },
	};
	const struct seed seed = { .words = { 1 } };
	unsigned int i = 0;

	/* What the application says would slow everything down. */
	setenv("INPROCESS_TEE_LOG", "/dev/null", 1);
	fuzz_check(!network_read(&network, fuzz_file(0, cfg, sizeof(cfg) - 1)));
	fuzz_check(!tee_open(&tee));
	for (i = 0; i < 2; i++)
		fuzz_check(!chain_build(&chains[i], &network, &partitions[i], tee,
					&seed, NULL, true));
}

struct chain *small_chain(bool secure)
{
	return &chains[secure];
}
