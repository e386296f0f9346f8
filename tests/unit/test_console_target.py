# SPDX-License-Identifier: MIT
"""Consoles on real sockets: nothing is lost, and every wait ends when the target dies."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tzkit.console import Line, Target, socket_line
from tzkit.errors import TargetDied

PROMPTLY = 0.8  # seconds; 0.3 where nothing else is running
PANIC = "Kernel panic - not syncing: test"
TA_PANIC = "E/TC:? 0 TA panicked with code 0xbeef"
CORE_PANIC = "E/TC:0 0 Panic at core/mm/mm.c:12 <func>"


class Board:
    """The other ends of two serial lines."""

    def __init__(self, folder: Path) -> None:
        ours, theirs = zip(*(socket.socketpair() for _ in range(2)), strict=True)
        self.ours = ours
        self.normal, self.secure = theirs
        self.how: str | None = None
        self.abort = threading.Event()
        self.lines = dict(zip(("normal", "secure"), map(socket_line, ours), strict=True))
        self.target = Target(self.lines, folder, ended=lambda: self.how, abort=self.abort)

    def wait(
        self, timeout: float = 5.0, tolerate: tuple[str, ...] = (), earlier: bool = True
    ) -> str:
        """Wait for a line "ready"."""
        with self.target.console("normal").tap(earlier=earlier) as tap:
            return self.target.wait(
                tap,
                lambda line: line.text if line.text == "ready" else None,
                timeout=timeout,
                what="line 'ready'",
                console="normal",
                tolerate=tolerate,
            )

    def dies(self, after: Callable[[], object], tolerate: tuple[str, ...] = ()) -> TargetDied:
        """The error that ends a wait soon after ``after`` has been called."""
        began: list[float] = []

        def act() -> None:
            began.append(time.monotonic())
            after()

        threading.Timer(0.05, act).start()
        with pytest.raises(TargetDied) as caught:
            self.wait(tolerate=tolerate, earlier=False)
        assert time.monotonic() - began[0] < PROMPTLY
        return caught.value

    def log(self, name: str) -> str:
        return self.target.logs[name].read_text()


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    board = Board(tmp_path)
    with board.target:
        yield board
    for end in (*board.ours, board.normal, board.secure):
        end.close()


def test_wait_returns_what_was_accepted(board: Board) -> None:
    board.normal.sendall(b"one\r\nready\r\n")
    assert board.wait() == "ready"


@pytest.mark.parametrize(
    ("console", "text", "kind"),
    [
        ("normal", PANIC, "kernel-panic"),
        ("secure", CORE_PANIC, "tee-panic"),
        ("secure", TA_PANIC, "ta-panic"),
    ],
)
def test_death_on_any_console_ends_the_wait(
    board: Board, console: str, text: str, kind: str
) -> None:
    error = board.dies(lambda: getattr(board, console).sendall(text.encode() + b"\r\nmore\r\n"))
    assert (error.kind, error.console) == (kind, console)
    assert text in error.message and "line 'ready'" in error.message and "more" in error.message
    assert error.log is not None and text in error.log.read_text()


def test_death_is_explained_by_what_any_console_said(board: Board) -> None:
    def die() -> None:
        board.normal.sendall(b"Initramfs unpacking failed: write error\n")
        board.secure.sendall(b"E/TC:? 0 pgt:341 Page tables are not available\n")
        board.normal.sendall(b"other text\n" * 100 + PANIC.encode() + b"\n")

    error = board.dies(die)
    assert {known.id for known in error.advice} == {"initramfs-unpacking", "page-tables"}
    assert error.advice[0].cause in str(error)


def test_silence_is_explained_too(board: Board) -> None:
    board.normal.sendall(b"TEEC_Opensession failed with code 0xffff000c origin 0x3\n")
    with pytest.raises(TargetDied) as caught:
        board.wait(timeout=0.2)
    assert [known.id for known in caught.value.advice] == ["ta-too-large"]
    told = str(caught.value)
    assert told.index("try a larger --timeout") < told.index("likely cause: ")


def test_death_in_a_line_that_never_ends(board: Board) -> None:
    error = board.dies(lambda: board.normal.sendall(PANIC.encode()))
    assert error.kind == "kernel-panic"
    assert PANIC in board.log("normal")


def test_second_banner_is_a_reset(board: Board) -> None:
    board.normal.sendall(b"U-Boot 2025.01 (x)\nready\n")
    board.wait()
    error = board.dies(lambda: board.normal.sendall(b"U-Boot 2025.01 (x)\n"))
    assert error.kind == "reset"


def test_closed_console_tells_how_the_emulator_ended(board: Board) -> None:
    def crash() -> None:
        board.normal.sendall(b"last words")
        board.normal.close()
        board.how = "killed by SIGSEGV"

    error = board.dies(crash)
    assert error.kind == "emulator-gone"
    assert "killed by SIGSEGV" in error.message
    assert "last words" in error.message


def test_end_of_emulator_without_end_of_file(board: Board) -> None:
    def crash() -> None:
        board.how = "exit status 1"

    assert board.dies(crash).kind == "emulator-gone"


def test_reason_of_the_crash_comes_before_the_crash(board: Board) -> None:
    def crash() -> None:
        board.secure.sendall(CORE_PANIC.encode() + b"\n")
        board.normal.close()
        board.secure.close()

    board.how = None
    assert board.dies(crash).kind == "tee-panic"
    assert [event.kind for event in board.target.events] == ["tee-panic", "emulator-gone"]


def test_backlog_of_one_console_is_read_before_the_end_of_another_counts(board: Board) -> None:
    with board.target._lock:  # nobody reads meanwhile
        board.secure.sendall(b"D/TC:? 0 some trace of the secure world\n" * 3000)
        board.secure.sendall(CORE_PANIC.encode() + b"\n")
        board.normal.close()
        board.target.catch_up()
    assert [event.kind for event in board.target.events] == ["tee-panic", "emulator-gone"]


def test_silence_says_what_was_awaited_and_shows_last_lines(board: Board) -> None:
    board.normal.sendall(b"first\r\nlast, without an end")
    with pytest.raises(TargetDied) as caught:
        board.wait(timeout=0.2)
    error = caught.value
    assert error.kind == "silence"
    assert "no line 'ready' within 0.2 s" in error.message
    assert "first" in error.message and "last, without an end" in error.message
    assert "last, without an end" in board.log("normal")
    assert [event.kind for event in board.target.events] == ["silence"]


def test_chatter_does_not_prolong_the_deadline(board: Board) -> None:
    with board.target.console("normal").tap() as tap:
        began = time.monotonic()

        def one_more(line: Line) -> str | None:
            time.sleep(0.001)
            tap.put(line)
            return "too late" if time.monotonic() - began > 5 else None

        one_more(Line(0.0, "still here"))
        with pytest.raises(TargetDied):
            board.target.wait(tap, one_more, timeout=0.2, what="silence", console="normal")
    assert time.monotonic() - began < 0.2 + PROMPTLY


def test_flood_does_not_hold_up_the_end_of_a_wait(board: Board) -> None:
    quiet = threading.Event()

    def flood() -> None:
        while not quiet.is_set():
            board.normal.sendall(b"D/TC:? 0 the same line again and again\n" * 10)

    thread = threading.Thread(target=flood)
    thread.start()
    began = time.monotonic()
    try:
        with pytest.raises(TargetDied):
            board.wait(timeout=0.2)
    finally:
        quiet.set()
        thread.join()
    assert time.monotonic() - began < 5


def test_abort_ends_the_wait_like_ctrl_c(board: Board) -> None:
    threading.Timer(0.05, board.abort.set).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        board.wait()
    assert time.monotonic() - began < 0.05 + PROMPTLY


def test_tolerated_kinds_are_recorded_only(board: Board) -> None:
    board.secure.sendall(TA_PANIC.encode() + b"\n")
    board.normal.sendall(b"ready\n")
    board.target.catch_up()
    assert board.wait(tolerate=("ta-panic",)) == "ready"
    (event,) = board.target.events
    assert (event.kind, event.console, event.text) == ("ta-panic", "secure", TA_PANIC)
    assert event.tolerated and event.seconds >= 0


def test_tolerance_of_one_kind_hides_no_other(board: Board) -> None:
    board.secure.sendall(TA_PANIC.encode() + b"\n" + CORE_PANIC.encode() + b"\n")
    with pytest.raises(TargetDied) as caught:
        board.wait(tolerate=("ta-panic",))
    assert caught.value.kind == "tee-panic"


def test_dead_stays_dead_but_a_panicked_ta_is_told_once(board: Board) -> None:
    board.secure.sendall(TA_PANIC.encode() + b"\n")
    board.target.catch_up()
    with pytest.raises(TargetDied):
        board.target.check("anything")
    board.target.check("anything")
    board.normal.sendall(PANIC.encode() + b"\n")
    board.target.catch_up()
    for _ in range(2):
        with pytest.raises(TargetDied):
            board.target.check("anything")


def test_lines_are_drained_while_nobody_waits(board: Board) -> None:
    board.secure.settimeout(5)  # a full socket would block QEMU
    block = b"D/TC:? 0 some trace of the secure world 0x12345678\r\n" * 1000
    for _ in range(60):
        board.secure.sendall(block)
    board.normal.sendall(b"ready\n")
    assert board.wait() == "ready"
    board.target.catch_up()
    assert board.log("secure").count("\n") == 60_000


def test_close_flushes_and_is_no_death(board: Board) -> None:
    board.normal.sendall(b"partial")
    board.secure.sendall(b"whole\n")
    board.target.close()
    board.normal.close()
    board.target.close()
    assert "partial" in board.log("normal") and "whole" in board.log("secure")
    assert board.target.events == ()


def test_sending_to_a_dead_target_is_reported_by_the_next_check(board: Board) -> None:
    board.normal.close()
    board.target.send(board.target.console("normal"), "x" * 10)
    with pytest.raises(TargetDied):
        board.target.check("anything")


def test_shared_uart_is_one_console_with_two_names(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    line = socket_line(ours)
    with ours, theirs, Target({"normal": line, "secure": line}, tmp_path, suffix="-b") as target:
        assert target.console("secure") is target.console("normal")
        assert target.logs == dict.fromkeys(("normal", "secure"), tmp_path / "normal-b.log")
        with target.console("secure").tap() as tap:
            theirs.sendall(b"I/TA: hello\n")
            line_seen = tap.next(2)
        assert isinstance(line_seen, Line) and line_seen.text == "I/TA: hello"
        with pytest.raises(KeyError):
            target.console("third")
