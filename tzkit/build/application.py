# SPDX-License-Identifier: MIT
"""Our application: the trusted application for the secure world, darknetp for the normal one."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tzkit.board import Board
from tzkit.boardfile import PAGE
from tzkit.build.toolchain import PREFIXES, compiler_version
from tzkit.errors import RequestError
from tzkit.job import Job
from tzkit.store import Entry, digest_of_tree, write_whole
from tzkit.templates import render
from tzkit.units import show_size
from tzkit.workspace import Workspace

TA_UUID = "7fc5c039-0542-4ee1-80af-b4eab2f1998d"
TA_FILE = f"{TA_UUID}.ta"
OWN_PROPERTIES = {
    "TA_VERSION": '"1.0"',
    "TA_DESCRIPTION": '"tzkit: layers of a neural network in the secure world"',
}
HEADER = "user_ta_header_defines.h"
HEADER_TEMPLATE = f"{HEADER}.j2"
DARKNETP = "darknetp"
RESUME = "tzresume"
CODE_ALLOWANCE = 512 << 10  # code, data and loader of the TA, rounded up


@dataclass(frozen=True)
class TaMemory:
    """What the TA's header promises: bytes of stack and of heap."""

    stack: int
    heap: int


def check_memory(board: Board, memory: TaMemory) -> None:
    """Refuse, before anything is built, a TA that could never be loaded.

    Raises RequestError with the numbers.
    """
    for name, size in (("stack", memory.stack), ("heap", memory.heap)):
        if size <= 0 or size % PAGE:
            raise RequestError(
                f"TA {name} of {size} bytes: it must be a positive multiple of {PAGE}",
                hint=f"near it: {' and '.join(map(str, _multiples_near(size)))}",
            )
    need = memory.stack + memory.heap + CODE_ALLOWANCE
    limits = {
        "of secure memory are left for trusted applications": board.ta_budget,
        "can be mapped by OP-TEE's page tables for one": board.ta_mappable,
    }
    for what, limit in limits.items():
        largest = show_size(limit - memory.stack - CODE_ALLOWANCE)
        if need > limit:
            raise RequestError(
                f"the TA needs {show_size(need)} (stack {show_size(memory.stack)}, heap "
                f"{show_size(memory.heap)}, code up to {show_size(CODE_ALLOWANCE)}), but on "
                f"{board.name} only {show_size(limit)} {what}",
                hint=f"ask for a heap of {largest} or less (--ta-heap)"
                + (", or simulate more with --secure-memory" if board.simulated_memory else ""),
            )


def _multiples_near(size: int) -> list[int]:
    """The positive multiples of PAGE around a size that is none."""
    below = size - size % PAGE
    return [multiple for multiple in (below, below + PAGE) if multiple > 0] or [PAGE]


@dataclass(frozen=True)
class Application:
    """What is put on a board.

    ``ta`` is the signed TA, called as OP-TEE looks for it; ``program`` the program of the normal
    world, found there under all its ``names``, the first of which is its own.
    """

    ta: Path
    program: Path
    names: tuple[str, ...]
    cached: bool


def render_header(
    workspace: Workspace,
    memory: TaMemory,
    *,
    includes: Sequence[str] = ("<darknetp_ta.h>",),
    uuid: str = "DARKNETP_TA_UUID",
    flags: str = "0",
    others: Mapping[str, str] = OWN_PROPERTIES,
) -> str:
    """A TA's user_ta_header_defines.h, our own TA's unless told otherwise.

    ``includes`` are operands of ``#include``, ``others`` further macros with their texts.
    """
    return render(
        workspace.templates,
        HEADER_TEMPLATE,
        includes=includes,
        ta_uuid=uuid,
        ta_stack_size=memory.stack,
        ta_data_size=memory.heap,
        ta_flags=flags,
        others=others,
    )


def ta_argv(board: Board, workspace: Workspace, devkit: str, config: str, output: str) -> list[str]:
    """The make command of the trusted application."""
    return [
        "make", "-C", str(workspace.root / "ta"), f"-j{os.cpu_count() or 1}",
        f"CROSS_COMPILE={PREFIXES[board.ta.arch]}", f"TA_DEV_KIT_DIR={devkit}",
        f"TA_CONFIG_DIR={config}", f"PYTHON3={sys.executable}", f"O={output}",
    ]  # fmt: skip


def host_argv(board: Board, workspace: Workspace, sysroot: str, output: str) -> list[str]:
    """The make command of the normal-world programs."""
    return [
        "make", "-C", str(workspace.root / "host"), f"-j{os.cpu_count() or 1}",
        f"CC={PREFIXES[board.arch]}gcc", f"SYSROOT={sysroot}", f"O={output}",
    ]  # fmt: skip


@dataclass(frozen=True)
class Devkit:
    """A TA dev kit: its folder, and the key of what it came from."""

    path: Path
    key: str


def devkit_of(board: Board, sysroot: Entry, optee: Entry | None) -> Devkit:
    """The dev kit of the OP-TEE that runs on the board: the built one, else Debian's."""
    if optee is not None and board.optee is not None:
        return Devkit(optee.path / board.optee.devkit, f"{optee.key}/{board.optee.devkit}")
    folder = (board.debian and board.debian.devkit) or ""
    return Devkit(sysroot.path / folder, f"{sysroot.key}/{folder}")


def own(ta: Entry, host: Entry) -> Application:
    """Our own application, from its two halves."""
    return Application(
        ta=ta.path / TA_FILE,
        program=host.path / DARKNETP,
        names=(DARKNETP,),
        cached=ta.cached and host.cached,
    )


def build_ta(job: Job, memory: TaMemory, devkit: Devkit) -> Entry:
    """The signed TA, ``TA_FILE`` in the returned entry."""
    board, workspace, log = job.board, job.workspace, job.log("ta")
    header = render_header(workspace, memory)
    inputs = {
        "header": header,
        "sources": digest_of_tree(workspace.root / "ta", workspace.root / "nn"),
        "devkit": devkit.key,
        "compiler": compiler_version(board.ta.arch, job.runner),
    }

    def make(destination: Path) -> None:
        log.unlink(missing_ok=True)
        write_whole(destination / "config" / HEADER, header)
        kit = str(devkit.path)
        argv = ta_argv(board, workspace, kit, str(destination / "config"), str(destination))
        job.runner.run(argv, what="building the trusted application", log=log)

    return job.store.get("ta", inputs, make)


def build_host(job: Job, sysroot: Entry) -> Entry:
    """darknetp and the resume helper, in the returned entry."""
    board, workspace, log = job.board, job.workspace, job.log("host")
    inputs = {
        "sources": digest_of_tree(
            workspace.root / "host", workspace.root / "nn", workspace.root / "ta" / "include"
        ),
        "sysroot": sysroot.key,
        "compiler": compiler_version(board.arch, job.runner),
    }

    def make(destination: Path) -> None:
        log.unlink(missing_ok=True)
        argv = host_argv(board, workspace, str(sysroot.path), str(destination))
        job.runner.run(argv, what="building darknetp", log=log)

    return job.store.get("host", inputs, make)
