/* SPDX-License-Identifier: MIT */
#include "campaign_model.h"

#include "campaign_random.h"
#include "nn.h"

struct shape {
	uint32_t width, height, channels;
};

#define CHANNELS_MOST	8	/* so that a call's memory has a bound */

static struct shape shapes[MODEL_LAYERS];	/* after each layer so far */

static uint32_t floats_of(struct shape shape)
{
	return shape.width * shape.height * shape.channels;
}

static struct darknetp_layer *next_layer(struct random_model *model, uint32_t kind)
{
	struct darknetp_layer *layer = &model->layers[model->header.layers++];

	*layer = (struct darknetp_layer){ .kind = kind, .learning_rate = 1 };
	return layer;
}

static void add_tensor(struct random_model *model, uint32_t kind, uint32_t count,
		       bool learned)
{
	model->tensors[model->n_tensors++] = (struct model_tensor){
		.layer = model->header.first_layer + model->header.layers - 1,
		.kind = kind,
		.count = count,
		.learned = learned && model->train,
	};
}

static void add_parameters(struct random_model *model, struct darknetp_layer *layer,
			   uint32_t channels, uint32_t weights)
{
	layer->activation = random_below(NN_LHTAN + 1);
	layer->batch_normalize = random_percent(30);
	add_tensor(model, DARKNETP_TENSOR_BIASES, channels, true);
	add_tensor(model, DARKNETP_TENSOR_WEIGHTS, weights, true);
	if (!layer->batch_normalize)
		return;
	model->whole_batches = true;
	add_tensor(model, DARKNETP_TENSOR_SCALES, channels, true);
	add_tensor(model, DARKNETP_TENSOR_ROLLING_MEAN, channels, false);
	add_tensor(model, DARKNETP_TENSOR_ROLLING_VARIANCE, channels, false);
}

/* ---- Layers: each takes the shape before it and gives the one after it ---- */

static struct shape convolutional(struct random_model *model, struct shape in)
{
	struct darknetp_layer *layer = next_layer(model, NN_CONVOLUTIONAL);

	layer->filters = random_between(1, 4);
	layer->size = random_between(1, 3);
	layer->padding = layer->size / 2;
	layer->stride = random_between(1, 2);
	layer->groups = 1;
	if (random_percent(20) && 2 * in.channels <= CHANNELS_MOST) {
		layer->groups = in.channels;
		layer->filters = in.channels * random_between(1, 2);
	}
	add_parameters(model, layer, layer->filters,
		       layer->filters * in.channels / layer->groups * layer->size
		       * layer->size);
	return (struct shape){
		(in.width + 2 * layer->padding - layer->size) / layer->stride + 1,
		(in.height + 2 * layer->padding - layer->size) / layer->stride + 1,
		layer->filters,
	};
}

static struct shape maxpool(struct random_model *model, struct shape in)
{
	struct darknetp_layer *layer = next_layer(model, NN_MAXPOOL);

	layer->size = random_between(1, 3);
	layer->padding = layer->size - 1;
	layer->stride = random_between(1, 2);
	return (struct shape){
		(in.width - 1) / layer->stride + 1,
		(in.height - 1) / layer->stride + 1,
		in.channels,
	};
}

static struct shape avgpool(struct random_model *model, struct shape in)
{
	next_layer(model, NN_AVGPOOL);
	return (struct shape){ 1, 1, in.channels };
}

static struct shape connected(struct random_model *model, struct shape in)
{
	struct darknetp_layer *layer = next_layer(model, NN_CONNECTED);

	layer->outputs = random_between(1, 8);
	add_parameters(model, layer, layer->outputs, layer->outputs * floats_of(in));
	return (struct shape){ 1, 1, layer->outputs };
}

static struct shape dropout(struct random_model *model, struct shape in)
{
	next_layer(model, NN_DROPOUT)->probability = (float)random_below(100) / 100;
	return in;
}

/* A layer so far, counted in the whole network. */
static uint32_t any_layer(const struct random_model *model)
{
	return model->header.first_layer + random_below(model->header.layers);
}

static struct shape shape_of(const struct random_model *model, uint32_t layer)
{
	return shapes[layer - model->header.first_layer];
}

static bool same_image(struct shape a, struct shape b)
{
	return a.width == b.width && a.height == b.height;
}

