/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint.h"
#include "classifier.h"
#include "dataset.h"
#include "files.h"
#include "json.h"
#include "message.h"
#include "report.h"
#include "run.h"
#include "text.h"
#include "weights.h"

struct training {
	struct run run;
	struct dataset dataset;
	struct report report;
	char *weights_path;	/* where the trained weights go */
	char *backup_path;	/* where checkpoints go */
	char *state_path;	/* and their state */
	uint64_t cfg_batches;	/* max_batches of the cfg */
	uint64_t max_batches;	/* where this run ends; 0: nowhere */
	float *inputs;		/* (batch, inputs) */
	float *truths;		/* (batch, classes) */
	double average;		/* of the loss */
	bool started;		/* there was a loss */
	bool loss_here;		/* the normal world owns one */
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	(void)number;
	interrupted = 1;
}

/* The first SIGINT or SIGTERM asks to stop after the batch; a second one kills. */
static void catch_signals(void)
{
	struct sigaction action = {
		.sa_handler = on_signal,
		.sa_flags = (int)(SA_RESTART | SA_RESETHAND),
	};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

/* ---- One batch ---- */

static uint64_t batch_number(const struct training *t)
{
	return t->run.seen / t->run.network.batch;
}

static float rate_now(const struct training *t)
{
	return schedule_rate(&t->run.network.schedule, batch_number(t),
			     &t->run.seed);
}

/* A batch being drawn by several threads. */
struct drawing {
	struct training *t;
	uint64_t iteration;
	_Atomic int status;	/* of the last one that failed */
};

static void draw_sample(void *argument, uint32_t sample, uint32_t worker)
{
	struct drawing *drawing = argument;
	struct training *t = drawing->t;
	const struct network *network = &t->run.network;
	size_t inputs = network_floats(network->layers[0].input);
	int status = 0;

	(void)worker;
	if (drawing->status)
		return;
	status = dataset_draw(&t->dataset, network, &t->run.seed,
			      drawing->iteration, sample,
			      t->inputs + sample * inputs,
			      t->truths + (size_t)sample * t->dataset.n_classes);
	if (status)
		drawing->status = status;
}

static int draw_batch(struct training *t, uint64_t iteration)
{
	struct drawing drawing = { .t = t, .iteration = iteration };

	workers_run(t->run.workers, draw_sample, &drawing,
		    t->run.network.batch);
	return drawing.status;
}

/* What follows samples @first..@first + count - 1 of the batch. */
static struct segment_step plan_step(const struct training *t,
				     uint64_t iteration, uint32_t first,
				     uint32_t count, bool update)
{
	const struct network *network = &t->run.network;

	return (struct segment_step){
		.at = {
			.iteration = iteration,
			.sample = first,
			.count = count,
			.train = true,
		},
		.update = update,
		.rates = {
			.learning_rate = rate_now(t),
			.momentum = network->momentum,
			.decay = network->decay,
			.samples = network->batch,
		},
		.report = first + count == network->batch,
		.report_samples = network->batch,
	};
}

static int check_rate(const struct training *t)
{
	if (isfinite(rate_now(t)))
		return 0;
	return message_failed("the learning rate of batch %llu is not a finite number: check policy and its keys in %s",
			      (unsigned long long)batch_number(t),
			      t->run.network.path);
}

/* One part of the batch, in as many steps as the secure world needs. */
static int train_subdivision(struct training *t, uint64_t iteration,
			     uint32_t first)
{
	const struct network *network = &t->run.network;
	size_t inputs = network_floats(network->layers[0].input);
	uint32_t size = network->batch / network->subdivisions;
	uint32_t end = first + size;
	bool update = false;
	int status = 0;

	/* Darknet's rule: images count before they are computed. */
	t->run.seen += size;
	update = t->run.seen / size % network->subdivisions == 0;
	status = check_rate(t);
	while (first < end && !status) {
		uint32_t left = end - first;
		uint32_t count = left < t->run.chain.micro_batch ?
					 left :
					 t->run.chain.micro_batch;
		struct segment_step step = plan_step(t, iteration, first, count,
						     update && count == left);

		status = chain_train(&t->run.chain, &step,
				     t->inputs + first * inputs,
				     t->truths + (size_t)first *
							 t->dataset.n_classes);
		first += count;
	}
	return status;
}

static int train_batch(struct training *t, uint64_t iteration, double *loss)
{
	const struct network *network = &t->run.network;
	uint32_t size = network->batch / network->subdivisions;
	uint32_t first = 0;
	int status = 0;

	for (first = 0; first < network->batch && !status; first += size)
		status = train_subdivision(t, iteration, first);
	*loss = chain_take_loss(&t->run.chain) / network->batch;
	return status;
}

static void tell_loss(const struct training *t, const char *key, double loss)
{
	if (t->loss_here)
		json_double(key, loss);
	else
		json_null(key);
}

static void tell_batch(const struct training *t, double loss, double seconds,
		       double load_seconds)
{
	json_begin("iteration");
	json_unsigned("n", batch_number(t));
	tell_loss(t, "loss", loss);
	tell_loss(t, "average", t->average);
	json_float("rate", rate_now(t));
	json_double("seconds", seconds);
	json_double("load_seconds", load_seconds);
	json_unsigned("images", t->run.seen);
	json_end();
}

static void print_batch(struct training *t, double loss, double seconds)
{
	report_print(&t->report, stdout,
		     "%llu, %.3f: %f, %f avg, %f rate, %f seconds, %llu images\n",
		     (unsigned long long)batch_number(t),
		     (double)t->run.seen / t->dataset.paths.count, loss,
		     t->average, (double)rate_now(t), seconds,
		     (unsigned long long)t->run.seen);
	report_usage(&t->report);
}

/* Darknet's running average; of a loss that only the secure world knows there is none. */
static void note_loss(struct training *t, double loss)
{
	if (!t->loss_here)
		t->average = 0.0;
	else
		t->average = t->started ? 0.9 * t->average + 0.1 * loss : loss;
	t->started = t->loss_here;
}

static int run_batch(struct training *t)
{
	uint64_t iteration = batch_number(t);
	double start = report_clock();
	double loaded = 0.0;
	double trained = 0.0;
	double loss = 0.0;
	int status = 0;

	report_start_usage(&t->report);
	status = draw_batch(t, iteration);
	if (status)
		return status;
	loaded = report_clock();
	printf("Loaded: %f seconds\n", loaded - start);
	status = train_batch(t, iteration, &loss);
	if (status)
		return status;
	trained = report_clock();
	note_loss(t, loss);
	print_batch(t, loss, trained - loaded);
	tell_batch(t, loss, trained - loaded, loaded - start);
	return 0;
}

/* ---- The run ---- */

static void announce_saving(const struct training *t, const char *path)
{
	message_note("%s weights to %s",
		     t->run.options->split == SPLIT_NEVER ? "Saving" :
							    "Separately saving",
		     path);
}

/* The event "saved" of json.h; @state: path of the state file, or NULL. */
static void tell_saved(const struct training *t, const char *path,
		       const char *state)
{
	char *files[WEIGHTS_FILES] = { NULL };
	bool split = t->run.options->split != SPLIT_NEVER;
	uint32_t i = 0;

	weights_files(path, split, files);
	json_begin("saved");
	json_string("kind", state ? "checkpoint" : "weights");
	json_string("path", path);
	json_open_array("files");
	for (i = 0; i < WEIGHTS_FILES; i++) {
		if (files[i])
			json_string(NULL, files[i]);
		free(files[i]);
	}
	if (state)
		json_string(NULL, state);
	json_close_array();
	json_end();
}

static int save_weights(struct training *t)
{
	int status = 0;

	announce_saving(t, t->weights_path);
	status = weights_save(&t->run.chain, t->weights_path, t->run.options->split,
			      t->run.seen);
	if (!status)
		tell_saved(t, t->weights_path, NULL);
	return status;
}

static struct state state_now(const struct training *t)
{
	return (struct state){
		.batch = t->run.network.batch,
		.seen = t->run.seen,
		.seeded = t->run.seed.given,
		.seed = t->run.seed.number,
		.cfg_end = t->cfg_batches,
		.end = t->max_batches,
		.started = t->started,
		.average = t->average,
	};
}

static int save_checkpoint(struct training *t)
{
	struct state state = state_now(t);
	int status = 0;

	announce_saving(t, t->backup_path);
	status = checkpoint_save(&t->run.chain, t->backup_path,
				 t->run.options->split, &state);
	if (!status)
		tell_saved(t, t->backup_path, t->state_path);
	return status;
}

static bool wants_more(const struct training *t, uint64_t done)
{
	uint64_t limit = t->run.options->iterations;

	return !interrupted && (!limit || done < limit) &&
	       (!t->max_batches || batch_number(t) < t->max_batches);
}

static bool checkpoint_is_due(const struct training *t)
{
	uint32_t every = t->run.options->checkpoint;

	return every && batch_number(t) % every == 0;
}

static int save_interrupted(struct training *t)
{
	int status = save_checkpoint(t);

	if (status)
		return status;
	message_note("interrupted after batch %llu; to go on, give %s as weights%s",
		     (unsigned long long)batch_number(t), t->backup_path,
		     t->run.options->split == SPLIT_NEVER ? "" : " and -ss 1");
	return STATUS_INTERRUPTED;
}

/*
 * A checkpoint that cannot be saved ends nothing, as there may be room for the
 * next one; but it is not forgotten.
 */
static int train(struct training *t)
{
	uint64_t done = 0;
	bool missed = false;	/* a checkpoint */
	int status = 0;

	while (!status && wants_more(t, done)) {
		status = run_batch(t);
		done++;
		if (!status && checkpoint_is_due(t))
			missed |= save_checkpoint(t) != 0;
	}
	if (status)
		return status;
	status = interrupted ? save_interrupted(t) : save_weights(t);
	return !status && missed ? STATUS_FAILED : status;
}

/* The cfg file's name without directories and endings, as in "a/net.cfg". */
static const char *base_name(const char *path, int *length)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	*length = (int)strcspn(name, ".");
	return name;
}

