# SPDX-License-Identifier: MIT
"""Room for the trusted application: page tables of the core, and the medium its data goes to."""

from __future__ import annotations

import math
from pathlib import Path

from tzkit.board import Board
from tzkit.boardfile import TrustedApplication
from tzkit.build.application import TaMemory
from tzkit.errors import RequestError
from tzkit.units import show_size
from tzkit.upstream.releases import PAGE_TABLE_VARIABLE, since

BLOCK = 4096  # of the ext file systems
PARAMETERS = 4  # memory references of one call, each within one entry
SPARE_TABLES = 4  # code, loader, misalignment, random load address


def page_tables(ta: TrustedApplication, memory: TaMemory) -> int:
    """Entries that OP-TEE's cache of page tables needs for one such application.

    Heap, stack and parameters each begin anywhere in an entry. Never less than the default.
    """
    own = sum(math.ceil(size / ta.page_table_span) for size in (memory.heap, memory.stack))
    return max(own + PARAMETERS + SPARE_TABLES, ta.page_table_entries)


def with_page_tables(board: Board, memory: TaMemory) -> Board:
    """The board with a core that can map this application."""
    ta = board.ta.model_copy(update={"page_table_entries": page_tables(board.ta, memory)})
    return board.model_copy(update={"ta": ta})


def page_table_variable(board: Board, release: str) -> str:
    """The variable that sets it; before 4.3 there were twice as many tables as threads."""
    entries = board.ta.page_table_entries
    if since(release, PAGE_TABLE_VARIABLE):
        return f"CFG_PGT_CACHE_ENTRIES={entries}"
    return f"CFG_NUM_THREADS={math.ceil(entries / 2)}"


def check_medium(board: Board, data: Path) -> None:
    """Raises RequestError when the data cannot fit the medium, before hours are spent on it."""
    sizes = [path.stat().st_size for path in data.rglob("*") if path.is_file()]
    if board.medium.rootfs != "initramfs":
        sizes = [math.ceil(size / BLOCK) * BLOCK for size in sizes]
    room = board.upstream.room if board.upstream else None
    limits = [limit for limit in (room, board.medium.limit) if limit is not None]
    if limits and sum(sizes) > min(limits):
        raise RequestError(
            f"the data set needs {show_size(sum(sizes))}, the root file system of {board.name} "
            f"({board.medium.where}) has room for {show_size(min(limits))} of it",
            hint="use a smaller data set, or bring it to the board another way",
        )
