/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "message.h"
#include "report.h"
#include "run.h"
#include "weights.h"

/* Positional words: classifier VERB DATA CFG WEIGHTS. */
enum {
	WORD_DATA = 2,
	WORD_CFG = 3,
	WORD_WEIGHTS = 4,
};

uint32_t run_outputs(const struct run *run)
{
	const struct network *network = &run->network;

	return network_floats(network->layers[network->n_layers - 1].output);
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
	fprintf(stderr, "%s weights from %s...",
		split ? "Separately loading" : "Loading", run->weights_path);
	status = weights_load(&run->chain, run->weights_path,
			      run->options->split, &run->seen);
	fputs(status ? "\n" : "Done!\n", stderr);
	if (run->options->clear)
		run->seen = 0;
	return status;
}

static int choose_seed(struct run *run)
{
	if (!run->options->seeded)
		return seed_from_system(&run->seed);
	seed_from_number(&run->seed, run->options->seed);
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
	if (!status)
		status = choose_seed(run);
	if (status)
		return status;
	report_layers(&run->network, &run->partition);
	return chain_build(&run->chain, &run->network, &run->partition, tee,
			   &run->seed, train);
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
	if (status)
		run_close(run);
	return status;
}

/* What was never opened is all zeros, which freeing leaves alone. */
void run_close(struct run *run)
{
	chain_free(&run->chain);
	network_free(&run->network);
	data_free(&run->data);
}
