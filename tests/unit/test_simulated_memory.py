# SPDX-License-Identifier: MIT
"""``--secure-memory``: what of a board changes, what is refused."""

from __future__ import annotations

import pytest

from tzkit.board import load_board, with_secure_memory
from tzkit.build.application import TaMemory, check_memory
from tzkit.errors import RequestError
from tzkit.workspace import Workspace

BOARD = load_board(Workspace.of_checkout().boards, "qemu_v8")
MIB = 1 << 20
LARGE = TaMemory(stack=65536, heap=32 * MIB)


def test_large_application_fits_only_there() -> None:
    check_memory(with_secure_memory(BOARD, 64 * MIB), LARGE)
    with pytest.raises(RequestError, match="but on qemu_v8 only 13 MiB"):
        check_memory(BOARD, LARGE)


def test_core_and_firmware_are_told_of_the_same_memory() -> None:
    board = with_secure_memory(BOARD, 64 * MIB)
    assert board.optee is not None and board.firmware is not None
    assert board.secure_memory.size == 64 * MIB
    assert not board.secure_memory.isolated and BOARD.secure_memory.isolated
    start, size = f"{board.secure_memory.start:#x}", "0x4000000"
    assert {f"CFG_TZDRAM_START={start}", f"CFG_TZDRAM_SIZE={size}"} <= set(board.optee.make)
    assert [edit.new.split() for edit in board.firmware.edits] == [
        ["#define", "SEC_DRAM_BASE", start],
        ["#define", "SEC_DRAM_SIZE", size],
    ]


def test_firmware_takes_the_core_that_is_built() -> None:
    board = with_secure_memory(BOARD, 64 * MIB)
    assert board.firmware is not None and BOARD.firmware is not None
    assert set(board.firmware.files) == {"bl33"}
    used = {*board.firmware.files, *board.firmware.optee_files}
    assert used == set(BOARD.firmware.files)


def test_page_tables_map_all_of_it() -> None:
    board = with_secure_memory(BOARD, 64 * MIB)
    assert board.optee is not None
    assert board.ta_mappable > 64 * MIB
    assert f"CFG_PGT_CACHE_ENTRIES={board.ta.page_table_entries}" in board.optee.make


def test_its_core_comes_from_source() -> None:
    assert {source.name for source in BOARD.sources} == {"arm-trusted-firmware"}
    board = with_secure_memory(BOARD, 64 * MIB)
    assert {source.name for source in board.sources} == {"arm-trusted-firmware", "optee-os"}


@pytest.mark.parametrize("size", [8 * MIB, 512 * MIB, 64 * MIB + 1])
def test_impossible_sizes_are_refused(size: int) -> None:
    with pytest.raises(RequestError, match="choose from 15 MiB to 256 MiB"):
        with_secure_memory(BOARD, size)


def test_board_without_it_says_so() -> None:
    real = BOARD.model_copy(update={"simulated_memory": None})
    with pytest.raises(RequestError, match="no way to simulate more"):
        with_secure_memory(real, 64 * MIB)
