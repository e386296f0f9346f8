/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "message.h"

/* Ending of the name of a file that is being written. */
#define PART ".part"

/*
 * A stream of the regular file @path, or NULL with errno. Opening does not wait,
 * as it would for the other end of a pipe.
 */
static FILE *open_regular(const char *path, struct stat *status)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	FILE *stream = NULL;
	int error = 0;

	if (fd < 0)
		return NULL;
	if (fstat(fd, status))
		error = errno;
	else if (S_ISREG(status->st_mode))
		stream = fdopen(fd, "rb");
	else
		error = EINVAL;
	if (stream)
		return stream;
	error = error ? error : errno;
	close(fd);
	errno = error;
	return NULL;
}

FILE *file_open(const char *path, uint64_t *size)
{
	struct stat status = { 0 };
	FILE *stream = open_regular(path, &status);

	if (!stream)
		message_failed("Couldn't open file: %s (%s)", path,
			       errno == EINVAL ? "not a regular file" :
						 strerror(errno));
	else if (size)
		*size = (uint64_t)status.st_size;
	return stream;
}

static int read_text(FILE *stream, const char *path, uint64_t size,
		     uint64_t limit, char **text)
{
	char *data = NULL;
	int status = 0;

	if (size > limit)
		return message_refused("%s: %llu bytes are too many, %llu are possible",
				       path, (unsigned long long)size,
				       (unsigned long long)limit);
	data = malloc((size_t)size + 1);
	if (!data)
		return message_no_memory(path);
	status = file_read_at(stream, path, 0, data, (size_t)size);
	if (!status && memchr(data, '\0', (size_t)size))
		status = message_refused("%s: contains NUL bytes, so it is not a text file",
					 path);
	if (status) {
		free(data);
		return status;
	}
	data[size] = '\0';
	*text = data;
	return 0;
}

int file_read_text(const char *path, uint64_t limit, char **text)
{
	uint64_t size = 0;
	int status = 0;
	FILE *stream = file_open(path, &size);

	if (!stream)
		return STATUS_FAILED;
	status = read_text(stream, path, size, limit, text);
	fclose(stream);
	return status;
}

int file_read_at(FILE *stream, const char *path, uint64_t offset, void *data,
		 size_t size)
{
	if (fseeko(stream, (off_t)offset, SEEK_SET))
		return message_failed("%s: cannot seek to byte %llu: %s", path,
				      (unsigned long long)offset,
				      strerror(errno));
	if (size && fread(data, 1, size, stream) != size)
		return message_failed("%s: cannot read %zu bytes at byte %llu: %s",
				      path, size, (unsigned long long)offset,
				      ferror(stream) ? strerror(errno) :
						       "the file ends before");
	return 0;
}

uint64_t file_sum(uint64_t sum, const void *data, size_t size)
{
	const unsigned char *bytes = data;
	size_t i = 0;

	for (i = 0; i < size; i++)
		sum = (sum ^ bytes[i]) * UINT64_C(0x100000001b3);
	return sum;
}

bool file_mark(const char *path, struct file_mark *mark)
{
	struct stat status = { 0 };
	FILE *stream = open_regular(path, &status);
	char part[4096] = "";
	size_t n = 0;
	bool read = false;

	*mark = (struct file_mark){ .sum = FILE_SUM_START };
	if (!stream)
		return false;
	while ((n = fread(part, 1, sizeof(part), stream))) {
		mark->size += n;
		mark->sum = file_sum(mark->sum, part, n);
	}
	read = !ferror(stream);
	fclose(stream);
	return read;
}

bool file_make_parents(const char *path)
{
	char *parent = strdup(path);
	char *slash = NULL;
	bool made = parent != NULL;

	if (!made)
		return false;
	for (slash = strchr(parent + (*parent == '/'), '/'); slash && made;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		made = !mkdir(parent, 0755) || errno == EEXIST;
		*slash = '/';
	}
	free(parent);
	return made;
}

