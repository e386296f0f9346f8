# SPDX-License-Identifier: MIT
"""Boards as tables for the terminal."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from tzkit import doctor
from tzkit.board import Board, board_names, load_board
from tzkit.units import show_size


def boards_table(folder: Path) -> Table:
    """Every board: what it is, what it can do on this machine, its memory and consoles."""
    table = Table(title="boards")
    for column in ("board", "what it is", "secure memory for TAs", "consoles", "here"):
        table.add_column(column)
    for name in board_names(folder):
        board = load_board(folder, name)
        table.add_row(
            name, board.title, show_size(board.ta_budget), ", ".join(board.consoles), _here(board)
        )
    return table


def board_details(board: Board) -> Table:
    """One board whole: every key of its file, and what follows from them."""
    table = Table(title=f"{board.name}: {board.title}", show_header=False)
    table.add_column("key", overflow="fold")
    table.add_column("value", overflow="fold")
    for key, value in _flattened(board.model_dump(exclude={"name", "title"})):
        table.add_row(key, value)
    table.add_section()
    table.add_row("secure memory for TAs", show_size(board.ta_budget))
    table.add_row("mappable by one TA", show_size(board.ta_mappable))
    table.add_row("here", _here(board))
    return table


def _here(board: Board) -> str:
    if board.debian is None:
        return "build with --source upstream"
    lacking = doctor.missing(doctor.tools_for(board, emulate=True))
    if lacking:
        packages = ", ".join(sorted({tool.package for tool in lacking}))
        return f"needs {packages}"
    return "build, emulate" if board.emulator else "build"


def _flattened(value: object, prefix: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict):
        rows = []
        for key, inner in value.items():
            rows += _flattened(inner, f"{prefix}.{key}" if prefix else str(key))
        return rows
    if isinstance(value, (tuple, list)):
        return [(prefix, " ".join(str(item) for item in value))]
    if isinstance(value, int) and not isinstance(value, bool) and value >= 4096:
        return [(prefix, f"{value:#x} ({show_size(value)})")]
    return [(prefix, str(value))]
