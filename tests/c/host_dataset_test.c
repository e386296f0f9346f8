/* SPDX-License-Identifier: MIT */
/* Data files, lists, classes from paths, and drawn samples. */
#include "dataset.h"
#include "message.h"

#include "check.h"
#include "host_support.h"

static void data_files_have_darknets_defaults(void **state)
{
	struct data data = { 0 };

	(void)state;
	assert_int_equal(data_read(&data, support_write_text("a.data", "\n")), 0);
	assert_int_equal(data.classes, 2);
	assert_int_equal(data.top, 1);
	assert_string_equal(data.train, "data/train.list");
	assert_string_equal(data.valid, "data/train.list");
	assert_string_equal(data.backup, "/backup/");
	assert_string_equal(data.names, "data/labels.list");
	data_free(&data);
	assert_int_equal(
		data_read(&data, support_write_text("a.data", "labels = my labels\n")),
		0);
	assert_string_equal(data.names, "mylabels");
	data_free(&data);
}

static void data_files_that_cannot_be_served_are_refused(void **state)
{
	static const struct {
		const char *text, *said;
	} cases[] = {
		{ "classes=0\n", "a.data:1: classes=0" },
		{ "classes=ten\n", "a.data:1: classes=ten: expected" },
		{ "\ntree=x\n", "a.data:2: tree=x" },
		{ "tag=1\n", "tag=1" },
	};
	struct data data = { 0 };
	size_t i = 0;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		support_assert_status(
			data_read(&data, support_write_text("a.data", cases[i].text)),
			STATUS_REFUSED);
		support_assert_said(cases[i].said);
	}
}

static void lists_are_trimmed_lines(void **state)
{
	struct list list = { 0 };

	(void)state;
	assert_int_equal(list_read(&list, support_write_text("l", "\n a b \r\n\n\tc")),
			 0);
	assert_int_equal(list.count, 2);
	assert_string_equal(list.lines[0], "a b");
	assert_string_equal(list.lines[1], "c");
	list_free(&list);
	support_assert_status(list_read_classes(&list, support_path("l"), 3),
			      STATUS_REFUSED);
	support_assert_said("has 2 lines, but there are 3 classes");
}

static void the_class_is_the_only_label_in_the_path(void **state)
{
	char *words[] = { (char[]){ "c0" }, (char[]){ "c1" }, (char[]){ "train" } };
	struct list labels = { .lines = words, .count = 3 };

	(void)state;
	assert_int_equal(dataset_class_of("/d/t_c1.png", &labels), 1);
	assert_int_equal(dataset_class_of("c0", &labels), 0);
	/* The directory carries a label: the file's name decides. */
	assert_int_equal(dataset_class_of("/d/train/t_c0.png", &labels), 0);
	/* ... and the directory alone is good, too. */
	assert_int_equal(dataset_class_of("/d/train/1.png", &labels), 2);
	/* None, two in the name, two in directories. */
	assert_int_equal(dataset_class_of("/d/x.png", &labels), 3);
	assert_int_equal(dataset_class_of("/d/c0_c1.png", &labels), 3);
	assert_int_equal(dataset_class_of("/c0/c1/x.png", &labels), 3);
	assert_int_equal(dataset_class_of("c0c1", &labels), 3);
}

/* Two images of one colour each, 4 x 4. */
static void write_images(void)
{
	uint8_t dark[48] = { 0 };
	uint8_t bright[48] = { 0 };
	char list[600] = "";

	memset(bright, 255, sizeof(bright));
	support_write_bmp("i_c0.bmp", 4, 4, dark);
	support_write_bmp("i_c1.bmp", 4, 4, bright);
	snprintf(list, sizeof(list), "%s\n%s\n", support_path("i_c0.bmp"),
		 support_path("i_c1.bmp"));
	support_write_text("train", list);
	support_write_text("labels", "c0\nc1\nunused\n");
}

static struct data make_data(void)
{
	static char labels[256];

	snprintf(labels, sizeof(labels), "%s", support_path("labels"));
	return (struct data){ .classes = 2, .labels = labels };
}

