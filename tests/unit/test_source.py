# SPDX-License-Identifier: MIT
"""Changes that a board asks for in a source tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from tzkit.boardfile import Edit
from tzkit.build.source import apply_edits
from tzkit.errors import EnvironmentFailed

HEADER = """#define SEC_DRAM_BASE\t0x0e100000
#define SEC_DRAM_SIZE\t0x00f00000
#define TWICE 1
#define TWICE 1
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "plat.h").write_text(HEADER)
    return tmp_path


def edit(old: str, new: str = "", file: str = "plat.h") -> Edit:
    return Edit(file=file, old=old, new=new)


def test_each_edit_changes_its_place_and_nothing_else(tree: Path) -> None:
    apply_edits(tree, [edit("0x0e100000", "0x50000000"), edit("SIZE\t0x00f00000", "SIZE\t1")])
    changed = HEADER.replace("0x0e100000", "0x50000000").replace("0x00f00000", "1")
    assert (tree / "plat.h").read_text() == changed


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (edit("SEC_SRAM_BASE"), "plat.h has 'SEC_SRAM_BASE' 0 times"),
        (edit("#define TWICE 1"), "2 times, not once"),
        (edit("x", file="gone.h"), "gone.h has 'x' 0 times"),
    ],
)
def test_another_version_of_the_source_is_noticed(tree: Path, wrong: Edit, said: str) -> None:
    with pytest.raises(EnvironmentFailed, match=said):
        apply_edits(tree, [wrong])
    assert (tree / "plat.h").read_text() == HEADER
