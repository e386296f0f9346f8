# SPDX-License-Identifier: MIT
"""Claim: training follows Darknet's formulas, written down again in NumPy.

For what a comparison with Darknet cannot show, because it is drawn at random: first weights,
dropout, statistics over a batch of different images. Every test runs on Darknet, too, where it is
installed: the formulas here are its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import erf, sqrt
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from darknet_pair import (
    CLASSES,
    EDGE,
    Files,
    Pixels,
    mirrored,
    net,
    our_files,
    reference_files,
    section,
    write_floats,
)
from numpy.typing import NDArray

Doubles: TypeAlias = NDArray[np.float64]

INPUTS = EDGE * EDGE * 3
LINEAR = {"activation": "linear"}
COST = section("cost", type="sse")
# Kolmogorov and Smirnov's distance of n values: above this / sqrt(n) once in 10^6 tests
KS_LIMIT = 2.7
SIGMAS = 5  # a count further from its mean is no chance


@pytest.fixture(params=["darknetp", "darknet"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    """Either program."""
    program = request.getfixturevalue(request.param)
    make = our_files if request.param == "darknetp" else reference_files
    return make(tmp_path, program)


def input_of(pixels: Pixels) -> Doubles:
    """What a network gets to see: (channels, height, width) from 0 to 1."""
    return np.asarray(pixels.transpose(2, 0, 1).reshape(-1), dtype=np.float64) / 255


def split(floats: NDArray[np.float32], *shapes: tuple[int, ...]) -> list[Doubles]:
    """The tensors of a weights file."""
    ends = np.cumsum([np.prod(shape) for shape in shapes])
    assert floats.size == ends[-1]
    parts = np.split(floats.astype(np.float64), ends[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def softmax(z: Doubles) -> Doubles:
    """Along the last axis."""
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def mean_loss(p: Doubles, truth: Doubles) -> float:
    """Cross entropy and squares, each summed over the batch: their mean, per image."""
    entropy = -np.log(p[truth > 0]).sum()
    squares = ((truth - p) ** 2).sum()
    return float((entropy + squares) / 2 / len(p))


# ---- First weights ----


def distance_from(values: Doubles, distribution: Callable[[float], float]) -> float:
    """Kolmogorov and Smirnov's, times the root of how many there are."""
    wanted = np.array([distribution(value) for value in np.sort(values)])
    steps = np.arange(len(values) + 1) / len(values)
    largest = max(np.abs(wanted - steps[:-1]).max(), np.abs(wanted - steps[1:]).max())
    return float(largest * sqrt(len(values)))


def check_normal(weights: Doubles, deviation: float) -> None:
    x = weights.reshape(-1) / deviation
    assert distance_from(x, lambda value: (1 + erf(value / sqrt(2))) / 2) < KS_LIMIT
    moments = [(x**power).mean() for power in (1, 2, 3, 4)]
    # Variances of x, x^2, x^3, x^4 of a normal x: 1, 2, 15, 96
    for moment, wanted, variance in zip(moments, (0, 1, 0, 3), (1, 2, 15, 96), strict=True):
        assert moment == pytest.approx(wanted, abs=SIGMAS * sqrt(variance / len(x)))


def check_uniform(weights: Doubles, bound: float) -> None:
    x = weights.reshape(-1) / bound
    # The largest of n values: further from the bound once in 10^6 tests
    assert 1 - 14 / len(x) <= np.abs(x).max() <= 1 + 1e-6
    assert distance_from(x, lambda value: (1 + min(value, 1)) / 2) < KS_LIMIT
    for power, wanted in ((1, 0), (2, 1 / 3), (4, 1 / 5)):
        assert (x**power).mean() == pytest.approx(wanted, abs=SIGMAS / sqrt(len(x)))


def test_first_weights_have_darknets_distributions(files: Files) -> None:
    files.add_image(mirrored(1), 1)
    layers = (
        section("convolutional", filters=64, size=3, stride=3, **LINEAR)
        + section("convolutional", filters=32, size=3, groups=2, pad=1, **LINEAR)
        + section("connected", output=10, **LINEAR)
        + section("connected", output=CLASSES, **LINEAR)
        + section("softmax")
    )
    biases = [(64,), (32,), (10,), (CLASSES,)]
    weights = [(64, 3, 3, 3), (32, 32, 3, 3), (10, 32 * 4 * 4), (CLASSES, 10)]
    shapes = [shape for both in zip(biases, weights, strict=True) for shape in both]
    b0, w0, b1, w1, b2, w2, b3, w3 = split(files.fresh(layers), *shapes)
    assert not any(b.any() for b in (b0, b1, b2, b3))
    # Deviation and bound: sqrt(2 / inputs of one output)
    check_normal(w0, sqrt(2 / (3 * 3 * 3)))
    check_normal(w1, sqrt(2 / (3 * 3 * 64 / 2)))
    check_uniform(w2, sqrt(2 / (32 * 4 * 4)))
    check_uniform(w3, sqrt(2 / 10))


