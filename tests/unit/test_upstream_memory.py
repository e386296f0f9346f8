# SPDX-License-Identifier: MIT
"""Page tables for a trusted application, and room for its data, before hours are spent."""

from __future__ import annotations

from pathlib import Path

import pytest

from tzkit.board import Board, load_board
from tzkit.boardfile import UpstreamRun
from tzkit.build.application import TaMemory, check_memory
from tzkit.errors import RequestError
from tzkit.pipeline import BuildOptions
from tzkit.upstream.memory import check_medium, page_table_variable, page_tables
from tzkit.upstream.origin import UpstreamOrigin
from tzkit.upstream.run import run_argv, run_of
from tzkit.workspace import Workspace

KIB, MIB = 1 << 10, 1 << 20
BOARDS = Workspace.of_checkout().boards
DARKNETZ = TaMemory(stack=MIB, heap=10 * MIB)


def board(name: str) -> Board:
    return load_board(BOARDS, name)


@pytest.mark.parametrize(
    ("name", "memory", "entries"),
    [
        # ceil(heap / span) + ceil(stack / span) + 4 parameters + 4 to spare
        ("juno", TaMemory(64 * KIB, 4 * MIB), 2 + 1 + 4 + 4),
        ("juno", DARKNETZ, 5 + 1 + 4 + 4),
        ("stm32mp1", DARKNETZ, 10 + 1 + 4 + 4),
        ("juno", TaMemory(64 * KIB, 4 * MIB + 4096), 3 + 1 + 4 + 4),
        ("hikey", TaMemory(64 * KIB, 4 * MIB), 16),  # never less than its default
    ],
)
def test_page_tables(name: str, memory: TaMemory, entries: int) -> None:
    assert page_tables(board(name).ta, memory) == entries


def test_a_board_gets_the_page_tables_it_needs() -> None:
    options = BuildOptions(ta_heap=DARKNETZ.heap, ta_stack=DARKNETZ.stack)
    with pytest.raises(RequestError, match="page tables"):
        check_memory(board("juno"), DARKNETZ)
    check_memory(UpstreamOrigin().adapt(board("juno"), options), DARKNETZ)


def test_older_releases_have_another_variable() -> None:
    adapted = UpstreamOrigin().adapt(board("juno"), BuildOptions())
    assert page_table_variable(adapted, "4.3.0") == "CFG_PGT_CACHE_ENTRIES=11"
    assert page_table_variable(adapted, "4.2.0") == "CFG_NUM_THREADS=6"


def test_ports_are_named_where_they_can_be() -> None:
    ports = {"normal": 5, "secure": 6}
    newer, older = (run_argv(board("qemu_v8"), r, ports) for r in ("4.2.0", "4.1.0"))
    assert {"QEMU_NW_PORT=5", "QEMU_SW_PORT=6"} <= set(newer)
    assert not [word for word in older if "PORT" in word]
    for argv in (newer, older):
        assert "LAUNCH_TERMINAL=true" in argv and argv[-1] == "run-only"


def test_board_that_the_tree_does_not_run() -> None:
    assert isinstance(run_of(board("qemu_v7")), UpstreamRun)
    with pytest.raises(RequestError, match="does not emulate rpi3") as refused:
        run_of(board("rpi3"))
    assert (
        refused.value.hint is not None
        and "build --board rpi3 --source upstream" in refused.value.hint
    )


# ---- The medium ----


def data(folder: Path, *sizes: int) -> Path:
    for number, size in enumerate(sizes):
        (folder / str(number)).write_bytes(bytes(size))
    return folder


def test_too_much_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="has room for 4 MiB") as refused:
        check_medium(board("hikey"), data(tmp_path, 4 * MIB, 1))
    assert "hikey" in refused.value.message


def test_data_that_fits(tmp_path: Path) -> None:
    check_medium(board("hikey"), data(tmp_path, 4 * MIB))


def test_a_file_system_counts_blocks(tmp_path: Path) -> None:
    """100 MiB of one-byte files, in an ext2 of 100 MiB and one block less."""
    tight = board("stm32mp1").medium.model_copy(update={"limit": 8 * KIB})
    small = board("stm32mp1").model_copy(update={"medium": tight})
    check_medium(small, data(tmp_path, 1, 1))
    with pytest.raises(RequestError, match=r"needs 12 KiB, .* room for 8 KiB"):
        check_medium(small, data(tmp_path, 1, 1, 1))


def test_memory_has_no_limit(tmp_path: Path) -> None:
    check_medium(board("qemu_v8"), data(tmp_path, 20 * MIB))
