# SPDX-License-Identifier: MIT
"""From the bytes of a serial line to clean lines with times, and into a log file."""

from __future__ import annotations

import re
from collections import deque
from pathlib import Path
from typing import NamedTuple

KEPT_LINES = 4000
LONGEST_LINE = 65536

_ESCAPES = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC: window titles
    r"|\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor, "where is the cursor?"
    r"|\x1b[ -/]*[0-~]"  # the two-character ones: save cursor, character sets
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class Line(NamedTuple):
    """A line of a console, without its end, ``seconds`` after the start of the target."""

    seconds: float
    text: str

    def __str__(self) -> str:
        return f"[{self.seconds:9.3f}] {self.text}"


def clean(raw: bytes) -> str:
    """The text of a line: no carriage returns, escape sequences or control characters but tab."""
    return _CONTROLS.sub("", _ESCAPES.sub("", raw.decode("utf-8", errors="replace")))


class LineSplitter:
    """Cuts a stream of bytes, arriving in any pieces, into clean lines.

    What never ends in a newline is cut at LONGEST_LINE bytes, so that a target sending garbage
    costs neither memory nor time.
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """The lines completed by ``data``."""
        *complete, self._rest = (self._rest + data).split(b"\n")
        while len(self._rest) > LONGEST_LINE:
            complete.append(self._rest[:LONGEST_LINE])
            self._rest = self._rest[LONGEST_LINE:]
        return [clean(line) for line in complete]

    @property
    def partial(self) -> str:
        """What has come of the line that is not complete yet."""
        return clean(self._rest)

    def take_partial(self) -> str:
        """Declare the unfinished line finished and return it, empty when there is none."""
        text, self._rest = self.partial, b""
        return text


class Transcript:
    """The log file of one console, written line by line, and its last lines in memory."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = path.open("w", buffering=1, encoding="utf-8")
        self._kept: deque[Line] = deque(maxlen=KEPT_LINES)

    def add(self, line: Line) -> None:
        self._kept.append(line)
        self._file.write(f"{line}\n")

    def note(self, line: Line) -> None:
        """A line of ours, for whoever reads the file: a command, which the target did not echo."""
        self._file.write(f"{line}\n")

    @property
    def kept(self) -> tuple[Line, ...]:
        """The last KEPT_LINES lines."""
        return tuple(self._kept)

    def close(self) -> None:
        """Harmless when repeated."""
        self._file.close()