# ---- The update rule ----


@dataclass
class Model:
    """connected tanh, connected linear, softmax, cost: (biases, weights) of both."""

    b1: Doubles
    w1: Doubles
    b2: Doubles
    w2: Doubles

    @property
    def parameters(self) -> list[Doubles]:
        return [self.b1, self.w1, self.b2, self.w2]

    def gradients(self, x: Doubles, truth: Doubles) -> tuple[list[Doubles], float]:
        """Summed over a batch of equal images; of the loss, downhill."""
        h = np.tanh(x @ self.w1.T + self.b1)
        p = softmax(h @ self.w2.T + self.b2)
        # Once by softmax with cross entropy, once by the cost behind it
        d2 = 2 * (truth - p)
        d1 = (d2 @ self.w2) * (1 - h**2)
        return [d1.sum(0), d1.T @ x, d2.sum(0), d2.T @ h], mean_loss(p, truth)


def descend(
    model: Model, x: Doubles, truth: Doubles, rates: list[float], momentum: float, decay: float
) -> list[float]:
    """Train in place, one batch per rate; the losses. The first layer learns half as fast."""
    velocity = [np.zeros_like(parameter) for parameter in model.parameters]
    losses = []
    for rate in rates:
        gradients, loss = model.gradients(x, truth)
        losses.append(loss)
        for index, parameter in enumerate(model.parameters):
            velocity[index] += gradients[index]
            if parameter.ndim == 2:  # weights decay, biases do not
                velocity[index] -= decay * len(x) * parameter
            layer = 0.5 if index < 2 else 1.0
            parameter += rate * layer / len(x) * velocity[index]
            velocity[index] *= momentum
    return losses


@pytest.mark.parametrize("subdivisions", [1, 3])
def test_training_follows_the_update_rule(files: Files, tmp_path: Path, subdivisions: int) -> None:
    pixels = mirrored(2)
    files.add_image(pixels, 2)
    layers = (
        section("connected", output=5, activation="tanh", learning_rate=0.5)
        + section("connected", output=CLASSES, **LINEAR)
        + section("softmax")
        + COST
    )
    shapes = [(5,), (5, INPUTS), (CLASSES,), (CLASSES, 5)]
    before = files.fresh(layers)
    start = write_floats(tmp_path / "start", before)
    cfg = net(
        layers, batch=6, subdivisions=subdivisions, momentum=0.8, decay=0.1, rate=0.03,
        max_batches=5, more="policy=step\nstep=2\nscale=.5",
    )  # fmt: skip
    said, after = files.train(cfg, start)
    model = Model(*split(before, *shapes))
    x = np.tile(input_of(pixels), (6, 1))
    truth = np.tile(np.eye(CLASSES)[2], (6, 1))
    # A batch counts before it is computed: the second has half the rate already
    losses = descend(model, x, truth, [0.03, 0.015, 0.015, 0.0075, 0.0075], 0.8, 0.1)
    assert said.losses == pytest.approx(losses, abs=3e-6)
    for got, wanted, old in zip(
        split(after, *shapes), model.parameters, split(before, *shapes), strict=True
    ):
        assert got - old == pytest.approx(wanted - old, abs=1e-5 * np.abs(wanted - old).max())


# ---- Dropout ----


def test_dropout_scales_what_it_keeps_forward_and_backward(files: Files, tmp_path: Path) -> None:
    pixels = mirrored(3)
    files.add_image(pixels, 1)
    units, probability, rate = 400, 0.3, 0.01
    layers = (
        section("connected", output=units, **LINEAR)
        + section("dropout", probability=probability)
        + section("connected", output=CLASSES, **LINEAR)
        + COST
    )
    shapes = [(units,), (units, INPUTS), (CLASSES,), (CLASSES, units)]
    before = files.fresh(layers)
    start = write_floats(tmp_path / "start", before)
    said, after = files.train(net(layers, batch=1, decay=0, rate=rate, max_batches=1), start)
    b1, w1, b2, w2 = split(before, *shapes)
    db1, dw1, db2, dw2 = (
        (new - old) / rate for new, old in zip(split(after, *shapes), (b1, w1, b2, w2), strict=True)
    )
    kept = dw2.any(axis=0)
    spread = sqrt(units * probability * (1 - probability))
    assert kept.sum() == pytest.approx(units * (1 - probability), abs=SIGMAS * spread)
    x = input_of(pixels)
    h = kept / (1 - probability) * (w1 @ x)
    d2 = np.eye(CLASSES)[1] - w2 @ h
    d1 = kept / (1 - probability) * (w2.T @ d2)
    assert said.losses == pytest.approx([(d2**2).sum()], rel=1e-4)
    for got, wanted in ((db2, d2), (dw2, np.outer(d2, h)), (db1, d1), (dw1, np.outer(d1, x))):
        assert got == pytest.approx(wanted, abs=1e-3 * np.abs(wanted).max())


# ---- Batch normalisation over different images ----

