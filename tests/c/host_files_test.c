/* SPDX-License-Identifier: MIT */
/* What stands where a file is expected: FIFOs, devices, directories, traps. */
#include "files.h"
#include "message.h"

#include "check.h"
#include "host_support.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIMIT 4096	/* bytes of a text */
#define SECONDS 10	/* a read that waits for ever ends the test */

static void refuse(const char *path)
{
	struct file_mark mark = { 0 };
	char *text = NULL;

	alarm(SECONDS);
	support_assert_status(file_read_text(path, LIMIT, &text), STATUS_FAILED);
	support_assert_said("(not a regular file)");
	assert_false(file_mark(path, &mark));
	assert_int_equal(errno, EINVAL);
	alarm(0);
}

/* Neither waited for nor read without end. */
static void only_regular_files_are_read(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(support_path("fifo"), 0600), 0);
	refuse(support_path("fifo"));
	refuse("/dev/zero");
	refuse("/dev/null");
	refuse(support_path("."));
}

static void sweeping_does_not_wait_for_a_fifo(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(support_path("swept.1.part"), 0600), 0);
	alarm(SECONDS);
	file_sweep(support_path("."), "swept", strlen("swept"));
	alarm(0);
}

static void the_reason_is_told(void **state)
{
	struct file_mark mark = { 0 };
	char *text = NULL;

	(void)state;
	support_assert_status(file_read_text(support_path("none"), LIMIT, &text),
			      STATUS_FAILED);
	support_assert_said("none (No such file or directory)");
	assert_false(file_mark(support_path("none"), &mark));
	assert_int_equal(errno, ENOENT);
}

/* Above the limit by its size alone: nothing of it is on the disk. */
static void text_that_is_too_long_is_not_read(void **state)
{
	const char *path = support_write_text("long", "x");
	char *text = NULL;

	(void)state;
	assert_int_equal(truncate(path, LIMIT + 1), 0);
	support_assert_status(file_read_text(path, LIMIT, &text), STATUS_REFUSED);
	support_assert_said("bytes are too many");
}

/* A link under the temporary name must not lead the writer elsewhere. */
static void a_link_in_the_way_is_not_followed(void **state)
{
	char trap[300] = "";
	struct file_writer writer = { 0 };
	uint8_t *victim = NULL;
	size_t size = 0;

	(void)state;
	support_write_text("victim", "untouched");
	snprintf(trap, sizeof(trap), "%s.%ld.part", support_path("written"),
		 (long)getpid());
	assert_int_equal(symlink(support_path("victim"), trap), 0);
	assert_int_equal(file_begin(&writer, support_path("written")), 0);
	assert_int_equal(file_write(&writer, "new", 3), 0);
	assert_int_equal(file_commit(&writer), 0);
	victim = support_read("victim", &size);
	assert_int_equal(size, strlen("untouched"));
	free(victim);
	victim = support_read("written", &size);
	assert_int_equal(size, 3);
	free(victim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_regular_files_are_read),
		cmocka_unit_test(sweeping_does_not_wait_for_a_fifo),
		cmocka_unit_test(the_reason_is_told),
		cmocka_unit_test(text_that_is_too_long_is_not_read),
		cmocka_unit_test(a_link_in_the_way_is_not_followed),
	};

	return cmocka_run_group_tests(tests, support_make_directory,
				      support_remove_directory);
}
