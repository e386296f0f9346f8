# SPDX-License-Identifier: MIT
"""Habits of old C that newer compilers refuse, and the flags that allow them again.

Code of 2020 was written for compilers that warned at most. A build is tried without any of these
flags; what its log complains of decides which are added. The flags that were needed are told.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tzkit.errors import EnvironmentFailed


@dataclass(frozen=True)
class Allowance:
    """A habit, the line of a build log by which its refusal is known, the flag that allows it."""

    habit: str
    refusal: re.Pattern[str]
    flag: str


def _error(name: str, habit: str) -> Allowance:
    """One that the compiler refuses under the name of a warning."""
    refusal = re.compile(rf"error: .*\[-W(?:error=)?{re.escape(name)}\]")
    return Allowance(habit, refusal, f"-Wno-error={name}")


ALLOWANCES = (
    Allowance("variables defined in headers", re.compile("multiple definition of"), "-fcommon"),
    _error("implicit-function-declaration", "functions that are called and never declared"),
    _error("implicit-int", "declarations without a type"),
    _error("incompatible-pointer-types", "pointers to another type"),
    _error("int-conversion", "pointers and integers that take each other's place"),
    _error("return-mismatch", "return with a value from functions without, or the reverse"),
    _error("declaration-missing-parameter-type", "parameters without a type"),
    _error("strict-prototypes", "functions declared without parameters"),
)


def refused(log: str) -> list[Allowance]:
    """What the compiler and the linker complained of, in the order of the table."""
    return [one for one in ALLOWANCES if one.refusal.search(log)]


def build_old_c(build: Callable[[tuple[str, ...]], None], log: Path) -> tuple[str, ...]:
    """Call ``build`` with more and more flags until it succeeds; return those it needed.

    ``build`` appends to ``log``; so is what is added and why. Raises its error when no further
    flag can help.
    """
    flags: tuple[str, ...] = ()
    while True:
        try:
            build(flags)
        except EnvironmentFailed:
            text = log.read_text(errors="replace") if log.exists() else ""
            added = [one for one in refused(text) if one.flag not in flags]
            if not added:
                raise
            flags += tuple(one.flag for one in added)
            with log.open("a") as stream:
                stream.writelines(f"tzkit: again with {one.flag}: {one.habit}\n" for one in added)
        else:
            return flags