BATCH = 8
RATE = 0.1
NORMALISED = (
    section("connected", output=CLASSES, batch_normalize=1, **LINEAR) + section("softmax") + COST
)
NORMALISED_SHAPES = [(CLASSES,), (CLASSES, INPUTS), (CLASSES,), (CLASSES,), (CLASSES,)]


@dataclass
class Batch:
    x: Doubles  # (8, inputs)
    truth: Doubles  # (8, classes)

    def step(self, tensors: list[Doubles], rate: float) -> tuple[list[Doubles], float]:
        """All tensors after one step, and the loss before it."""
        biases, weights, scales, rolling_mean, rolling_variance = tensors
        z = self.x @ weights.T
        mean, variance = z.mean(0), z.var(0, ddof=1)
        normalised = (z - mean) / (np.sqrt(variance) + 1e-6)
        p = softmax(normalised * scales + biases)
        delta = 2 * (self.truth - p)
        step = rate / BATCH
        after = [
            biases + step * delta.sum(0),
            weights + step * self.back(z, delta * scales).T @ self.x,
            scales + step * (delta * normalised).sum(0),
            0.99 * rolling_mean + 0.01 * mean,
            0.99 * rolling_variance + 0.01 * variance,
        ]
        return after, mean_loss(p, self.truth)

    @staticmethod
    def back(z: Doubles, delta: Doubles) -> Doubles:
        """The gradient behind the normalisation: by the value, by variance and mean."""
        centred = z - z.mean(0)
        variance = z.var(0, ddof=1) + 1e-5
        by_variance = -0.5 * (delta * centred).sum(0) * variance**-1.5
        by_mean = -delta.sum(0) / np.sqrt(variance)
        return np.asarray(delta / np.sqrt(variance) + (2 * centred * by_variance + by_mean) / BATCH)


def batch_of(kinds: list[Pixels], first: int) -> Batch:
    """@first images of the first kind, the rest of the second."""
    labels = [0] * first + [1] * (BATCH - first)
    x = np.array([input_of(kinds[label]) for label in labels])
    return Batch(x, np.eye(CLASSES)[labels])


def drawn(kinds: list[Pixels], before: list[Doubles], after: list[Doubles]) -> int:
    """How many of the batch were of the first kind, as the rolling mean tells."""
    mean = (after[3] - 0.99 * before[3]) / 0.01
    ends = [before[1] @ input_of(kind) for kind in kinds]
    share = (mean - ends[1]) / (ends[0] - ends[1])
    counts = np.round(share * BATCH)
    assert share * BATCH == pytest.approx(counts, abs=0.02)
    assert len(set(counts)) == 1
    return int(counts[0])


def two_kinds(files: Files) -> list[Pixels]:
    kinds = [mirrored(11), mirrored(12)]
    for label, kind in enumerate(kinds):
        files.add_image(kind, label)
    return kinds


def train_mixed(
    files: Files, kinds: list[Pixels], before: list[Doubles], start: Path
) -> tuple[float, list[Doubles], int]:
    """One batch of both kinds: its loss, the tensors, how many were of the first kind."""
    cfg = net(NORMALISED, batch=BATCH, decay=0, rate=RATE, max_batches=1)
    for _ in range(9):  # a batch of one kind has no variance: once in 128
        said, floats = files.train(cfg, start)
        after = split(floats, *NORMALISED_SHAPES)
        first = drawn(kinds, before, after)
        if 0 < first < BATCH:
            break
    return float(said.losses[0]), after, first


def test_connected_layers_are_normalised_over_the_batch(files: Files, tmp_path: Path) -> None:
    kinds = two_kinds(files)
    generator = np.random.default_rng(5)
    before = [generator.normal(1, 0.1, shape) for shape in NORMALISED_SHAPES]
    before[1] -= 1
    floats = np.concatenate([part.reshape(-1) for part in before]).astype(np.float32)
    start = write_floats(tmp_path / "start", floats)
    before = split(floats, *NORMALISED_SHAPES)
    loss, after, first = train_mixed(files, kinds, before, start)
    wanted, wanted_loss = batch_of(kinds, first).step(before, RATE)
    assert loss == pytest.approx(wanted_loss, abs=1e-5)
    for new, right, old in zip(after, wanted, before, strict=True):
        assert new - old == pytest.approx(right - old, abs=1e-3 * np.abs(right - old).max())


def test_rolling_statistics_start_at_0(files: Files) -> None:
    kinds = two_kinds(files)
    _, floats = files.train(net(NORMALISED, batch=BATCH, rate=0, max_batches=1))
    after = split(floats, *NORMALISED_SHAPES)
    assert not after[0].any() and (after[2] == 1).all()
    before = [*after[:3], np.zeros(CLASSES), np.zeros(CLASSES)]
    wanted, _ = batch_of(kinds, drawn(kinds, before, after)).step(before, 0)
    for got, right in zip(after[3:], wanted[3:], strict=True):
        assert got == pytest.approx(right, abs=1e-4 * np.abs(right).max())
