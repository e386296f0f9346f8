# SPDX-License-Identifier: MIT
"""Verdicts over what darknetp said in both worlds: pure functions of a recorded run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from tzkit.advice import advice_for
from tzkit.datasets import DatasetSummary, Example
from tzkit.suites import Verdict
from tzkit.suites.darknetp import DarknetpRun, Partition
from tzkit.suites.darknetp_output import NormalOutput, SecureOutput, World, read_secure
from tzkit.suites.darknetp_stream import Accuracy, Stream

FEWEST_ITERATIONS = 20
COMPARED = 5  # iterations at each end, whose mean losses are compared
CERTAIN = 100.0  # percent: what hiding leaves of the best class
LEARNT = 0.5  # of an untrained network's loss: what tuning must start below
HALF_IMAGE = 0.5  # what a share times a number of images may differ from a whole number
GUESSING = 2.0  # times as often right as by guessing: the least that validation accepts


@dataclass(frozen=True)
class UsageResult:
    """darknetp started, opened its session and said how to use it."""

    verdict: Verdict
    seconds: float
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Iteration:
    """A training iteration: its loss and the world whose console showed it.

    ``normal`` and ``secure`` are the losses of the layers of each world, None where none owns one.
    """

    number: int
    loss: float
    world: World
    seconds: float
    images: int
    normal: float | None = None
    secure: float | None = None


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
class ValidResult:
    """How many of the held-out images were recognised, as shares; ``topk`` among the best k."""

    verdict: Verdict
    partition: Partition | None
    images: int
    top1: float
    topk: float
    k: int
    seconds: float
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class DarknetpResult:
    """What was run of the suite; None and empty for what was not."""

    usage: UsageResult | None = None
    train: TrainResult | None = None
    tune: TrainResult | None = None
    predictions: tuple[PredictResult, ...] = ()
    valid: ValidResult | None = None


def judge_usage(run: DarknetpRun) -> UsageResult:
    """The usage line and a clean end."""
    reasons = _status_reasons(run)
    if not run.said.usage:
        reasons.append("the usage line was not printed")
    return UsageResult(_verdict(reasons), run.seconds, _explained(run, reasons))


def judge_train(run: DarknetpRun, partition: Partition | None, asked: int) -> TrainResult:
    """``asked`` iterations ran, in the right world, and the loss fell."""
    return _judge_training(run, partition, asked, _fall_reasons)


def judge_tune(run: DarknetpRun, partition: Partition | None, asked: int) -> TrainResult:
    """``asked`` iterations ran, in the right world, on weights that had learnt already."""

    def from_weights(losses: Sequence[float]) -> list[str]:
        return _kept_reasons(losses, _untrained_loss(run))

    return _judge_training(run, partition, asked, from_weights)


def _judge_training(
    run: DarknetpRun,
    partition: Partition | None,
    asked: int,
    loss_reasons: Callable[[Sequence[float]], list[str]],
) -> TrainResult:
    normal, secure = run.said, read_secure(run.secure)
    reasons = _status_reasons(run) + _partition_reasons(normal, secure, partition)
    world = _last_world(normal)
    losses = _losses(normal, secure, world)
    reasons += _count_reasons(normal, len(losses), world, asked)
    if world == "secure":
        reasons += _leak_reasons(normal)
    reasons += loss_reasons(losses)
    iterations = _iterations(run, losses, [said.loss for said in secure.losses])
    told = _explained(run, reasons)
    return TrainResult(_verdict(reasons), partition, iterations, run.seconds, told)


def _last_world(normal: NormalOutput) -> World:
    """The world of the last layer, whose loss counts."""
    return normal.layers[-1].world if normal.layers else "normal"


def _iterations(
    run: DarknetpRun, losses: Sequence[float], secure: Sequence[float]
) -> tuple[Iteration, ...]:
    said, world = run.said.iterations, _last_world(run.said)
    normal = [said.loss for said in run.stream.iterations] if run.stream else [None] * len(said)
    told = secure if len(secure) == len(said) else [None] * len(said)
    return tuple(
        Iteration(one.number, loss, world, one.seconds, one.images, *both)
        for one, loss, *both in zip(said, losses, normal, told, strict=False)
    )


def judge_predict(run: DarknetpRun, partition: Partition | None, example: Example) -> PredictResult:
    """The right class came first, and hidden confidences stayed hidden."""
    normal, secure = run.said, read_secure(run.secure)
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


def judge_valid(
    run: DarknetpRun, partition: Partition | None, dataset: DatasetSummary
) -> ValidResult:
    """Every held-out image was classified, as many of them rightly as the data set promises."""
    stream = run.stream or Stream(())
    reasons = _status_reasons(run) + _partition_reasons(
        run.said, read_secure(run.secure), partition
    )
    said = stream.accuracy or Accuracy(event="accuracy", images=0, top=0, top1=0.0, topk=0.0)
    if stream.accuracy is None:
        reasons.append("no accuracy was reported")
    reasons += _recount_reasons(stream, said, dataset.held_out_images)
    needed = max(dataset.accuracy, GUESSING / max(_classes(run), 1))
    if said.top1 < needed:
        reasons.append(f"{said.top1:.1%} of the images were recognised, {needed:.1%} must be")
    return ValidResult(
        _verdict(reasons),
        partition,
        said.images,
        said.top1,
        said.topk,
        said.top,
        run.seconds,
        _explained(run, reasons),
    )


def _recount_reasons(stream: Stream, said: Accuracy, held_out: int) -> list[str]:
    """Whether the accuracy is that of the images, one by one, and they are those held out."""
    images = stream.validated
    reasons = []
    if len({image.image for image in images}) != held_out or said.images != held_out:
        reasons.append(f"{held_out} images are held out, {said.images} were classified")
    right = sum(image.best == image.true_class for image in images)
    in_top = sum(image.in_top for image in images)
    for name, count, share in (("top 1", right, said.top1), ("top k", in_top, said.topk)):
        if abs(count - share * max(said.images, 1)) > HALF_IMAGE:
            reasons.append(f"{name}: {share:.4f} was reported, but {count} images were right")
    return reasons


def _classes(run: DarknetpRun) -> int:
    """How many classes the network tells apart; 0 if that was not said."""
    start = run.stream.start if run.stream else None
    return start.layers[-1].outputs if start and start.layers else 0


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
    unfit = _unfit_reasons(losses, "learning")
    if unfit:
        return unfit
    first, last = _both_ends(losses)
    if last < first:
        return []
    return [f"the loss did not fall: mean {first:.5f} at first, {last:.5f} at the end"]


def _unfit_reasons(losses: Sequence[float], sought: str) -> list[str]:
    """Why nothing can be read off these losses."""
    if not all(math.isfinite(loss) for loss in losses):
        return ["not every loss is a finite number"]
    if len(losses) < 2 * COMPARED:
        return [f"{len(losses)} losses are too few to see {sought}"]
    return []


def _both_ends(losses: Sequence[float]) -> tuple[float, float]:
    """The mean of the first and of the last ones."""
    return fmean(losses[:COMPARED]), fmean(losses[-COMPARED:])


def _untrained_loss(run: DarknetpRun) -> float:
    """What a network that guesses would show in the world of its last layer.

    The mean over that world's loss layers: ln n for a softmax of n classes, 1 - 1/n for the sum of
    squares of a cost layer.
    """
    classes, world = max(_classes(run), 2), _last_world(run.said)
    here = [layer.kind for layer in run.said.layers if layer.world == world]
    owned = [math.log(classes)] * here.count("softmax") + [1 - 1 / classes] * here.count("cost")
    return fmean(owned) if owned else math.inf


def _kept_reasons(losses: Sequence[float], untrained: float) -> list[str]:
    """Whether the losses are those of a network that had learnt, from the start to the end."""
    unfit = _unfit_reasons(losses, "what was known")
    if unfit:
        return unfit
    first, last = _both_ends(losses)
    if max(first, last) < LEARNT * untrained:
        return []
    return [
        f"the weights did not count: mean loss {first:.5f} at first, {last:.5f} at the end; "
        f"a network that guesses has {untrained:.5f}"
    ]


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
