# SPDX-License-Identifier: MIT
"""``python -m tzkit``: misspelt words are wrong requests, and the nearest right one is named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-m", "tzkit", *words]
    return subprocess.run(
        argv, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("words", "guess"),
    [
        (["qemu-tset"], "'qemu-test'"),
        (["qemu-test", "--xtset", "none"], "'--xtest'"),
        (["zzzzzz"], "./inv --list"),
        (["build", "--timeout", "5"], "Another task has '--timeout'"),
    ],
)
def test_misspelt_words(words: list[str], guess: str) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert guess in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--board", "qemu_v8"], "qemu_v8 is not flashed"),
        (["--board", "hikey"], "--source upstream"),
        (["--board", "imx8mp-evk", "--device", "/dev/null"], "makes no image for imx8mp-evk"),
        (["--board", "rpi3"], "name the device to write to"),
        (["--board", "rpi3", "--device", "/dev/not-there"], "/dev/not-there"),
    ],
)
def test_what_cannot_be_flashed_is_refused_before_a_build(words: list[str], said: str) -> None:
    done = run("flash", *words)
    assert done.returncode == 2
    assert said in done.stderr
    if "name the device" not in said and "not-there" not in said:
        assert run("flash", *words, "--dry-run").returncode == 2


def test_dry_run_of_flash_shows_the_build_too(tmp_path: Path) -> None:
    small = tmp_path / "device"
    small.touch()
    done = run("flash", "--board", "rpi3", "--device", str(small), "--dry-run")
    assert done.returncode == 0
    assert str(small) in done.stdout.splitlines()[-1]
    assert "genimage" in done.stdout


def test_clean_may_be_tried() -> None:
    done = run("clean", "--all", "--dry-run")
    assert done.returncode == 0
    assert "removed /" not in done.stderr


def test_without_words_the_tasks_are_listed_from_any_folder(tmp_path: Path) -> None:
    done = run(cwd=tmp_path)
    assert done.returncode == 0
    assert "qemu-test" in done.stdout


def test_a_reader_that_has_seen_enough() -> None:
    argv = f"{sys.executable} -m tzkit --list | head -1"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["sh", "-c", argv], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert "Traceback" not in done.stderr
