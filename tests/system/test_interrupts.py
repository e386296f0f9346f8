# SPDX-License-Identifier: MIT
"""Ctrl-C, SIGTERM and kill -9 in every stage: quick, honest, and nothing stays behind."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from checkout import BOARD, Checkout, Ended, Task, gone

from tzkit.pipeline import Build
from tzkit.store import MAKING

LIMIT_SECONDS = 5.0
ASKED = (signal.SIGINT, signal.SIGTERM)
USAGE = ("--xtest", "none", "--only", "usage")


def interrupt(checkout: Checkout, task: Task, number: signal.Signals) -> Ended:
    """Interrupt it; what holds for every interrupted task is checked here."""
    below = task.descendants()
    assert below, "nothing was running"
    began = time.monotonic()
    task.signal(number)
    ended = task.end()
    assert time.monotonic() - began < LIMIT_SECONDS
    assert ended.status == 130, ended.text
    assert "interrupted" in ended.text
    for noise in ("Traceback", "Exception ignored", "was destroyed"):
        assert noise not in ended.text, ended.text
    assert gone(below)
    assert checkout.locks_held() == []
    return ended


def assert_reported(checkout: Checkout, board: str, stage: str) -> None:
    report = checkout.report(board)
    assert (report["verdict"], report["exit_code"]) == ("error", 130)
    assert report["error"] == "interrupted"
    assert (report["stages"][-1]["name"], report["stages"][-1]["verdict"]) == (stage, "error")
    assert (checkout.latest(board) / "junit.xml").exists()


def private(tmp_path: Path) -> Mapping[str, str]:
    """Temporary files where the test sees them."""
    return {"XDG_CACHE_HOME": str(tmp_path / "cache"), "TMPDIR": str(tmp_path)}


def files(folder: Path) -> list[Path]:
    """What is there, lock files left out."""
    return [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]


@pytest.mark.parametrize("number", ASKED)
def test_fetch(checkout: Checkout, tmp_path: Path, number: signal.Signals) -> None:
    """While packages travel; that a later fetch starts over is seen in test_environment."""
    task = checkout.start("fetch", env=private(tmp_path))
    task.wait_for_program("/usr/lib/apt/methods/http")
    interrupt(checkout, task, number)
    assert files(tmp_path) == []


def interrupt_build(checkout: Checkout, number: signal.Signals) -> str:
    """Interrupt the compiler of a board with a firmware of its own; returns the board."""
    name = number.name
    board = checkout.derive_board(
        f"interrupted_{name}", ('"PLAT=qemu",', f'"PLAT=qemu", "BUILD_STRING={name}",')
    )
    checkout.lend_build(board, "sysroot", "ta", "host", "base", "dataset", "payload")
    task = checkout.start("qemu-test", *USAGE, "--board", board)
    task.wait_for_program("make")
    interrupt(checkout, task, number)
    assert_reported(checkout, board, "build")
    store = checkout.out(board) / "build"
    assert [*store.glob(f"{MAKING}*"), *store.glob("firmware-*")] == []
    return board


def test_build(checkout: Checkout, built: Build) -> None:
    interrupt_build(checkout, signal.SIGTERM)


def test_build_then_again(checkout: Checkout, built: Build) -> None:
    board = interrupt_build(checkout, signal.SIGINT)
    ended = checkout.run("build", "--board", board)
    assert ended.status == 0, ended.text


@pytest.mark.parametrize("number", ASKED)
def test_boot(checkout: Checkout, built: Build, tmp_path: Path, number: signal.Signals) -> None:
    task = checkout.start("qemu-test", *USAGE, "--cold", env={"TMPDIR": str(tmp_path)})
    task.wait_for_emulator()
    interrupt(checkout, task, number)
    assert_reported(checkout, BOARD, "boot")
    assert files(tmp_path) == []


def test_saving_the_system(checkout: Checkout, built: Build) -> None:
    board = checkout.derive_board("unsaved", ("rdinit=/init", "rdinit=/init loglevel=3"))
    checkout.lend_build(board)
    saved = snapshots(checkout, board)
    task = checkout.start("qemu-test", *USAGE, "--board", board)
    task.wait_for_emulator()
    log = checkout.latest(board) / "normal-save.log"
    task.wait_for(log.exists, "the first boot")
    interrupt(checkout, task, signal.SIGINT)
    assert_reported(checkout, board, "boot")
    assert snapshots(checkout, board) == saved


def snapshots(checkout: Checkout, board: str) -> set[Path]:
    """Saved systems, whole or half."""
    return set((checkout.out(board) / "build").glob("*snapshot-*[!k]"))


@pytest.mark.parametrize("number", ASKED)
@pytest.mark.parametrize(
    ("arguments", "sign"),
    [
        (("--only", "train"), "darknetp train 1/"),
        (("--only", "xtest", "--xtest", "smoke"), "xtest smoke regression_"),
        (("--xtest", "full"), "xtest 2 regression_"),
    ],
)
def test_suites(
    checkout: Checkout, warm: Build, arguments: tuple[str, ...], sign: str, number: signal.Signals
) -> None:
    """One session, and two side by side."""
    task = checkout.start("qemu-test", *arguments)
    task.wait_for_emulator()
    log = checkout.latest() / "tzkit.log"
    task.wait_for(lambda: sign in log.read_text(), sign)
    interrupt(checkout, task, number)
    assert_reported(checkout, BOARD, "suites")


def test_darknetp(checkout: Checkout, warm: Build) -> None:
    train = "classifier train -pp_start 4 -pp_end 10 cfg/digits.dataset cfg/mnist_lenet.cfg"
    task = checkout.start("darknetp", "--", *train.split())
    task.wait_for_emulator()
    interrupt(checkout, task, signal.SIGINT)


def test_killed(checkout: Checkout, warm: Build) -> None:
    """kill -9 of tzkit itself takes QEMU along, and the next run does not mind."""
    task = checkout.start("qemu-test", "--only", "train")
    task.wait_for_emulator()
    below = task.descendants()
    os.kill(task.pid, signal.SIGKILL)
    assert task.end().status == -signal.SIGKILL
    assert gone(below)
    assert checkout.locks_held() == []
    ended = checkout.run("qemu-test", *USAGE)
    assert ended.status == 0, ended.text
