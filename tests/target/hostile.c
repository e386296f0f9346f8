/* SPDX-License-Identifier: MIT */
/*
 * The trusted application against a client that wants in:
 *
 *   hostile [PART-OF-A-NAME]
 *
 * Each test tries one hole through the TEE Client API, expects the proper code,
 * and then that the session still does its work, to the bit. S1 to S17 are the
 * holes known in the trusted application that ours replaces. Exit status: 0
 * when all tests passed, 1 otherwise, 2 without a TEE.
 */
#include "hostile.h"

#include <stdio.h>

static const struct tap_test tests[] = {
	{ "S1 weights stay inside a session that predicts", s1_weights_stay_inside },
	{ "S2 values where memory belongs", s2_values_as_memory },
	{ "S2 every type for every parameter", s2_every_type_everywhere },
	{ "S3 output size is not believed", s3_output_size },
	{ "S4 truth size is not believed", s4_truth_size },
	{ "S5 gradient size is not believed", s5_gradient_size },
	{ "S6 loading out of bounds", s6_load_out_of_bounds },
	{ "S7 saving out of bounds", s7_save_out_of_bounds },
	{ "S8 room for gradients is not believed", s8_gradient_room },
	{ "S9 too many layers", s9_too_many_layers },
	{ "S9 building twice", s9_build_twice },
	{ "S10 count of layers and length disagree", s10_count_and_length_disagree },
	{ "S11 blocks of every length", s11_blocks_of_every_length },
	{ "S11 garbage", s11_garbage },
	{ "S12 input size is not believed", s12_input_size },
	{ "S12 shared memory is not kept", s12_memory_is_not_kept },
	{ "S13 huge lengths", s13_huge_lengths },
	{ "S14 impossible shapes", s14_impossible_shapes },
	{ "S14 overflowing shapes", s14_overflowing_shapes },
	{ "S14 sources out of reach", s14_sources_out_of_reach },
	{ "S15 a model larger than the heap", s15_too_large_a_model },
	{ "S15 all secure memory taken", s15_all_memory_taken },
	{ "S16 nothing runs before a build", s16_nothing_before_build },
	{ "S17 only the best class comes out", s17_only_the_best_class },
	{ "order: forward and backward in turn", order_of_halves },
	{ "order: momentum", order_of_momentum },
	{ "order: commands of the other kind of session", commands_of_the_other_kind },
	{ "step: flags and numbers", flags_and_numbers_of_a_step },
	{ "versions of the interface differ", versions_differ },
	{ "unknown commands", unknown_commands },
	{ "NULL with a size", null_buffers },
	{ "registered memory, whole, in part, at odd places", registered_memory },
	{ "registered memory out of bounds", registered_out_of_bounds },
	{ "overlapping buffers", overlapping_buffers },
	{ "race: description, refused either way", race_description },
	{ "race: description, accepted or not", race_description_to_the_end },
	{ "race: step", race_step },
	{ "race: input", race_input },
	{ "race: output", race_output },
	{ "race: truth", race_truth },
	{ "race: tensor", race_tensor },
	{ "many sessions at once", many_sessions },
	{ "two threads in one session", two_threads_in_a_session },
	{ "cancelled calls", cancelled_calls },
	{ "clients killed during calls", killed_clients },
};

int main(int argc, char **argv)
{
	int status = 0;

	if (!client_connect()) {
		fprintf(stderr, "hostile: no TEE answers\n");
		return 2;
	}
	status = tap_run(tests, ARRAY_SIZE(tests), argc > 1 ? argv[1] : NULL);
	client_disconnect();
	return status;
}
