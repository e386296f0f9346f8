/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "message.h"
#include "seed.h"

void seed_from_number(struct seed *seed, uint64_t number)
{
	*seed = (struct seed){
		.given = true,
		.number = number,
		.words = { (uint32_t)number, (uint32_t)(number >> 32) },
	};
}

int seed_from_system(struct seed *seed)
{
	*seed = (struct seed){ 0 };
	if (getrandom(seed->words, sizeof(seed->words), 0) !=
	    (ssize_t)sizeof(seed->words))
		return message_failed("no random numbers from the kernel: %s",
				      strerror(errno));
	return 0;
}
