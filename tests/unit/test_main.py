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
    ],
)
def test_misspelt_words(words: list[str], guess: str) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert guess in done.stderr
    assert "Traceback" not in done.stderr


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
