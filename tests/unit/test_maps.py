# SPDX-License-Identifier: MIT
"""The READMEs beside C sources are maps: each source has its row, and each row its source."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("folder", ["host", "tests/target"])
def test_map_names_every_source(folder: str) -> None:
    text = (ROOT / folder / "README.md").read_text()
    rows = re.findall(r"^\| ((?:`\w+` ?)+)\|", text, re.M)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert {path.stem for path in (ROOT / folder).glob("*.c")} - named == set()
    assert {name for name in named if not list((ROOT / folder).glob(f"{name}.[ch]"))} == set()
