# SPDX-License-Identifier: MIT
"""Sizes in memory, as people write and read them."""

from __future__ import annotations

import re

UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
SHORT = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def parse_size(value: object) -> int:
    """Bytes from a number or from text such as ``"64 KiB"``, ``"4M"`` or ``"0x10000"``.

    Raises ValueError in words.
    """
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError(f"{value!r} is no size; write bytes or, say, '4 MiB'")
    if isinstance(value, int):
        return value
    text = value.strip()
    if re.fullmatch(r"0[xX][0-9a-fA-F]+", text):
        return int(text, 16)
    match = re.fullmatch(r"(\d+)\s*([A-Za-z]*)", text)
    factor = {**UNITS, **SHORT}.get(match[2]) if match else None
    if match is None or factor is None:
        raise ValueError(f"'{value}' is no size; write bytes or a unit of {', '.join(UNITS)}")
    return int(match[1]) * factor


def show_size(size: int) -> str:
    """The size with the largest unit that shows it exactly enough: ``4 MiB``, ``1.5 MiB``."""
    for unit, factor in reversed(UNITS.items()):
        if size >= factor:
            number = f"{size / factor:.1f}".removesuffix(".0")
            return f"{number} {unit}"
    return "0 B"
