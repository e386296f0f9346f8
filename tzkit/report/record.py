# SPDX-License-Identifier: MIT
"""The record of one whole run, from which every report is made, and the verdict over it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from tzkit.console import Event
from tzkit.errors import EXIT_INTERRUPTED, CheckFailed, TzkitError
from tzkit.job import Stage
from tzkit.parts import Part
from tzkit.suites import Verdict
from tzkit.suites.darknetp import Partition
from tzkit.suites.darknetp_judge import DarknetpResult
from tzkit.suites.xtest import XtestResult

Suite = Literal["boot", "xtest", "usage", "train", "tune", "predict", "valid"]
SUITES: tuple[Suite, ...] = get_args(Suite)


@dataclass(frozen=True)
class Boot:
    """The session came up: after how long, from reset or a saved system, with which OP-TEE."""

    seconds: float
    tee: str
    warm: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of one suite; ``verdict`` is None when it has no result."""

    verdict: Verdict | None
    seconds: float | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunRecord:
    """Everything a run did and found. ``wanted`` are the suites it was asked for."""

    board: str
    source: str
    app: str
    reproduce: str
    wanted: tuple[Suite, ...] = SUITES
    stages: tuple[Stage, ...] = ()
    parts: tuple[Part, ...] = ()
    boot: Boot | None = None
    notes: tuple[str, ...] = ()
    xtest: XtestResult | None = None
    darknetp: DarknetpResult = field(default_factory=DarknetpResult)
    events: tuple[Event, ...] = ()
    logs: Mapping[str, Path] = field(default_factory=dict)
    error: TzkitError | None = None
    interrupted: bool = False

    def outcome(self, suite: Suite) -> Outcome:
        """The result of one suite, if it has one."""
        if suite == "boot":
            return Outcome("pass", self.boot.seconds) if self.boot else Outcome(None)
        if suite == "predict":
            return _predict_outcome(self.darknetp)
        result = {
            "xtest": self.xtest,
            "usage": self.darknetp.usage,
            "train": self.darknetp.train,
            "tune": self.darknetp.tune,
            "valid": self.darknetp.valid,
        }[suite]
        if result is None:
            return Outcome(None)
        return Outcome(result.verdict, result.seconds, result.reasons)

    @property
    def missing(self) -> tuple[Suite, ...]:
        """The suites that were asked for and have no result."""
        return tuple(suite for suite in self.wanted if self.outcome(suite).verdict is None)

    @property
    def verdict(self) -> Verdict:
        """A run passes when every suite it was asked for has a result that is a pass."""
        if self.interrupted or (self.error and not isinstance(self.error, CheckFailed)):
            return "error"
        if self.error or any(self._failed(suite) for suite in self.wanted):
            return "fail"
        return "error" if self.missing or not self.wanted else "pass"

    @property
    def exit_code(self) -> int:
        if self.interrupted:
            return EXIT_INTERRUPTED
        if self.error:
            return self.error.exit_code
        return 0 if self.verdict == "pass" else CheckFailed.exit_code

    def _failed(self, suite: Suite) -> bool:
        return self.outcome(suite).verdict in ("fail", "error")


def in_the_tee(partition: Partition | None) -> str:
    """Which layers were there, to follow what was done with them; nothing if none were."""
    return f", layers {partition} in the TEE" if partition else ""


def _predict_outcome(darknetp: DarknetpResult) -> Outcome:
    """All predicted images together."""
    results = darknetp.predictions
    if not results:
        return Outcome(None)
    bad = [result.verdict for result in results if result.verdict != "pass"]
    return Outcome(
        bad[0] if bad else "pass",
        sum(result.seconds for result in results),
        tuple(f"{result.image}: {reason}" for result in results for reason in result.reasons),
    )
