# SPDX-License-Identifier: MIT
"""A booted target: its consoles, drained all the time, and the end of every wait when it dies."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from tzkit.advice import CONSOLES, advice_for
from tzkit.console.console import Console, Pacing, SerialLine, Tap
from tzkit.console.death import EMULATOR_GONE, SILENCE, Event, Watch, sign_in
from tzkit.console.transcript import Line, Transcript
from tzkit.errors import Advice, TargetDied

POLL_SECONDS = 0.05
LAST_WORDS_SECONDS = 0.1
SHOWN_LINES = 12
# Of each console, when the target dies: between a cause early in the boot and its panic.
ADVISED_LINES = 400
# More than the lines can hold unread; a target that never pauses must not keep us reading.
CATCH_UP_BYTES = 1 << 19

_GONE_HINT = "the last lines of both consoles and the log of the emulator tell why"

_T = TypeVar("_T")


class Target:
    """Named consoles of one target; a context manager that drains them while it is open.

    ``lines`` maps names (``normal``, ``secure``) to serial lines; two names of the same object
    are one shared UART. The log of a console is ``logs/NAME.log`` (``suffix`` goes before the
    dot when several targets of a run share the folder). ``boots`` is 1 after a cold start and 0
    for a session restored from a snapshot: a banner more than that is a reset. ``ended`` tells
    how the emulator ended, or None while it runs. ``abort``, once set, ends every wait with
    KeyboardInterrupt. The serial lines stay the caller's to close.
    """

    def __init__(
        self,
        lines: Mapping[str, SerialLine],
        logs: Path,
        *,
        suffix: str = "",
        boots: int = 1,
        pacing: Pacing | None = None,
        ended: Callable[[], str | None] = lambda: None,
        abort: threading.Event | None = None,
    ) -> None:
        self._lock = threading.RLock()
        self._watch = Watch(boots)
        self._ended = ended
        self._abort = abort or threading.Event()
        self._started = time.monotonic()
        self._events: list[Event] = []
        self._judged = 0
        self._closing = threading.Event()
        self._unwritten: OSError | None = None
        self._consoles = tuple(
            Console(
                names,
                serial,
                Transcript(logs / f"{names[0]}{suffix}.log"),
                pacing=pacing,
                lock=self._lock,
            )
            for names, serial in _by_line(lines)
        )
        self._thread = threading.Thread(target=self._keep_drained, name="consoles", daemon=True)

    def __enter__(self) -> Target:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Read what is left, stop draining and close the logs. Harmless when repeated."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()
        with self._lock:
            self.catch_up()
            for console in self._consoles:
                self._take_partial(console)
                console.log.close()

    @property
    def seconds(self) -> float:
        """Since the start of the target."""
        return time.monotonic() - self._started

    @property
    def events(self) -> tuple[Event, ...]:
        """Everything notable so far, tolerated or not, in the order it was seen."""
        with self._lock:
            return tuple(self._events)

    @property
    def logs(self) -> dict[str, Path]:
        """Where each console, by any of its names, is written to."""
        return {name: console.log.path for console in self._consoles for name in console.names}

    def console(self, name: str) -> Console:
        """Raises KeyError for a name the target does not have."""
        for console in self._consoles:
            if name in console.names:
                return console
        raise KeyError(name)

    def wait(
        self,
        tap: Tap,
        accept: Callable[[Line], _T | None],
        *,
        timeout: float,
        what: str,
        console: str,
        tolerate: Collection[str] = (),
        meanwhile: Callable[[], None] = lambda: None,
    ) -> _T:
        """Hand the lines of ``tap`` to ``accept`` until it returns something, and return that.

        Raises TargetDied when the target dies or ``timeout`` seconds pass; ``what`` is what was
        awaited, for the message. Event kinds in ``tolerate`` are recorded and no more.
        ``meanwhile`` is called every POLL_SECONDS or more often.
        """
        deadline = time.monotonic() + timeout
        while True:
            meanwhile()
            self.check(what, tolerate)
            left = deadline - time.monotonic()
            line = tap.next(min(POLL_SECONDS, left))
            found = None if line is None else accept(line)
            if found is not None:
                return found
            if left <= 0:
                raise self._silence(console, what, timeout, tolerate)

    def check(self, what: str, tolerate: Collection[str] = ()) -> None:
        """Raise TargetDied if something fatal was seen that nobody has been told of yet.

        What leaves the target dead is raised by every check from then on. Raises OSError when
        the logs cannot be written any more.
        """
        if self._abort.is_set():
            raise KeyboardInterrupt(f"interrupted while waiting for {what}")
        if self._unwritten is not None:
            raise self._unwritten
        self._notice_end()
        with self._lock:
            while self._judged < len(self._events):
                event = self._events[self._judged]
                tolerated = event.kind in tolerate
                if event.fatal and not tolerated:
                    self._judged += event.recoverable
                    break
                self._events[self._judged] = replace(event, tolerated=tolerated)
                self._judged += 1
            else:
                return
        raise self._death(event, what)

    def catch_up(self) -> None:
        """Read everything the target has written until now, on all consoles."""
        with self._lock:
            enough = self._received() + CATCH_UP_BYTES
            while self._received() < enough and (ready := self._poll(0)):
                for console in ready:
                    for line in console.read(self.seconds):
                        self._look(console, line)
            for console in self._consoles:
                if console.closed:
                    self._gone(console)

    def send(self, console: Console, text: str) -> None:
        """Type on a console; when its other end is gone, the next check says so."""
        try:
            console.send(text)
        except OSError:
            self.catch_up()

    def _keep_drained(self) -> None:
        try:
            self._drain()
        except OSError as error:
            self._unwritten = error

    def _drain(self) -> None:
        while not self._closing.is_set():
            if self._poll(POLL_SECONDS):
                self.catch_up()
            else:
                self._look_at_partials()

    def _poll(self, timeout: float) -> list[Console]:
        """The consoles that have something to read, after ``timeout`` seconds at most."""
        by_fd = {console.fileno: console for console in self._consoles if not console.closed}
        if not by_fd:
            self._closing.wait(timeout)
            return []
        poll = select.poll()
        for descriptor in by_fd:
            poll.register(descriptor, select.POLLIN)
        return [by_fd[descriptor] for descriptor, _ in poll.poll(timeout * 1000)]

    def _received(self) -> int:
        return sum(console.received for console in self._consoles)

    def _look_at_partials(self) -> None:
        """A line that never ends, because the target hangs, may be the one that says why."""
        with self._lock:
            for console in self._consoles:
                if sign_in(console.partial):
                    self._take_partial(console)

    def _take_partial(self, console: Console) -> None:
        for line in console.take_partial(self.seconds):
            self._look(console, line)

    def _look(self, console: Console, line: Line) -> None:
        event = self._watch.look(console.name, line)
        if event is not None:
            self._events.append(event)

    def _notice_end(self) -> None:
        if self._ended() is not None:
            self.catch_up()
            self._gone(self._consoles[0])

    def _gone(self, console: Console) -> None:
        """Record, once, that the emulator or the serial line is no more."""
        with self._lock:
            known = any(event.kind == EMULATOR_GONE for event in self._events)
            if known or self._closing.is_set():
                return
            event = Event(EMULATOR_GONE, console.name, "", self.seconds, "", _GONE_HINT)
            self._events.append(self._told_how(event))

    def _told_how(self, event: Event) -> Event:
        """A console closes a little before the emulator can be asked how it ended."""
        how = self._ended() or "its console was closed"
        return replace(event, text=how, meaning=f"the target is gone ({how})")

    def _death(self, event: Event, what: str) -> TargetDied:
        time.sleep(LAST_WORDS_SECONDS)
        self._finish_lines()
        if event.kind == EMULATOR_GONE:
            with self._lock:
                event = self._events[self._judged] = self._told_how(event)
        return TargetDied(
            f"{event.meaning}, while waiting for {what}\n"
            f"    at {event.seconds:.1f} s on the {event.console} console: {event.text}"
            + self._last_lines(event.console),
            kind=event.kind,
            console=event.console,
            hint=event.hint,
            log=self.logs[event.console],
            advice=self._advice(),
        )

    def _silence(
        self, name: str, what: str, timeout: float, tolerate: Collection[str]
    ) -> TargetDied:
        self._finish_lines()
        self.check(what, tolerate)
        text = f"no {what} within {timeout:g} s"
        event = Event(SILENCE, name, text, self.seconds, text, recoverable=True)
        with self._lock:
            self._events.append(event)
            self._judged = len(self._events)
        return TargetDied(
            f"{text} on the {name} console" + self._last_lines(name),
            kind=SILENCE,
            console=name,
            hint="if the lines show progress, the machine is slow: try a larger --timeout",
            log=self.logs[name],
            advice=self._advice(),
        )

    def _finish_lines(self) -> None:
        with self._lock:
            self.catch_up()
            for console in self._consoles:
                self._take_partial(console)

    def _advice(self) -> tuple[Advice, ...]:
        """What is known of the symptoms that all consoles show."""
        with self._lock:
            shown = [
                line for console in self._consoles for line in console.log.kept[-ADVISED_LINES:]
            ]
        return advice_for("\n".join(line.text for line in shown), *CONSOLES)

    def _last_lines(self, name: str) -> str:
        with self._lock:
            shown = self.console(name).log.kept[-SHOWN_LINES:]
        if not shown:
            return "\n    (nothing came on this console)"
        return "".join(f"\n    {line}" for line in ("its last lines:", *shown))


def _by_line(lines: Mapping[str, SerialLine]) -> list[tuple[tuple[str, ...], SerialLine]]:
    """The distinct lines, each with all its names."""
    distinct = {id(serial): serial for serial in lines.values()}
    return [
        (tuple(name for name, line in lines.items() if line is serial), serial)
        for serial in distinct.values()
    ]
