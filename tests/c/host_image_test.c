/* SPDX-License-Identifier: MIT */
/* Pictures: decoding, fitting to a network, and random variation. */
#include "augment.h"
#include "image.h"
#include "message.h"
#include "top.h"

#include "check.h"
#include "host_support.h"

#define DRAWS 4000

static struct nn_random stream(uint32_t sample)
{
	const uint32_t key[NN_KEY_WORDS] = { 9 };
	struct nn_random random = { 0 };

	nn_random_start(&random, key, 0, sample);
	return random;
}

static void pictures_are_decoded_as_colour_or_grey(void **state)
{
	static const uint8_t rgb[] = { 255, 0, 0, 0, 255, 0, 0, 0, 255, 51, 51, 51 };
	struct image image = { 0 };

	(void)state;
	assert_int_equal(image_read(&image, support_write_bmp("a.bmp", 2, 2, rgb), 3),
			 0);
	assert_int_equal(image.width, 2);
	assert_int_equal(image.height, 2);
	assert_int_equal(image_size(&image), 12);
	assert_memory_equal(image.pixels, rgb, sizeof(rgb));
	check_near((double)image_pixel(&image, 1, 1, 2), .2, 1e-7);
	image_free(&image);
	assert_int_equal(image_read(&image, support_path("a.bmp"), 1), 0);
	assert_int_equal(image_size(&image), 4);
	assert_int_equal(image.pixels[3], 51);
	image_free(&image);
}

static void files_that_are_no_pictures_are_refused(void **state)
{
	static const uint8_t rgb[3 * 64] = { 0 };
	struct image image = { 0 };
	uint8_t *file = NULL;
	size_t size = 0;

	(void)state;
	support_assert_status(
		image_read(&image, support_write_text("a.png", "hello"), 3),
		STATUS_FAILED);
	support_assert_said("a.png: not a PNG, JPEG or BMP picture");

	support_write_bmp("a.bmp", 8, 8, rgb);
	file = support_read("a.bmp", &size);
	file[19] = 0xff; /* width 65288 */
	support_assert_status(image_read(&image, support_write("b.bmp", file, size), 3),
			      STATUS_FAILED);
	support_assert_said("b.bmp: ");
	file[19] = 0x10; /* 4104 x 4104 */
	file[23] = 0x10;
	support_assert_status(image_read(&image, support_write("b.bmp", file, size), 3),
			      STATUS_FAILED);
	support_assert_said("pictures of 4104 x 4104 pixels are not accepted");
	free(file);
}

/* A few bytes that claim a gigabyte must not get it. */
static void a_claim_of_a_gigabyte_gets_no_memory(void **state)
{
	static const uint8_t png[] = {
		0x89, 'P', 'N', 'G', 0x0d, 0x0a, 0x1a, 0x0a,
		0, 0, 0, 13, 'I', 'H', 'D', 'R', 0, 0, 0, 9, 0, 0, 0, 9, 1, 0,
		0, 0, 0, 0xc8, 0xea, 0x3b, 0xbd,
		0x40, 0, 0, 0, 'I', 'D', 'A', 'T', 0x78, 0x28,
	};
	struct image image = { 0 };

	(void)state;
	support_assert_status(image_read(&image, support_write("a.png", png, sizeof(png)), 3),
			      STATUS_FAILED);
	support_assert_said("a.png: damaged picture (outofmem)");
}

static void a_letterbox_keeps_proportions_on_grey(void **state)
{
	uint8_t pixels[2 * 4] = { 0, 51, 102, 255, 0, 51, 102, 255 };
	struct image image = { 4, 2, 1, pixels };
	float out[16] = { 0 };
	int x = 0;

	(void)state;
	image_letterbox(&image, (struct nn_shape){ 4, 4, 1 }, out);
	for (x = 0; x < 4; x++) {
		check_near((double)out[x], .5, 0);
		check_near((double)out[4 + x], pixels[x] / 255., 1e-7);
		check_near((double)out[8 + x], pixels[x] / 255., 1e-7);
		check_near((double)out[12 + x], .5, 0);
	}
}

static void scaling_keeps_corners_and_is_linear(void **state)
{
	uint8_t pixels[4] = { 0, 255, 0, 255 };
	struct image image = { 2, 2, 1, pixels };
	float out[25] = { 0 };
	int i = 0;

	(void)state;
	image_letterbox(&image, (struct nn_shape){ 5, 5, 1 }, out);
	for (i = 0; i < 25; i++)
		check_near((double)out[i], i % 5 * .25, 1e-6);
}

