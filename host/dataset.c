/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "augment.h"
#include "dataset.h"
#include "message.h"

/* Decoded images kept: all together, and the largest one. */
#define KEEP_TOTAL ((size_t)64 << 20)
#define KEEP_IMAGE ((size_t)64 << 10)

/* ---- Classes ---- */

/* How many of the labels are part of @text; *last: one of them. */
static uint32_t count_labels(const char *text, const struct list *labels,
			     uint32_t *last)
{
	uint32_t count = 0;
	uint32_t i = 0;

	for (i = 0; i < labels->count; i++)
		if (strstr(text, labels->lines[i])) {
			*last = i;
			count++;
		}
	return count;
}

uint32_t dataset_class_of(const char *path, const struct list *labels)
{
	const char *slash = strrchr(path, '/');
	uint32_t label = labels->count;
	uint32_t count = count_labels(path, labels, &label);

	if (count > 1 && slash)
		count = count_labels(slash + 1, labels, &label);
	return count == 1 ? label : labels->count;
}

static int label_images(struct dataset *dataset, const char *list_path,
			const struct list *labels, const char *labels_path)
{
	uint32_t i = 0;

	for (i = 0; i < dataset->paths.count; i++) {
		const char *path = dataset->paths.lines[i];

		dataset->classes[i] = dataset_class_of(path, labels);
		if (dataset->classes[i] == labels->count)
			return message_refused("%s: Too many or too few labels: %s must contain exactly one of the %u labels in %s",
					       list_path, path, labels->count,
					       labels_path);
	}
	return 0;
}

static int prepare(struct dataset *dataset, const char *path,
		   const struct data *data)
{
	struct list labels = { 0 };
	int status = 0;

	if (!dataset->paths.count)
		return message_refused("%s: lists no images", path);
	dataset->classes = calloc(dataset->paths.count,
				  sizeof(*dataset->classes));
	dataset->kept = calloc(dataset->paths.count, sizeof(*dataset->kept));
	if (!dataset->classes || !dataset->kept)
		return message_no_memory(path);
	status = list_read_classes(&labels, data->labels, data->classes);
	if (status)
		return status;
	/* As in Darknet, labels beyond the classes do not count. */
	labels.count = data->classes;
	status = label_images(dataset, path, &labels, data->labels);
	list_free(&labels);
	return status;
}

int dataset_open(struct dataset *dataset, const char *path,
		 const struct data *data, uint32_t channels)
{
	int status = 0;

	if (channels != 1 && channels != 3)
		return message_refused("images have 1 or 3 channels, but the network wants %u",
				       channels);
	*dataset = (struct dataset){
		.n_classes = data->classes,
		.channels = channels,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.room = KEEP_TOTAL,
	};
	status = list_read(&dataset->paths, path);
	if (!status)
		status = prepare(dataset, path, data);
	if (status)
		dataset_close(dataset);
	return status;
}

void dataset_close(struct dataset *dataset)
{
	uint32_t i = 0;

	for (i = 0; dataset->kept && i < dataset->paths.count; i++)
		image_free(&dataset->kept[i]);
	free(dataset->kept);
	free(dataset->classes);
	list_free(&dataset->paths);
	*dataset = (struct dataset){ 0 };
}

/* ---- Samples ---- */

int dataset_image(struct dataset *dataset, uint32_t index, struct image *image)
{
	pthread_mutex_lock(&dataset->lock);
	*image = dataset->kept[index];
	pthread_mutex_unlock(&dataset->lock);
	if (image->pixels)
		return 0;
	return image_read(image, dataset->paths.lines[index],
			  dataset->channels);
}

/* False if it is not worth it, or if another thread has decoded it, too. */
static bool keep(struct dataset *dataset, uint32_t index,
		 const struct image *image)
{
	size_t size = image_size(image);

	if (dataset->kept[index].pixels || size > KEEP_IMAGE ||
	    size > dataset->room)
		return false;
	dataset->room -= size;
	dataset->kept[index] = *image;
	return true;
}

void dataset_return(struct dataset *dataset, uint32_t index,
		    struct image *image)
{
	bool kept = false;

	pthread_mutex_lock(&dataset->lock);
	kept = image->pixels == dataset->kept[index].pixels ||
	       keep(dataset, index, image);
	pthread_mutex_unlock(&dataset->lock);
	if (!kept)
		image_free(image);
}

static void start_stream(struct nn_random *random, const struct seed *seed,
			 uint64_t iteration, uint32_t sample)
{
	uint32_t key[NN_KEY_WORDS] = { 0 };

	nn_random_derive(key, seed->words, NN_RANDOM_DATA, 0);
	nn_random_start(random, key, iteration, sample);
}

int dataset_draw(struct dataset *dataset, const struct network *network,
		 const struct seed *seed, uint64_t iteration, uint32_t sample,
		 float *input, float *truth)
{
	struct nn_shape shape = network->layers[0].input;
	struct augmentation augmentation = { 0 };
	struct nn_random random = { 0 };
	struct image image = { 0 };
	uint32_t index = 0;
	uint32_t i = 0;
	int status = 0;

	start_stream(&random, seed, iteration, sample);
	index = nn_random_word(&random) % dataset->paths.count;
	status = dataset_image(dataset, index, &image);
	if (status)
		return status;
	augmentation = augmentation_draw(&random, &network->augmentation,
					 &image, shape);
	augmentation_apply(&augmentation, &image, shape, input);
	dataset_return(dataset, index, &image);
	for (i = 0; i < dataset->n_classes; i++)
		truth[i] = i == dataset->classes[index] ? 1.0f : 0.0f;
	return 0;
}