static int make_paths(struct training *t)
{
	int length = 0;
	const char *name = base_name(t->run.cfg_path, &length);
	const char *directory = t->run.data.backup;

	if (asprintf(&t->weights_path, "%s/%.*s.weights", directory, length,
		     name) < 0)
		t->weights_path = NULL;
	if (asprintf(&t->backup_path, "%s/%.*s.backup", directory, length,
		     name) < 0)
		t->backup_path = NULL;
	if (t->backup_path)
		t->state_path = checkpoint_state_path(t->backup_path);
	if (!t->weights_path || !t->backup_path || !t->state_path)
		return message_no_memory("paths");
	/* Better now than after hours of training. */
	if (!file_make_parents(t->weights_path))
		return message_failed("cannot make the backup directory %s of %s",
				      directory, t->run.data.cfg.path);
	if (access(directory, W_OK | X_OK))
		return message_failed("cannot write into the backup directory %s of %s: %s",
				      directory, t->run.data.cfg.path,
				      strerror(errno));
	file_sweep(directory, name, (size_t)length);
	return 0;
}

static bool owns_loss_here(const struct run *run)
{
	uint32_t i = 0;

	for (i = 0; i < run->network.n_layers; i++)
		if (network_owns_loss(&run->network.layers[i]) &&
		    !partition_holds(&run->partition, i))
			return true;
	return false;
}

