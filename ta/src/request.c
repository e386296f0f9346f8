/* SPDX-License-Identifier: MIT */
#include "request.h"

#include <string.h>

/*
 * Without this the compiler might read the shared memory again later instead
 * of using the copy: to C it is ordinary memory that nobody else writes to.
 */
static void forget_memory(void)
{
	__asm__ volatile("" : : : "memory");
}

void request_init(struct request *request, const void *bytes, size_t size)
{
	request->at = bytes;
	request->left = bytes ? size : 0;
}

bool request_take(struct request *request, void *to, size_t size)
{
	if (size > request->left)
		return false;
	if (size == 0)
		return true;
	memcpy(to, request->at, size);
	forget_memory();
	request->at += size;
	request->left -= size;
	return true;
}

void answer_init(struct answer *answer, void *bytes, size_t size)
{
	answer->at = bytes;
	answer->size = bytes ? size : 0;
}

void answer_put(const struct answer *answer, size_t offset, const void *from,
		size_t size)
{
	memcpy(answer->at + offset, from, size);
	forget_memory();
}