static void samples_are_drawn_evenly_with_their_truth(void **state)
{
	struct network_layer layer = { .input = { 4, 4, 3 } };
	struct network network = {
		.augmentation = { .min_crop = 4,
				  .max_crop = 4,
				  .aspect = 1,
				  .saturation = 1,
				  .exposure = 1 },
		.n_layers = 1,
		.layers = &layer,
	};
	struct data data = { 0 };
	struct dataset dataset = { 0 };
	struct seed seed = { .words = { 4 } };
	float input[48] = { 0 };
	float truth[2] = { 0 };
	int bright = 0;
	uint32_t i = 0;

	(void)state;
	write_images();
	data = make_data();
	assert_int_equal(dataset_open(&dataset, support_path("train"), &data, 3), 0);
	for (i = 0; i < 1000; i++) {
		assert_int_equal(dataset_draw(&dataset, &network, &seed, i / 100,
					      i % 100, input, truth),
				 0);
		assert_true(truth[0] + truth[1] == 1.0f);
		check_near((double)input[24], (double)truth[1], 1e-6);
		bright += truth[1] == 1.0f;
	}
	check_near(bright / 1000., .5, .06);
	/* Small images are decoded once: the file is not needed any more. */
	assert_int_equal(remove(support_path("i_c1.bmp")), 0);
	assert_int_equal(remove(support_path("i_c0.bmp")), 0);
	assert_int_equal(dataset_draw(&dataset, &network, &seed, 0, 0, input, truth),
			 0);
	dataset_close(&dataset);
}

static void a_position_always_draws_the_same_sample(void **state)
{
	struct network_layer layer = { .input = { 4, 4, 3 } };
	struct network network = {
		.augmentation = { .min_crop = 4,
				  .max_crop = 9,
				  .angle = 50,
				  .aspect = 2,
				  .hue = 1,
				  .saturation = 2,
				  .exposure = 2,
				  .flip = true },
		.n_layers = 1,
		.layers = &layer,
	};
	struct data data = { 0 };
	struct dataset dataset = { 0 };
	struct seed seed = { .words = { 4 } };
	float input[3][48] = { { 0 } };
	float truth[2] = { 0 };

	(void)state;
	write_images();
	data = make_data();
	assert_int_equal(dataset_open(&dataset, support_path("train"), &data, 3), 0);
	assert_int_equal(dataset_draw(&dataset, &network, &seed, 7, 3, input[0], truth),
			 0);
	assert_int_equal(dataset_draw(&dataset, &network, &seed, 8, 3, input[1], truth),
			 0);
	assert_int_equal(dataset_draw(&dataset, &network, &seed, 7, 3, input[2], truth),
			 0);
	assert_memory_equal(input[0], input[2], sizeof(input[0]));
	assert_memory_not_equal(input[0], input[1], sizeof(input[0]));
	dataset_close(&dataset);
}

static void unlabelled_and_missing_images_are_named(void **state)
{
	struct network_layer layer = { .input = { 4, 4, 3 } };
	struct network network = { .n_layers = 1, .layers = &layer };
	struct data data = { 0 };
	struct dataset dataset = { 0 };
	struct seed seed = { 0 };
	float values[48] = { 0 };

	(void)state;
	write_images();
	data = make_data();
	support_assert_status(dataset_open(&dataset,
					   support_write_text("bad", "/x/y.png\n"),
					   &data, 3),
			      STATUS_REFUSED);
	support_assert_said(
		"bad: Too many or too few labels: /x/y.png must contain exactly one of the 2 labels in");
	support_assert_status(
		dataset_open(&dataset, support_write_text("bad", "\n"), &data, 3),
		STATUS_REFUSED);
	support_assert_said("bad: lists no images");
	support_assert_status(dataset_open(&dataset, support_path("train"), &data, 4),
			      STATUS_REFUSED);
	support_assert_said("images have 1 or 3 channels");
	assert_int_equal(dataset_open(&dataset,
				      support_write_text("bad", "/no/c0.png\n"), &data,
				      3),
			 0);
	support_assert_status(
		dataset_draw(&dataset, &network, &seed, 0, 0, values, values),
		STATUS_FAILED);
	support_assert_said("Couldn't open file: /no/c0.png");
	dataset_close(&dataset);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(data_files_have_darknets_defaults),
		cmocka_unit_test(data_files_that_cannot_be_served_are_refused),
		cmocka_unit_test(lists_are_trimmed_lines),
		cmocka_unit_test(the_class_is_the_only_label_in_the_path),
		cmocka_unit_test(samples_are_drawn_evenly_with_their_truth),
		cmocka_unit_test(a_position_always_draws_the_same_sample),
		cmocka_unit_test(unlabelled_and_missing_images_are_named),
	};

	return cmocka_run_group_tests(tests, support_make_directory,
				      support_remove_directory);
}