static int make_buffers(struct training *t)
{
	const struct network *network = &t->run.network;
	size_t inputs = network_floats(network->layers[0].input);

	t->inputs = calloc(network->batch, inputs * sizeof(*t->inputs));
	t->truths = calloc(network->batch,
			   t->dataset.n_classes * sizeof(*t->truths));
	if (!t->inputs || !t->truths)
		return message_failed("out of memory for a batch of %u images",
				      network->batch);
	return 0;
}

/*
 * A checkpoint ends where its run would have, even if that is at once. From
 * other weights of a complete run, training is as long again.
 */
static void choose_end(struct training *t)
{
	const struct state *state = &t->run.state;
	uint64_t batch = batch_number(t);

	t->cfg_batches = t->run.network.schedule.max_batches;
	t->max_batches = t->cfg_batches;
	if (t->run.resumed && state->cfg_end == t->cfg_batches)
		t->max_batches = state->end;
	else if (t->max_batches && batch >= t->max_batches)
		t->max_batches += batch;
	if (t->max_batches && batch >= t->max_batches)
		message_note("the checkpoint is from the end of its training: only the weights are saved; to train for as long again, start from those");
	/* Some policies end there, too. */
	t->run.network.schedule.max_batches = t->max_batches;
}

static void take_state(struct training *t)
{
	const struct state *state = &t->run.state;

	if (!t->run.resumed)
		return;
	t->started = state->started;
	t->average = state->average;
	json_begin("resumed");
	json_unsigned("n", batch_number(t));
	json_end();
}

static int open_training(struct training *t)
{
	const struct network *network = &t->run.network;
	int status = dataset_open(&t->dataset, t->run.data.train, &t->run.data,
				  network->channels);

	if (!status)
		status = make_buffers(t);
	if (!status)
		status = make_paths(t);
	if (status)
		return status;
	printf("Learning Rate: %g, Momentum: %g, Decay: %g\n",
	       (double)network->schedule.learning_rate,
	       (double)network->momentum, (double)network->decay);
	printf("%u\n", t->dataset.paths.count);
	printf("%u %u\n", network->augmentation.min_crop,
	       network->augmentation.max_crop);
	status = report_open(&t->report, t->run.options, "train",
			     t->run.cfg_path);
	t->loss_here = owns_loss_here(&t->run);
	choose_end(t);
	take_state(t);
	printf("current_batch=%llu \n", (unsigned long long)batch_number(t));
	return status;
}

static void close_training(struct training *t)
{
	dataset_close(&t->dataset);
	free(t->weights_path);
	free(t->backup_path);
	free(t->state_path);
	free(t->inputs);
	free(t->truths);
	run_close(&t->run);
}

int train_run(const struct options *options, struct tee *tee)
{
	struct training t = { 0 };
	int length = 0;
	const char *name = base_name(options->words[WORD_CFG], &length);
	int status = 0;

	/* As Darknet does: the network's name, and how many processors train. */
	text_print(stdout, "%.*s\n", length, name);
	printf("1\n");
	status = run_open(&t.run, options, tee, true);
	if (status)
		return status;
	catch_signals();
	status = open_training(&t);
	if (!status)
		status = train(&t);
	status = report_close(&t.report, status);
	close_training(&t);
	return status;
}
