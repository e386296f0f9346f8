# SPDX-License-Identifier: MIT
"""Device trees: Debian's, with what OP-TEE and the loader would have said in them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from tzkit.boardfile import DeviceTree, Emulator
from tzkit.parts.sysroot import find
from tzkit.process import Runner


def put_argv(tree: str, node: str, name: str, *values: str, kind: str | None = None) -> list[str]:
    """The command that sets a property, its node made; ``kind`` is fdtput's: s text, x numbers."""
    return ["fdtput", *(["-t", kind] if kind else []), "-p", tree, node, name, *values]


def edit_argvs(trees: DeviceTree, tree: str) -> Iterator[list[str]]:
    """The commands that make one of the packages' trees one of the board."""
    for node, properties in trees.strings.items():
        for name, values in properties.items():
            yield put_argv(tree, node, name, *values, kind="s")
    for node, names in trees.removed.items():
        for name in names:
            yield ["fdtput", "-d", tree, node, name]
    for name, memory in trees.reserved.items():
        node = f"/reserved-memory/{name}@{memory.start:x}"
        yield put_argv(tree, node, "reg", f"{memory.start:x}", f"{memory.size:x}", kind="x")
        yield ["fdtput", tree, node, "no-map"]


def emulated_argvs(
    machine: Emulator, memory: int, initramfs: tuple[int, int], tree: str
) -> Iterator[list[str]]:
    """The commands that say what the real board's loader would say, and what is not emulated.

    ``memory`` is what Linux may use, ``initramfs`` start and end of it, in bytes.
    """
    yield put_argv(tree, "/chosen", "bootargs", machine.kernel_arguments, kind="s")
    for name, address in zip(("linux,initrd-start", "linux,initrd-end"), initramfs, strict=True):
        yield put_argv(tree, "/chosen", name, f"{address:x}", kind="x")
    yield put_argv(tree, "/memory@0", "reg", "0", f"{memory:x}", kind="x")
    for node in machine.disabled:
        yield put_argv(tree, node, "status", "disabled", kind="s")


def write_trees(trees: DeviceTree, sysroot: Path, folder: Path, runner: Runner) -> None:
    """The board's device trees, under their names in ``folder``."""
    for name, pattern in trees.files.items():
        tree = folder / name
        shutil.copyfile(find(sysroot, pattern), tree)
        for argv in edit_argvs(trees, str(tree)):
            runner.run(argv, what=f"completing the device tree {name}")
