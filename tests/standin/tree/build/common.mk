# SPDX-License-Identifier: MIT
# Stand-in for OP-TEE's build.git, see tests/standin/README.md; [n.m] cites its sections.
SHELL := /bin/bash
.DEFAULT_GOAL := all

ROOT := $(realpath $(CURDIR)/..)
BR := $(ROOT)/out-br
EXAMPLES := $(BR)/build/optee_examples_ext-1.0
PACKAGE := $(BR)/per-package/optee_examples_ext/target
DEVKIT := $(ROOT)/optee_os/out/arm/export-ta_arm64
SYSROOT := $(STANDIN_SYSROOT)

CFG_PGT_CACHE_ENTRIES ?= 4

.PHONY: all toolchains optee-os optee-os-clean buildroot flash

# [2.1] Whatever is in the folder counts as the toolchain.
toolchains:
	@test -e $(ROOT)/toolchains/aarch64 || \
		{ mkdir -p $(ROOT)/toolchains/aarch64 && $(STANDIN)/point toolchains; }

# [2.1] Made once: changed variables are not noticed.
optee-os: toolchains
	@mkdir -p $(dir $(DEVKIT))
	@test -e $(ROOT)/optee_os/out/conf || \
		echo CFG_PGT_CACHE_ENTRIES=$(CFG_PGT_CACHE_ENTRIES) >$(ROOT)/optee_os/out/conf
	@ln -sfn $(SYSROOT)/usr/lib/optee-os-dev/vexpress-qemu_armv8a $(DEVKIT)

optee-os-clean:
	rm -rf $(ROOT)/optee_os/out

# [3.2] Only what is newer is copied and nothing is removed, neither here nor in target.
buildroot: optee-os
	mkdir -p $(EXAMPLES) $(BR)/target
	rsync -a -u $(ROOT)/optee_examples/ $(EXAMPLES)/
	$(STANDIN)/point build
	@# [3.1] What is given on the command line overrides what a TA's Makefile adds to CFLAGS.
	for makefile in $(EXAMPLES)/*/ta/Makefile; do \
		$(MAKE) -C $$(dirname $$makefile) CROSS_COMPILE=aarch64-linux-gnu- O=out \
			TA_DEV_KIT_DIR=$(DEVKIT) PYTHON3=$(STANDIN_PYTHON) CFLAGS=-O2 all || exit 1; \
	done
	install -D -m 444 -t $(PACKAGE)/lib/optee_armtz $(EXAMPLES)/*/ta/out/*.ta
	cmake -S $(EXAMPLES) -B $(EXAMPLES)/buildroot-build -DCMAKE_SYSTEM_NAME=Linux \
		-DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc -DCMAKE_SYSROOT=$(SYSROOT) \
		-DCMAKE_INSTALL_PREFIX=/usr >/dev/null
	cmake --build $(EXAMPLES)/buildroot-build
	DESTDIR=$(PACKAGE) cmake --install $(EXAMPLES)/buildroot-build
	rsync -a $(PACKAGE)/ $(BR)/target/
	$(STANDIN)/pack $(BR)/target $(BR)/images/rootfs.cpio.gz
