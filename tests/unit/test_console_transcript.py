# SPDX-License-Identifier: MIT
"""Bytes become lines, lines become a log."""

from __future__ import annotations

from pathlib import Path

import pytest

from tzkit.console.transcript import LONGEST_LINE, Line, LineSplitter, Transcript, clean

STREAM = (
    b"one\r\ntwo \x1b[1mbold\x1b[0m\r\n\r\nth\xc3\xa9\r\r\n7\x1b7\x1b[r\x1b[999;999H\x1b[6n8\nrest"
)
LINES = ["one", "two bold", "", "thé", "78"]


@pytest.mark.parametrize("size", range(1, 20))
def test_lines_do_not_depend_on_how_the_bytes_arrive(size: int) -> None:
    splitter = LineSplitter()
    pieces = [STREAM[start : start + size] for start in range(0, len(STREAM), size)]
    assert [line for piece in pieces for line in splitter.feed(piece)] == LINES
    assert splitter.partial == "rest"


def test_unfinished_line_can_be_taken_once() -> None:
    splitter = LineSplitter()
    splitter.feed(b"panic: no newli")
    assert splitter.take_partial() == "panic: no newli"
    assert splitter.take_partial() == ""
    assert splitter.feed(b"ne\n") == ["ne"]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"a\tb", "a\tb"),
        (b"2 \x08\x08 1", "2  1"),
        (b"\x00\x07bell\x7f", "bell"),
        (b"\x1b]0;title\x07text", "text"),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_control_characters_are_dropped(raw: bytes, text: str) -> None:
    assert clean(raw) == text


def test_garbage_without_newlines_is_cut_and_lost_nowhere() -> None:
    splitter = LineSplitter()
    lines = splitter.feed(b"x" * (3 * LONGEST_LINE + 5))
    assert [len(line) for line in lines] == [LONGEST_LINE] * 3
    assert splitter.partial == "xxxxx"


def test_log_is_written_line_by_line(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path / "sub" / "normal.log")
    transcript.add(Line(12.3456, "hello"))
    assert transcript.path.read_text() == "[   12.346] hello\n"
    transcript.add(Line(1234.5, "wörld"))
    transcript.close()
    transcript.close()
    assert transcript.path.read_text().splitlines()[1] == "[ 1234.500] wörld"
    assert [line.text for line in transcript.kept] == ["hello", "wörld"]
