/* SPDX-License-Identifier: MIT */
/* Files and messages for the tests of host/. */
#ifndef HOST_SUPPORT_H
#define HOST_SUPPORT_H

#include <stddef.h>
#include <stdint.h>

#include "chain.h"

/* cmocka group functions: a directory of the program's own, removed at the end. */
int support_make_directory(void **state);
int support_remove_directory(void **state);

/* Path of @name in that directory; good until the fourth call after it. */
const char *support_path(const char *name);

/* Write a file there and return its path. */
const char *support_write(const char *name, const void *data, size_t size);
const char *support_write_text(const char *name, const char *text);

/* Read a file there whole, for the caller to free. */
uint8_t *support_read(const char *name, size_t *size);

/* Write an image file (binary PPM is not accepted by darknetp, so BMP). */
const char *support_write_bmp(const char *name, uint32_t width, uint32_t height,
			      const uint8_t *rgb);

/* Standard error goes into a buffer between these two. */
void support_capture(void);
const char *support_captured(void);

/* Fail unless @call, whose messages are captured, returns the @expected status. */
#define support_assert_status(call, expected)			\
	do {							\
		int support_status = 0;				\
								\
		support_capture();				\
		support_status = (call);			\
		support_captured();				\
		assert_int_equal(support_status, expected);	\
	} while (0)

/* Fail unless the text captured last contains @part. */
void support_assert_said(const char *part);

/* A network built for training, and all that it needs. */
struct support_chain {
	struct network network;
	struct partition partition;
	struct seed seed;
	struct tee *tee;
	struct chain chain;
};

/* From the text of a cfg, with a fixed seed. A refusal fails the test. */
void support_chain_open(struct support_chain *c, const char *cfg_text,
			const struct partition *partition);
void support_chain_close(struct support_chain *c);

#endif /* HOST_SUPPORT_H */
