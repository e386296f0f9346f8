# SPDX-License-Identifier: MIT
"""The summary of a run for people."""

from __future__ import annotations

from rich import box
from rich.table import Table
from rich.text import Text

from tzkit.report.record import SUITES, RunRecord, Suite, in_the_tee
from tzkit.suites.darknetp_judge import PredictResult, TrainResult, ValidResult
from tzkit.suites.xtest import XtestResult

STYLES = {"pass": "green", "fail": "bold red", "error": "bold red"}


def table(record: RunRecord, *, plain: bool = False) -> Table:
    """Stages and suites, each with verdict, time and what there is to say; ``plain`` for files."""
    shown = Table(
        title=f"{record.board}: {record.verdict.upper()}",
        title_style=STYLES[record.verdict],
        title_justify="left",
        box=None if plain else box.SIMPLE_HEAD,
    )
    for column in ("", "verdict", "seconds", "result"):
        shown.add_column(column, justify="right" if column == "seconds" else "left")
    for stage in record.stages:
        _row(shown, stage.name, stage.verdict, stage.seconds, "cached" if stage.cached else "")
    shown.add_section()
    for suite in SUITES:
        if suite in record.wanted:
            outcome = record.outcome(suite)
            _row(shown, suite, outcome.verdict, outcome.seconds, _said(record, suite))
    for note in record.notes:
        shown.add_row(Text("note", style="yellow"), "", "", Text(note))
    if record.interrupted:
        shown.add_row(Text("interrupted"), "", "", "")
    elif record.error:
        _row(shown, record.error.label, record.verdict, None, record.error.message)
    return shown


def _row(shown: Table, name: str, verdict: str | None, seconds: float | None, said: str) -> None:
    mark = Text(verdict or "not run", style=STYLES.get(verdict or "", "dim"))
    shown.add_row(Text(name), mark, "" if seconds is None else f"{seconds:.1f}", Text(said))


def _said(record: RunRecord, suite: Suite) -> str:
    """What went wrong, or else the evidence that it went well."""
    outcome = record.outcome(suite)
    if outcome.verdict is None:
        return ""
    return "\n".join(outcome.reasons) or _evidence(record, suite)


def _training(result: TrainResult) -> str:
    count, first, last = len(result.iterations), result.iterations[0], result.iterations[-1]
    losses = f"loss {first.loss:.3f} to {last.loss:.3f} on the {last.world} console"
    return f"{count} iterations, {losses}{in_the_tee(result.partition)}"


def _xtest(result: XtestResult) -> str:
    text = f"{result.cases} cases, {result.subtests} subtests"
    if result.cases_skipped:
        text += f", {result.cases_skipped} not run"
    if result.left_out:
        text += f" ({len(result.left_out)} do not fit this board: {', '.join(result.left_out)})"
    return text


def _evidence(record: RunRecord, suite: Suite) -> str:
    darknetp = record.darknetp
    if suite == "boot" and record.boot:
        start = "saved system" if record.boot.warm else "from reset"
        return f"OP-TEE {record.boot.tee}, {start}"
    if suite == "xtest" and record.xtest:
        return _xtest(record.xtest)
    trained = {"train": darknetp.train, "tune": darknetp.tune}.get(suite)
    if trained is not None:
        return _training(trained)
    if suite == "predict":
        return _predictions(darknetp.predictions)
    if suite == "valid" and darknetp.valid:
        return _validation(darknetp.valid)
    return ""


def _predictions(results: tuple[PredictResult, ...]) -> str:
    """The classes recognised, by the layers that were in the TEE."""
    by_place: dict[str, list[str]] = {}
    for result in results:
        place = f"layers {result.partition} in the TEE" if result.partition else "nothing there"
        by_place.setdefault(place, []).append(result.expected)
    return "; ".join(f"recognised: {', '.join(known)} ({at})" for at, known in by_place.items())


def _validation(result: ValidResult) -> str:
    known = f"{result.top1:.1%} of {result.images} held-out images recognised"
    return known + in_the_tee(result.partition)
