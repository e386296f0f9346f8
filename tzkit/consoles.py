# SPDX-License-Identifier: MIT
"""Both consoles of a running board in the user's hands, on one terminal.

The normal world's console is the terminal; lines of the secure world appear between its lines,
marked. Everything also goes to the logs.
"""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import sys
import termios
import tty
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import BinaryIO

from tzkit.session import Session
from tzkit.ui import Ui

LEAVE = b"\x1d"  # Ctrl-], as telnet and virsh do
POLL_SECONDS = 0.1
SECURE_MARK = b"secure| "
INTERACTIVE_SHELL = "stty echo sane; cd {root}; PS1='# '\n"


def hand_over(session: Session, ui: Ui, root: PurePosixPath) -> None:
    """Connect the terminal with a shell in ``root`` until the user leaves or the board ends."""
    logs = session.target.logs
    ui.say(
        f"consoles: normal world here, lines of the secure world marked '{SECURE_MARK.decode()}'\n"
        f"  logs: {logs['normal']}, {logs['secure']}\n"
        "  leave with Ctrl-]"
    )
    terminal = sys.stdout.buffer
    with _shown(session, terminal), _raw_terminal():
        welcome = INTERACTIVE_SHELL.format(root=shlex.quote(str(root)))
        session.target.send(session.target.console("normal"), welcome)
        _forward_keys(session)
    ui.say("\nthe system is being ended")


def _forward_keys(session: Session) -> None:
    keyboard = sys.stdin.fileno()
    console = session.target.console("normal")
    while session.emulator.ended() is None:
        ready, _, _ = select.select([keyboard], [], [], POLL_SECONDS)
        if not ready:
            continue
        typed = os.read(keyboard, 1024)
        before, leave, _ = typed.partition(LEAVE)
        session.target.send(console, before.decode(errors="replace"))
        if leave or not typed:
            return


@contextlib.contextmanager
def _shown(session: Session, terminal: BinaryIO) -> Iterator[None]:
    """Copy what both consoles print to the terminal."""
    session.lines["normal"].logfile_read = terminal
    session.lines["secure"].logfile_read = MarkedLines(terminal)
    try:
        yield
    finally:
        for line in session.lines.values():
            line.logfile_read = None


class MarkedLines:
    """Writes whole lines, each with a mark before it."""

    def __init__(self, terminal: BinaryIO) -> None:
        self._terminal = terminal
        self._partial = b""

    def write(self, data: bytes) -> int:
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._terminal.write(b"\r" + SECURE_MARK + line.rstrip(b"\r") + b"\r\n")
        return len(data)

    def flush(self) -> None:
        self._terminal.flush()


@contextlib.contextmanager
def _raw_terminal() -> Iterator[None]:
    """Hand every key over as it is, Ctrl-C included; the terminal is put back in every ending."""
    if not sys.stdin.isatty():
        yield
        return
    settings = termios.tcgetattr(sys.stdin)
    tty.setraw(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, settings)
