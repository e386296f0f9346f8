# SPDX-License-Identifier: MIT
"""Programs that want a person at a terminal, given one: what they say is read, and answered."""

from __future__ import annotations

import contextlib
import os
import pty
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from pexpect import EOF, TIMEOUT
from pexpect.fdpexpect import fdspawn

from tzkit.errors import EnvironmentFailed
from tzkit.process import GRACE_SECONDS, Argv, Child, Runner

READ_SIZE = 65536


class Terminal:
    """One program on a pseudo-terminal. Call :meth:`stop` in every ending."""

    def __init__(self, child: Child, master: int, log: Path) -> None:
        self._child = child
        self._master = master
        self.log = log
        self._copy = log.open("ab", buffering=0)
        self._screen: fdspawn[bytes] = fdspawn(master, timeout=None)
        self._screen.logfile_read = self._copy
        self._reader = threading.Thread(target=self._read_on, name=log.stem, daemon=True)

    @classmethod
    def start(
        cls,
        runner: Runner,
        argv: Argv,
        *,
        cwd: Path,
        log: Path,
        env: Mapping[str, str] | None = None,
    ) -> Terminal:
        """Start ``argv``; ``log`` receives everything it says. Call from the main thread."""
        master, slave = pty.openpty()
        try:
            child = runner.start_on_terminal(argv, slave, cwd=cwd, env=env)
        except BaseException:
            os.close(master)
            raise
        finally:
            os.close(slave)
        return cls(child, master, log)

    def expect(self, texts: Sequence[str], *, timeout: float, what: str) -> int | None:
        """Wait for one of ``texts``: its index, or None when the program has ended.

        Raises EnvironmentFailed when neither happens within ``timeout`` seconds; ``what`` is what
        was awaited.
        """
        known: list[bytes | type[EOF] | type[TIMEOUT]] = [EOF, TIMEOUT]
        known += [text.encode() for text in texts]
        found = self._screen.expect_exact(known, timeout=timeout)
        if found == 1:
            raise EnvironmentFailed(f"no {what} within {timeout:.0f} s", log=self.log)
        return None if found == 0 else found - 2

    def type_line(self, text: str) -> None:
        """Type a line; when the program is gone, the next look at it says so."""
        with contextlib.suppress(OSError):
            self._screen.send(text.encode() + b"\r")

    def read_on(self) -> None:
        """From now on read and log by itself, so that the program is never kept waiting."""
        self._reader.start()

    def ended(self, within: float = 0.0) -> str | None:
        """How it ended, with its last words; None when it still runs after ``within`` seconds."""
        how = self._child.ended(within)
        if how is None:
            return None
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return f"{how}: {lines[-1]}" if lines else how

    def wait(self, timeout: float, what: str) -> int:
        """Its exit status. Raises EnvironmentFailed when it does not end within ``timeout`` s."""
        if self._child.ended(timeout) is None:
            raise EnvironmentFailed(f"{what}: no end after {timeout:.0f} s", log=self.log)
        return self._child.wait()

    def stop(self) -> None:
        """End the program and everything it has started."""
        self._child.stop()
        if self._reader.is_alive():
            self._reader.join(GRACE_SECONDS)
        os.close(self._master)
        self._copy.close()

    def _read_on(self) -> None:
        with contextlib.suppress(EOF, OSError):
            while True:
                self._screen.read_nonblocking(READ_SIZE, timeout=None)
