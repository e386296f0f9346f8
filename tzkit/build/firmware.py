# SPDX-License-Identifier: MIT
"""Trusted Firmware-A from Debian's source package, with OP-TEE and the next loader inside."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from tzkit.board import Board
from tzkit.boardfile import Firmware
from tzkit.build.source import apply_edits, unpack_source
from tzkit.build.toolchain import PREFIXES, compiler_version
from tzkit.job import Job
from tzkit.parts.debian import Parts
from tzkit.parts.sysroot import find
from tzkit.store import Entry, file_sha256

IMAGE = "firmware.bin"


def make_argv(
    board: Board, firmware: Firmware, files: Mapping[str, str], source: str, build: str
) -> list[str]:
    """The make command; ``files`` fills the placeholders of the board's variables."""
    goals = [word.format_map(files) for word in firmware.make]
    return [
        "make", "-C", source, f"-j{os.cpu_count() or 1}",
        f"CROSS_COMPILE={PREFIXES[board.arch]}", f"BUILD_BASE={build}", *goals,
    ]  # fmt: skip


def build_firmware(
    job: Job, firmware: Firmware, parts: Parts, sysroot: Path, optee: Path | None
) -> Entry:
    """The firmware image of the board, ``IMAGE`` in the returned entry."""
    board, runner, log = job.board, job.runner, job.log("firmware")
    files = {name: find(sysroot, path) for name, path in firmware.files.items()}
    if optee is not None:
        files |= {name: find(optee, path) for name, path in firmware.optee_files.items()}
    source = parts.source(firmware.source)
    inputs = {
        "make": list(firmware.make),
        "output": firmware.output,
        "edits": [edit.model_dump() for edit in firmware.edits],
        "files": {name: file_sha256(path) for name, path in files.items()},
        "source": file_sha256(source),
        "compiler": compiler_version(board.arch, job.runner),
    }

    def make(destination: Path) -> None:
        tree, build = destination / "source", destination / "build"
        log.unlink(missing_ok=True)
        unpack_source(source, tree, runner, log)
        apply_edits(tree, firmware.edits)
        named = {name: str(path) for name, path in files.items()}
        runner.run(
            make_argv(board, firmware, named, str(tree), str(build)),
            what="building Trusted Firmware-A",
            log=log,
        )
        (build / firmware.output).rename(destination / IMAGE)
        shutil.rmtree(build)
        shutil.rmtree(tree)

    return job.store.get("firmware", inputs, make)
