# SPDX-License-Identifier: MIT
"""Boards: one TOML file describes one target completely, first record of the pipeline.

The models below are the format. Unknown keys are refused, all mistakes of a file are told at
once, each with the file and the key.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from tzkit.errors import RequestError
from tzkit.toml import Table, read_toml
from tzkit.units import parse_size, show_size

PAGE = 4096

Size = Annotated[int, BeforeValidator(parse_size), Field(gt=0)]
PageSize = Annotated[int, BeforeValidator(parse_size), Field(gt=0, multiple_of=PAGE)]


class SecureMemory(Table):
    """The memory only the secure world can touch (TZDRAM)."""

    start: Annotated[int, BeforeValidator(parse_size), Field(ge=0, multiple_of=PAGE)]
    size: PageSize
    core: PageSize = Field(description="what OP-TEE itself occupies")

    @model_validator(mode="after")
    def core_fits(self) -> SecureMemory:
        if self.core >= self.size:
            raise ValueError("core takes all of the secure memory, nothing is left for TAs")
        return self


class TrustedApplication(Table):
    """Memory of our trusted application, and what OP-TEE can map for one."""

    stack: PageSize
    heap: PageSize
    page_table_entries: int = Field(gt=0)
    page_table_span: Size


class ConsoleLine(Table):
    """One serial line, by the name suites use for it."""

    serial: int = Field(ge=0, description="order among the emulator's serial lines")
    uart: str


class Debian(Table):
    """What ``--source debian`` takes for this board."""

    suite: str
    packages: tuple[str, ...] = Field(min_length=1)
    sources: tuple[str, ...] = ()
    devkit: str


class Firmware(Table):
    """Trusted Firmware-A, built from Debian's source."""

    source: str
    make: tuple[str, ...] = Field(min_length=1)
    files: dict[str, str]
    output: str


class Kernel(Table):
    image: str
    modules: tuple[str, ...] = ()
    load: tuple[str, ...] = ()

    @model_validator(mode="after")
    def loads_what_it_has(self) -> Kernel:
        missing = [name for name in self.load if name not in self.modules]
        if missing:
            raise ValueError(f"load names modules that are not in modules: {', '.join(missing)}")
        return self


class RootFs(Table):
    programs: tuple[str, ...] = Field(min_length=1)
    trusted_applications: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


class Emulator(Table):
    program: str
    machine: str
    cpu: str
    smp: int = Field(gt=0)
    memory: Size
    arguments: tuple[str, ...] = ()
    kernel_arguments: str
    boot_seconds: float = Field(gt=0)


class Board(Table):
    """One target; ``name`` is the file's name."""

    name: str
    title: str
    arch: Literal["arm64"]
    secure_memory: SecureMemory
    ta: TrustedApplication
    consoles: dict[Literal["normal", "secure"], ConsoleLine]
    debian: Debian
    firmware: Firmware
    kernel: Kernel
    rootfs: RootFs
    emulator: Emulator

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
