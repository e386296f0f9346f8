# SPDX-License-Identifier: MIT
"""Serial lines as pexpect objects, whatever carries them, and how to write to slow ones."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TypeAlias

from pexpect import EOF
from pexpect.fdpexpect import fdspawn
from pexpect.socket_pexpect import SocketSpawn
from pexpect.spawnbase import SpawnBase

from tzkit.console.transcript import Line, LineSplitter, Transcript

SerialLine: TypeAlias = "SocketSpawn[bytes] | fdspawn[bytes]"

READ_SIZE = 65536


def socket_line(connected: socket.socket) -> SocketSpawn[bytes]:
    """A line of an emulator: a connected stream socket, which stays the caller's to close."""
    return SocketSpawn(connected, timeout=None)


def fd_line(descriptor: int) -> fdspawn[bytes]:
    """A line of a board: a pty or serial port, already set to raw; stays the caller's to close."""
    return fdspawn(descriptor, timeout=None)


@dataclass(frozen=True)
class Pacing:
    """How fast to type: ``chunk`` bytes, then ``pause`` seconds, for UARTs without flow control."""

    chunk: int = 16
    pause: float = 0.005


class Tap:
    """The lines of a console from the moment it was opened, each handed out once."""

    def __init__(self, earlier: tuple[Line, ...] = ()) -> None:
        self._queue: SimpleQueue[Line] = SimpleQueue()
        for line in earlier:
            self._queue.put(line)

    def put(self, line: Line) -> None:
        self._queue.put(line)

    def next(self, timeout: float) -> Line | None:
        """The next line, or None when there is none within ``timeout`` seconds."""
        try:
            return self._queue.get(timeout=max(timeout, 0.0))
        except Empty:
            return None

    def waiting(self) -> list[Line]:
        """The lines not handed out yet."""
        lines = []
        with contextlib.suppress(Empty):
            while True:
                lines.append(self._queue.get_nowait())
        return lines


class Console:
    """One serial line, under one or (shared UART) several names.

    Reading is the business of the :class:`~tzkit.console.target.Target` that owns it, which holds
    ``lock`` meanwhile; everybody else opens taps and sends.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        serial: SerialLine,
        log: Transcript,
        *,
        pacing: Pacing | None = None,
        lock: AbstractContextManager[object],
    ) -> None:
        self.names = names
        self.log = log
        self.closed = False
        self.received = 0  # bytes so far
        self._lock = lock
        self._serial = serial
        self._pacing = pacing
        self._splitter = LineSplitter()
        self._taps: list[Tap] = []

    @property
    def name(self) -> str:
        return self.names[0]

    @property
    def fileno(self) -> int:
        return self._serial.child_fd

    @property
    def partial(self) -> str:
        """What has come of the line that is not complete yet."""
        return self._splitter.partial

    @contextlib.contextmanager
    def tap(self, *, earlier: bool = False) -> Iterator[Tap]:
        """Listen to the lines from now on; with ``earlier``, to those still kept as well."""
        with self._lock:
            tap = Tap(self.log.kept if earlier else ())
            self._taps.append(tap)
        try:
            yield tap
        finally:
            with self._lock:
                self._taps.remove(tap)

    def note(self, line: Line) -> None:
        """Put a line of ours into the log, which nobody hears."""
        with self._lock:
            self.log.note(line)

    def send(self, text: str) -> None:
        """Type ``text``. Raises OSError when the other end is gone."""
        data = text.encode()
        step = self._pacing.chunk if self._pacing else len(data)
        while data:
            data = data[self._serial.send(data[:step]) :]
            if self._pacing and data:
                time.sleep(self._pacing.pause)

    def read(self, seconds: float) -> list[Line]:
        """Read what is there and return the lines it completed; sets ``closed`` at the end."""
        try:
            data = SpawnBase.read_nonblocking(self._serial, READ_SIZE)
        except (EOF, OSError):
            self.closed = True
            return self.take_partial(seconds)
        self.received += len(data)
        return [self._publish(seconds, text) for text in self._splitter.feed(data)]

    def take_partial(self, seconds: float) -> list[Line]:
        """Treat the unfinished line as finished, because it is the last or says something bad."""
        text = self._splitter.take_partial()
        return [self._publish(seconds, text)] if text else []

    def _publish(self, seconds: float, text: str) -> Line:
        line = Line(seconds, text)
        self.log.add(line)
        for tap in self._taps:
            tap.put(line)
        return line
