# SPDX-License-Identifier: MIT
"""The errors tzkit raises on purpose, split by whose fault they are.

Every one carries what a person needs: what happened, what to do (``hint``) and where the whole
story is (``log``). ``tasks.py`` turns them into messages and exit codes, in one place; any other
exception is a defect of tzkit and keeps its traceback.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

EXIT_INTERRUPTED = 130
DISK_FULL = "the disk is full; free some space and run the same command again"


class TzkitError(Exception):
    """Base of the family; raise one of the others."""

    exit_code: ClassVar[int]
    label: ClassVar[str]

    def __init__(self, message: str, *, hint: str | None = None, log: Path | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.log = log

    def __str__(self) -> str:
        lines = [f"{self.label}: {self.message}"]
        if self.hint:
            lines.append(f"  what to do: {self.hint}")
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
    ) -> None:
        super().__init__(message, hint=hint, log=log)
        self.kind = kind
        self.console = console
