# SPDX-License-Identifier: MIT
"""Changes that a board asks for in a source tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from tzkit.build.source import set_macros
from tzkit.errors import EnvironmentFailed

HEADER = """/* memory */
#define SEC_DRAM_BASE\t\t\t0x0e100000
#define SEC_DRAM_BASE_NAME "dram"
#define SEC_DRAM_SIZE (15 * 1024) /* small */
#define EMPTY
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "plat.h").write_text(HEADER)
    return tmp_path


def test_only_the_named_macros_change(tree: Path) -> None:
    set_macros(tree, {"plat.h": {"SEC_DRAM_BASE": "0x50000000", "SEC_DRAM_SIZE": "0x4000000"}})
    assert (tree / "plat.h").read_text() == (
        HEADER.replace("0x0e100000", "0x50000000").replace("(15 * 1024) /* small */", "0x4000000")
    )


@pytest.mark.parametrize("name", ["SEC_SRAM_BASE", "DRAM_BASE", "EMPTY"])
def test_macro_that_has_no_value_there_is_named(tree: Path, name: str) -> None:
    with pytest.raises(EnvironmentFailed, match=f"plat.h defines {name} 0 times"):
        set_macros(tree, {"plat.h": {name: "1"}})


def test_macro_defined_twice_is_not_guessed(tree: Path) -> None:
    (tree / "plat.h").write_text(HEADER + HEADER)
    with pytest.raises(EnvironmentFailed, match="SEC_DRAM_SIZE 2 times"):
        set_macros(tree, {"plat.h": {"SEC_DRAM_SIZE": "1"}})
