/* SPDX-License-Identifier: MIT */
/*
 * files: reads that check sizes, and writes that leave the whole file or none.
 */
#ifndef FILES_H
#define FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Open @path, a regular file, for reading and tell its size in bytes (NULL:
 * not wanted). Return the stream, or NULL after "Couldn't open file: ...".
 */
FILE *file_open(const char *path, uint64_t *size);

/*
 * Read a text file whole, as one NUL-terminated string that the caller frees.
 * Files above @limit bytes and files with NUL bytes are refused.
 */
int file_read_text(const char *path, uint64_t limit, char **text);

/* Read exactly @size bytes at @offset. @path is for messages. */
int file_read_at(FILE *stream, const char *path, uint64_t offset, void *data,
		 size_t size);

/* FNV-1a, 64 bits: tells accidents, not attacks. Start from FILE_SUM_START. */
#define FILE_SUM_START UINT64_C(0xcbf29ce484222325)
uint64_t file_sum(uint64_t sum, const void *data, size_t size);

/* What tells one file from another. */
struct file_mark {
	uint64_t size;		/* bytes */
	uint64_t sum;		/* file_sum() of them */
};

/*
 * Of a regular file. Return false, with errno set and nothing printed, if @path
 * cannot be read.
 */
bool file_mark(const char *path, struct file_mark *mark);

/*
 * Make the directories above the last '/' of @path, as mkdir -p does.
 * Return false, with errno set and nothing printed, if one cannot be made.
 */
bool file_make_parents(const char *path);

/* A file being written under a temporary name beside its own. */
struct file_writer {
	FILE *stream;
	char *path;
	char *temporary;
};

/*
 * Start writing @path; missing directories are made. After success exactly one
 * of file_commit() and file_abandon() must follow.
 */
int file_begin(struct file_writer *writer, const char *path);
int file_write(struct file_writer *writer, const void *data, size_t size);

/*
 * Put the file under its own name, for good: a machine that stops later has it.
 * If that fails nothing of it is left.
 */
int file_commit(struct file_writer *writer);
void file_abandon(struct file_writer *writer);

/*
 * Remove what writers that were killed have left of files in @directory whose
 * names start with @name, @length bytes, and a dot.
 */
void file_sweep(const char *directory, const char *name, size_t length);

/* Rename a whole file in its directory, for good; @to is replaced. */
int file_rename(const char *from, const char *to);

#endif /* FILES_H */
