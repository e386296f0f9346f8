# SPDX-License-Identifier: MIT
"""Tests and linters of this project itself."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

from invoke.context import Context

from tzkit import doctor
from tzkit.board import board_names, load_board
from tzkit.job import Job, log_folder
from tzkit.ui import Ui
from tzkit.workspace import Workspace

BOARD = "qemu_v8"
PYTHON = (sys.executable, "-m")


def run_tests(c: Context, *, install: bool, unit: bool, system: bool) -> int:
    """Run the chosen kinds of tests; the first failing kind's exit status, or 0."""
    workspace = Workspace.of_checkout()
    _prepare(workspace, install)
    commands: list[Sequence[str]] = []
    if unit:
        commands.append(("make", "-C", "tests/c", "check"))
        commands.append((*PYTHON, "pytest", "tests/unit"))
    if system:
        commands.append((*PYTHON, "pytest", "tests/system"))
    return _run_all(c, commands)


def run_linters(c: Context) -> int:
    """ruff, formatting, mypy."""
    commands = (
        (*PYTHON, "ruff", "check", "."),
        (*PYTHON, "ruff", "format", "--check", "."),
        (*PYTHON, "mypy"),
    )
    return _run_all(c, commands)


def _prepare(workspace: Workspace, install: bool) -> None:
    """The tests need what every board needs."""
    boards = {name: load_board(workspace.boards, name) for name in board_names(workspace.boards)}
    job = Job(workspace, boards[BOARD], Ui(), log_folder(workspace, boards[BOARD], "test"), install)
    tools = {
        tool: None
        for board in boards.values()
        for tool in doctor.tools_for(board, emulate=True, foreign=True)
    }
    log = job.log("install")
    for wanted in ([*tools, *doctor.DEVELOPMENT], doctor.FUZZING):
        doctor.ensure(wanted, job.runner, job.ui, log, job.install)
    doctor.ensure_optional(doctor.OPTIONAL, job.runner, job.ui, log, job.install)


def _run_all(c: Context, commands: Sequence[Sequence[str]]) -> int:
    """Run all of them in the project's folder, even after a failure; 1 if any failed."""
    with c.cd(str(Workspace.of_checkout().root)):
        done = [c.run(shlex.join(argv), warn=True, in_stream=False) for argv in commands]
    return 0 if all(result is not None and result.ok for result in done) else 1
