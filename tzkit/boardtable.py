# SPDX-License-Identifier: MIT
"""Boards as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rich.table import Table

from tzkit import doctor
from tzkit.board import Board, board_names, load_board
from tzkit.doctor import Tool
from tzkit.units import show_size

COLUMNS = (
    "board", "what it is", "TA memory", "consoles", "build", "emulate", "upstream", "flash",
)  # fmt: skip


def boards_table(folder: Path) -> Table:
    """Every board: what it is, its memory and consoles, what it can do on this machine."""
    table = Table(title="boards", caption="'./inv boards --board B' shows one whole")
    for column in (
        "board",
        "what it is",
        "TA memory",
        "consoles",
        "build",
        "emulate",
        "upstream",
        "flash",
    ):
        table.add_column(column)
    for name in board_names(folder):
        board = load_board(folder, name)
        table.add_row(
            name,
            board.title,
            show_size(board.ta_budget),
            _consoles(board),
            _build(board),
            _emulate(board),
            _upstream(board),
            board.flash.kind.replace("none", "-"),
        )
    return table


def board_details(board: Board) -> Table:
    """One board whole: every key of its file, and what follows from them."""
    table = Table(title=f"{board.name}: {board.title}", show_header=False)
    table.add_column("key", overflow="fold")
    table.add_column("value", overflow="fold")
    for key, value in _flattened(board.model_dump(exclude={"name", "title"}, exclude_none=True)):
        table.add_row(key, value)
    table.add_section()
    table.add_row("secure memory for TAs", show_size(board.ta_budget))
    table.add_row("mappable by one TA", show_size(board.ta_mappable))
    table.add_row("consoles", _consoles(board))
    table.add_row("build here", _build(board))
    table.add_row("emulate here", _emulate(board))
    table.add_row("with --source upstream", _upstream(board))
    table.add_row("flash", board.flash.how)
    return table


def _consoles(board: Board) -> str:
    names = ", ".join(board.consoles)
    return f"{names} (one line)" if board.shared_console else names


def _build(board: Board) -> str:
    """What ``--source debian`` makes, or what this machine lacks for it."""
    if board.debian is None:
        return "upstream only"
    return _lacking(doctor.tools_for(board, emulate=False)) or board.debian.gives


def _upstream(board: Board) -> str:
    """What OP-TEE's own tree does for it; that needs hours and much of the machine."""
    if board.upstream is None:
        return "-"
    return "build, emulate" if board.upstream.run else "build"


def _emulate(board: Board) -> str:
    if board.emulator is None:
        return "-"
    return _lacking(doctor.tools_for(board, emulate=True)) or "yes"


def _lacking(tools: Iterable[Tool]) -> str:
    """The packages that this machine lacks, for people; empty when it has all."""
    packages = sorted({tool.package for tool in doctor.missing(tools)})
    return f"needs {', '.join(packages)}" if packages else ""


def _flattened(value: object, prefix: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict):
        rows = []
        for key, inner in value.items():
            rows += _flattened(inner, f"{prefix}.{key}" if prefix else str(key))
        return rows
    if isinstance(value, (tuple, list)):
        return [(prefix, " ".join(str(item) for item in value))]
    sized = not prefix.endswith(("speed", "port"))
    if isinstance(value, int) and not isinstance(value, bool) and value >= 4096 and sized:
        return [(prefix, f"{value:#x} ({show_size(value)})")]
    return [(prefix, str(value))]
