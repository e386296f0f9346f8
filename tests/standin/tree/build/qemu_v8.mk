# SPDX-License-Identifier: MIT
# Stand-in: QEMU, Armv8-A. There is no goal "flash" [2.2].
include common.mk

QEMU_NW_PORT ?= 54320
QEMU_SW_PORT ?= 54321
QEMU_MEM ?= 1057

.PHONY: run run-only

# [2.3] What is booted is the ramdisk as it was wrapped here.
all: buildroot
	mkdir -p $(ROOT)/out/bin
	cp $(BR)/images/rootfs.cpio.gz $(ROOT)/out/bin/ramdisk

run: all
	$(MAKE) run-only

# [2.3] Headless machines must say what to show terminals with, even where none is needed.
run-only:
	@test -n "$(LAUNCH_TERMINAL)" || { echo "no program to show terminals in"; exit 1; }
	LAUNCH_TERMINAL="$(LAUNCH_TERMINAL)" $(STANDIN)/probe $(QEMU_NW_PORT) $(QEMU_SW_PORT)
	cd $(ROOT)/out/bin && qemu-system-aarch64 -nographic -smp 2 -m $(QEMU_MEM) \
		-cpu cortex-a57 -machine virt,secure=on,gic-version=3 -nic none \
		-bios $(STANDIN_FIRMWARE) -kernel $(STANDIN_KERNEL) -initrd ramdisk \
		-append 'console=ttyAMA0 rdinit=/init quiet' -s -S \
		-serial tcp:127.0.0.1:$(QEMU_NW_PORT) -serial tcp:127.0.0.1:$(QEMU_SW_PORT)
