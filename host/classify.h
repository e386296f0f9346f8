/* SPDX-License-Identifier: MIT */
/*
 * classify: a trained network that is ready to classify images, and the names
 * of its classes: what the verbs predict and test have in common.
 */
#ifndef CLASSIFY_H
#define CLASSIFY_H

#include "image.h"
#include "run.h"

struct classify {
	struct run run;
	struct list names;	/* of the classes */
	uint32_t outputs;	/* classes */
	bool hidden;		/* only the first class is told */
	float *input;		/* one sample */
	uint32_t *best;		/* room for all classes */
};

/* How a picture becomes an input of the network: image_letterbox() or other. */
typedef void classify_fit(const struct image *image, struct nn_shape shape,
			  float *out);

struct classify_result {
	const float *output;	/* one value per class, until the next image */
	double cpu_seconds;	/* of this process */
	double seconds;		/* by the clock */
};

/* On success the caller ends with classify_close(). */
int classify_open(struct classify *c, const struct options *options,
		  struct tee *tee);
void classify_close(struct classify *c);

int classify_image(struct classify *c, const char *path, classify_fit *fit,
		   struct classify_result *result);

/* The event "prediction" of json.h, with the first @top classes of c->best. */
void classify_tell(const struct classify *c, const char *path,
		   const struct classify_result *result, uint32_t top);

#endif /* CLASSIFY_H */
