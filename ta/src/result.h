/* SPDX-License-Identifier: MIT */
/*
 * Results of commands: GlobalPlatform's codes (TEE Internal Core API, table of
 * return codes), spelled out here so that files which know no TEE types, and
 * the native tests, use the same ones. entry.c asserts that they are equal.
 */
#ifndef RESULT_H
#define RESULT_H

#include <stdint.h>

#define RESULT_SUCCESS		UINT32_C(0)
#define RESULT_ACCESS_DENIED	UINT32_C(0xffff0001)
#define RESULT_BAD_FORMAT	UINT32_C(0xffff0005)
#define RESULT_BAD_PARAMETERS	UINT32_C(0xffff0006)
#define RESULT_BAD_STATE	UINT32_C(0xffff0007)
#define RESULT_NOT_SUPPORTED	UINT32_C(0xffff000a)
#define RESULT_OUT_OF_MEMORY	UINT32_C(0xffff000c)

#endif /* RESULT_H */
