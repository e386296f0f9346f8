# SPDX-License-Identifier: MIT
"""Commands on a target's shell (busybox ash), with their output and exit status.

No prompt is ever trusted. A command is framed by two marker lines that carry a number nobody can
guess; what is typed holds them in two halves, so that no echo can look like one. The end marker
carries the exit status and is printed twice, because a kernel message may land inside the first.
"""

from __future__ import annotations

import re
import secrets
import shlex
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from tzkit.console.target import Target
from tzkit.console.transcript import Line
from tzkit.errors import RequestError, TargetDied

# busybox may be built with a limit of 1024 characters for a line; the markers need 200 of them.
LONGEST_TYPED = 800
PIECE = 150
# How long one attempt to find the shell may take before it is repeated.
ATTEMPT_SECONDS = 2.0
PIECE_SECONDS = 30.0

# How much of a command messages and logs show.
SHOWN = 160

BEGIN, END = "tzkit:begin:", "tzkit:end:"
REFUSALS = ("assword:", "Login incorrect")
INTERRUPT, KILL_LINE = "\x03", "\x15"

# Without echo, ash reads whole lines and leaves the line editing (and its escapes) out.
_SETTINGS = "stty -echo cols 512 rows 64 2>/dev/null; PS1=; PS2="
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")

OnLine = Callable[[Line], None]


@dataclass(frozen=True)
class Completed:
    """A command that came to its end: normalised output, exit status, duration on the target."""

    output: str
    status: int
    seconds: float


class Shell:
    """The shell on one console of a target. One thread at a time."""

    def __init__(self, target: Target, console: str = "normal") -> None:
        self.target = target
        self._name = console
        self._console = target.console(console)

    def login_or_ready(self, ready: str | None, *, timeout: float) -> float:
        """Wait until the target has booted and its shell answers.

        ``ready`` is a text of the line that ends the boot (None: it has booted already, a session
        restored from a snapshot). Returns the seconds from the start of the target to that line.
        """
        deadline = time.monotonic() + timeout
        seconds = self.target.seconds
        if ready is not None:
            seconds = self._await_ready(ready, timeout)
        self._synchronise(deadline - time.monotonic())
        return seconds

    def login(self, prompt: str, user: str, *, timeout: float) -> float:
        """Wait for the login prompt, log in without a password, wait until the shell answers.

        Returns the seconds from the start of the target to the login. Raises TargetDied when the
        target dies, asks for a password or stays silent.
        """
        deadline = time.monotonic() + timeout
        dialogue = _Login(prompt, user, self._type)
        with self._console.tap(earlier=True) as tap:
            seconds = self.target.wait(
                tap,
                dialogue.take,
                timeout=timeout,
                what=f"login prompt '{prompt}'",
                console=self._name,
                meanwhile=lambda: dialogue.look(self._console.partial),
            )
        self._synchronise(deadline - time.monotonic(), self._check_not_refused)
        return seconds

    def _check_not_refused(self, text: str) -> None:
        if any(sign in text for sign in REFUSALS):
            raise TargetDied(
                f"the login was refused: {text.strip()}",
                kind="login",
                console=self._name,
                hint="the board file's [login] names the user, who must have no password",
                log=self.target.logs[self._name],
            )

    def run(
        self,
        command: str,
        *,
        timeout: float,
        on_line: OnLine | None = None,
        tolerate: Collection[str] = (),
    ) -> Completed:
        """Run a command of any length and wait for its end.

        It runs in a subshell without input: ``cd``, ``exit`` and variables do not outlive it.
        ``on_line`` sees each line of its output as it comes. Raises TargetDied when the target
        dies or the end has not come after ``timeout`` seconds, RequestError for control characters.
        """
        if _FORBIDDEN.search(command):
            raise RequestError(f"this command holds control characters: {command!r}")
        self._console.note(Line(self.target.seconds, f"$ {_shortened(command)}"))
        typed = f"( eval {shlex.quote(command)} ) </dev/null"
        if len(typed.encode()) > LONGEST_TYPED:
            typed = self._store_in_pieces(command)
        what = f"end of '{_shortened(command)}'"
        return self._framed(typed, what, timeout, on_line, tolerate)

    def interrupt(self, *, timeout: float = 20.0) -> None:
        """Ctrl-C whatever runs, and wait until the shell answers again."""
        self.target.send(self._console, INTERRUPT)
        self._synchronise(timeout)

    def _await_ready(self, ready: str, timeout: float) -> float:
        with self._console.tap(earlier=True) as tap:
            return self.target.wait(
                tap,
                lambda line: line.seconds if ready in line.text else None,
                timeout=timeout,
                what=f"'{ready}', the end of the boot,",
                console=self._name,
            )

    def _synchronise(
        self, timeout: float, check: Callable[[str], None] = lambda text: None
    ) -> None:
        """Ask until the shell answers: what is typed while it starts may be lost.

        ``check`` sees what comes meanwhile, and raises when it means that no shell will answer.
        """
        questions: list[_Frame] = []
        next_time = 0.0

        def ask() -> None:
            nonlocal next_time
            if time.monotonic() < next_time:
                return
            next_time = time.monotonic() + ATTEMPT_SECONDS
            questions.append(_Frame())
            self._type(f"{KILL_LINE}\n{_SETTINGS}; true; {questions[-1].print_end}")

        def answered(line: Line) -> bool | None:
            check(line.text)
            return any(frame.status_in(line.text) is not None for frame in questions) or None

        with self._console.tap() as tap:
            self.target.wait(
                tap,
                answered,
                timeout=max(timeout, ATTEMPT_SECONDS),
                what="answer from the shell",
                console=self._name,
                meanwhile=ask,
            )

    def _store_in_pieces(self, command: str) -> str:
        """Hand a long command over in a variable, piece by piece; return what runs it.

        Every piece is acknowledged before the next, so that no UART has to hold more than one.
        """
        pieces = [command[start : start + PIECE] for start in range(0, len(command), PIECE)]
        for number, piece in enumerate(pieces):
            before = '"$_tzkit"' if number else ""
            what = f"end of piece {number + 1} of '{_shortened(command)}'"
            self._framed(f"_tzkit={before}{shlex.quote(piece)}", what, PIECE_SECONDS)
        return '( eval "$_tzkit" ) </dev/null'

    def _framed(
        self,
        typed: str,
        what: str,
        timeout: float,
        on_line: OnLine | None = None,
        tolerate: Collection[str] = (),
    ) -> Completed:
        frame = _Frame()
        output = _Output(frame, on_line)
        with self._console.tap() as tap:
            self._type(f"{frame.print_begin}; {typed}; {frame.print_end}")
            status = self.target.wait(
                tap,
                output.take,
                timeout=timeout,
                what=what,
                console=self._name,
                tolerate=tolerate,
            )
        # What the target said before its end marker, on any console, counts against this command.
        self.target.catch_up()
        self.target.check(what, tolerate)
        return Completed(output.text, status, output.seconds)

    def _type(self, text: str) -> None:
        self.target.send(self._console, text + "\n")


