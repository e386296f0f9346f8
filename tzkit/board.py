# SPDX-License-Identifier: MIT
"""Boards: one TOML file describes one target completely, first record of the pipeline.

The models, here and in :mod:`tzkit.boardfile`, are the format. Unknown keys are refused, all
mistakes of a file are told at once, each with the file and the key.
"""

from __future__ import annotations

import difflib
import math
from pathlib import Path

from pydantic import model_validator

from tzkit.boardfile import (
    PAGE,
    Arch,
    Card,
    ConsoleLine,
    ConsoleName,
    Debian,
    DeviceTree,
    Emulator,
    Firmware,
    Flash,
    Kernel,
    Login,
    Medium,
    Optee,
    RootFs,
    SecureMemory,
    SimulatedMemory,
    Source,
    TrustedApplication,
    Upstream,
    Xtest,
)
from tzkit.errors import RequestError
from tzkit.toml import Table, read_toml
from tzkit.units import show_size

# Tables a TA needs beside those of its heap: code, stack, loader, shared memory, misalignment.
SPARE_TABLES = 8


class Board(Table):
    """One target; ``name`` is the file's name."""

    name: str
    title: str
    arch: Arch
    start: str
    secure_memory: SecureMemory
    ta: TrustedApplication
    consoles: dict[ConsoleName, ConsoleLine]
    login: Login
    medium: Medium
    flash: Flash
    debian: Debian | None = None
    optee: Optee | None = None
    firmware: Firmware | None = None
    kernel: Kernel | None = None
    rootfs: RootFs | None = None
    device_tree: DeviceTree | None = None
    card: Card | None = None
    xtest: Xtest | None = None
    emulator: Emulator | None = None
    simulated_memory: SimulatedMemory | None = None
    upstream: Upstream | None = None

    @property
    def ta_budget(self) -> int:
        """Bytes of secure memory that all trusted applications share."""
        return self.secure_memory.size - self.secure_memory.core

    @property
    def ta_mappable(self) -> int:
        """Bytes of virtual memory OP-TEE's page tables can map for one TA.

        Code, heap, stack and shared parameters together; each may begin anywhere in an entry.
        """
        return self.ta.page_table_entries * self.ta.page_table_span

    @property
    def caveat(self) -> str | None:
        """What everybody who uses the board must know."""
        if self.secure_memory.isolated:
            return None
        return (
            f"{show_size(self.secure_memory.size)} of ordinary memory stand in for secure memory, "
            "nothing isolates it"
        )

    @property
    def shared_console(self) -> bool:
        """Whether both worlds print on one line."""
        return len({line.uart for line in self.consoles.values()}) < len(self.consoles)

    @property
    def sources(self) -> tuple[Source, ...]:
        """The source packages of what is built for it."""
        kernel = self.kernel.build if self.kernel else None
        return tuple(p.source for p in (self.optee, self.firmware, kernel) if p is not None)

    @property
    def bootable(self) -> bool:
        """Whether ``--source debian`` makes a whole system for it."""
        return self.debian is not None and self.debian.gives == "system"

    @model_validator(mode="after")
    def consistent(self) -> Board:
        if "normal" not in self.consoles:
            raise ValueError("consoles: a console named 'normal' is needed")
        if self.ta.stack + self.ta.heap > self.ta_budget:
            raise ValueError(
                f"ta: stack and heap need {show_size(self.ta.stack + self.ta.heap)}, the secure "
                f"memory leaves {show_size(self.ta_budget)} for trusted applications"
            )
        return self

    @model_validator(mode="after")
    def debian_is_complete(self) -> Board:
        if self.debian is None:
            return self
        if self.debian.devkit is None and self.optee is None:
            raise ValueError("debian: a devkit in the packages or an [optee] table is needed")
        if self.card is not None and self.device_tree is None:
            raise ValueError("card: a [device_tree] is needed")
        whole = (self.firmware, self.kernel, self.rootfs)
        if self.bootable and None in whole:
            raise ValueError("debian.gives a system: [firmware], [kernel] and [rootfs] are needed")
        return self

    @model_validator(mode="after")
    def emulator_has_what_it_starts(self) -> Board:
        if self.emulator is None:
            return self
        if not self.bootable:
            raise ValueError("emulator: there is no system to emulate, see debian.gives")
        unknown = set(self.emulator.serials) - set(self.consoles)
        if unknown:
            raise ValueError(f"emulator.serials names unknown consoles: {', '.join(unknown)}")
        return self

    @model_validator(mode="after")
    def upstream_runs_what_is_there(self) -> Board:
        run = self.upstream.run if self.upstream else None
        if run is not None and set(run.ports) != set(self.consoles):
            raise ValueError("upstream.run.ports must name a port for each console, and no other")
        return self


def with_secure_memory(board: Board, size: int) -> Board:
    """The same emulated board with ``size`` bytes of simulated secure memory.

    Raises RequestError when the board cannot have so much, or any.
    """
    simulated = board.simulated_memory
    if simulated is None or board.firmware is None:
        raise RequestError(
            f"{board.name} has the secure memory of its hardware, {show_size(board.ta_budget)} "
            "for trusted applications, and no way to simulate more",
            hint="boards that have: those with [simulated_memory] in their file, such as qemu_v8",
        )
    if size % PAGE or not board.secure_memory.size <= size <= simulated.largest:
        raise RequestError(
            f"--secure-memory {show_size(size)}: choose from "
            f"{show_size(board.secure_memory.size)} to {show_size(simulated.largest)}",
            hint="whole pages of 4 KiB, say 64M",
        )
    entries = math.ceil(size / board.ta.page_table_span) + SPARE_TABLES
    values = {"start": f"{simulated.start:#x}", "size": f"{size:#x}", "entries": entries}
    make = tuple(word.format_map(values) for word in simulated.optee.make)
    edits = tuple(
        edit.model_copy(update={"new": edit.new.format_map(values)}) for edit in simulated.edits
    )
    files = {k: v for k, v in board.firmware.files.items() if k not in simulated.optee_files}
    return board.model_copy(
        update={
            "secure_memory": board.secure_memory.model_copy(
                update={"start": simulated.start, "size": size, "isolated": False}
            ),
            "ta": board.ta.model_copy(update={"page_table_entries": entries}),
            "optee": simulated.optee.model_copy(update={"make": make}),
            "firmware": board.firmware.model_copy(
                update={"files": files, "optee_files": simulated.optee_files, "edits": edits}
            ),
        }
    )


def board_names(folder: Path) -> list[str]:
    """The names of all boards, sorted."""
    return sorted(path.stem for path in folder.glob("*.toml"))


def load_board(folder: Path, name: str) -> Board:
    """Read ``folder/NAME.toml``. Raises RequestError: unknown board, or mistakes in the file."""
    names = board_names(folder)
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1)
        guess = f"; did you mean '{close[0]}'?" if close else ""
        raise RequestError(
            f"there is no board '{name}'{guess}",
            hint=f"boards known: {', '.join(names)} (./inv boards)",
        )
    return read_board(folder / f"{name}.toml")


def read_board(path: Path) -> Board:
    """Read one board file. Raises RequestError with every mistake, each with its key."""
    return read_toml(path, Board, name=path.stem)