static void extreme_shapes_fit(void **state)
{
	uint8_t pixels[300] = { 255 };
	struct image wide = { 300, 1, 1, pixels };
	struct image tall = { 1, 300, 1, pixels };
	float out[9] = { 0 };

	(void)state;
	image_letterbox(&wide, (struct nn_shape){ 3, 3, 1 }, out);
	check_near((double)out[3], 1, 0);
	check_near((double)out[0], .5, 0);
	image_letterbox(&tall, (struct nn_shape){ 3, 3, 1 }, out);
	check_near((double)out[1], 1, 0);
	image_letterbox(&tall, (struct nn_shape){ 1, 1, 1 }, out);
	check_near((double)out[0], 1, 0);
	image_center_square(&wide, (struct nn_shape){ 2, 2, 1 }, out);
	check_near((double)out[0], 0, 0);
}

static void the_center_square_is_cut_out(void **state)
{
	uint8_t pixels[] = { 9, 0, 51, 9, 9, 102, 153, 9 };
	struct image image = { 4, 2, 1, pixels };
	float out[4] = { 0 };
	int i = 0;

	(void)state;
	image_center_square(&image, (struct nn_shape){ 2, 2, 1 }, out);
	for (i = 0; i < 4; i++)
		check_near((double)out[i], i * .2, 1e-6);
}

struct range {
	float low, high;
};

static void widen(struct range *range, float value)
{
	range->low = fminf(range->low, value);
	range->high = fmaxf(range->high, value);
}

/* The limits are kept, and nearly reached: nobody draws half the range. */
static void check_range(struct range range, double low, double high)
{
	double slack = (high - low) * .02;

	assert_true((double)range.low >= low - 1e-5);
	assert_true((double)range.high <= high + 1e-5);
	assert_true((double)range.low <= low + slack);
	assert_true((double)range.high >= high - slack);
}

static void draws_fill_their_ranges(void **state)
{
	const struct network_augmentation limits = {
		.min_crop = 28,
		.max_crop = 40,
		.angle = 10,
		.aspect = 1.5f,
		.hue = .1f,
		.saturation = 2,
		.exposure = 1.25f,
		.flip = true,
	};
	uint8_t pixel = 0;
	struct image image = { 56, 56, 3, &pixel };
	struct range none = { INFINITY, -INFINITY };
	struct range aspect = none, radians = none, hue = none, crop = none;
	struct range saturation = none, exposure = none, dx = none;
	int mirrored = 0;
	uint32_t i = 0;

	(void)state;
	for (i = 0; i < DRAWS; i++) {
		struct nn_random random = stream(i);
		struct augmentation a = augmentation_draw(
			&random, &limits, &image, (struct nn_shape){ 28, 28, 3 });
		float reach = (56 * a.scale / a.aspect - 28) / 2;

		widen(&aspect, a.aspect);
		widen(&radians, a.radians);
		widen(&hue, a.hue);
		widen(&saturation, a.saturation);
		widen(&exposure, a.exposure);
		widen(&crop, a.scale * fminf(56, 56 * a.aspect));
		widen(&dx, a.dx / reach);
		mirrored += a.mirror;
	}
	check_range(aspect, 1 / 1.5, 1.5);
	check_range(radians, -10 * M_PI / 180, 10 * M_PI / 180);
	check_range(hue, -.1, .1);
	check_range(saturation, .5, 2);
	check_range(exposure, .8, 1.25);
	check_range(crop, 28, 40);
	check_range(dx, -1, 1);
	check_near(mirrored / (double)DRAWS, .5, .05);
}

static void a_draw_uses_twelve_words_and_can_be_repeated(void **state)
{
	const struct network_augmentation limits = {
		.min_crop = 28,
		.max_crop = 28,
		.aspect = 1,
		.saturation = 1,
		.exposure = 1,
		.flip = false,
	};
	uint8_t pixel = 0;
	struct image image = { 28, 28, 3, &pixel };
	struct nn_shape shape = { 28, 28, 3 };
	struct nn_random first = stream(3);
	struct nn_random second = stream(3);
	struct augmentation a = augmentation_draw(&first, &limits, &image, shape);
	struct augmentation b = { 0 };
	int i = 0;

	(void)state;
	for (i = 0; i < 12; i++)
		nn_random_word(&second);
	assert_int_equal(nn_random_word(&first), nn_random_word(&second));
	second = stream(3);
	b = augmentation_draw(&second, &limits, &image, shape);
	assert_true(a.scale == b.scale && a.dx == b.dx && a.hue == b.hue);
	assert_false(a.mirror);
	check_near((double)a.scale, 1, 0);
}

static const struct augmentation unchanged = {
	.aspect = 1,
	.scale = 1,
	.saturation = 1,
	.exposure = 1,
};

static void without_variation_the_picture_stays(void **state)
{
	uint8_t pixels[4 * 3 * 3] = { 0 };
	struct image image = { 4, 3, 3, pixels };
	struct augmentation mirrored = unchanged;
	float out[36] = { 0 };
	uint32_t i = 0;

	(void)state;
	for (i = 0; i < sizeof(pixels); i++)
		pixels[i] = (uint8_t)(i * 7);
	augmentation_apply(&unchanged, &image, (struct nn_shape){ 4, 3, 3 }, out);
	for (i = 0; i < 36; i++)
		check_near((double)out[i],
			   (double)image_pixel(&image, i % 4, i / 4 % 3, i / 12), 1e-6);
	mirrored.mirror = true;
	augmentation_apply(&mirrored, &image, (struct nn_shape){ 4, 3, 3 }, out);
	for (i = 0; i < 36; i++)
		check_near((double)out[i],
			   (double)image_pixel(&image, 3 - i % 4, i / 4 % 3, i / 12),
			   1e-6);
}