static void release(struct file_writer *writer)
{
	free(writer->path);
	free(writer->temporary);
	*writer = (struct file_writer){ 0 };
}

static int open_temporary(struct file_writer *writer)
{
	int fd = -1;

	/* The process id keeps two runs from writing the same file. */
	if (asprintf(&writer->temporary, "%s.%ld" PART, writer->path,
		     (long)getpid()) < 0) {
		writer->temporary = NULL;
		return message_no_memory("a path");
	}
	/* What is there was left by a dead process, or is a trap. */
	unlink(writer->temporary);
	fd = open(writer->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
		  0666);
	/* Says until its end that somebody writes; see file_sweep(). */
	if (fd >= 0)
		flock(fd, LOCK_SH | LOCK_NB);
	if (fd >= 0)
		writer->stream = fdopen(fd, "wb");
	if (writer->stream)
		return 0;
	if (fd >= 0) {
		close(fd);
		unlink(writer->temporary);
	}
	return message_failed("cannot write %s: %s", writer->path,
			      strerror(errno));
}

int file_begin(struct file_writer *writer, const char *path)
{
	int status = 0;

	*writer = (struct file_writer){ 0 };
	if (!file_make_parents(path))
		return message_failed("cannot make the directory for %s: %s",
				      path, strerror(errno));
	writer->path = strdup(path);
	if (!writer->path)
		return message_no_memory("a path");
	status = open_temporary(writer);
	if (status)
		release(writer);
	return status;
}

int file_write(struct file_writer *writer, const void *data, size_t size)
{
	if (fwrite(data, 1, size, writer->stream) != size)
		return message_failed("cannot write %s: %s", writer->path,
				      strerror(errno));
	return 0;
}

/* A new name is on the disk when its directory is. Return false with errno. */
static bool sync_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *parent = slash ? strndup(path, (size_t)(slash - path) + 1) :
			       strdup(".");
	int fd = parent ? open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	/* Not every directory may be read, nor every file system do this. */
	bool synced = fd < 0 ? errno == EACCES : !fsync(fd) || errno == EINVAL;

	if (fd >= 0)
		close(fd);
	free(parent);
	return synced;
}

int file_rename(const char *from, const char *to)
{
	if (!rename(from, to) && sync_directory(to))
		return 0;
	return message_failed("cannot write %s: %s", to, strerror(errno));
}

int file_commit(struct file_writer *writer)
{
	FILE *stream = writer->stream;
	int failed = fflush(stream) || fsync(fileno(stream));
	int error = errno;
	int status = 0;

	if (fclose(stream) && !failed) {
		failed = 1;
		error = errno;
	}
	if (failed)
		status = message_failed("cannot write %s: %s", writer->path,
					strerror(error));
	else
		status = file_rename(writer->temporary, writer->path);
	if (status)
		unlink(writer->temporary);
	release(writer);
	return status;
}

void file_abandon(struct file_writer *writer)
{
	fclose(writer->stream);
	unlink(writer->temporary);
	release(writer);
}

static bool is_part(const char *file, const char *name, size_t length)
{
	size_t end = strlen(file);

	return end > length + strlen(PART) && !strncmp(file, name, length) &&
	       file[length] == '.' && !strcmp(file + end - strlen(PART), PART);
}

/* Its writer lives as long as it holds the lock. */
static void remove_abandoned(int directory, const char *file)
{
	int fd = openat(directory, file,
			O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return;
	if (!flock(fd, LOCK_EX | LOCK_NB))
		unlinkat(directory, file, 0);
	close(fd);
}

void file_sweep(const char *directory, const char *name, size_t length)
{
	DIR *entries = opendir(directory);
	const struct dirent *entry = NULL;

	while (entries && (entry = readdir(entries)))
		if (is_part(entry->d_name, name, length))
			remove_abandoned(dirfd(entries), entry->d_name);
	if (entries)
		closedir(entries);
}
