# SPDX-License-Identifier: MIT
"""What the user sees. The core says what happens; this module decides how it looks.

Bars and colours only on a terminal; everything said also goes to ``tzkit.log`` of the run.
"""

from __future__ import annotations

import contextlib
import io
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console, RenderableType
from rich.text import Text

QUIET, NORMAL, VERBOSE = range(3)
HEARTBEAT_SECONDS = 30.0


class Ui:
    """Speaks to the terminal and to the log of the run."""

    def __init__(self, level: int = NORMAL) -> None:
        self.level = level
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._log: io.TextIOWrapper | None = None

    def log_to(self, path: Path | None) -> None:
        """From now on, copy everything said to ``path`` too (None: no more)."""
        if self._log is not None:
            with contextlib.suppress(OSError):
                self._log.close()
        self._log = None if path is None else path.open("a", buffering=1, encoding="utf-8")

    def say(self, text: str, style: str = "") -> None:
        """A line every user should see (except with --quiet)."""
        self.note(text)
        if self.level > QUIET:
            self.console.print(Text(text, style=style))

    def warn(self, text: str) -> None:
        """A line every user must see, --quiet or not."""
        self.note(text)
        self.console.print(Text(text, style="yellow"))

    def detail(self, text: str) -> None:
        """A line for --verbose; always in the log."""
        self.note(text)
        if self.level >= VERBOSE:
            self.console.print(Text(text, style="dim"))

    def show(self, thing: RenderableType) -> None:
        """The result the user asked for: a table or a text on standard output, --quiet or not."""
        width = None if sys.stdout.isatty() else 120
        Console(highlight=False, width=width, soft_wrap=isinstance(thing, str)).print(thing)
        if self._log is not None:
            with contextlib.suppress(OSError):
                Console(file=self._log, width=120, highlight=False).print(thing)

    def show_line(self, text: str) -> None:
        """A line of output the user asked for, as it is."""
        print(text, flush=True)
        self.note(text)

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """A piece of work that takes time: a spinner on a terminal, lines elsewhere."""
        if self.level > QUIET and self.console.is_terminal:
            self.note(f"{title} ...")
            with self.console.status(Text(title)) as status:
                step = Step(self, title, lambda text: status.update(Text(f"{title}: {text}")))
                yield step
        else:
            self.say(f"{title} ...")
            step = Step(self, title, self._now_and_then())
            yield step
        step.finish()

    def _now_and_then(self) -> Callable[[str], None]:
        """Prints progress where there is no terminal: everything if verbose, else sometimes."""
        shown = time.monotonic()

        def show(text: str) -> None:
            nonlocal shown
            due = self.level >= VERBOSE or time.monotonic() - shown >= HEARTBEAT_SECONDS
            if self.level > QUIET and due:
                shown = time.monotonic()
                self.console.print(Text(f"  {text}", style="dim"))

        return show

    def note(self, text: str) -> None:
        """A line for the log only. A full disk must not keep the user from being told so."""
        if self._log is not None:
            stamp = time.strftime("%H:%M:%S")
            with contextlib.suppress(OSError):
                self._log.write("".join(f"{stamp} {line}\n" for line in text.splitlines()))


class Step:
    """Handed to the block of :meth:`Ui.step`, to say how far it is and how it went."""

    def __init__(self, ui: Ui, title: str, show: Callable[[str], None] = lambda text: None) -> None:
        self._ui = ui
        self._title = title
        self._show = show
        self._began = time.monotonic()
        self.result = ""

    def update(self, text: str) -> None:
        """How far the work is."""
        self._ui.note(f"  {text}")
        self._show(text)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def finish(self) -> None:
        tail = f": {self.result}" if self.result else ""
        self._ui.say(f"✓ {self._title}{tail} ({self.seconds:.1f} s)", style="green")
