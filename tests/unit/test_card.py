# SPDX-License-Identifier: MIT
"""SD cards: the loader's configuration, the memory map, device trees, keys that may log in."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tzkit.board import Board, board_names, load_board
from tzkit.build import card, devicetree
from tzkit.build.card import Tables
from tzkit.commands import Common
from tzkit.errors import EnvironmentFailed, RequestError
from tzkit.process import Runner
from tzkit.workspace import Workspace

CHECKOUT = Workspace.of_checkout()
BOARDS = [load_board(CHECKOUT.boards, name) for name in board_names(CHECKOUT.boards)]
WITH_CARD = [board for board in BOARDS if board.card is not None]
PLAIN_TREE = """/dts-v1/;
/ {
	#address-cells = <1>;
	#size-cells = <1>;
	cpus { enable-method = "spin"; cpu@0 { cpu-release-addr = <0 1>; }; };
	reserved-memory { #address-cells = <1>; #size-cells = <1>; };
	soc { hdmi@7e902000 { status = "okay"; }; };
};
"""


def tables(board: Board) -> Tables:
    assert board.card and board.device_tree and board.rootfs and board.kernel
    return Tables(board.card, board.device_tree, board.rootfs, board.kernel)


@pytest.fixture(params=WITH_CARD, ids=lambda board: board.name)
def board(request: pytest.FixtureRequest) -> Board:
    chosen: Board = request.param
    return chosen


def test_there_is_a_board_with_a_card() -> None:
    assert WITH_CARD


def test_loader_is_told_the_memory_map_of_the_firmware(board: Board) -> None:
    config = card.render_config(CHECKOUT, tables(board))
    said = dict(line.split("=", 1) for line in config.splitlines() if "=" in line)
    assert board.card and board.firmware
    built = dict(word.split("=", 1) for word in board.firmware.make if "=" in word)
    assert int(said["kernel_address"], 16) == int(built["PRELOADED_BL33_BASE"], 16)
    assert int(said["device_tree_address"], 16) == int(built["RPI3_PRELOADED_DTB_BASE"], 16)
    initramfs = re.search(r"^initramfs (\S+) (0x\w+)$", config, re.MULTILINE)
    assert initramfs is not None and initramfs[1] == board.card.files["initramfs"]
    assert int(initramfs[2], 16) == board.card.addresses["initramfs"]
    assert (said["armstub"], said["kernel"]) == (
        board.card.files["firmware"], board.card.files["kernel"],
    )  # fmt: skip


def test_every_file_of_the_configuration_is_on_the_card(board: Board) -> None:
    config = card.render_config(CHECKOUT, tables(board))
    trees = re.findall(r"^device_tree=(\S+)$", config, re.MULTILINE)
    assert board.device_tree is not None
    assert trees == list(board.device_tree.files)


def test_nothing_is_loaded_into_memory_that_linux_must_leave_alone(board: Board) -> None:
    assert board.card and board.device_tree
    reserved = board.device_tree.reserved.values()
    for address in board.card.addresses.values():
        assert all(not r.start <= address < r.start + r.size for r in reserved)


def test_linux_leaves_the_secure_memory_alone(board: Board) -> None:
    assert board.device_tree is not None
    secure = board.secure_memory
    assert any(
        memory.start <= secure.start and memory.start + memory.size >= secure.start + secure.size
        for memory in board.device_tree.reserved.values()
    )


def test_card_has_a_size_that_the_emulator_takes(board: Board) -> None:
    assert board.card is not None
    size = card.FIRST_PARTITION + board.card.boot + board.card.root
    assert size & (size - 1) == 0


# ---- Device trees ----


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    made = tmp_path / "board.dtb"
    subprocess.run(
        ["dtc", "-q", "-I", "dts", "-O", "dtb", "-o", made], input=PLAIN_TREE.encode(), check=True
    )
    return made


def get(tree: Path, *words: str) -> str:
    return subprocess.run(
        ["fdtget", tree, *words], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_tree_says_what_optee_and_the_firmware_need(board: Board, tree: Path) -> None:
    assert board.device_tree is not None
    trees = board.device_tree.model_copy(
        update={
            "strings": {"/firmware/optee": {"compatible": ("linaro,optee-tz", "other")}},
            "removed": {"/cpus": ("enable-method",)},
        }
    )
    for argv in devicetree.edit_argvs(trees, str(tree)):
        subprocess.run(argv, check=True)
    assert get(tree, "/firmware/optee", "compatible") == "linaro,optee-tz other"
    assert get(tree, "-d", "none", "/cpus", "enable-method") == "none"
    core = trees.reserved["optee_core"]
    node = f"/reserved-memory/optee_core@{core.start:x}"
    assert get(tree, node, "reg") == f"{core.start} {core.size}"
    assert "no-map" in get(tree, "-p", node)


def test_emulated_tree_says_what_the_loader_would(board: Board, tree: Path) -> None:
    assert board.emulator is not None
    machine = board.emulator.model_copy(update={"disabled": ("/soc/hdmi@7e902000",)})
    for argv in devicetree.emulated_argvs(machine, 0x3C000000, (0x9000000, 0x9100000), str(tree)):
        subprocess.run(argv, check=True)
    assert get(tree, "/chosen", "bootargs") == machine.kernel_arguments
    assert get(tree, "-t", "x", "/chosen", "linux,initrd-start") == "9000000"
    assert get(tree, "-t", "x", "/chosen", "linux,initrd-end") == "9100000"
    assert get(tree, "-t", "x", "/memory@0", "reg") == "0 3c000000"
    assert get(tree, "/soc/hdmi@7e902000", "status") == "disabled"


def test_tree_that_debian_does_not_have_is_named(board: Board, tmp_path: Path) -> None:
    assert board.device_tree is not None
    with pytest.raises(EnvironmentFailed, match="rpi-3-b"):
        devicetree.write_trees(board.device_tree, tmp_path, tmp_path, Runner())


# ---- Who may log in ----


def test_public_key_is_taken(tmp_path: Path) -> None:
    key = tmp_path / "id.pub"
    key.write_text("ssh-ed25519 AAAA someone@somewhere\n")
    assert Common(ssh_key=str(key)).build_options().ssh_key == key


@pytest.mark.parametrize("content", ["-----BEGIN OPENSSH PRIVATE KEY-----\n", "", None])
def test_anything_else_is_refused(tmp_path: Path, content: str | None) -> None:
    key = tmp_path / "id"
    if content is not None:
        key.write_text(content)
    with pytest.raises(RequestError, match="--ssh-key"):
        Common(ssh_key=str(key)).build_options()


def test_nobody_logs_in_with_a_password() -> None:
    init = card.render_root_init(CHECKOUT, WITH_CARD[0])
    assert re.search(r"dropbear .*-s\b", init)
