/* SPDX-License-Identifier: MIT */
#ifndef SHAPED_TA_H
#define SHAPED_TA_H

#define TA_SHAPED_UUID \
	{ 0x5ba9ed00, 0x57a4, 0x4d1e, \
	  { 0x8f, 0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01 } }

#define CMD_NOTHING	0
#define CMD_LOSS	1	/* in: number of the iteration */
#define CMD_PANIC	2

#endif
