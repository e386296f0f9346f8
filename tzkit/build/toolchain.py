# SPDX-License-Identifier: MIT
"""The cross compiler of an architecture."""

from __future__ import annotations

from tzkit.process import Runner

PREFIXES = {"arm64": "aarch64-linux-gnu-"}


def compiler_version(arch: str, runner: Runner) -> str:
    """First line of ``gcc --version``: artifacts depend on it."""
    argv = [f"{PREFIXES[arch]}gcc", "--version"]
    return runner.run(argv, what="asking for the compiler's version").splitlines()[0]
