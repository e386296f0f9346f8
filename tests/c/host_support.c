/* SPDX-License-Identifier: MIT */
#include "host_support.h"

#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

static char directory[] = "/tmp/darknetp-test-XXXXXX";
static int saved_stderr = -1;

int support_make_directory(void **state)
{
	(void)state;
	return mkdtemp(directory) ? 0 : -1;
}

static void remove_files(const char *path)
{
	DIR *entries = opendir(path);
	struct dirent *entry = NULL;
	char name[600] = "";

	while (entries && (entry = readdir(entries))) {
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		unlink(name);
	}
	if (entries)
		closedir(entries);
	rmdir(path);
}

int support_remove_directory(void **state)
{
	(void)state;
	remove_files(directory);
	return access(directory, F_OK) ? 0 : -1;
}

const char *support_path(const char *name)
{
	static char paths[4][256];
	static unsigned int next;
	char *path = paths[next++ % ARRAY_SIZE(paths)];

	snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
	return path;
}

const char *support_write(const char *name, const void *data, size_t size)
{
	const char *path = support_path(name);
	FILE *stream = fopen(path, "wb");

	assert_non_null(stream);
	assert_int_equal(fwrite(data, 1, size, stream), size);
	assert_int_equal(fclose(stream), 0);
	return path;
}

const char *support_write_text(const char *name, const char *text)
{
	return support_write(name, text, strlen(text));
}

uint8_t *support_read(const char *name, size_t *size)
{
	FILE *stream = fopen(support_path(name), "rb");
	uint8_t *data = NULL;

	assert_non_null(stream);
	assert_int_equal(fseek(stream, 0, SEEK_END), 0);
	*size = (size_t)ftell(stream);
	rewind(stream);
	data = malloc(*size + 1);
	assert_non_null(data);
	assert_int_equal(fread(data, 1, *size, stream), *size);
	fclose(stream);
	return data;
}

static void put_little_endian(uint8_t *at, uint32_t value)
{
	int i = 0;

	for (i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

const char *support_write_bmp(const char *name, uint32_t width, uint32_t height,
			      const uint8_t *rgb)
{
	const size_t header = 54;
	size_t stride = (3 * (size_t)width + 3) / 4 * 4;
	size_t size = header + stride * height;
	uint8_t *file = calloc(1, size);
	const char *path = NULL;
	size_t x = 0;
	size_t y = 0;

	assert_non_null(file);
	memcpy(file, "BM", 2);
	put_little_endian(file + 2, (uint32_t)size);
	put_little_endian(file + 10, (uint32_t)header);
	put_little_endian(file + 14, 40);
	put_little_endian(file + 18, width);
	put_little_endian(file + 22, height);
	file[26] = 1;
	file[28] = 24;
	for (y = 0; y < height; y++)
		for (x = 0; x < 3 * (size_t)width; x++)
			file[header + (height - 1 - y) * stride + x] =
				rgb[(y * width + x / 3) * 3 + 2 - x % 3];
	path = support_write(name, file, size);
	free(file);
	return path;
}

void support_capture(void)
{
	int fd = open(support_path("stderr"), O_CREAT | O_TRUNC | O_RDWR, 0600);

	assert_true(fd >= 0);
	fflush(stderr);
	saved_stderr = dup(STDERR_FILENO);
	dup2(fd, STDERR_FILENO);
	close(fd);
}

const char *support_captured(void)
{
	static char text[8192];
	size_t length = 0;
	FILE *stream = NULL;

	if (saved_stderr >= 0) {
		fflush(stderr);
		dup2(saved_stderr, STDERR_FILENO);
		close(saved_stderr);
		saved_stderr = -1;
	}
	stream = fopen(support_path("stderr"), "r");
	assert_non_null(stream);
	length = fread(text, 1, sizeof(text) - 1, stream);
	text[length] = '\0';
	fclose(stream);
	return text;
}

void support_assert_said(const char *part)
{
	const char *text = support_captured();

	if (!strstr(text, part))
		fail_msg("\"%s\" was not said, but:\n%s", part, text);
}

void support_chain_open(struct support_chain *c, const char *cfg_text,
			const struct partition *partition)
{
	*c = (struct support_chain){ .partition = *partition };
	seed_from_number(&c->seed, 5);
	support_assert_status(
		network_read(&c->network, support_write_text("chain.cfg", cfg_text)),
		0);
	assert_int_equal(tee_open(&c->tee), 0);
	support_assert_status(chain_build(&c->chain, &c->network, &c->partition,
					  c->tee, &c->seed, NULL, true),
			      0);
}

void support_chain_close(struct support_chain *c)
{
	support_capture();
	chain_free(&c->chain);
	tee_close(c->tee);
	network_free(&c->network);
	support_captured();
}
