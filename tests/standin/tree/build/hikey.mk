# SPDX-License-Identifier: MIT
# Stand-in: HiKey. [2.5] "flash" depends on nothing and waits for Enter.
include common.mk

all:
	@$(STANDIN)/point build
	@mkdir -p $(ROOT)/out && touch $(ROOT)/out/boot-fat.uefi.img

flash:
	@echo "Jumpers 1-2 and 5-6 closed, 3-4 open"
	@read -r -p "Press enter to continue" line
	@read -r -p "1. Connect the micro USB cable (press enter)" line
	@read -r -p "2. Connect HiKey to power up (press enter)" line
	@read -r -p "Then press enter to continue flashing" line
	@$(STANDIN)/point flash
	@echo fastboot flash boot $(ROOT)/out/boot-fat.uefi.img
