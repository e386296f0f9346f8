/* SPDX-License-Identifier: MIT */
/*
 * Bounded access to the buffers of a command. They are shared memory: the
 * normal world may change them at any moment. So every byte is read once, into
 * memory of our own, before anything looks at it, and written once.
 */
#ifndef REQUEST_H
#define REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes from the normal world, not yet read. */
struct request {
	const uint8_t *at;
	size_t left;
};

/* @bytes may be NULL, whatever @size says: an empty request. */
void request_init(struct request *request, const void *bytes, size_t size);

/* Copy the next @size bytes; false, and nothing read, if fewer are left. */
bool request_take(struct request *request, void *to, size_t size);

/* Room for an answer in the normal world's memory. */
struct answer {
	uint8_t *at;
	size_t size;
};

/* @bytes may be NULL, whatever @size says: no room. */
void answer_init(struct answer *answer, void *bytes, size_t size);

/* Write @size bytes at @offset, which the caller knows to be inside. */
void answer_put(const struct answer *answer, size_t offset, const void *from,
		size_t size);

#endif /* REQUEST_H */
