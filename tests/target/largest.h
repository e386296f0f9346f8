/* SPDX-License-Identifier: MIT */
/* The largest model that the application says it has memory for. */
#ifndef LARGEST_H
#define LARGEST_H

#include "client.h"

/* Describe one connected layer with so many outputs, to a session that predicts. */
struct reply largest_try(TEEC_Session *session, uint32_t outputs);

/*
 * Build the largest of them, and write to its end. @size: bytes that it needs,
 * and that there are. False: the test has failed.
 */
bool largest_build(TEEC_Session *session, TEEC_Value *size);

#endif /* LARGEST_H */
