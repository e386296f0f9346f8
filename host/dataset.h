/* SPDX-License-Identifier: MIT */
/*
 * dataset: a list of images whose classes are written in their paths, and the
 * samples made from them.
 */
#ifndef DATASET_H
#define DATASET_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "data.h"
#include "image.h"
#include "network.h"
#include "seed.h"

struct dataset {
	struct list paths;
	uint32_t *classes;	/* one per path */
	uint32_t n_classes;
	uint32_t channels;	/* that images are decoded to */
	pthread_mutex_t lock;	/* of the next two; images are decoded without */
	struct image *kept;	/* one per path; without pixels: not decoded yet */
	size_t room;		/* bytes left for decoded images */
};

/*
 * Read the list @path and find each image's class: the one label that is part
 * of its path. If the directories' names contain labels too, the file's name
 * decides; an image without exactly one label then is refused.
 */
int dataset_open(struct dataset *dataset, const char *path,
		 const struct data *data, uint32_t channels);
void dataset_close(struct dataset *dataset);

/*
 * Class of the image @path: the index of the only label that is part of it, or
 * of its file name; @labels->count if there is no such label.
 */
uint32_t dataset_class_of(const char *path, const struct list *labels);

/*
 * Borrow the decoded image @index until dataset_return(); small ones are decoded
 * once and kept. Threads may do so at the same time.
 */
int dataset_image(struct dataset *dataset, uint32_t index,
		  struct image *image);

/* Give back an image; it may be kept. */
void dataset_return(struct dataset *dataset, uint32_t index,
		    struct image *image);

/*
 * Draw training sample @sample of batch @iteration: any image, varied as the
 * network asks. Threads may draw at the same time.
 * @input: inputs of the network; @truth: n_classes floats, 1 for the class
 */
int dataset_draw(struct dataset *dataset, const struct network *network,
		 const struct seed *seed, uint64_t iteration, uint32_t sample,
		 float *input, float *truth);

#endif /* DATASET_H */
