# SPDX-License-Identifier: MIT
"""Debian packages unpacked into one folder, whichever release they are of."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tzkit.errors import EnvironmentFailed
from tzkit.parts.debian import Part, Parts
from tzkit.parts.sysroot import find, find_all, unpack
from tzkit.process import Runner
from tzkit.store import Store
from tzkit.ui import QUIET, Step, Ui

CONTROL = "Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b>\nDescription: x\n"


def package(folder: Path, name: str, files: dict[str, str]) -> Part:
    """A real package, as dpkg-deb makes it."""
    tree = folder / f"{name}.tree"
    for path, content in {"DEBIAN/control": CONTROL.format(name=name), **files}.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(content)
    made = folder / f"{name}_1_all.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, made], check=True)
    return Part(name, "1", name, "here", made.name)


@pytest.fixture
def sysroot(tmp_path: Path) -> Path:
    parts = (
        package(tmp_path, "old", {"lib/arm/libc.so.6": "c", "bin/sh": "sh"}),
        package(tmp_path, "new", {"usr/lib/arm/libz.so.1": "z", "usr/bin/tool": "tool"}),
        package(tmp_path, "older", {"lib/arm/libm.so.6": "m"}),
    )
    store = Store(tmp_path / "store")
    return unpack(Parts(tmp_path, "key", parts), store, Runner(), Step(Ui(QUIET), "x")).path


def test_folders_of_all_releases_are_one(sysroot: Path) -> None:
    names = {path.name for path in (sysroot / "usr/lib/arm").iterdir()}
    assert names == {"libc.so.6", "libz.so.1", "libm.so.6"}
    assert {path.name for path in (sysroot / "usr/bin").iterdir()} == {"sh", "tool"}
    assert all((sysroot / name).is_symlink() for name in ("bin", "lib", "sbin"))


def test_one_file_is_found_and_none_or_several_are_told(sysroot: Path) -> None:
    assert find(sysroot, "usr/lib/*/libm.so.*").read_text() == "m"
    with pytest.raises(EnvironmentFailed, match="is missing from"):
        find(sysroot, "usr/lib/*/libx.so")
    with pytest.raises(EnvironmentFailed, match="matches several"):
        find(sysroot, "usr/lib/*/*.so*")
    assert len(find_all(sysroot, "usr/lib/*/*.so*")) == 3
    with pytest.raises(EnvironmentFailed, match="matches nothing"):
        find_all(sysroot, "usr/share/*")
