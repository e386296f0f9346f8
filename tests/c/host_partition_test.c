/* SPDX-License-Identifier: MIT */
/* Where a network may be cut, and what is said about where it may not. */
#include "message.h"
#include "partition.h"

#include "check.h"
#include "host_support.h"

/* Layers 0 to 7: a block 1-3, then two layers of which a route reads both. */
static const char text[] =
	"[net]\nwidth=8\nheight=8\nchannels=3\n"
	"[conv]\nfilters=4\n[conv]\nfilters=4\n[conv]\nfilters=4\n"
	"[shortcut]\nfrom=0\n[conv]\nfilters=2\n[conv]\nfilters=2\n"
	"[route]\nlayers=4,5\n[conn]\noutput=2\n";

static struct network network;

static int open_network(void **state)
{
	if (support_make_directory(state))
		return -1;
	support_capture();
	return network_read(&network, support_write_text("n.cfg", text)) +
	       !support_captured();
}

static int close_network(void **state)
{
	network_free(&network);
	return support_remove_directory(state);
}

static int choose(uint32_t start, uint32_t end, struct partition *partition)
{
	const struct options options = {
		.pp_start = start, .pp_end = end,
		.pp_start_f = OPTIONS_UNSET, .pp_f_only = OPTIONS_UNSET,
	};
	int status = 0;

	support_capture();
	status = partition_choose(partition, &options, &network);
	support_captured();
	return status;
}

/* Boundaries 2 and 3 lie in the block, 6 in the route's pair. */
static void only_whole_blocks_cross(void **state)
{
	static const bool legal[] = { true, true, false, false, true, true, false,
				      true, true };
	struct partition partition = { 0 };
	uint32_t start = 0;
	uint32_t end = 0;

	(void)state;
	for (start = 0; start < 8; start++) {
		assert_int_equal(partition_may_cut(&network, start), legal[start]);
		for (end = start; end < 8; end++)
			assert_int_equal(choose(start, end, &partition),
					 legal[start] && legal[end + 1] ?
						 0 : STATUS_REFUSED);
	}
}

static void the_message_names_layer_source_and_partitions(void **state)
{
	struct partition partition = { 0 };

	(void)state;
	assert_int_equal(choose(2, 7, &partition), STATUS_REFUSED);
	support_assert_said("n.cfg:11: [shortcut] layer 3 reads layer 0, so the network cannot be cut between 1 and 2; "
			    "a partition may start at 0-1, 4-5, 7 and end at 0, 3-4, 6-7\n");
	assert_int_equal(choose(4, 5, &partition), STATUS_REFUSED);
	support_assert_said("n.cfg:17: [route] layer 6 reads layer 4, so the network cannot be cut between 5 and 6; ");
}

/* Frozen layers are a segment of their own. */
static void freezing_cuts_too(void **state)
{
	struct options options = {
		.pp_start = OPTIONS_UNSET, .pp_end = OPTIONS_UNSET,
		.pp_start_f = OPTIONS_UNSET, .pp_f_only = 3,
	};
	struct partition partition = { 0 };

	(void)state;
	support_assert_status(partition_freeze(&partition, &options, &network),
			      STATUS_REFUSED);
	support_assert_said("cannot be cut between 2 and 3");
	options.pp_f_only = 4;
	assert_int_equal(partition_freeze(&partition, &options, &network), 0);
	assert_int_equal(partition.frozen, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_whole_blocks_cross),
		cmocka_unit_test(the_message_names_layer_source_and_partitions),
		cmocka_unit_test(freezing_cuts_too),
	};

	return cmocka_run_group_tests(tests, open_network, close_network);
}
