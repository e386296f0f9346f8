/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "state.h"

#define VERSION	     1u
#define FLAG_SEEDED  1u
#define FLAG_STARTED 2u

/* Floats moved at once. */
#define PIECE 16384u

static const char magic[8] = { 'd', 'n', 'p', 's', 't', 'a', 't', 'e' };

/* The file up to the momentum; see state.h. */
struct header {
	char magic[8];
	uint32_t version, flags, files, batch;
	uint64_t seen, seed, cfg_end, end;
	double average;
	struct file_mark marks[WEIGHTS_FILES];
	uint64_t floats;
};
_Static_assert(sizeof(struct header) == 104, "layout of the file");

/* ---- Momentum ---- */

/* Is the tensor learned by descent? As in Darknet, a batchnorm layer's is not. */
static bool has_momentum(const struct network_layer *layer,
			 enum nn_tensor_kind kind)
{
	return layer->spec.kind != NN_BATCHNORM &&
	       (kind == NN_BIASES || kind == NN_WEIGHTS || kind == NN_SCALES);
}

/* The tensors of a layer that have momentum; return how many. */
static uint32_t list_tensors(const struct network_layer *layer,
			     struct weights_tensor tensors[NN_TENSOR_KINDS])
{
	uint32_t n = weights_tensors(layer, tensors);
	uint32_t kept = 0;
	uint32_t i = 0;

	for (i = 0; i < n; i++)
		if (has_momentum(layer, tensors[i].kind))
			tensors[kept++] = tensors[i];
	return kept;
}

static uint64_t count_floats(const struct network *network)
{
	struct weights_tensor tensors[NN_TENSOR_KINDS] = { 0 };
	uint64_t floats = 0;
	uint32_t layer = 0;

	for (layer = 0; layer < network->n_layers; layer++) {
		uint32_t n = list_tensors(&network->layers[layer], tensors);

		while (n--)
			floats += tensors[n].count;
	}
	return floats;
}

/*
 * What is done with each piece of momentum, in the order of the file;
 * @piece has room for @count floats.
 */
typedef int piece_work(void *context, struct chain *chain, uint32_t layer,
		       uint32_t tensor, uint32_t first, float *piece,
		       uint32_t count);

static int each_piece(struct chain *chain, float *piece, piece_work *work,
		      void *context)
{
	struct weights_tensor tensors[NN_TENSOR_KINDS] = { 0 };
	uint32_t layer = 0;
	uint32_t i = 0;
	uint32_t first = 0;
	int status = 0;

	for (layer = 0; layer < chain->network->n_layers; layer++) {
		uint32_t n = list_tensors(&chain->network->layers[layer],
					  tensors);

		for (i = 0; i < n; i++)
			for (first = 0; first < tensors[i].count && !status;
			     first += PIECE) {
				uint32_t left = tensors[i].count - first;

				status = work(context, chain, layer,
					      tensors[i].kind, first, piece,
					      left < PIECE ? left : PIECE);
			}
	}
	return status;
}

/* The same with memory for a piece, cleared afterwards: layers may be secure. */
static int work_through(struct chain *chain, piece_work *work, void *context)
{
	float *piece = malloc(PIECE * sizeof(*piece));
	int status = 0;

	if (!piece)
		return message_no_memory("momentum");
	status = each_piece(chain, piece, work, context);
	explicit_bzero(piece, PIECE * sizeof(*piece));
	free(piece);
	return status;
}

/* ---- Writing ---- */

struct sink {
	struct file_writer writer;
	uint64_t sum;
};

static int put(struct sink *sink, const void *data, size_t size)
{
	sink->sum = file_sum(sink->sum, data, size);
	return file_write(&sink->writer, data, size);
}

static int save_piece(void *context, struct chain *chain, uint32_t layer,
		      uint32_t tensor, uint32_t first, float *piece,
		      uint32_t count)
{
	int status = 0;

	if (layer < chain->partition->frozen)
		memset(piece, 0, count * sizeof(*piece));
	else
		status = chain_save(chain, layer,
				    tensor | DARKNETP_TENSOR_MOMENTUM, first,
				    piece, count);
	return status ? status : put(context, piece, count * sizeof(*piece));
}

static struct header make_header(const struct state *state,
				 const struct network *network)
{
	struct header header = {
		.version = VERSION,
		.flags = (state->seeded ? FLAG_SEEDED : 0) |
			 (state->started ? FLAG_STARTED : 0),
		.files = state->n_files,
		.batch = state->batch,
		.seen = state->seen,
		.seed = state->seed,
		.cfg_end = state->cfg_end,
		.end = state->end,
		.average = state->average,
		.floats = count_floats(network),
	};

	memcpy(header.magic, magic, sizeof(magic));
	memcpy(header.marks, state->files, sizeof(header.marks));
	return header;
}

