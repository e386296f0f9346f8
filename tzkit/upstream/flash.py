# SPDX-License-Identifier: MIT
"""``make flash`` for the boards that have it: its questions are shown, and answered.

What it asks is to be done by hand: jumpers, cables, power. A person presses Enter when it is done;
with ``--yes`` everything is taken to be done already.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from tzkit.advice import advice_for
from tzkit.board import Board
from tzkit.errors import EnvironmentFailed, RequestError
from tzkit.job import Job
from tzkit.terminal import Terminal
from tzkit.upstream.build import variables
from tzkit.upstream.host import environment
from tzkit.upstream.tree import Tree

ANSWER_SECONDS = 1800.0  # between two questions, or the last one and the end

Ask = Callable[[str], None]


def flash_argv(board: Board, release: str) -> list[str]:
    """The make command. Raises RequestError when the board's tree has no such goal."""
    if board.flash.goal is None:
        raise RequestError(
            f"OP-TEE's tree has no goal that flashes {board.name}: {board.flash.how}",
            hint="'./inv boards --board B' says how each board is flashed",
        )
    return ["make", *variables(board, release), board.flash.goal]


def check_flash(board: Board, *, yes: bool, person: bool) -> None:
    """Raises RequestError for what cannot be flashed so, before anything is built.

    ``person``: whether somebody is at the terminal, who is asked unless ``yes``.
    """
    flash_argv(board, "0.0.0")
    unset = [name for name in board.flash.variables if not os.environ.get(name)]
    if unset:
        raise RequestError(
            f"{board.name}: {', '.join(unset)} must be set in the environment",
            hint=f"{unset[0]}=… ./inv flash --board {board.name}; first: {board.flash.how}",
        )
    if not yes and not person:
        raise RequestError(
            f"flashing {board.name} asks to have things done by hand, and nobody is here",
            hint=f"when this is done, add --yes: {board.flash.how}",
        )


def flash(job: Job, tree: Tree, ask: Ask) -> None:
    """Flash the board with what was built.

    ``ask`` shows a question and returns when what it asks for is done. Call from the main thread.
    Raises EnvironmentFailed when make fails.
    """
    board = job.board
    argv = flash_argv(board, tree.release)
    log = job.log("flash")
    log.unlink(missing_ok=True)
    with tree.locked(job.ui):
        terminal = Terminal.start(job.runner, argv, cwd=tree.build, log=log, env=environment())
        try:
            _answer(terminal, board, ask)
            status = terminal.wait(ANSWER_SECONDS, f"make {board.flash.goal}")
            how = terminal.ended()
        finally:
            terminal.stop()
    if status:
        raise EnvironmentFailed(
            f"'make {board.flash.goal}' failed: {how}",
            hint=board.flash.how,
            log=log,
            advice=advice_for(log.read_text(errors="replace"), "flash"),
        )


def _answer(terminal: Terminal, board: Board, ask: Ask) -> None:
    questions = board.flash.questions
    what = f"question or end of 'make {board.flash.goal}'"
    while True:
        found = terminal.expect(questions, timeout=ANSWER_SECONDS, what=what)
        if found is None:
            return
        ask(questions[found])
        terminal.type_line("")
