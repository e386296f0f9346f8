# SPDX-License-Identifier: MIT
"""Board files: every one loads; one broken file per rule is refused with its key."""

from __future__ import annotations

from pathlib import Path

import pytest

from tzkit.board import board_names, load_board, read_board
from tzkit.errors import RequestError

BOARDS = Path(__file__).resolve().parents[2] / "boards"
GOOD = (BOARDS / "qemu_v8.toml").read_text()


@pytest.mark.parametrize("name", board_names(BOARDS))
def test_every_board_file_loads(name: str) -> None:
    assert load_board(BOARDS, name).name == name


# rule: (text of the good file, what replaces it, what the message must hold)
BROKEN = {
    "not TOML": ('arch = "arm64"', "arch = ", "Invalid value"),
    "unknown key": ('arch = "arm64"', 'arch = "arm64"\ncolour = "red"', "colour: unknown key"),
    "unknown key in a table": ("core = ", "cores = 2\ncore = ", "secure_memory.cores: unknown key"),
    "missing key": ('title = "QEMU', 'description = "QEMU', "title: this key is missing"),
    "unknown architecture": ('arch = "arm64"', 'arch = "mips"', "arch: "),
    "size without sense": ('size = "15 MiB"', 'size = "15 apples"', "secure_memory.size: "),
    "negative size": ('size = "15 MiB"', "size = -4096", "secure_memory.size: "),
    "size not in pages": ('stack = "64 KiB"', "stack = 1000", "ta.stack: "),
    "boolean for a size": ('heap = "4 MiB"', "heap = true", "ta.heap: "),
    "core larger than memory": ('core = "2 MiB"', 'core = "15 MiB"', "nothing is left for TAs"),
    "heap larger than memory": ('heap = "4 MiB"', 'heap = "14 MiB"', "leaves 13 MiB"),
    "unknown console": ("[consoles.secure]", "[consoles.third]", "consoles.third"),
    "no normal console": ("[consoles.normal]", "[consoles.other]", "consoles.other"),
    "no packages": ("packages = [", "packages = []\nextra = [", "debian.packages: "),
    "no speed": ("speed = 115200", "speed = 0", "consoles.normal.speed: "),
    "no room for a kernel": ('memory = "768 MiB"', 'memory = "0"', "emulator.memory: "),
    "line of a console that is not there": (
        '[consoles.secure]\nuart = "PL011 1"\nspeed = 115200',
        "",
        "emulator.serials names unknown",
    ),
    "dev kit from nowhere": ('devkit = "usr/lib/optee-os-dev/vexpress-qemu_armv8a"', "", "devkit"),
    "system without a kernel": ("[kernel]", "[kernels]", "kernels: unknown key"),
    "two kernels": (
        'image = "boot/',
        'build = {}\nimage = "boot/',
        "kernel.build.source: this key is missing",
    ),
    "unknown way to flash": ('kind = "none"', 'kind = "magic"', "flash.kind: "),
    "make without a goal": ('kind = "none"', 'kind = "make"', "kind 'make' needs a goal"),
    "root file system of no kind": ('rootfs = "initramfs"', 'rootfs = "tape"', "medium.rootfs: "),
    "xtest of no level": ('level = "full"', 'level = "all"', "xtest.level: "),
    "manifest of no kind": ('manifest = "qemu_v8.xml"', 'manifest = "../x"', "upstream.manifest: "),
    "goal among the variables": (
        'make = ["RUST',
        'make = ["all", "RUST',
        "upstream.make: all: write",
    ),
    "build without goals": ('manifest = "q', 'goals = []\nmanifest = "q', "upstream.goals: "),
    "no room at all": ('manifest = "q', 'room = "0"\nmanifest = "q', "upstream.room: "),
    "console without a port": (
        'secure = "QEMU_SW_PORT"',
        "",
        "upstream.run.ports must name a port for each console",
    ),
    "tree that never boots": ("boot_seconds = 300", "boot_seconds = 0", "run.boot_seconds: "),
    "no prompt to wait for": ('"(qemu) "', '""', "upstream.run.monitor_prompt: "),
    "simulated memory not in pages": (
        'largest = "256 MiB"',
        'largest = "1000"',
        "simulated_memory.largest: ",
    ),
}


@pytest.mark.parametrize("rule", BROKEN)
def test_broken_file_is_refused(rule: str, tmp_path: Path) -> None:
    old, new, expected = BROKEN[rule]
    assert old in GOOD
    path = tmp_path / "broken.toml"
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(RequestError) as refused:
        read_board(path)
    assert expected in refused.value.message
    assert str(path) in refused.value.message


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    text = GOOD.replace("speed = 115200", "speed = 0\nbaud = 3", 1).replace("arm64", "vax", 1)
    path.write_text(text)
    with pytest.raises(RequestError) as refused:
        read_board(path)
    assert {line.split(": ")[1] for line in refused.value.message.splitlines()} == {
        "arch",
        "consoles.normal.speed",
        "consoles.normal.baud",
    }


@pytest.mark.parametrize("name", board_names(BOARDS))
def test_a_shared_line_is_told(name: str) -> None:
    """Both worlds on one line have one name and one speed for it."""
    consoles = load_board(BOARDS, name).consoles
    if load_board(BOARDS, name).shared_console:
        assert consoles["normal"] == consoles["secure"]


def test_unknown_board_names_the_known_and_the_nearest() -> None:
    with pytest.raises(RequestError) as refused:
        load_board(BOARDS, "qemu-v8")
    assert "did you mean 'qemu_v8'" in refused.value.message
    assert refused.value.hint is not None and "qemu_v8" in refused.value.hint


def test_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RequestError, match=r"binary\.toml"):
        read_board(path)
