# SPDX-License-Identifier: MIT
"""The fetched binary packages, unpacked into one folder.

It serves as sysroot of the cross compiler, and programs, libraries, kernel, modules and firmware
for the image are taken from it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from tzkit.errors import EnvironmentFailed
from tzkit.parts.debian import Parts
from tzkit.process import Runner
from tzkit.store import Entry, Store
from tzkit.ui import Step

# Debian's file system has these as links into usr; its packages rely on them.
MERGED = ("bin", "lib", "sbin")
MODULES = "usr/lib/modules"
FORMAT = 2


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
            _merge(destination)

        for folder in (destination / MODULES).glob("*"):
            step.update(f"modules of Linux {folder.name}")
            runner.run(["depmod", "-b", destination, folder.name], what="ordering kernel modules")

    return store.get("sysroot", {"format": FORMAT, "parts": parts.binaries_key()}, make)


def _merge(sysroot: Path) -> None:
    """Packages of older releases bring /lib itself, which then takes the link's place."""
    for name in MERGED:
        folder = sysroot / name
        if not folder.is_symlink():
            shutil.copytree(folder, sysroot / "usr" / name, symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(folder)
            folder.symlink_to(f"usr/{name}")


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


def modules_for(sysroot: Path, names: Iterable[str], runner: Runner) -> list[Path]:
    """These kernel modules and all they need, in the order in which they must be inserted.

    What is built into the kernel is left out. Raises EnvironmentFailed for a module that the
    kernel does not have.
    """
    wanted = list(names)
    if not wanted:
        return []
    version = find(sysroot, f"{MODULES}/*").name
    listed = runner.run(
        ["modprobe", "-d", sysroot, "-S", version, "--show-depends", "--all", *wanted],
        what="looking kernel modules up",
        hint="the board file names them; Debian's kernel may have changed",
    )
    lines = [line.split() for line in listed.splitlines()]
    return list(dict.fromkeys(Path(words[1]) for words in lines if words[0] == "insmod"))
