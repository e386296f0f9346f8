/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "message.h"
#include "weights.h"

/* Floats moved at once. */
#define PIECE 16384u

/* ---- What a file holds ---- */

/* Which layers' parameters a file holds. */
enum part {
	PART_ALL,
	PART_NORMAL,
	PART_SECURE,
};

static bool part_holds(const struct chain *chain, enum part part,
		       uint32_t layer)
{
	bool secure = partition_holds(chain->partition, layer);

	return part == PART_ALL || secure == (part == PART_SECURE);
}

static uint32_t weight_count(const struct network_layer *layer)
{
	const struct nn_layer_spec *spec = &layer->spec;
	uint64_t count = 0;

	if (spec->kind == NN_CONNECTED)
		count = (uint64_t)network_floats(layer->input) * spec->outputs;
	else
		count = (uint64_t)layer->input.channels / spec->groups *
			spec->filters * spec->size * spec->size;
	/* Larger ones were refused when the segment was built. */
	return (uint32_t)count;
}

uint32_t weights_tensors(const struct network_layer *layer,
			 struct weights_tensor tensors[NN_TENSOR_KINDS])
{
	enum nn_layer_kind kind = layer->spec.kind;
	bool affine = kind == NN_CONNECTED || kind == NN_CONVOLUTIONAL;
	uint32_t outputs = layer->output.channels;
	uint32_t n = 0;

	if (affine)
		tensors[n++] = (struct weights_tensor){ NN_BIASES, outputs };
	if (kind == NN_CONNECTED)
		tensors[n++] = (struct weights_tensor){ NN_WEIGHTS,
							weight_count(layer) };
	if (layer->spec.batch_normalize || kind == NN_BATCHNORM) {
		tensors[n++] = (struct weights_tensor){ NN_SCALES, outputs };
		tensors[n++] = (struct weights_tensor){ NN_ROLLING_MEAN,
							outputs };
		tensors[n++] = (struct weights_tensor){ NN_ROLLING_VARIANCE,
							outputs };
	}
	if (kind == NN_CONVOLUTIONAL)
		tensors[n++] = (struct weights_tensor){ NN_WEIGHTS,
							weight_count(layer) };
	return n;
}

/* Floats in a file of this part. */
static uint64_t part_floats(const struct chain *chain, enum part part)
{
	struct weights_tensor tensors[NN_TENSOR_KINDS] = { 0 };
	uint64_t floats = 0;
	uint32_t layer = 0;

	for (layer = 0; layer < chain->network->n_layers; layer++) {
		uint32_t n = weights_tensors(&chain->network->layers[layer],
					     tensors);

		while (part_holds(chain, part, layer) && n--)
			floats += tensors[n].count;
	}
	return floats;
}

/* ---- Loading ---- */

struct reader {
	FILE *stream;
	const char *path;
	uint64_t offset;	/* bytes: where the next tensor starts */
	uint64_t seen;
	bool transposed;	/* weights of connected layers */
	float *piece;		/* room for PIECE floats */
};

static int read_header(struct reader *reader, uint64_t size)
{
	int32_t version[3] = { 0 };
	uint32_t old_seen = 0;
	int status = 0;

	if (size < sizeof(version) + sizeof(old_seen))
		return message_failed("%s: %llu bytes are too few for a weights file",
				      reader->path, (unsigned long long)size);
	status = file_read_at(reader->stream, reader->path, 0, version,
			      sizeof(version));
	if (status)
		return status;
	if (version[0] < 0 || version[1] < 0)
		return message_failed("%s: version %d.%d: not a weights file",
				      reader->path, version[0], version[1]);
	reader->transposed = version[0] > 1000 || version[1] > 1000;
	reader->offset = sizeof(version);
	if (version[0] < 1000 && version[1] < 1000 &&
	    version[0] * 10 + version[1] >= 2) {
		status = file_read_at(reader->stream, reader->path,
				      reader->offset, &reader->seen,
				      sizeof(reader->seen));
		reader->offset += sizeof(reader->seen);
		return status;
	}
	status = file_read_at(reader->stream, reader->path, reader->offset,
			      &old_seen, sizeof(old_seen));
	reader->seen = old_seen;
	reader->offset += sizeof(old_seen);
	return status;
}

