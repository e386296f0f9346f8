# SPDX-License-Identifier: MIT
"""Rendered files: the TA's header and the init script; a missing value is an error."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pytest

from tzkit.board import load_board
from tzkit.build.application import CODE_ALLOWANCE, TaMemory, check_memory, render_header
from tzkit.build.image import READY_TEXT, render_init
from tzkit.errors import RequestError
from tzkit.templates import render
from tzkit.workspace import Workspace

WORKSPACE = Workspace.of_checkout()
BOARD = load_board(WORKSPACE.boards, "qemu_v8")
MIB = 1 << 20


def test_header_carries_the_memory() -> None:
    header = render_header(WORKSPACE, TaMemory(stack=65536, heap=3 * MIB))
    lines = [line.split() for line in header.splitlines() if line.startswith("#define")]
    values = {words[1]: words[2:] for words in lines if len(words) > 2}
    assert "65536" in values["TA_STACK_SIZE"][0]
    assert "3145728" in values["TA_DATA_SIZE"][0]
    assert values["TA_UUID"] == ["DARKNETP_TA_UUID"]


def test_missing_value_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "t.j2").write_text("{{ there }} {{ missing }}")
    with pytest.raises(jinja2.UndefinedError, match="missing"):
        render(tmp_path, "t.j2", there=1)


def test_init_loads_the_modules_and_says_when_it_is_ready() -> None:
    init = render_init(WORKSPACE)
    assert (
        init.index("/etc/modules.boot") < init.index("tee-supplicant -d") < init.index(READY_TEXT)
    )


@pytest.mark.parametrize(
    ("stack", "heap", "said"),
    [
        (65536, 1000, "multiple of 4096"),
        (0, MIB, "multiple of 4096"),
        (65536, -4096, "multiple of 4096"),
        (65536, BOARD.ta_budget, "left for trusted applications"),
    ],
)
def test_memory_that_cannot_be_is_refused(stack: int, heap: int, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        check_memory(BOARD, TaMemory(stack, heap))


def test_memory_that_page_tables_cannot_map_is_refused() -> None:
    few = BOARD.model_copy(update={"ta": BOARD.ta.model_copy(update={"page_table_entries": 4})})
    check_memory(BOARD, TaMemory(65536, 8 * MIB))
    with pytest.raises(RequestError, match="page tables"):
        check_memory(few, TaMemory(65536, 8 * MIB))


def test_the_largest_heap_is_allowed_and_the_next_page_is_not() -> None:
    limit = min(BOARD.ta_budget, BOARD.ta_mappable)
    heap = limit - BOARD.ta.stack - CODE_ALLOWANCE
    check_memory(BOARD, TaMemory(BOARD.ta.stack, heap))
    with pytest.raises(RequestError, match="but on qemu_v8 only"):
        check_memory(BOARD, TaMemory(BOARD.ta.stack, heap + 4096))