class _Login:
    """Answers the login prompt, which ends no line, as often as it shows."""

    def __init__(self, prompt: str, user: str, type_line: Callable[[str], None]) -> None:
        self._prompt = prompt
        self._user = user
        self._type = type_line
        self._next_time = 0.0
        self._answered = False
        self._torn = False

    def look(self, partial: str) -> None:
        """Type the user's name at the prompt; Enter to see one that was printed into."""
        shows = self._prompt in partial
        if not (shows or self._torn) or time.monotonic() < self._next_time:
            return
        self._next_time = time.monotonic() + ATTEMPT_SECONDS
        self._answered = self._answered or shows
        self._torn = False
        self._type(self._user if shows else "")

    def take(self, line: Line) -> float | None:
        """The time of the line in which the prompt and what we answered stand together."""
        if self._prompt not in line.text:
            return None
        if self._answered:
            return line.seconds
        self._torn = True
        return None


class _Frame:
    """The two marker lines around one command."""

    def __init__(self) -> None:
        self.nonce = secrets.token_hex(8)
        self.begin = f"{BEGIN}{self.nonce}"
        self._end = re.compile(rf"{END}{self.nonce}=(\d+)=")
        self._end_torn = f"{END}{self.nonce[:4]}"

    @property
    def print_begin(self) -> str:
        """What to type to get the begin marker; holds it in two halves."""
        return rf"printf '\n%s%s\n' {BEGIN} {self.nonce}"

    @property
    def print_end(self) -> str:
        """What to type to get the end marker twice, with the status of the command before."""
        return r"printf '\n%s%s=%d=\n%s%s=%d=\n'" + f" {END} {self.nonce} $?" * 2

    def status_in(self, text: str) -> int | None:
        match = self._end.search(text)
        return int(match[1]) if match else None

    def ends_torn_in(self, text: str) -> bool:
        """Whether this is an end marker that something was printed into."""
        return self._end_torn in text


class _Output:
    """Collects what comes between the markers of a frame."""

    def __init__(self, frame: _Frame, on_line: OnLine | None) -> None:
        self._frame = frame
        self._on_line = on_line
        self._began: float | None = None
        self._ending = False
        self._lines: list[Line] = []
        self._empty: Line | None = None
        self._ended = 0.0

    def take(self, line: Line) -> int | None:
        """The exit status, once the line is the end marker."""
        status = self._frame.status_in(line.text)
        if status is not None:
            self._ended = line.seconds
            return status
        if self._began is None:
            if self._frame.begin in line.text:
                self._began = line.seconds
        elif self._ending or self._frame.ends_torn_in(line.text):
            self._ending = True
        else:
            self._add(line)
        return None

    def _add(self, line: Line) -> None:
        """An empty line waits for the next: the end marker, which starts with one, may follow."""
        ready = [held for held in (self._empty, line if line.text else None) if held]
        self._empty = None if line.text else line
        for one in ready:
            self._lines.append(one)
            if self._on_line is not None:
                self._on_line(one)

    @property
    def text(self) -> str:
        return "".join(f"{line.text}\n" for line in self._lines)

    @property
    def seconds(self) -> float:
        return self._ended - (self._began if self._began is not None else self._ended)


def _shortened(command: str) -> str:
    """The first line of a command, short enough for a message."""
    first, *rest = command.strip().splitlines() or [""]
    return f"{first[:SHOWN]}..." if rest or len(first) > SHOWN else first