static int check_size(const struct reader *reader, uint64_t floats,
		      uint64_t size)
{
	uint64_t expected = reader->offset + floats * sizeof(float);

	if (size == expected)
		return 0;
	return message_failed("%s: has %llu bytes, but the network needs %llu (%llu parameters): it belongs to another network or is damaged",
			      reader->path, (unsigned long long)size,
			      (unsigned long long)expected,
			      (unsigned long long)floats);
}

static int load_plain(struct chain *chain, struct reader *reader,
		      uint32_t layer, const struct weights_tensor *tensor)
{
	uint32_t first = 0;
	int status = 0;

	while (first < tensor->count && !status) {
		uint32_t left = tensor->count - first;
		uint32_t n = left < PIECE ? left : PIECE;

		status = file_read_at(reader->stream, reader->path,
				      reader->offset + UINT64_C(4) * first,
				      reader->piece, n * sizeof(float));
		if (!status)
			status = chain_load(chain, layer, tensor->kind, first,
					    reader->piece, n);
		first += n;
	}
	return status;
}

/*
 * Load inputs @first.. (@n of them) of one output from a transposed matrix: a
 * column of the file, so every float is read by itself. Such files are old and
 * small.
 */
static int load_column_piece(struct chain *chain, struct reader *reader,
			     uint32_t layer, uint32_t output, uint32_t first,
			     uint32_t n)
{
	const struct network_layer *at = &chain->network->layers[layer];
	uint32_t inputs = network_floats(at->input);
	uint32_t i = 0;
	int status = 0;

	for (i = 0; i < n && !status; i++) {
		uint64_t index = (uint64_t)(first + i) * at->spec.outputs +
				 output;

		status = file_read_at(reader->stream, reader->path,
				      reader->offset + 4 * index,
				      &reader->piece[i], sizeof(float));
	}
	if (status)
		return status;
	return chain_load(chain, layer, NN_WEIGHTS, output * inputs + first,
			  reader->piece, n);
}

static int load_transposed(struct chain *chain, struct reader *reader,
			   uint32_t layer)
{
	const struct network_layer *at = &chain->network->layers[layer];
	uint32_t inputs = network_floats(at->input);
	uint32_t output = 0;
	uint32_t first = 0;
	int status = 0;

	for (output = 0; output < at->spec.outputs && !status; output++)
		for (first = 0; first < inputs && !status; first += PIECE) {
			uint32_t left = inputs - first;

			status = load_column_piece(chain, reader, layer, output,
						   first,
						   left < PIECE ? left : PIECE);
		}
	return status;
}

static int load_layer(struct chain *chain, struct reader *reader,
		      uint32_t layer)
{
	const struct network_layer *at = &chain->network->layers[layer];
	struct weights_tensor tensors[NN_TENSOR_KINDS] = { 0 };
	uint32_t n = weights_tensors(at, tensors);
	uint32_t i = 0;
	int status = 0;

	for (i = 0; i < n && !status; i++) {
		if (reader->transposed && tensors[i].kind == NN_WEIGHTS &&
		    at->spec.kind == NN_CONNECTED)
			status = load_transposed(chain, reader, layer);
		else
			status = load_plain(chain, reader, layer, &tensors[i]);
		reader->offset += UINT64_C(4) * tensors[i].count;
	}
	return status;
}

static int load_layers(struct chain *chain, struct reader *reader,
		       enum part part)
{
	uint32_t layer = 0;
	int status = 0;

	reader->piece = malloc(PIECE * sizeof(float));
	if (!reader->piece)
		return message_no_memory("weights");
	for (layer = 0; layer < chain->network->n_layers && !status; layer++)
		if (part_holds(chain, part, layer))
			status = load_layer(chain, reader, layer);
	/* There may be secure layers' parameters in it. */
	explicit_bzero(reader->piece, PIECE * sizeof(float));
	free(reader->piece);
	return status;
}

static int load_file(struct chain *chain, const char *path, enum part part,
		     uint64_t *seen)
{
	uint64_t size = 0;
	struct reader reader = {
		.stream = file_open(path, &size),
		.path = path,
	};
	int status = 0;

	if (!reader.stream)
		return STATUS_FAILED;
	/* stdio would keep a copy of what passes. */
	setvbuf(reader.stream, NULL, _IONBF, 0);
	status = read_header(&reader, size);
	if (!status)
		status = check_size(&reader, part_floats(chain, part), size);
	if (!status)
		status = load_layers(chain, &reader, part);
	fclose(reader.stream);
	*seen = reader.seen;
	return status;
}