/* The last layer and one of the same shape; where there is none, itself twice. */
static struct shape shortcut(struct random_model *model, struct shape in)
{
	uint32_t last = model->header.first_layer + model->header.layers - 1;
	uint32_t source = any_layer(model);
	struct shape shape = shape_of(model, source);
	struct darknetp_layer *layer = next_layer(model, NN_SHORTCUT);

	if (!same_image(shape, in) || shape.channels != in.channels)
		source = last;
	layer->activation = random_below(NN_LHTAN + 1);
	layer->alpha = layer->beta = 1;
	layer->n_sources = 1;
	layer->sources[0] = source;
	return in;
}

static struct shape route(struct random_model *model, struct shape in)
{
	uint32_t first = any_layer(model);
	uint32_t second = any_layer(model);
	struct shape shape = shape_of(model, first);
	struct shape other = shape_of(model, second);
	struct darknetp_layer *layer = next_layer(model, NN_ROUTE);

	(void)in;
	layer->n_sources = 1;
	layer->sources[0] = first;
	if (!same_image(shape, other)
	    || shape.channels + other.channels > CHANNELS_MOST)
		return shape;
	layer->n_sources = 2;
	layer->sources[1] = second;
	shape.channels += other.channels;
	return shape;
}

static void softmax(struct random_model *model, struct shape in)
{
	struct darknetp_layer *layer = next_layer(model, NN_SOFTMAX);

	layer->groups = 1;
	layer->temperature = (float)random_between(1, 30) / 10;
	model->truths = floats_of(in);
}

static void cost(struct random_model *model, struct shape in)
{
	struct darknetp_layer *layer = next_layer(model, NN_COST);

	layer->cost = random_below(NN_COST_SMOOTH + 1);
	layer->scale = 1;
	model->truths = floats_of(in);
}

/* The last two need a layer before them. */
static struct shape (*const kinds[])(struct random_model *model, struct shape in) = {
	convolutional, convolutional, maxpool, avgpool, connected, connected, dropout,
	shortcut, route,
};
#define KINDS		(sizeof(kinds) / sizeof(kinds[0]))
#define FIRST_KINDS	(KINDS - 2)

static struct shape features(struct random_model *model, struct shape in)
{
	uint32_t layers = random_between(1, MODEL_LAYERS - 2);
	uint32_t i = 0;

	for (i = 0; i < layers; i++) {
		in = kinds[random_below(i > 0 ? KINDS : FIRST_KINDS)](model, in);
		shapes[i] = in;
	}
	return in;
}

/* ---- The model ---- */

static void start(struct random_model *model, struct shape in)
{
	*model = (struct random_model){
		.header = {
			.abi = DARKNETP_TA_ABI,
			.first_layer = random_percent(30) ? 0 : random_below(40),
			.micro_batch = random_between(1, MODEL_BATCH),
			.width = in.width,
			.height = in.height,
			.channels = in.channels,
		},
		.inputs = floats_of(in),
		.train = random_percent(60),
		.reaches_end = random_percent(50),
	};
	if (!model->train)
		return;
	model->header.flags = DARKNETP_MODEL_TRAIN;
	if (!random_percent(80))
		return;
	model->header.flags |= DARKNETP_MODEL_SEEDED;
	model->header.seed_low = random_word();
	model->header.seed_high = random_word();
}

void random_model(struct random_model *model)
{
	struct shape shape = {
		random_between(1, 6), random_between(1, 6), random_between(1, 3),
	};

	start(model, shape);
	shape = features(model, shape);
	if (model->reaches_end && random_percent(70))
		softmax(model, shape);
	if (model->reaches_end && (model->train || random_percent(50)))
		cost(model, shape);
	model->outputs = floats_of(shape);
	if (!model->train)
		model->truths = 0;
	model->input_delta = model->train && model->header.first_layer > 0;
	if (model->whole_batches && model->header.micro_batch < 2)
		model->header.micro_batch = 2;
	model->header.network_layers = model->header.first_layer
				       + model->header.layers
				       + (model->reaches_end ? 0 : random_between(1, 5));
}

size_t random_model_size(const struct random_model *model)
{
	return sizeof(model->header)
	       + model->header.layers * sizeof(model->layers[0]);
}
