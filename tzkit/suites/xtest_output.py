# SPDX-License-Identifier: MIT
"""What xtest prints, read into records. Knows nothing of targets and judges nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from tzkit.console import Line
from tzkit.suites.interleaved import without_log_lines

Status = Literal["pass", "fail", "unfinished"]

_CASE = re.compile(r"\* (\w+) (.*)")
_SUBCASE = re.compile(r"o (\w+(?:\.\d+)+)(?: .*)?")
_END = re.compile(r" {2}(\w+(?:\.\d+)*) (OK|FAILED)")
_MISMATCH = re.compile(r"\S+\.[ch]p{0,2}:\d+: .*")
_SUITE = re.compile(r'Result of testsuite (\S+?)(?: filtered by "(.*)")?:')
_LISTED = re.compile(r"(\w+) (OK|FAILED)(?: first error at (.*))?")
_SUBTESTS = re.compile(r"(\d+) subtests? of which (\d+) failed")
_CASES = re.compile(r"(\d+) test cases? of which (\d+) failed")
_SKIPPED = re.compile(r"(\d+) test cases? (?:was|were) skipped")
_DONE = "TEE test application done!"
_RULE = re.compile(r"\+-+")


@dataclass(frozen=True)
class Case:
    """A test case: how it ended, how long it took, and what it said when it failed."""

    name: str
    title: str
    status: Status
    seconds: float | None = None
    failure: str = ""


@dataclass(frozen=True)
class Count:
    """``total`` of which ``failed``."""

    total: int
    failed: int


@dataclass(frozen=True)
class XtestOutput:
    """One run of xtest: the cases as they ran, the closing list, the closing counts.

    ``listed`` maps a name to "" for OK and to the place of the first error otherwise. ``oddities``
    are places where the output contradicts itself, in words.
    """

    cases: tuple[Case, ...]
    suite: str | None
    listed: dict[str, str]
    subtests: Count | None
    test_cases: Count | None
    skipped: int | None
    done: bool
    oddities: tuple[str, ...]


def case_name(text: str) -> str | None:
    """The name of the case that begins with this line, if one does."""
    match = _CASE.fullmatch(text)
    return match[1] if match else None


def read_output(lines: Iterable[Line]) -> XtestOutput:
    """Read the output of one run, complete or not."""
    reader = _Reader()
    for line in without_log_lines(lines):
        reader.take(line)
    return reader.result()


class _Reader:
    """First the cases as they run, then, from "Result of testsuite" on, the closing part."""

    def __init__(self) -> None:
        self._cases = _RunningCases()
        self._closing: _Closing | None = None

    def take(self, line: Line) -> None:
        if self._closing is None and _SUITE.fullmatch(line.text):
            self._cases.close("the closing list")
            self._closing = _Closing()
        if self._closing is None:
            self._cases.take(line)
        else:
            self._closing.take(line.text)

    def result(self) -> XtestOutput:
        self._cases.close("the end of the output")
        closing = self._closing or _Closing()
        return XtestOutput(
            cases=tuple(self._cases.finished),
            suite=closing.suite,
            listed=closing.listed,
            subtests=closing.subtests,
            test_cases=closing.test_cases,
            skipped=closing.skipped,
            done=closing.done,
            oddities=(*self._cases.oddities, *closing.oddities),
        )


class _RunningCases:
    """Follows cases and subcases, which are properly nested and numbered without gaps."""

    def __init__(self) -> None:
        self.finished: list[Case] = []
        self.oddities: list[str] = []
        self._open: list[str] = []
        self._children: Counter[str] = Counter()
        self._title = ""
        self._began = 0.0
        self._failure: list[str] = []

    def take(self, line: Line) -> None:
        if match := _CASE.fullmatch(line.text):
            self._begin_case(match[1], match[2], line.seconds)
        elif match := _SUBCASE.fullmatch(line.text):
            self._begin_subcase(match[1])
        elif match := _END.fullmatch(line.text):
            self._end(match[1], match[2] == "OK", line.seconds)
        elif _MISMATCH.fullmatch(line.text):
            self._failure.append(line.text)

    def close(self, successor: str) -> None:
        """Nothing may be open when ``successor`` comes."""
        if not self._open:
            return
        self.oddities.append(f"{self._open[-1]} had not ended when {successor} came")
        self._add(self._open[0], "unfinished", None)

    def _begin_case(self, name: str, title: str, seconds: float) -> None:
        self.close(name)
        self._open, self._title, self._began = [name], title, seconds
        self._failure = []

    def _begin_subcase(self, name: str) -> None:
        parent, _, number = name.rpartition(".")
        self._children[parent] += 1
        if not self._open or self._open[-1] != parent:
            self.oddities.append(f"{name} began outside of {parent}")
        elif int(number) != self._children[parent]:
            self.oddities.append(f"{name} came where {parent}.{self._children[parent]} was due")
        self._open.append(name)

    def _end(self, name: str, ok: bool, seconds: float) -> None:
        if not self._open or self._open[-1] != name:
            self.oddities.append(f"{name} ended without having begun")
            return
        if len(self._open) > 1:
            self._open.pop()
            if not ok:
                self._failure.append(f"{name} FAILED")
            return
        passed = ok and not self._failure
        if ok and self._failure:
            self.oddities.append(f"{name} is called OK after {self._failure[0]}")
        self._add(name, "pass" if passed else "fail", seconds - self._began)

    def _add(self, name: str, status: Status, seconds: float | None) -> None:
        if any(case.name == name for case in self.finished):
            self.oddities.append(f"{name} ran twice")
        failure = "\n".join(self._failure)
        self.finished.append(Case(name, self._title, status, seconds, failure))
        self._open = []


class _Closing:
    """The list of results and the counts at the end."""

    def __init__(self) -> None:
        self.suite: str | None = None
        self.listed: dict[str, str] = {}
        self.subtests: Count | None = None
        self.test_cases: Count | None = None
        self.skipped: int | None = None
        self.done = False
        self.oddities: list[str] = []

    def take(self, text: str) -> None:
        if self.done or not text.strip() or _RULE.fullmatch(text):
            return
        if match := _SUITE.fullmatch(text):
            self.suite = match[1]
        elif match := _LISTED.fullmatch(text):
            self._list(match[1], match[2] == "OK", match[3])
        elif match := _SUBTESTS.fullmatch(text):
            self.subtests = Count(int(match[1]), int(match[2]))
        elif match := _CASES.fullmatch(text):
            self.test_cases = Count(int(match[1]), int(match[2]))
        elif match := _SKIPPED.fullmatch(text):
            self.skipped = int(match[1])
        elif text == _DONE:
            self.done = True
        else:
            self.oddities.append(f"the closing list holds '{text}'")

    def _list(self, name: str, ok: bool, place: str | None) -> None:
        if name in self.listed:
            self.oddities.append(f"{name} is listed twice")
        self.listed[name] = "" if ok else place or "an unknown place"
