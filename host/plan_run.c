/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "plan_run.h"

static int read_mode(const char *mode, bool *train)
{
	*train = !mode || !strcmp(mode, "train");
	if (*train || !strcmp(mode, "predict"))
		return 0;
	return message_refused("-mode %s: it is train or predict", mode);
}

/* All layers if no partition is asked for. */
static int choose_partition(const struct plan_question *question,
			    const struct network *network,
			    struct partition *partition)
{
	const struct options options = {
		.pp_start = question->start,
		.pp_end = question->end,
		.pp_start_f = OPTIONS_UNSET,
		.pp_f_only = OPTIONS_UNSET,
	};
	int status = partition_choose(partition, &options, network);

	if (!status && !partition->secure)
		*partition = (struct partition){
			.secure = true, .end = network->n_layers - 1,
		};
	return status;
}

static int find_largest(struct plan *plan, const struct plan_request *request,
			struct partition *partition)
{
	const struct nn_choice any = {
		.first_max = request->network->n_layers - 1,
		.last_max = request->network->n_layers - 1,
	};
	struct nn_partition found = { 0 };

	if (!plan_largest(plan, request, &any, &found))
		return message_failed("no partition of %s fits %llu bytes",
				      request->network->path,
				      (unsigned long long)request->room);
	*partition = (struct partition){
		.secure = true, .start = found.first, .end = found.last,
	};
	return 0;
}

static int answer_for(const struct plan_question *question,
		      const struct network *network, struct plan *plan)
{
	struct plan_request request = {
		.network = network,
		.micro_batch = question->micro_batch,
		.room = question->limits.room,
	};
	struct partition partition = { 0 };
	int status = read_mode(question->mode, &request.train);

	if (!status && question->largest)
		status = find_largest(plan, &request, &partition);
	else if (!status)
		status = choose_partition(question, network, &partition);
	if (!status)
		status = plan_partition(plan, &request, partition.start,
					partition.end);
	if (status)
		return status;
	if (!question->quiet)
		plan_print(plan, &question->limits);
	plan_tell(plan, &question->limits);
	if (plan_fits(plan, &question->limits))
		return 0;
	return plan->micro_batch ? STATUS_FAILED : plan_report_misfit(plan);
}

int plan_answer(const struct plan_question *question)
{
	struct plan *plan = malloc(sizeof(*plan));
	struct network network = { 0 };
	int status = 0;

	if (!plan)
		return message_no_memory("a plan");
	/* 1 would say that it does not fit. */
	if (network_read(&network, question->cfg_path))
		status = STATUS_REFUSED;
	if (!status)
		status = plan_check_layers(plan, &network);
	if (!status && question->batch)
		status = network_set_batch(&network, question->batch);
	if (!status)
		status = answer_for(question, &network, plan);
	network_free(&network);
	free(plan);
	return status;
}
