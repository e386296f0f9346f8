# SPDX-License-Identifier: MIT
"""What ``--dry-run`` shows, for every board and both sources, held by golden files.

After a change that is meant: ``TZKIT_REGENERATE=1 ./inv test``, then read the difference.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tzkit.board import Board, board_names, load_board
from tzkit.commands import Common
from tzkit.errors import RequestError
from tzkit.pipeline import BuildOptions
from tzkit.upstream.origin import UpstreamOrigin
from tzkit.workspace import Workspace

CHECKOUT = Workspace.of_checkout()
GOLDEN = Path(__file__).with_name("golden")
# Not where this machine has them.
WORKSPACE = Workspace(Path("/project"), Path("/project/out"), Path("/cache"))


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """An ordinary user's, with eight processors."""
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(sys, "executable", "/project/.venv/bin/python")


def shown(board: Board, source: str) -> str:
    origin = Common(source=source).origin
    stages: dict[str, Callable[[Workspace, Board], list[str]]] = {
        "fetch": lambda *given: origin.fetch_commands(*given, BuildOptions()),
        "build": lambda *given: origin.build_commands(*given, BuildOptions()),
        "boot": origin.boot_commands,
    }
    if isinstance(origin, UpstreamOrigin):
        stages["flash"] = origin.flash_commands
    try:
        adapted = origin.adapt(board, BuildOptions())
        parts = [[f"[{name}]", *commands(WORKSPACE, adapted)] for name, commands in stages.items()]
    except RequestError as error:
        parts = [[str(error)]]
    return "".join(f"{line}\n" for part in parts for line in part)


@pytest.mark.parametrize("source", ["debian", "upstream"])
@pytest.mark.parametrize("name", board_names(CHECKOUT.boards))
def test_commands_are_as_recorded(name: str, source: str) -> None:
    path = GOLDEN / f"{name}-{source}.txt"
    text = shown(load_board(CHECKOUT.boards, name), source)
    if os.environ.get("TZKIT_REGENERATE"):
        path.write_text(text)
    assert text == path.read_text()


def test_no_golden_file_is_left_over() -> None:
    known = {f"{name}-{source}.txt" for name in board_names(CHECKOUT.boards)
             for source in ("debian", "upstream")}  # fmt: skip
    assert {path.name for path in GOLDEN.iterdir()} == known
