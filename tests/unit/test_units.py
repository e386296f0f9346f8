# SPDX-License-Identifier: MIT
"""Sizes as people write them."""

from __future__ import annotations

import pytest

from tzkit.units import parse_size, show_size


@pytest.mark.parametrize(
    ("written", "size"),
    [(4096, 4096), ("64 KiB", 65536), ("4M", 4 << 20), ("0x10", 16), ("2 GiB", 2 << 30), ("7", 7)],
)
def test_parse(written: object, size: int) -> None:
    assert parse_size(written) == size


@pytest.mark.parametrize("written", ["", "4 XB", "-1", "1.5 MiB", "MiB", True, 1.5, None, []])
def test_refused(written: object) -> None:
    with pytest.raises(ValueError, match="size"):
        parse_size(written)


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 B"), (1, "1 B"), (65536, "64 KiB"), (4 << 20, "4 MiB"), (3 << 19, "1.5 MiB")],
)
def test_show(size: int, shown: str) -> None:
    assert show_size(size) == shown
