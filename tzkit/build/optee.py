# SPDX-License-Identifier: MIT
"""OP-TEE OS from Debian's source package: the core's images and the TA dev kit that fits it."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from tzkit.board import Board
from tzkit.boardfile import Optee
from tzkit.build.source import unpack_source
from tzkit.build.toolchain import PREFIXES, compiler_versions
from tzkit.job import Job
from tzkit.parts.debian import Parts
from tzkit.parts.sysroot import find
from tzkit.store import Entry, file_sha256

KEPT = ("core/*.bin", "export-ta_*", "conf.mk")
DEVKIT_KEYS = "export-ta_*/keys"
DEVKIT_KEY = "default_ta.pem"  # what a dev kit signs with unless told otherwise


def make_argv(
    board: Board, optee: Optee, source: str, build: str, sign_key: str | None
) -> list[str]:
    """The make command; both compilers are named, the core or its TAs may be 32-bit."""
    key = [f"TA_SIGN_KEY={sign_key}"] if sign_key else []
    return [
        "make", "-C", source, f"-j{os.cpu_count() or 1}", f"O={build}",
        f"CROSS_COMPILE={PREFIXES[board.ta.arch]}", f"CROSS_COMPILE32={PREFIXES['armhf']}",
        f"CROSS_COMPILE64={PREFIXES['arm64']}", f"PYTHON3={sys.executable}",
        *optee.make, *key, "all",
    ]  # fmt: skip


def build_optee(job: Job, optee: Optee, parts: Parts, sysroot: Path) -> Entry:
    """The core's images under ``core/`` and the dev kit under ``optee.devkit``."""
    board, runner, log = job.board, job.runner, job.log("optee")
    source = parts.source(optee.source)
    key = find(sysroot, optee.sign_key).resolve() if optee.sign_key else None
    inputs = {
        "make": list(optee.make),
        "source": file_sha256(source),
        "sign_key": file_sha256(key) if key else None,
        "compilers": compiler_versions((board.arch, board.ta.arch), runner),
    }

    def make(destination: Path) -> None:
        log.unlink(missing_ok=True)
        tree, build = destination / "source", destination / "build"
        unpack_source(source, tree, runner, log)
        argv = make_argv(board, optee, str(tree), str(build), str(key) if key else None)
        runner.run(argv, what="building OP-TEE OS", log=log)
        _keep(build, destination)
        if key is not None:
            _hand_over(key, destination)
        shutil.rmtree(build)
        shutil.rmtree(tree)

    return job.store.get("optee", inputs, make)


def _keep(build: Path, destination: Path) -> None:
    """Move what later stages read out of the build folder."""
    for pattern in KEPT:
        for path in sorted(build.glob(pattern)):
            kept = destination / path.relative_to(build)
            kept.parent.mkdir(exist_ok=True)
            path.rename(kept)


def _hand_over(key: Path, destination: Path) -> None:
    """Make the dev kits sign with this core's key, which they have under a name of its own."""
    for folder in destination.glob(DEVKIT_KEYS):
        path = folder / DEVKIT_KEY
        path.unlink(missing_ok=True)
        shutil.copyfile(key, path)
