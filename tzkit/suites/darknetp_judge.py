# SPDX-License-Identifier: MIT
"""Verdicts over what darknetp said in both worlds: pure functions of a recorded run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from tzkit.advice import advice_for
from tzkit.datasets import Example
from tzkit.suites import Verdict
from tzkit.suites.darknetp import DarknetpRun, Partition
from tzkit.suites.darknetp_output import (
    NormalOutput,
    SecureOutput,
    World,
    read_normal,
    read_secure,
)

FEWEST_ITERATIONS = 20
COMPARED = 5  # iterations at each end, whose mean losses are compared
CERTAIN = 100.0  # percent: what hiding leaves of the best class


@dataclass(frozen=True)
class UsageResult:
    """darknetp started, opened its session and said how to use it."""

    verdict: Verdict
    seconds: float
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Iteration:
    """A training iteration: its loss and the world whose console showed it."""

    number: int
    loss: float
    world: World
    seconds: float
    images: int


@dataclass(frozen=True)
class TrainResult:
    """``partition`` is None when nothing was asked to be in the TEE."""

    verdict: Verdict
    partition: Partition | None
    iterations: tuple[Iteration, ...]
    seconds: float
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class PredictResult:
    """``top`` is what the normal world was shown: names and percentages, best first."""

    verdict: Verdict
    partition: Partition | None
    image: str
    expected: str
    top: tuple[tuple[str, float], ...]
    seconds: float
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class DarknetpResult:
    """What was run of the suite; None and empty for what was not."""

    usage: UsageResult | None = None
    train: TrainResult | None = None
    predictions: tuple[PredictResult, ...] = ()


def judge_usage(run: DarknetpRun) -> UsageResult:
    """The usage line and a clean end."""
    reasons = _status_reasons(run)
    if not read_normal(run.normal).usage:
        reasons.append("the usage line was not printed")
    return UsageResult(_verdict(reasons), run.seconds, _explained(run, reasons))


def judge_train(run: DarknetpRun, partition: Partition | None, asked: int) -> TrainResult:
    """``asked`` iterations ran, in the right world, and the loss fell."""
    normal, secure = read_normal(run.normal), read_secure(run.secure)
    reasons = _status_reasons(run) + _partition_reasons(normal, secure, partition)
    world: World = "secure" if normal.layers and normal.layers[-1].world == "secure" else "normal"
    losses = _losses(normal, secure, world)
    reasons += _count_reasons(normal, len(losses), world, asked)
    if world == "secure":
        reasons += _leak_reasons(normal)
    reasons += _fall_reasons(losses)
    iterations = tuple(
        Iteration(said.number, loss, world, said.seconds, said.images)
        for said, loss in zip(normal.iterations, losses, strict=False)
    )
    told = _explained(run, reasons)
    return TrainResult(_verdict(reasons), partition, iterations, run.seconds, told)


def judge_predict(run: DarknetpRun, partition: Partition | None, example: Example) -> PredictResult:
    """The right class came first, and hidden confidences stayed hidden."""
    normal, secure = read_normal(run.normal), read_secure(run.secure)
    reasons = _status_reasons(run) + _partition_reasons(normal, secure, partition)
    if normal.predicted_seconds is None:
        reasons.append("no line says that the image was predicted")
    reasons += _top_reasons(normal.top, example.label)
    hidden = any(layer.kind == "softmax" and layer.world == "secure" for layer in normal.layers)
    if hidden and not _one_hot(normal.top):
        reasons.append(f"the softmax is in the TEE, but its confidences show: {_shown(normal.top)}")
    return PredictResult(
        _verdict(reasons),
        partition,
        str(example.image),
        example.label,
        normal.top,
        run.seconds,
        _explained(run, reasons),
    )


def _verdict(reasons: Sequence[str]) -> Verdict:
    return "fail" if reasons else "pass"


def _explained(run: DarknetpRun, reasons: Sequence[str]) -> tuple[str, ...]:
    """The reasons, then what is known of them and of the symptoms in what both worlds said."""
    if not reasons:
        return ()
    said = [line.text for line in (*run.normal, *run.secure)]
    known = advice_for("\n".join([*said, *reasons]), "darknetp")
    return (*reasons, *("; ".join(advice.lines()) for advice in known))


def _status_reasons(run: DarknetpRun) -> list[str]:
    if not run.status:
        return []
    last = next((line.text for line in reversed(run.normal) if line.text.strip()), "no output")
    return [f"darknetp ended with status {run.status}: {last.strip()}"]


def _partition_reasons(
    normal: NormalOutput, secure: SecureOutput, partition: Partition | None
) -> list[str]:
    """Whether exactly the layers asked for are in the TEE, and the TA said that it was there."""
    reasons = []
    if not normal.layers:
        return ["no layer table was printed"]
    if [layer.index for layer in normal.layers] != list(range(len(normal.layers))):
        reasons.append("the layer table has gaps")
    inside = [layer.index for layer in normal.layers if layer.world == "secure"]
    asked = list(range(partition.start, partition.end + 1)) if partition else []
    if inside != asked:
        reasons.append(f"layers {asked} were asked to be in the TEE, the table shows {inside}")
    if asked and not secure.opened:
        reasons.append("the TA did not say on the secure console that it was opened")
    return reasons


def _losses(normal: NormalOutput, secure: SecureOutput, world: World) -> list[float]:
    if world == "secure":
        return [said.loss for said in secure.losses]
    return [said.loss for said in normal.iterations]


def _count_reasons(normal: NormalOutput, losses: int, world: World, asked: int) -> list[str]:
    reasons = []
    said = len(normal.iterations)
    if said != asked:
        reasons.append(f"{asked} iterations were asked for, {said} were reported")
    if said < FEWEST_ITERATIONS:
        reasons.append(f"{said} iterations are too few to judge: {FEWEST_ITERATIONS} are needed")
    if losses != said:
        reasons.append(f"{said} iterations, but {losses} losses on the {world} console")
    numbers = [iteration.number for iteration in normal.iterations]
    if numbers and numbers != list(range(numbers[0], numbers[0] + said)):
        reasons.append(f"the iterations are not numbered one after the other: {numbers}")
    return reasons


def _leak_reasons(normal: NormalOutput) -> list[str]:
    """The loss of a partition that ends in the TEE must not be shown to the normal world."""
    leaks = [said.number for said in normal.iterations if said.loss or said.average]
    if not leaks:
        return []
    return [f"the normal world shows a loss in {len(leaks)} iterations, first in {leaks[0]}"]


def _fall_reasons(losses: Sequence[float]) -> list[str]:
    """Whether there was learning."""
    if not all(math.isfinite(loss) for loss in losses):
        return ["not every loss is a finite number"]
    if len(losses) < 2 * COMPARED:
        return [f"{len(losses)} losses are too few to see learning"]
    first, last = fmean(losses[:COMPARED]), fmean(losses[-COMPARED:])
    if last < first:
        return []
    return [f"the loss did not fall: mean {first:.5f} at first, {last:.5f} at the end"]


def _top_reasons(top: Sequence[tuple[str, float]], expected: str) -> list[str]:
    if not top:
        return ["no classes were printed"]
    reasons = []
    if top[0][0] != expected:
        reasons.append(f"the image shows '{expected}', predicted was {_shown(top)}")
    shares = [share for _, share in top]
    if not all(math.isfinite(share) and 0 <= share <= CERTAIN for share in shares):
        reasons.append(f"these are not shares of a whole: {_shown(top)}")
    if shares != sorted(shares, reverse=True):
        reasons.append(f"the classes are not in order: {_shown(top)}")
    if shares[0] <= 0:
        reasons.append("the first class has no share: nothing was predicted")
    return reasons


def _one_hot(top: Sequence[tuple[str, float]]) -> bool:
    return [share for _, share in top] == [CERTAIN, *[0.0] * (len(top) - 1)]


def _shown(top: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"{name} {share:.2f}%" for name, share in top)
