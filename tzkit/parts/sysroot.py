# SPDX-License-Identifier: MIT
"""The fetched binary packages, unpacked into one folder.

It serves as sysroot of the cross compiler, and programs, libraries, kernel and firmware for the
image are taken from it.
"""

from __future__ import annotations

from pathlib import Path

from tzkit.errors import EnvironmentFailed
from tzkit.parts.debian import Parts
from tzkit.process import Runner
from tzkit.store import Entry, Store
from tzkit.ui import Step

# Debian's file system has these as links into usr; its packages rely on them.
MERGED = ("bin", "lib", "sbin")


def unpack(parts: Parts, store: Store, runner: Runner, step: Step) -> Entry:
    """The sysroot of these parts."""

    def make(destination: Path) -> None:
        for name in MERGED:
            (destination / "usr" / name).mkdir(parents=True)
            (destination / name).symlink_to(f"usr/{name}")
        packages = parts.binaries()
        for number, package in enumerate(packages, 1):
            step.update(f"unpacking {number}/{len(packages)}")
            runner.run(
                ["dpkg-deb", "--extract", package, destination], what=f"unpacking {package.name}"
            )

    return store.get("sysroot", {"parts": parts.binaries_key()}, make)


def find(sysroot: Path, pattern: str) -> Path:
    """The one file of the sysroot that matches ``pattern``."""
    found = sorted(sysroot.glob(pattern))
    if len(found) != 1:
        what = "is missing from" if not found else "matches several files of"
        raise EnvironmentFailed(
            f"'{pattern}' {what} the unpacked Debian packages ({sysroot})",
            hint="the board file names it; Debian may have moved it",
        )
    return found[0]


def find_all(sysroot: Path, pattern: str) -> list[Path]:
    """The files that match, at least one."""
    found = sorted(sysroot.glob(pattern))
    if not found:
        raise EnvironmentFailed(
            f"'{pattern}' matches nothing in the unpacked Debian packages ({sysroot})",
            hint="the board file names it; Debian may have moved it",
        )
    return found
