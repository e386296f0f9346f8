/* SPDX-License-Identifier: MIT */
/* What tests ask the stand-in for a TEE beside the client API. */
#ifndef INPROCESS_TEE_H
#define INPROCESS_TEE_H

#include <stddef.h>

/* Bytes that the application in it has allocated, sessions not counted. */
struct inprocess_memory {
	size_t now, peak;
};

struct inprocess_memory inprocess_memory(void);
void inprocess_forget_peak(void);

#endif /* INPROCESS_TEE_H */
