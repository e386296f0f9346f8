/* SPDX-License-Identifier: MIT */
/*
 * message: what darknetp says when it cannot go on, and with which status.
 *
 * Functions that can fail return an exit status: 0, or one of those below. The
 * function that knows what happened prints the message; everyone above it just
 * hands the status on. Messages are events of the JSON stream, too (json.h). Any
 * thread may call these.
 */
#ifndef MESSAGE_H
#define MESSAGE_H

enum {
	STATUS_FAILED = 1,	  /* something asked for could not be done */
	STATUS_REFUSED = 2,	  /* what was asked for is wrong */
	STATUS_INTERRUPTED = 130, /* stopped by SIGINT or SIGTERM, work saved */
};

/* Print "darknetp: " and the text as a line on stderr; return STATUS_FAILED. */
int message_failed(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

/* The same, returning STATUS_REFUSED. */
int message_refused(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

/* A line of information on stderr, without prefix. */
void message_note(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

/* An allocation failed: @what it was for. Return STATUS_FAILED. */
int message_no_memory(const char *what);

#endif /* MESSAGE_H */
