# SPDX-License-Identifier: MIT
#
# The kernels are compiled from ../nn, into the output folder like the rest.

include ../nn/nn.mk

global-incdirs-y += include
global-incdirs_ext-y += $(TA_CONFIG_DIR) ../nn

srcs_ext_base-y := ../nn
srcs_ext-y += $(NN_SOURCES)
cflags-y += $(NN_CFLAGS)

# The dev kit forbids unaligned access. Rows of weights are unaligned vectors:
# where the core lets user space access them (the default), do so.
ifneq ($(filter CFG_SCTLR_ALIGNMENT_CHECK=n,$(file < $(TA_DEV_KIT_DIR)/host_include/conf.mk)),)
cflags-remove-y += -mstrict-align -mno-unaligned-access
endif

subdirs-y += src
