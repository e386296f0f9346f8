/* SPDX-License-Identifier: MIT */
/*
 * tzresume: what a system restored from a snapshot must be told before anything
 * runs on it: the time of day, and fresh random numbers. Without the second,
 * every restored guest would draw the same "random" keys and nonces.
 *
 * usage: tzresume SECONDS SEED
 *   SECONDS  since 1970, decimal
 *   SEED     64 hexadecimal digits from the other side's random generator
 *
 * Exit status: 0 done, 1 the kernel refused, 2 wrong arguments.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define SEED_BYTES 32

/* What RNDADDENTROPY takes: a header and the bytes behind it. */
struct seed {
	struct rand_pool_info info;
	uint8_t bytes[SEED_BYTES];
};

static bool parse_seconds(const char *text, time_t *seconds)
{
	char *end = NULL;
	long long value = 0;

	errno = 0;
	value = strtoll(text, &end, 10);
	*seconds = (time_t)value;
	return !errno && end != text && !*end && value > 0;
}

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

static bool parse_seed(const char *text, uint8_t bytes[SEED_BYTES])
{
	size_t i = 0;

	if (strlen(text) != 2 * SEED_BYTES)
		return false;
	for (i = 0; i < SEED_BYTES; i++) {
		int high = hex_digit(text[2 * i]);
		int low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

int main(int argc, char **argv)
{
	struct timespec now = { };
	struct seed seed = { };
	int fd = -1;

	if (argc != 3 || !parse_seconds(argv[1], &now.tv_sec) ||
	    !parse_seed(argv[2], seed.bytes))
		errx(2, "usage: tzresume SECONDS SEED (64 hexadecimal digits)");
	if (clock_settime(CLOCK_REALTIME, &now))
		err(1, "setting the clock");

	seed.info.entropy_count = 8 * SEED_BYTES;
	seed.info.buf_size = SEED_BYTES;
	fd = open("/dev/urandom", O_RDWR);
	if (fd < 0)
		err(1, "/dev/urandom");
	if (ioctl(fd, RNDADDENTROPY, &seed))
		err(1, "adding entropy");
	if (ioctl(fd, RNDRESEEDCRNG))
		err(1, "reseeding the random generator");
	return close(fd) ? 1 : 0;
}
