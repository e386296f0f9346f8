# SPDX-License-Identifier: MIT
"""``report.json``, version 1: its format, and the record of a run in it."""

from __future__ import annotations

import math
from collections import Counter
from typing import Annotated, Literal

from pydantic import AfterValidator, AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field

from tzkit.console import Event
from tzkit.report.record import RunRecord
from tzkit.suites import Verdict
from tzkit.suites.darknetp_judge import DarknetpResult

SHOWN_PLACES = 4  # of percentages


def _as_json_can(number: float | str) -> float | str:
    return number if isinstance(number, str) or math.isfinite(number) else str(number)


def _rounded(share: float | str) -> float | str:
    return share if isinstance(share, str) else round(share, SHOWN_PLACES)


# What programs print; JSON knows neither nan nor inf, they are texts there.
Number = Annotated[float | str, AfterValidator(_as_json_can)]
Share = Annotated[Number, BeforeValidator(_rounded)]
Text = Annotated[str, BeforeValidator(str)]
Layers = Annotated[str | None, BeforeValidator(lambda partition: partition and str(partition))]


class Document(BaseModel):
    """A table of the report. Keys may be added, those that are here keep their meaning."""

    model_config = ConfigDict(extra="forbid", frozen=True, from_attributes=True)


class StageDocument(Document):
    name: str
    seconds: float
    cached: bool
    verdict: str


class PartDocument(Document):
    model_config = ConfigDict(extra="ignore", frozen=True, from_attributes=True)

    name: str
    version: str
    sha256: str | None  # None: a git tree, whose version is its commit
    origin: str


class BootDocument(Document):
    seconds: float
    tee: str
    warm: bool


class CaseDocument(Document):
    name: str
    title: str
    status: str
    seconds: float | None
    failure: str


class XtestDocument(Document):
    verdict: Verdict
    cases: int
    cases_failed: int
    cases_skipped: int
    subtests: int
    subtests_failed: int
    seconds: float
    reasons: tuple[str, ...]
    details: tuple[CaseDocument, ...]
    left_out: dict[str, str]


class UsageDocument(Document):
    verdict: Verdict
    seconds: float
    reasons: tuple[str, ...]


class IterationDocument(Document):
    """``loss`` is that of ``world``; ``normal`` and ``secure`` are those of each world."""

    n: int = Field(validation_alias=AliasChoices("n", "number"))
    loss: Number
    world: Literal["normal", "secure"]
    seconds: float
    images: int
    normal: Number | None
    secure: Number | None


class TrainDocument(Document):
    verdict: Verdict
    pp: Layers = Field(validation_alias=AliasChoices("pp", "partition"))
    seconds: float
    iterations: tuple[IterationDocument, ...]
    reasons: tuple[str, ...]


class PredictDocument(Document):
    verdict: Verdict
    pp: Layers = Field(validation_alias=AliasChoices("pp", "partition"))
    image: Text
    expected: str
    seconds: float
    top: tuple[tuple[str, Share], ...]
    reasons: tuple[str, ...]


class ValidDocument(Document):
    """``top1`` and ``topk`` are shares of the images, from 0 to 1."""

    verdict: Verdict
    pp: Layers = Field(validation_alias=AliasChoices("pp", "partition"))
    images: int
    top1: float
    topk: float
    k: int
    seconds: float
    reasons: tuple[str, ...]


class DarknetpDocument(Document):
    """``predict`` is the first prediction that failed, else the first; ``predictions`` are all."""

    usage: UsageDocument | None
    train: TrainDocument | None
    tune: TrainDocument | None
    predict: PredictDocument | None
    predictions: tuple[PredictDocument, ...]
    valid: ValidDocument | None


class EventDocument(Document):
    """Equal kinds of tolerated events on a console are one entry, ``count`` of them."""

    kind: str
    console: str
    text: str
    seconds: float
    tolerated: bool
    count: int = 1


class ReportDocument(Document):
    version: Literal[1] = 1
    board: str
    source: str
    app: str
    verdict: Verdict
    exit_code: int
    error: str | None
    reproduce: str
    notes: tuple[str, ...]
    wanted: tuple[str, ...]
    stages: tuple[StageDocument, ...]
    parts: tuple[PartDocument, ...]
    boot: BootDocument | None
    xtest: XtestDocument | None
    darknetp: DarknetpDocument | None
    events: tuple[EventDocument, ...]
    logs: dict[str, str]


def document(record: RunRecord) -> ReportDocument:
    """The record in the form of report.json."""
    return ReportDocument(
        board=record.board,
        source=record.source,
        app=record.app,
        verdict=record.verdict,
        exit_code=record.exit_code,
        error=_error_text(record),
        reproduce=record.reproduce,
        notes=record.notes,
        wanted=record.wanted,
        stages=tuple(StageDocument.model_validate(stage) for stage in record.stages),
        parts=tuple(PartDocument.model_validate(part) for part in record.parts),
        boot=BootDocument.model_validate(record.boot) if record.boot else None,
        xtest=XtestDocument.model_validate(record.xtest) if record.xtest else None,
        darknetp=_darknetp(record),
        events=_events(record.events),
        logs={name: str(path) for name, path in record.logs.items()},
    )


def _error_text(record: RunRecord) -> str | None:
    if record.interrupted:
        return "interrupted"
    return str(record.error) if record.error else None


def _darknetp(record: RunRecord) -> DarknetpDocument | None:
    said = record.darknetp
    if said == DarknetpResult():
        return None
    predictions = tuple(PredictDocument.model_validate(result) for result in said.predictions)
    failed = [result for result in predictions if result.verdict != "pass"]
    return DarknetpDocument(
        usage=UsageDocument.model_validate(said.usage) if said.usage else None,
        train=TrainDocument.model_validate(said.train) if said.train else None,
        tune=TrainDocument.model_validate(said.tune) if said.tune else None,
        predict=next(iter([*failed, *predictions]), None),
        predictions=predictions,
        valid=ValidDocument.model_validate(said.valid) if said.valid else None,
    )


def _events(events: tuple[Event, ...]) -> tuple[EventDocument, ...]:
    """In order; a passing xtest alone makes some two hundred tolerated ones."""
    counts = Counter((event.kind, event.console) for event in events if event.tolerated)
    shown: list[EventDocument] = []
    for event in events:
        key = (event.kind, event.console)
        count = counts.pop(key, 0) if event.tolerated else 1
        if count:
            shown.append(
                EventDocument(
                    kind=event.kind,
                    console=event.console,
                    text=event.text,
                    seconds=round(event.seconds, 3),
                    tolerated=event.tolerated,
                    count=count,
                )
            )
    return tuple(shown)
