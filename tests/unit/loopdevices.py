# SPDX-License-Identifier: MIT
"""Real block devices for the tests of flash: plain files behind loop devices."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

MIB = 1 << 20
SECTOR = 512


def call(*argv: str | Path) -> str:
    """Standard output of a command. Skips the test when it is missing or may not do its work."""
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    try:
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        pytest.skip(f"{argv[0]} is not installed")
    if done.returncode:
        pytest.skip(f"{argv[0]} does not work here: {done.stderr.strip()}")
    return done.stdout.strip()


@contextlib.contextmanager
def loop_device(size: int, *options: str) -> Iterator[Path]:
    """A loop device of ``size`` bytes, all of them 0xff; ``options`` are losetup's."""
    with tempfile.NamedTemporaryFile(prefix="tzkit-loop-") as backing:
        backing.write(b"\xff" * size)
        backing.flush()
        device = call("losetup", "--find", "--show", *options, backing.name)
        try:
            yield Path(device)
        finally:
            subprocess.run(["/sbin/losetup", "--detach", device], check=True)


@contextlib.contextmanager
def partition(device: Path) -> Iterator[Path]:
    """A partition of 8 MiB on a loop device that was attached with ``--partscan``."""
    sectors = 8 * MIB // SECTOR
    call("addpart", device, "1", "2048", str(sectors))
    try:
        yield Path(f"{device}p1")
    finally:
        call("delpart", device, "1")


@contextlib.contextmanager
def mounted(device: Path, point: Path) -> Iterator[None]:
    """A fresh ext4 on ``device``, mounted on ``point``."""
    call("mkfs.ext4", "-q", "-F", device)
    point.mkdir()
    call("mount", device, point)
    try:
        yield
    finally:
        call("umount", point)
