# SPDX-License-Identifier: MIT
"""The errors tzkit raises on purpose, split by whose fault they are.

Every one carries what a person needs: what happened, what to do (``hint``), what is known of the
symptoms that were seen (``advice``) and where the whole story is (``log``). ``tasks.py`` turns
them into messages and exit codes, in one place; any other exception is a defect of tzkit and
keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

EXIT_INTERRUPTED = 130
DISK_FULL = "the disk is full; free some space and run the same command again"


@dataclass(frozen=True)
class Advice:
    """What the catalogue (``tzkit.advice``) knows of a symptom; ``threads`` discuss it."""

    id: str
    cause: str
    cure: str
    threads: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """For people."""
        lines = [f"likely cause: {self.cause}", f"what to do: {self.cure}"]
        return [*lines, f"see: {', '.join(self.threads)}"] if self.threads else lines


class TzkitError(Exception):
    """Base of the family; raise one of the others."""

    exit_code: ClassVar[int]
    label: ClassVar[str]

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        log: Path | None = None,
        advice: Sequence[Advice] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.log = log
        self.advice = tuple(advice)

    def __str__(self) -> str:
        lines = [f"{self.label}: {self.message}"]
        if self.hint:
            lines.append(f"  what to do: {self.hint}")
        lines += [f"  {line}" for advice in self.advice for line in advice.lines()]
        if self.log:
            lines.append(f"  full log: {self.log}")
        return "\n".join(lines)


class CheckFailed(TzkitError):
    """A suite ran and its result is wrong."""

    exit_code = 1
    label = "test failed"


class RequestError(TzkitError):
    """The user asked for what cannot be: unknown board, bad file, impossible partition."""

    exit_code = 2
    label = "request"


class EnvironmentFailed(TzkitError):
    """This machine let us down: network, missing tool, disk, emulator that does not start."""

    exit_code = 3
    label = "environment"


class TargetDied(TzkitError):
    """The booted system crashed, reset, hung or went silent.

    ``kind`` is the machine-readable cause (``kernel-panic``, ``tee-panic``, ``ta-panic``,
    ``reset``, ``emulator-gone``, ``silence`` ...), ``console`` the line it was seen on.
    """

    exit_code = 4
    label = "target died"

    def __init__(
        self,
        message: str,
        *,
        kind: str,
        console: str = "normal",
        hint: str | None = None,
        log: Path | None = None,
        advice: Sequence[Advice] = (),
    ) -> None:
        super().__init__(message, hint=hint, log=log, advice=advice)
        self.kind = kind
        self.console = console
