# SPDX-License-Identifier: MIT
"""Failures become advice: the catalogue of known symptoms, their causes and cures.

The data is in ``advice.toml``. Whoever raises an error and has the text of a log or a console at
hand looks it up and hands what is known to the error. The README's troubleshooting section is
made from the same data.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field, StringConstraints, model_validator

from tzkit.errors import Advice
from tzkit.toml import Table, read_toml

CATALOGUE = Path(__file__).with_name("advice.toml")
SHOWN = 2  # pieces of advice for one failure, the most specific ones
# Of each line that is looked at: what is longer is a command with all its arguments, and would
# take a search of quadratic time.
LONGEST_LINE = 1000

Place = Literal["host", "fetch", "build", "flash", "boot", "darknetp"]
COMMANDS: tuple[Place, ...] = ("host", "fetch", "build", "flash")  # output of commands here
CONSOLES: tuple[Place, ...] = ("boot", "darknetp")
HEADINGS: dict[Place, str] = {
    "host": "This machine",
    "fetch": "Fetch",
    "build": "Build",
    "flash": "Flash",
    "boot": "Boot",
    "darknetp": "darknetp",
}
# The entries that say that there is no room: trying again or anything else is of no use.
NO_ROOM = frozenset({"tmp-full", "disk-full"})

# A cell of a Markdown table: one line, no bar.
_Cell = Annotated[str, StringConstraints(pattern=r"^[^|\n]+$")]
_Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
_Thread = Annotated[str, StringConstraints(pattern=r"^[\w.-]+/[\w.-]+#\d+$")]


class Entry(Table):
    """A symptom; ``places`` are where it may be seen, the first is its heading in the README."""

    id: _Id
    places: Annotated[tuple[Place, ...], Field(min_length=1)]
    patterns: Annotated[tuple[str, ...], Field(min_length=1)]
    examples: Annotated[tuple[str, ...], Field(min_length=1)]
    symptom: _Cell
    cause: _Cell
    cure: _Cell
    threads: tuple[_Thread, ...] = ()
    covers: tuple[_Id, ...] = ()
    readme: bool = True

    @model_validator(mode="after")
    def _proved(self) -> Entry:
        """Every pattern finds an example, every example is found."""
        found = {
            (pattern, example)
            for pattern in self.patterns
            for example in self.examples
            if _compiled(pattern).search(example)
        }
        unshown = set(self.patterns) - {pattern for pattern, _ in found}
        unfound = set(self.examples) - {example for _, example in found}
        mistakes = [f"no example shows the pattern {pattern}" for pattern in sorted(unshown)]
        mistakes += [f"no pattern finds the example {example!r}" for example in sorted(unfound)]
        if mistakes:
            raise ValueError(f"{self.id}: {'; '.join(mistakes)}")
        return self

    def seen_in(self, text: str) -> bool:
        """Pattern by pattern: twice as fast as all in one, which cannot look for a literal."""
        return any(_compiled(pattern).search(text) for pattern in self.patterns)

    def advice(self) -> Advice:
        """For the terminal, which has no Markdown."""
        return Advice(
            self.id, self.cause.replace("`", "'"), self.cure.replace("`", "'"), self.threads
        )


class Catalogue(Table):
    """All entries, the specific before the general."""

    entry: Annotated[tuple[Entry, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _consistent(self) -> Catalogue:
        ids = [entry.id for entry in self.entry]
        for name, count in Counter(ids).items():
            if count > 1:
                raise ValueError(f"{name}: the id of {count} entries")
        for number, entry in enumerate(self.entry):
            for name in set(entry.covers) - set(ids[number + 1 :]):
                raise ValueError(f"{entry.id}: covers '{name}', which no later entry is")
        return self


def read_catalogue(path: Path) -> Catalogue:
    """Raises RequestError with every mistake of the file."""
    return read_toml(path, Catalogue)


def advice_for(text: str, *places: Place) -> tuple[Advice, ...]:
    """What is known of the symptoms in ``text`` that may be seen in one of ``places``.

    The most specific first, SHOWN at most; text may be a log of megabytes.
    """
    text = "\n".join(line[:LONGEST_LINE] for line in text.splitlines())
    entries = [entry for entry in _catalogue().entry if {*entry.places} & {*places}]
    seen = [entry for entry in entries if entry.seen_in(text)]
    covered = {name for entry in seen for name in entry.covers}
    return tuple(entry.advice() for entry in seen if entry.id not in covered)[:SHOWN]


def no_room(advice: Iterable[Advice]) -> bool:
    """Whether a disk is full."""
    return any(known.id in NO_ROOM for known in advice)


def troubleshooting_table() -> str:
    """The README's section: for each place a heading and a Markdown table."""
    entries = [entry for entry in _catalogue().entry if entry.readme]
    sections = []
    for place in get_args(Place):
        rows = [
            f"| {entry.symptom} | {entry.cause} | {entry.cure} |"
            for entry in entries
            if entry.places[0] == place
        ]
        head = [f"### {HEADINGS[place]}", "", "| symptom | cause | what to do |", "|---|---|---|"]
        sections.append("\n".join([*head, *rows]))
    return "\n\n".join(sections) + "\n"


@functools.cache
def _catalogue() -> Catalogue:
    return read_catalogue(CATALOGUE)


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Raises ValueError for what is no regular expression."""
    try:
        return re.compile(pattern, re.MULTILINE)
    except re.error as error:
        raise ValueError(f"{pattern}: no regular expression ({error})") from error
