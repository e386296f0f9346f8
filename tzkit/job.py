# SPDX-License-Identifier: MIT
"""One piece of work for one board: where its logs go, which stages it went through."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tzkit.board import Board
from tzkit.boardfile import Emulator
from tzkit.errors import RequestError
from tzkit.process import Runner
from tzkit.store import Store
from tzkit.ui import Step, Ui
from tzkit.workspace import Workspace

RUNS = "runs"
LATEST = "latest"


@dataclass(frozen=True)
class Stage:
    """A finished stage, for the report."""

    name: str
    seconds: float
    cached: bool
    verdict: str


@dataclass
class Job:
    """What the stages share. ``folder`` receives all logs of this piece of work."""

    workspace: Workspace
    board: Board
    ui: Ui
    folder: Path
    install: bool = False
    stages: list[Stage] = field(default_factory=list)
    abort: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.runner = Runner(self.folder / "commands.log")
        self.ui.log_to(self.folder / "tzkit.log")
        if self.board.caveat is not None:
            self.ui.note(self.board.caveat)

    @property
    def out(self) -> Path:
        return self.workspace.board_out(self.board.name)

    @property
    def machine(self) -> Emulator:
        """How the board is emulated. Raises RequestError when it is not."""
        return machine_of(self.board)

    @property
    def store(self) -> Store:
        """Artifacts of this board."""
        return Store(self.out / "build")

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    @contextlib.contextmanager
    def stage(self, name: str, title: str) -> Iterator[StageStep]:
        """One stage: shown to the user, timed, recorded whether it ends well or not."""
        began = time.monotonic()
        verdict = "error"
        shown = StageStep()
        try:
            with self.ui.step(title) as step:
                shown.step = step
                yield shown
                step.result = shown.result or ("unchanged" if shown.cached else "")
            verdict = "pass"
        finally:
            seconds = time.monotonic() - began
            self.stages.append(Stage(name, round(seconds, 3), shown.cached, verdict))


def machine_of(board: Board) -> Emulator:
    """How a board is emulated. Raises RequestError when it is not."""
    if board.emulator is None:
        raise RequestError(
            f"{board.name} cannot be emulated",
            hint="'./inv boards' shows which boards can be; "
            f"'./inv build --board {board.name}' makes what there is for this one",
        )
    return board.emulator


class StageStep:
    """Handed to the block of :meth:`Job.stage`."""

    step: Step
    cached: bool = False
    result: str = ""

    def update(self, text: str) -> None:
        self.step.update(text)


def log_folder(workspace: Workspace, board: Board, name: str) -> Path:
    """Where commands that boot nothing put their logs; each run replaces the last one's."""
    folder = workspace.board_out(board.name) / "logs" / name
    for path in folder.glob("*.log"):
        path.unlink(missing_ok=True)
    return folder


def new_run_folder(workspace: Workspace, board: Board) -> Path:
    """A folder of its own for a run that boots the board; two runs at once get two."""
    runs = workspace.board_out(board.name) / RUNS
    runs.mkdir(parents=True, exist_ok=True)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for number in range(1, 1000):
        folder = runs / (stamp if number == 1 else f"{stamp}-{number}")
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            return folder
    raise RuntimeError(f"a thousand runs within one second in {runs}")


def point_latest(folder: Path) -> None:
    """Make ``out/BOARD/latest`` point to this run, in one step."""
    _link(folder.parent.parent / LATEST, folder)


def link_latest(folder: Path, *files: Path) -> None:
    """Make links to these files in ``folder``, under their names, each in one step."""
    for path in files:
        _link(folder / path.name, path)


def _link(link: Path, target: Path) -> None:
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target.relative_to(link.parent))
    temporary.replace(link)
