# SPDX-License-Identifier: MIT
"""What tests of ``tzkit.upstream`` share: the stand-in's ``repo`` on PATH, work for a board."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tzkit.board import load_board
from tzkit.job import Job, StageStep
from tzkit.ui import QUIET, Step, Ui
from tzkit.upstream import fetch, host
from tzkit.upstream.tree import Tree, tree_of
from tzkit.workspace import Workspace

STANDIN = Path(__file__).resolve().parents[1] / "standin"
RELEASE = "4.10.0"
ROOMY = host.HostList(disk=1, tools={})


class Work:
    """A job for one board whose tree is the stand-in's."""

    def __init__(self, folder: Path, name: str) -> None:
        root = Workspace.of_checkout().root
        workspace = Workspace(root, folder / "out", folder / "cache")
        board = load_board(workspace.boards, name)
        self.control = folder / "control"
        self.control.mkdir()
        self.job = Job(workspace, board, Ui(QUIET), folder / "run")
        self.tree: Tree = tree_of(workspace, board, RELEASE)

    def stage(self) -> StageStep:
        stage = StageStep()
        stage.step = Step(self.job.ui, "stage")
        return stage

    def fetch(self) -> StageStep:
        """Fetch; tells whether it was there."""
        stage = self.stage()
        fetch.fetch(self.job, self.tree, None, stage)
        return stage


Worker = Callable[[str], Work]


def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Worker:
    """Work for boards on a machine that has ``repo`` and room."""
    monkeypatch.setenv("PATH", f"{STANDIN}:{os.environ['PATH']}")
    monkeypatch.setenv("STANDIN", str(STANDIN))
    monkeypatch.setenv("STANDIN_CONTROL", str(tmp_path / "control"))
    monkeypatch.setattr(host, "host_list", lambda: ROOMY)
    monkeypatch.setattr(fetch, "PAUSE_SECONDS", 0.0)
    return lambda name: Work(tmp_path, name)
