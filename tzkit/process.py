# SPDX-License-Identifier: MIT
"""The one module that starts processes: argument lists, no shell, logged, reaped.

Every child runs in a process group of its own and is told by the kernel (``setpriv
--pdeathsig``) to end when tzkit dies, however tzkit dies.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tzkit.advice import COMMANDS, advice_for, no_room
from tzkit.errors import EnvironmentFailed

GRACE_SECONDS = 5.0
LAST_LINES = 12
# Ordinary users often lack the folders of the administrator's tools, mke2fs among them.
SYSTEM_FOLDERS = "/usr/sbin:/sbin"

Argv = Sequence[str | Path]


def quoted(argv: Argv) -> str:
    """The command as a person would type it."""
    return shlex.join(str(word) for word in argv)


@dataclass(frozen=True)
class Answer:
    """How a program ended and what it said."""

    status: int
    output: str
    errors: str


class Child:
    """A process started by :meth:`Runner.start`; ``stop()`` ends its whole group."""

    def __init__(self, popen: subprocess.Popen[bytes], argv: Argv) -> None:
        self._popen = popen
        self.argv = tuple(str(word) for word in argv)

    @property
    def pid(self) -> int:
        return self._popen.pid

    def ended(self, within: float = 0.0) -> str | None:
        """How it ended, in words, or None when it still runs after ``within`` seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(within)
        status = self._popen.returncode
        if status is None:
            return None
        if status < 0:
            return f"killed by {signal.Signals(-status).name}"
        return f"exit status {status}"

    def wait(self, timeout: float | None = None) -> int:
        return self._popen.wait(timeout)

    def stop(self) -> None:
        """Ask it to end, then make it and its whole group; harmless when they are gone."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            self._signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(GRACE_SECONDS)
                break
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, number)


class Runner:
    """Starts processes and writes each of them into ``commands.log``."""

    def __init__(self, log: Path | None = None) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._started = time.monotonic()

    def run(
        self,
        argv: Argv,
        *,
        what: str,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        log: Path | None = None,
        timeout: float | None = None,
        hint: str | None = None,
        stdin: Path | None = None,
    ) -> str:
        """Run to the end and return standard output; ``log`` receives both streams.

        Standard input is the file ``stdin``, else empty. Raises EnvironmentFailed with
        ``what``, the last lines and what is known of the symptoms in its output when the program
        is missing, fails or passes ``timeout`` seconds; a full disk makes ``hint`` void.
        """
        if log is not None:
            return self._run_logged(argv, what, cwd, env, log, timeout, hint)
        with (stdin or Path(os.devnull)).open("rb") as source:
            popen = self._popen(argv, cwd, env, subprocess.PIPE, subprocess.PIPE, stdin=source)
            with popen:
                output, errors = self._communicate(popen, argv, what, timeout)
        if popen.returncode:
            self._fail(what, popen.returncode, (output + errors).decode(errors="replace"), hint)
        return output.decode(errors="replace")

    def ask(self, argv: Argv, *, what: str) -> Answer:
        """Run a program whose exit status is part of its answer.

        Raises EnvironmentFailed when it is missing or was killed by a signal.
        """
        with Path(os.devnull).open("rb") as source:
            popen = self._popen(argv, None, None, subprocess.PIPE, subprocess.PIPE, stdin=source)
            with popen:
                output, errors = self._communicate(popen, argv, what, None)
        said = errors.decode(errors="replace")
        if popen.returncode < 0:
            self._fail(what, popen.returncode, said, None)
        return Answer(popen.returncode, output.decode(errors="replace"), said)

    def start(
        self,
        argv: Argv,
        *,
        output: IO[bytes],
        env: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> Child:
        """Start and return at once; both streams go to ``output``. The caller owns the child.

        Call from the main thread: the kernel ends the child with the *thread* that started it.
        """
        return Child(self._popen(argv, None, env, output, subprocess.STDOUT, pass_fds), argv)

    def start_on_terminal(
        self, argv: Argv, terminal: int, *, cwd: Path, env: Mapping[str, str] | None = None
    ) -> Child:
        """Start with a terminal, its slave's descriptor, for all streams and to be controlled by.

        Whoever holds the other side ends the program by closing it, even by being killed. Call
        from the main thread; the caller owns the child.
        """
        popen = self._popen(
            argv, cwd, env, terminal, terminal, stdin=terminal, session=("setsid", "--ctty", "--")
        )
        return Child(popen, argv)

    def _run_logged(
        self,
        argv: Argv,
        what: str,
        cwd: Path | None,
        env: Mapping[str, str] | None,
        log: Path,
        timeout: float | None,
        hint: str | None,
    ) -> str:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as stream:
            stream.write(f"$ {quoted(argv)}\n".encode())
            stream.flush()
            with self._popen(argv, cwd, env, stream, subprocess.STDOUT) as popen:
                self._communicate(popen, argv, what, timeout, log)
        text = log.read_text(errors="replace")
        if popen.returncode:
            self._fail(what, popen.returncode, text, hint, log)
        return text

    def _popen(
        self,
        argv: Argv,
        cwd: Path | None,
        env: Mapping[str, str] | None,
        stdout: IO[bytes] | int,
        stderr: IO[bytes] | int,
        pass_fds: Sequence[int] = (),
        stdin: IO[bytes] | int = subprocess.DEVNULL,
        session: Sequence[str] = (),
    ) -> subprocess.Popen[bytes]:
        """Start it, a session leader: by itself, or by the program ``session`` names."""
        words = [str(word) for word in argv]
        path = f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_FOLDERS}"
        if shutil.which(words[0], path=path) is None:
            raise EnvironmentFailed(
                f"the program '{words[0]}' is not installed",
                hint="./inv doctor --install",
            )
        self._note(f"({cwd or Path.cwd()}) $ {quoted(words)}")
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", "--", *session, *words],
            cwd=cwd,
            env={**os.environ, "PATH": path, "LC_ALL": "C.UTF-8", **(env or {})},
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=not session,
            pass_fds=pass_fds,
        )

    def _communicate(
        self,
        popen: subprocess.Popen[bytes],
        argv: Argv,
        what: str,
        timeout: float | None,
        log: Path | None = None,
    ) -> tuple[bytes, bytes]:
        began = time.monotonic()
        try:
            output, errors = popen.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as error:
            Child(popen, argv).stop()
            said = log.read_text(errors="replace") if log else ""
            raise EnvironmentFailed(
                f"{what}: no end after {timeout:.0f} s",
                log=log,
                advice=advice_for(said, *COMMANDS),
            ) from error
        except BaseException:
            Child(popen, argv).stop()
            raise
        name = Path(argv[0]).name
        self._note(f"  {name}: status {popen.returncode}, {time.monotonic() - began:.2f} s")
        return output or b"", errors or b""

    def _note(self, text: str) -> None:
        if self._log is None:
            return
        with self._lock, self._log.open("a") as stream:
            stream.write(f"[{time.monotonic() - self._started:9.3f}] {text}\n")

    @staticmethod
    def _fail(what: str, status: int, text: str, hint: str | None, log: Path | None = None) -> None:
        lines = [line for line in text.splitlines() if line.strip()][-LAST_LINES:]
        shown = "".join(f"\n    {line}" for line in lines)
        advice = advice_for(text, *COMMANDS)
        raise EnvironmentFailed(
            f"{what} failed with status {status}{shown}",
            hint=None if no_room(advice) else hint,
            log=log,
            advice=advice,
        )
