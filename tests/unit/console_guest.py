# SPDX-License-Identifier: MIT
"""A stand-in for a board: a real shell on a real pty, a second pty as the secure console.

The programs that suites call (xtest, darknetp) are scripts that play recorded or made-up output
onto both consoles in order, so that Target, Shell and suites run unchanged.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import pty
import re
import subprocess
import threading
import tty
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tzkit.console import Line, Shell, Target, fd_line

DATA = Path(__file__).parent / "data"
_TIMED = re.compile(r"\[ *(\d+\.\d+)\] (.*)")

# One step of a script: what to print, on which console.
Step = tuple[str, str]


def recorded(console: str) -> list[Line]:
    """A console's log of a real run: boot and full xtest of OP-TEE 4.5 under QEMU."""
    text = gzip.decompress((DATA / f"xtest-4.5-{console}.log.gz").read_bytes()).decode()
    matches = [_TIMED.fullmatch(line) for line in text.splitlines()]
    return [Line(float(match[1]), match[2]) for match in matches if match]


def recorded_xtest() -> list[Line]:
    """The output of the one xtest command of that run."""
    lines = recorded("normal")
    first = next(n for n, line in enumerate(lines) if line.text.startswith("Run test suite"))
    last = next(n for n, line in enumerate(lines) if line.text == "TEE test application done!")
    return lines[first : last + 1]


def joined(lines: Iterable[Line | str]) -> str:
    texts = (line if isinstance(line, str) else line.text for line in lines)
    return "".join(f"{text}\n" for text in texts)


class Guest:
    """Owns the shell, both ptys and the folder of scripts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)
        self.normal, slave = pty.openpty()
        self.secure, self._secure_end = pty.openpty()
        tty.setraw(self._secure_end)
        self.secure_path = os.ttyname(self._secure_end)
        environment = {"PATH": f"{self.bin}:/usr/bin:/bin", "PS1": "~ # ", "LC_ALL": "C"}
        self.process = subprocess.Popen(
            ["setsid", "--ctty", "sh", "-i"],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
        )
        os.close(slave)

    def say_secure(self, text: str) -> None:
        os.write(self._secure_end, text.encode())

    def ended(self) -> str | None:
        status = self.process.poll()
        return None if status is None else f"ended with {status}"

    def program(self, name: str, steps: Sequence[Step], *, status: int = 0, last: str = "") -> None:
        """A program that prints ``steps``, runs ``last`` in its shell, ends with ``status``."""
        script = ["#!/bin/sh", '[ "$1" = --clear-storage ] && exit 0']
        for number, (console, text) in enumerate(steps):
            path = self.folder / f"{name}.{number}"
            path.write_text(text)
            where = f" >{self.secure_path}" if console == "secure" else ""
            script.append(f"cat {path}{where}")
        script += [last, f"exit {status}"]
        path = self.bin / name
        path.write_text("\n".join(script) + "\n")
        path.chmod(0o755)

    def power_off(self) -> str:
        """The shell command by which a program takes the whole guest down."""
        return f"kill -9 {self.process.pid}; sleep 60"

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for descriptor in (self.normal, self.secure, self._secure_end):
            with contextlib.suppress(OSError):
                os.close(descriptor)


@contextlib.contextmanager
def booted(
    folder: Path, *, boots: int = 1, abort: threading.Event | None = None
) -> Iterator[tuple[Guest, Shell]]:
    """A guest, and a shell that answers."""
    guest = Guest(folder)
    try:
        lines = {"normal": fd_line(guest.normal), "secure": fd_line(guest.secure)}
        logs = folder / "logs"
        with Target(lines, logs, boots=boots, ended=guest.ended, abort=abort) as target:
            shell = Shell(target)
            shell.login_or_ready(None, timeout=10)
            yield guest, shell
    finally:
        guest.close()
