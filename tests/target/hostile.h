/* SPDX-License-Identifier: MIT */
/* The tests of hostile.c, which lists and names them. */
#ifndef HOSTILE_H
#define HOSTILE_H

#include "victim.h"

/* hostile_sizes.c: buffers of the wrong size, tensors out of bounds */
void s3_output_size(void);
void s4_truth_size(void);
void s5_gradient_size(void);
void s6_load_out_of_bounds(void);
void s7_save_out_of_bounds(void);
void s8_gradient_room(void);
void s12_input_size(void);
void s13_huge_lengths(void);
void null_buffers(void);

/* hostile_build.c: descriptions that make no sense, or too much */
void s9_too_many_layers(void);
void s9_build_twice(void);
void s10_count_and_length_disagree(void);
void s11_blocks_of_every_length(void);
void s11_garbage(void);
void s14_impossible_shapes(void);
void s14_overflowing_shapes(void);
void s14_sources_out_of_reach(void);
void s15_too_large_a_model(void);
void s15_all_memory_taken(void);
void versions_differ(void);

/* hostile_types.c: parameters of the wrong kind, memory of every kind */
void s2_values_as_memory(void);
void s2_every_type_everywhere(void);
void unknown_commands(void);
void registered_memory(void);
void registered_out_of_bounds(void);
void overlapping_buffers(void);

/* hostile_order.c: what a session may not do, or not yet, or not any more */
void s1_weights_stay_inside(void);
void s16_nothing_before_build(void);
void s17_only_the_best_class(void);
void order_of_halves(void);
void order_of_momentum(void);
void commands_of_the_other_kind(void);
void flags_and_numbers_of_a_step(void);

/* hostile_race.c: a second thread rewrites the memory during the calls */
void s12_memory_is_not_kept(void);
void race_description(void);
void race_description_to_the_end(void);
void race_step(void);
void race_input(void);
void race_output(void);
void race_truth(void);
void race_tensor(void);

/* hostile_sessions.c: several clients, and clients that die */
void many_sessions(void);
void two_threads_in_a_session(void);
void cancelled_calls(void);
void killed_clients(void);

#endif /* HOSTILE_H */
