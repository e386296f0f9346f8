# SPDX-License-Identifier: MIT
#
# The sources of nn/ and the flags they need, for every makefile that compiles
# them: both worlds and the native tests must get the same arithmetic.

NN_SOURCES := \
	nn.c \
	nn_activation.c \
	nn_avgpool.c \
	nn_batchnorm.c \
	nn_connected.c \
	nn_convolutional.c \
	nn_cost.c \
	nn_dropout.c \
	nn_footprint.c \
	nn_gemm.c \
	nn_layout.c \
	nn_math.c \
	nn_maxpool.c \
	nn_place.c \
	nn_plan.c \
	nn_random.c \
	nn_route.c \
	nn_share.c \
	nn_shortcut.c \
	nn_softmax.c

# No contraction: a fused multiply-add on one machine only would change results.
# No errno: a square root is then the instruction, not a call into libm.
# No unsafe optimisations: OP-TEE's dev kit for 32 bits asks for them, and then
# sums are reordered and NEON, which takes denormals for zero, does them.
NN_CFLAGS := -O3 -ffp-contract=off -fno-math-errno -fno-unsafe-math-optimizations