static void a_half_turn_turns_and_the_outside_is_black(void **state)
{
	uint8_t pixels[9] = { 10, 20, 30, 40, 50, 60, 70, 80, 90 };
	struct image image = { 3, 3, 1, pixels };
	struct augmentation turned = unchanged;
	float out[9] = { 0 };

	(void)state;
	turned.radians = (float)M_PI;
	augmentation_apply(&turned, &image, (struct nn_shape){ 3, 3, 1 }, out);
	/* Turned about (1.5, 1.5): column and row x become 3 - x. */
	check_near((double)out[4], 90 / 255., 1e-5);
	check_near((double)out[8], 50 / 255., 1e-5);
	check_near((double)out[0], 0, 1e-5);
}

static void degenerate_scales_give_black(void **state)
{
	uint8_t pixels[9] = { 255, 255, 255, 255, 255, 255, 255, 255, 255 };
	struct image image = { 3, 3, 1, pixels };
	struct augmentation far = unchanged;
	float out[4] = { 1, 1, 1, 1 };

	(void)state;
	far.scale = 1e-38f;
	far.dx = 1e30f;
	augmentation_apply(&far, &image, (struct nn_shape){ 2, 2, 1 }, out);
	check_near((double)out[0], 0, 0);
	far.dx = NAN;
	augmentation_apply(&far, &image, (struct nn_shape){ 2, 2, 1 }, out);
	check_near((double)out[3], 0, 0);
}

/* Red, half grey and a mixed colour through one change. */
static void change(const struct augmentation *a, uint8_t red, uint8_t green,
		   uint8_t blue, double r, double g, double b)
{
	uint8_t pixels[3] = { red, green, blue };
	struct image image = { 1, 1, 3, pixels };
	float out[3] = { 0 };

	augmentation_apply(a, &image, (struct nn_shape){ 1, 1, 3 }, out);
	check_near((double)out[0], r, 1e-5);
	check_near((double)out[1], g, 1e-5);
	check_near((double)out[2], b, 1e-5);
}

static void colours_change_in_hue_saturation_and_value(void **state)
{
	struct augmentation a = unchanged;

	(void)state;
	a.hue = 1 / 3.f;
	change(&a, 255, 0, 0, 0, 1, 0);
	change(&a, 0, 0, 255, 1, 0, 0);
	change(&a, 102, 102, 102, .4, .4, .4);
	a.hue = -1 / 3.f;
	change(&a, 255, 0, 0, 0, 0, 1);
	a.hue = 0;
	a.saturation = .5f;
	change(&a, 255, 0, 0, 1, .5, .5);
	change(&a, 204, 153, 102, .8, .7, .6);
	a.saturation = 1;
	a.exposure = 1.5f;
	change(&a, 102, 51, 0, .6, .3, 0);
	change(&a, 255, 51, 0, 1, .3, 0);
}

static void equal_values_come_in_darknets_order(void **state)
{
	const float one_hot[] = { 0, 0, 0, 1, 0, 0 };
	const float falling[] = { .1f, .2f, .4f, .3f };
	const uint32_t expected[] = { 3, 1, 2, 0, 4 };
	uint32_t best[5] = { 0 };

	(void)state;
	top_choose(one_hot, 6, 5, best);
	assert_memory_equal(best, expected, sizeof(expected));
	top_choose(falling, 4, 2, best);
	assert_int_equal(best[0], 2);
	assert_int_equal(best[1], 3);
	top_choose(falling, 4, 0, best);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pictures_are_decoded_as_colour_or_grey),
		cmocka_unit_test(files_that_are_no_pictures_are_refused),
		cmocka_unit_test(a_claim_of_a_gigabyte_gets_no_memory),
		cmocka_unit_test(a_letterbox_keeps_proportions_on_grey),
		cmocka_unit_test(scaling_keeps_corners_and_is_linear),
		cmocka_unit_test(extreme_shapes_fit),
		cmocka_unit_test(the_center_square_is_cut_out),
		cmocka_unit_test(draws_fill_their_ranges),
		cmocka_unit_test(a_draw_uses_twelve_words_and_can_be_repeated),
		cmocka_unit_test(without_variation_the_picture_stays),
		cmocka_unit_test(a_half_turn_turns_and_the_outside_is_black),
		cmocka_unit_test(degenerate_scales_give_black),
		cmocka_unit_test(colours_change_in_hue_saturation_and_value),
		cmocka_unit_test(equal_values_come_in_darknets_order),
	};

	return cmocka_run_group_tests(tests, support_make_directory,
				      support_remove_directory);
}
