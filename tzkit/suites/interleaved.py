# SPDX-License-Identifier: MIT
"""A program's output, freed from the log lines that share its console."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tzkit.console import Line

_LOG_LINE = re.compile(
    r"\[ {0,4}\d+\.\d{6}\](?:\[ *[TC]\d+\])? .*$"  # printk: [   12.345678] text
    r"|\*?[EIDFM]/(?:TC|TA|LD):.*$"  # OP-TEE, where both worlds share one UART
)


def without_log_lines(lines: Iterable[Line]) -> list[Line]:
    """Take log lines out, and put together again the lines they were printed into.

    A log line goes from its start to the end of its line; what the program was printing goes on
    at the start of the next one.
    """
    kept: list[Line] = []
    before = ""
    for line in lines:
        match = _LOG_LINE.search(line.text)
        if match is not None:
            before += line.text[: match.start()]
            continue
        kept.append(Line(line.seconds, before + line.text))
        before = ""
    return kept