/* ---- Split files ---- */

/* @path with a suffix, for the caller to free; NULL without memory. */
static char *part_path(const char *path, enum part part)
{
	static const char *const suffixes[] = {
		[PART_ALL] = "", [PART_NORMAL] = "_ree", [PART_SECURE] = "_tee",
	};
	char *joined = NULL;

	return asprintf(&joined, "%s%s", path, suffixes[part]) < 0 ? NULL :
								      joined;
}

bool weights_files(const char *path, bool split, char *files[WEIGHTS_FILES])
{
	files[0] = part_path(path, split ? PART_NORMAL : PART_ALL);
	files[1] = split ? part_path(path, PART_SECURE) : NULL;
	return files[0] && (files[1] || !split);
}

static int load_part(struct chain *chain, const char *path, enum part part,
		     uint64_t *seen)
{
	char *joined = part_path(path, part);
	int status = joined ? load_file(chain, joined, part, seen) :
			      message_no_memory("a path");

	free(joined);
	return status;
}

int weights_load(struct chain *chain, const char *path,
		 enum options_split split, uint64_t *seen)
{
	uint64_t secure_seen = 0;
	int status = 0;

	if (split != SPLIT_BOTH)
		return load_file(chain, path, PART_ALL, seen);
	status = load_part(chain, path, PART_SECURE, &secure_seen);
	if (!status)
		status = load_part(chain, path, PART_NORMAL, seen);
	if (!status && *seen != secure_seen)
		status = message_failed("%s_ree and %s_tee do not belong together: they have seen %llu and %llu images",
					path, path, (unsigned long long)*seen,
					(unsigned long long)secure_seen);
	return status;
}

/* ---- Saving ---- */

static int save_tensor(struct chain *chain, struct file_writer *writer,
		       uint32_t layer, const struct weights_tensor *tensor,
		       float *piece)
{
	uint32_t first = 0;
	int status = 0;

	while (first < tensor->count && !status) {
		uint32_t left = tensor->count - first;
		uint32_t n = left < PIECE ? left : PIECE;

		status = chain_save(chain, layer, tensor->kind, first, piece,
				    n);
		if (!status)
			status = file_write(writer, piece, n * sizeof(float));
		first += n;
	}
	return status;
}

static int save_layers(struct chain *chain, struct file_writer *writer,
		       enum part part)
{
	struct weights_tensor tensors[NN_TENSOR_KINDS] = { 0 };
	float *piece = malloc(PIECE * sizeof(float));
	uint32_t layer = 0;
	int status = piece ? 0 : message_no_memory("weights");

	for (layer = 0; layer < chain->network->n_layers; layer++) {
		uint32_t n = weights_tensors(&chain->network->layers[layer],
					     tensors);
		uint32_t i = 0;

		if (!part_holds(chain, part, layer))
			continue;
		for (i = 0; i < n && !status; i++)
			status = save_tensor(chain, writer, layer, &tensors[i],
					     piece);
	}
	if (piece)
		explicit_bzero(piece, PIECE * sizeof(float));
	free(piece);
	return status;
}

static int save_file(struct chain *chain, const char *path, enum part part,
		     uint64_t seen)
{
	static const int32_t version[3] = { 0, 2, 0 };
	struct file_writer writer = { 0 };
	int status = file_begin(&writer, path);

	if (status)
		return status;
	status = file_write(&writer, version, sizeof(version));
	if (!status)
		status = file_write(&writer, &seen, sizeof(seen));
	if (!status)
		status = save_layers(chain, &writer, part);
	if (!status)
		return file_commit(&writer);
	file_abandon(&writer);
	return status;
}

static int save_part(struct chain *chain, const char *path, enum part part,
		     uint64_t seen)
{
	char *joined = part_path(path, part);
	int status = joined ? save_file(chain, joined, part, seen) :
			      message_no_memory("a path");

	free(joined);
	return status;
}

int weights_save(struct chain *chain, const char *path,
		 enum options_split split, uint64_t seen)
{
	int status = 0;

	if (split == SPLIT_NEVER)
		return save_file(chain, path, PART_ALL, seen);
	status = save_part(chain, path, PART_SECURE, seen);
	return status ? status : save_part(chain, path, PART_NORMAL, seen);
}
