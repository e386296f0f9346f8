# SPDX-License-Identifier: MIT
"""The cross compilers, by the architecture they compile for."""

from __future__ import annotations

from collections.abc import Iterable

from tzkit.boardfile import Arch
from tzkit.process import Runner

PREFIXES: dict[Arch, str] = {"arm64": "aarch64-linux-gnu-", "armhf": "arm-linux-gnueabihf-"}
NATIVE = "gcc"
PROCESSORS: dict[Arch, str] = {"arm64": "aarch64", "armhf": "armv7l"}  # as uname and CMake say


def compiler_version(arch: Arch, runner: Runner) -> str:
    """First line of ``gcc --version``: artifacts depend on it."""
    return _version_of(f"{PREFIXES[arch]}gcc", runner)


def native_compiler_version(runner: Runner) -> str:
    """The same of the compiler for this machine."""
    return _version_of(NATIVE, runner)


def _version_of(compiler: str, runner: Runner) -> str:
    said = runner.run([compiler, "--version"], what="asking for the compiler's version")
    return said.splitlines()[0]


def compiler_versions(arches: Iterable[Arch], runner: Runner) -> list[str]:
    """The same for several, each once."""
    return [compiler_version(arch, runner) for arch in sorted(set(arches))]
