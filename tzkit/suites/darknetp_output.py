# SPDX-License-Identifier: MIT
"""What darknetp prints in both worlds, read into records. Judges nothing.

The program writes to two streams that share one console, so that a line may begin in the middle
of another: everything is searched for, nothing is expected at the start of a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from tzkit.console import Line
from tzkit.suites.interleaved import without_log_lines

World = Literal["normal", "secure"]

# Upstream's TA leaves the leading zero out; both worlds may say nan or inf.
_NUMBER = r"-?(?:\d*\.?\d+(?:[eE][-+]?\d+)?|nan|inf)"

_LAYER = re.compile(
    r"(?:^|\s)(\d+) (conv|max|avg|connected|dropout|softmax|cost)(_TA)?(?![a-zA-Z_])"
)
_ITERATION = re.compile(
    rf"(\d+), \d+\.\d+: ({_NUMBER}), ({_NUMBER}) avg, ({_NUMBER}) rate, "
    rf"({_NUMBER}) seconds, (\d+) images"
)
_SECURE_LOSS = re.compile(
    rf"I/TA:\s*loss\s*=\s*({_NUMBER})\s*,\s*avg\s+loss\s*=\s*({_NUMBER})\s+from the TA"
)
_OPENED = re.compile(r"I/TA:.*secure world opened!")
_TOP = re.compile(r"(?:^|\s)(-?(?:\d+\.\d\d|nan|inf))%: (.+)$")
_PREDICTED = re.compile(rf"Predicted in ({_NUMBER}) seconds")
_USAGE = "usage: darknetp <function>"


@dataclass(frozen=True)
class Layer:
    """A row of the layer table."""

    index: int
    kind: str
    world: World


@dataclass(frozen=True)
class NormalIteration:
    """The line the normal world prints per iteration."""

    number: int
    loss: float
    average: float
    rate: float
    seconds: float
    images: int


@dataclass(frozen=True)
class SecureLoss:
    """The line the TA prints per iteration when the loss is computed there."""

    loss: float
    average: float


@dataclass(frozen=True)
class NormalOutput:
    """What one run printed in the normal world; ``top`` is the prediction, best first."""

    layers: tuple[Layer, ...]
    iterations: tuple[NormalIteration, ...]
    top: tuple[tuple[str, float], ...]
    predicted_seconds: float | None
    usage: bool


@dataclass(frozen=True)
class SecureOutput:
    """What the TA printed meanwhile on the secure console."""

    opened: bool
    losses: tuple[SecureLoss, ...]


def read_normal(lines: Iterable[Line]) -> NormalOutput:
    """Read the output of one run, from the normal world's console."""
    texts = [line.text for line in without_log_lines(lines)]
    predicted = _first(_PREDICTED, texts)
    return NormalOutput(
        layers=tuple(
            Layer(int(match[1]), match[2], "secure" if match[3] else "normal")
            for match in _all(_LAYER, texts)
        ),
        iterations=tuple(
            NormalIteration(
                int(match[1]),
                float(match[2]),
                float(match[3]),
                float(match[4]),
                float(match[5]),
                int(match[6]),
            )
            for match in _all(_ITERATION, texts)
        ),
        top=tuple((match[2].strip(), float(match[1])) for match in _all(_TOP, texts)),
        predicted_seconds=float(predicted[1]) if predicted else None,
        usage=any(_USAGE in text for text in texts),
    )


def is_iteration(text: str) -> bool:
    """Whether this is the line of an iteration, for showing progress."""
    return _ITERATION.search(text) is not None


def read_secure(lines: Iterable[Line]) -> SecureOutput:
    """Read what came on the console of the secure world during one run."""
    texts = [line.text for line in lines]
    return SecureOutput(
        opened=_first(_OPENED, texts) is not None,
        losses=tuple(
            SecureLoss(float(match[1]), float(match[2])) for match in _all(_SECURE_LOSS, texts)
        ),
    )


def _all(pattern: re.Pattern[str], texts: Iterable[str]) -> list[re.Match[str]]:
    return [match for text in texts if (match := pattern.search(text))]


def _first(pattern: re.Pattern[str], texts: Iterable[str]) -> re.Match[str] | None:
    return next(iter(_all(pattern, texts)), None)
