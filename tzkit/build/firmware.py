# SPDX-License-Identifier: MIT
"""Trusted Firmware-A from Debian's source package, with OP-TEE and U-Boot inside."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from tzkit.board import Board
from tzkit.build.toolchain import PREFIXES, compiler_version
from tzkit.job import Job
from tzkit.parts.debian import Parts
from tzkit.parts.sysroot import find
from tzkit.store import Entry, file_sha256

IMAGE = "firmware.bin"


def make_argv(board: Board, files: Mapping[str, str], source: str, build: str) -> list[str]:
    """The make command; ``files`` fills the placeholders of the board's variables."""
    goals = [word.format_map(files) for word in board.firmware.make]
    return [
        "make", "-C", source, f"-j{os.cpu_count() or 1}",
        f"CROSS_COMPILE={PREFIXES[board.arch]}", f"BUILD_BASE={build}", *goals,
    ]  # fmt: skip


def build_firmware(job: Job, parts: Parts, sysroot: Path) -> Entry:
    """The firmware image of the board, ``IMAGE`` in the returned entry."""
    board, runner, log = job.board, job.runner, job.log("firmware")
    files = {name: find(sysroot, path) for name, path in board.firmware.files.items()}
    source = parts.source(board.firmware.source)
    inputs = {
        "make": list(board.firmware.make),
        "output": board.firmware.output,
        "files": {name: file_sha256(path) for name, path in files.items()},
        "source": file_sha256(source),
        "compiler": compiler_version(board.arch, job.runner),
    }

    def make(destination: Path) -> None:
        tree = destination / "source"
        log.unlink(missing_ok=True)
        runner.run(
            ["dpkg-source", "--no-check", "--extract", source, tree],
            what=f"unpacking {source.name}",
            log=log,
        )
        named = {name: str(path) for name, path in files.items()}
        runner.run(
            make_argv(board, named, str(tree), str(destination / "build")),
            what="building Trusted Firmware-A",
            log=log,
        )
        (destination / "build" / board.firmware.output).rename(destination / IMAGE)
        shutil.rmtree(destination / "build")
        shutil.rmtree(tree)

    return job.store.get("firmware", inputs, make)
