/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "checkpoint.h"
#include "json.h"
#include "message.h"
#include "report.h"
#include "run.h"
#include "text.h"
#include "weights.h"
#include "workers.h"

uint32_t run_outputs(const struct run *run)
{
	const struct network *network = &run->network;

	return network_floats(network->layers[network->n_layers - 1].output);
}

uint32_t run_top(const struct run *run)
{
	uint32_t top = run->options->top ? run->options->top : run->data.top;

	return top < run_outputs(run) ? top : run_outputs(run);
}

static int check_classes(const struct run *run)
{
	if (run_outputs(run) == run->data.classes)
		return 0;
	return message_refused("%s ends in %u outputs, but %s has classes=%u: they must be equal",
			       run->cfg_path, run_outputs(run),
			       run->data.cfg.path, run->data.classes);
}

/* Training compares with one truth: a value per class. */
static int check_losses(const struct run *run)
{
	const struct network *network = &run->network;
	uint32_t i = 0;

	if (!network_owns_loss(&network->layers[network->n_layers - 1]))
		return message_refused("%s:%u: the last layer must be a softmax or cost layer to train the network",
				       network->path,
				       network->layers[network->n_layers - 1].line);
	for (i = 0; i < network->n_layers; i++) {
		const struct network_layer *layer = &network->layers[i];

		if (network_owns_loss(layer) &&
		    network_floats(layer->input) != run->data.classes)
			return message_refused("%s:%u: layer %u compares %u values with %u classes",
					       network->path, layer->line, i,
					       network_floats(layer->input),
					       run->data.classes);
	}
	return 0;
}

static int load_weights(struct run *run)
{
	bool split = run->options->split == SPLIT_BOTH;
	int status = 0;

	if (!run->weights_path)
		return 0;
	fflush(stdout);
	text_print(stderr, "%s weights from %s...",
		   split ? "Separately loading" : "Loading", run->weights_path);
	status = weights_load(&run->chain, run->weights_path,
			      run->options->split, &run->seen);
	fputs(status ? "\n" : "Done!\n", stderr);
	if (run->options->clear)
		run->seen = 0;
	return status;
}

static int find_checkpoint(struct run *run)
{
	if (!run->weights_path || run->options->clear)
		return 0;
	return checkpoint_find(run->weights_path, run->options->split,
			       &run->state, &run->resumed);
}

/* After the weights: what makes the continuation identical. */
static int load_checkpoint(struct run *run)
{
	int status = 0;

	if (!run->resumed)
		return 0;
	/* The state names its weights, so only a forged one gets here. */
	if (run->state.seen != run->seen)
		return message_failed("%s.state has seen %llu images, but its weights %llu",
				      run->weights_path,
				      (unsigned long long)run->state.seen,
				      (unsigned long long)run->seen);
	status = checkpoint_load_momentum(&run->chain, run->weights_path);
	if (!status)
		message_note("going on from the checkpoint, with momentum and average loss of %s.state",
			     run->weights_path);
	if (!status && run->state.batch != run->network.batch)
		message_note("the checkpoint was trained with batches of %u images, now there are %u: it does not go on identically",
			     run->state.batch, run->network.batch);
	return status;
}

static int choose_seed(struct run *run)
{
	const struct options *options = run->options;
	bool known = run->resumed && run->state.seeded;

	if (known && options->seeded && options->seed != run->state.seed)
		message_note("-seed %llu replaces %llu of the checkpoint: it does not go on identically",
			     (unsigned long long)options->seed,
			     (unsigned long long)run->state.seed);
	if (options->seeded)
		seed_from_number(&run->seed, options->seed);
	else if (known)
		seed_from_number(&run->seed, run->state.seed);
	else
		return seed_from_system(&run->seed);
	return 0;
}

static int prepare(struct run *run, struct tee *tee, bool train)
{
	int status = partition_choose(&run->partition, run->options,
				      &run->network);

	if (!status)
		status = check_classes(run);
	if (!status && train)
		status = check_losses(run);
	if (!status && train)
		status = partition_freeze(&run->partition, run->options,
					  &run->network);
	if (!status && train)
		status = find_checkpoint(run);
	if (!status)
		status = choose_seed(run);
	if (status)
		return status;
	report_layers(&run->network, &run->partition);
	status = workers_start(&run->workers, run->options->threads);
	if (status)
		return status;
	return chain_build(&run->chain, &run->network, &run->partition, tee,
			   &run->seed, workers_for_nn(run->workers), train);
}

static void tell_partition(const struct run *run)
{
	if (!run->partition.secure) {
		json_null("partition");
		return;
	}
	json_open_object("partition");
	json_unsigned("start", run->partition.start);
	json_unsigned("end", run->partition.end);
	json_close_object();
}

static void tell_layers(const struct run *run)
{
	uint32_t i = 0;

	json_open_array("layers");
	for (i = 0; i < run->network.n_layers; i++) {
		const struct network_layer *layer = &run->network.layers[i];

		json_open_object(NULL);
		json_unsigned("index", i);
		json_string("kind", layer->name);
		json_string("world", partition_holds(&run->partition, i) ?
					     "secure" : "normal");
		json_unsigned("inputs", network_floats(layer->input));
		json_unsigned("outputs", network_floats(layer->output));
		json_close_object();
	}
	json_close_array();
}

static void tell_memory(const struct run *run, const struct tee *tee)
{
	struct tee_memory memory = tee_last_memory(tee);

	if (!run->partition.secure) {
		json_null("secure_memory");
		return;
	}
	json_open_object("secure_memory");
	json_unsigned("needed", memory.needed);
	json_unsigned("available", memory.available);
	json_close_object();
}

/* The event "start" of json.h. */
static void tell_start(const struct run *run, const struct tee *tee, bool train)
{
	json_begin("start");
	json_unsigned("format", 1);
	json_unsigned("abi", DARKNETP_TA_ABI);
	json_string("verb", run->options->words[WORD_VERB]);
	json_string("data", run->options->words[WORD_DATA]);
	json_string("network", run->cfg_path);
	json_string("weights", run->weights_path);
	tell_partition(run);
	json_unsigned("frozen", run->partition.frozen);
	json_unsigned("batch", train ? run->network.batch : 1);
	json_unsigned("subdivisions", train ? run->network.subdivisions : 1);
	json_unsigned("micro_batch", run->chain.micro_batch);
	if (run->seed.given)
		json_unsigned("seed", run->seed.number);
	tell_layers(run);
	tell_memory(run, tee);
	json_end();
}

int run_open(struct run *run, const struct options *options, struct tee *tee,
	     bool train)
{
	int status = 0;

	*run = (struct run){
		.options = options,
		.cfg_path = options->words[WORD_CFG],
		.weights_path = options->n_words > WORD_WEIGHTS ?
					options->words[WORD_WEIGHTS] :
					NULL,
	};
	status = data_read(&run->data, options->words[WORD_DATA]);
	if (!status)
		status = network_read(&run->network, run->cfg_path);
	if (!status && options->batch)
		status = network_set_batch(&run->network, options->batch);
	if (!status)
		status = prepare(run, tee, train);
	if (!status)
		status = load_weights(run);
	if (!status)
		status = load_checkpoint(run);
	if (status)
		run_close(run);
	else
		tell_start(run, tee, train);
	return status;
}

/* What was never opened is all zeros, which freeing leaves alone. */
void run_close(struct run *run)
{
	chain_free(&run->chain);
	workers_stop(run->workers);
	network_free(&run->network);
	data_free(&run->data);
}