int state_save(const struct state *state, struct chain *chain, const char *path)
{
	struct header header = make_header(state, chain->network);
	struct sink sink = { .sum = FILE_SUM_START };
	uint64_t sum = 0;
	int status = file_begin(&sink.writer, path);

	if (status)
		return status;
	status = put(&sink, &header, sizeof(header));
	if (!status)
		status = work_through(chain, save_piece, &sink);
	sum = sink.sum;
	if (!status)
		status = put(&sink, &sum, sizeof(sum));
	if (!status)
		return file_commit(&sink.writer);
	file_abandon(&sink.writer);
	return status;
}

/* ---- Reading ---- */

static int not_usable(const char *path, const char *why)
{
	return message_failed("%s: %s; to train on without it, remove it or give -clear",
			      path, why);
}

/* Does the header fit itself and a file of @size bytes? */
static int check_header(const struct header *header, const char *path,
			uint64_t size)
{
	if (memcmp(header->magic, magic, sizeof(magic)))
		return not_usable(path, "not the state of a checkpoint");
	if (header->version != VERSION)
		return not_usable(path, "written by another version of darknetp");
	if (header->floats > size / sizeof(float) ||
	    size != sizeof(*header) + header->floats * sizeof(float) +
			    sizeof(uint64_t))
		return not_usable(path, "damaged: its length is wrong");
	if (header->flags & ~(FLAG_SEEDED | FLAG_STARTED) || !header->files ||
	    header->files > WEIGHTS_FILES)
		return not_usable(path, "damaged");
	return 0;
}

static int read_header(FILE *stream, const char *path, uint64_t size,
		       struct header *header)
{
	int status = 0;

	if (size < sizeof(*header) + sizeof(uint64_t))
		return not_usable(path, "not the state of a checkpoint");
	status = file_read_at(stream, path, 0, header, sizeof(*header));
	return status ? status : check_header(header, path, size);
}

/* Do the bytes before the sum at the end add up to it? */
static int check_sum(FILE *stream, const char *path, uint64_t size)
{
	uint64_t end = size - sizeof(uint64_t);
	uint64_t sum = FILE_SUM_START;
	uint64_t expected = 0;
	uint64_t at = 0;
	char part[4096] = "";
	int status = 0;

	while (at < end && !status) {
		size_t n = end - at < sizeof(part) ? (size_t)(end - at) :
						     sizeof(part);

		status = file_read_at(stream, path, at, part, n);
		sum = file_sum(sum, part, n);
		at += n;
	}
	if (!status)
		status = file_read_at(stream, path, end, &expected,
				      sizeof(expected));
	if (!status && sum != expected)
		status = not_usable(path, "damaged: its sum is wrong");
	return status;
}

static void take_header(struct state *state, const struct header *header)
{
	*state = (struct state){
		.n_files = header->files,
		.batch = header->batch,
		.seen = header->seen,
		.seeded = header->flags & FLAG_SEEDED,
		.seed = header->seed,
		.cfg_end = header->cfg_end,
		.end = header->end,
		.started = header->flags & FLAG_STARTED,
		.average = header->average,
	};
	memcpy(state->files, header->marks, sizeof(state->files));
}

int state_read(struct state *state, const char *path)
{
	struct header header = { 0 };
	uint64_t size = 0;
	FILE *stream = file_open(path, &size);
	int status = 0;

	if (!stream)
		return STATUS_FAILED;
	status = read_header(stream, path, size, &header);
	if (!status)
		status = check_sum(stream, path, size);
	if (!status)
		take_header(state, &header);
	fclose(stream);
	return status;
}

struct source {
	FILE *stream;
	const char *path;
	uint64_t offset;	/* bytes: where the next piece starts */
};

static int load_piece(void *context, struct chain *chain, uint32_t layer,
		      uint32_t tensor, uint32_t first, float *piece,
		      uint32_t count)
{
	struct source *source = context;
	size_t size = count * sizeof(*piece);
	int status = file_read_at(source->stream, source->path, source->offset,
				  piece, size);

	source->offset += size;
	if (status || layer < chain->partition->frozen)
		return status;
	return chain_load(chain, layer, tensor | DARKNETP_TENSOR_MOMENTUM,
			  first, piece, count);
}

int state_load_momentum(struct chain *chain, const char *path)
{
	struct header header = { 0 };
	struct source source = { .path = path, .offset = sizeof(header) };
	uint64_t size = 0;
	int status = 0;

	source.stream = file_open(path, &size);
	if (!source.stream)
		return STATUS_FAILED;
	/* stdio would keep a copy of what passes. */
	setvbuf(source.stream, NULL, _IONBF, 0);
	status = read_header(source.stream, path, size, &header);
	if (!status && header.floats != count_floats(chain->network))
		status = not_usable(path, "belongs to another network");
	if (!status)
		status = work_through(chain, load_piece, &source);
	fclose(source.stream);
	return status;
}
