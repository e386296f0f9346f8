# SPDX-License-Identifier: MIT
"""Claim: darknetp computes what Darknet computes.

The reference is Debian's ``darknet``, with the same cfg, weights and images. What it draws at
random is kept out: one image that mirroring leaves as it is, no crops, equal first weights. Its
source is of 2018 and its build of -Ofast; the agreement is that of sums in another order.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from darknet_pair import (
    CLASSES,
    Floats,
    Pair,
    distance,
    mirrored,
    net,
    noise,
    section,
    seen,
    write_floats,
)

from tzkit.digits import write_digits

DIGITS = Path(__file__).parents[2] / "datasets" / "digits"
LENET = (DIGITS / "cfg" / "mnist_lenet.cfg").read_text()
LENET_WEIGHTS = DIGITS / "models" / "digits" / "mnist_lenet.weights"
PROBABILITY = 1e-4  # most by which two may differ
UPDATE = 1e-4  # ... as a part of the largest change that training made
LOSS = 1e-5
RATE = 1e-6  # relative: a float's last digits

CLASSIFY = (
    section("connected", output=CLASSES, activation="linear")
    + section("softmax")
    + section("cost", type="sse")
)
ACTIVATIONS = [
    ("logistic", "loggy"),
    ("relu", "elu"),
    ("selu", "relie"),
    ("ramp", "linear"),
    ("tanh", "plse"),
    ("leaky", "stair"),
    ("hardtan", "lhtan"),
]


def conv(**values: str | float) -> str:
    defaults: dict[str, str | float] = {"filters": 4, "size": 3, "stride": 1, "pad": 1}
    return section("convolutional", **(defaults | {"activation": "leaky"} | values))


def activated(after_convolution: str, after_connected: str) -> str:
    return (
        conv(activation=after_convolution)
        + section("connected", output=8, activation=after_connected)
        + CLASSIFY
    )


NETWORKS = {
    "lenet": conv(filters=6, size=5, activation="relu")
    + section("maxpool", size=2, stride=2)
    + section("connected", output=9, activation="relu")
    + section("dropout", probability=0)
    + CLASSIFY,
    "batch normalisation": conv(batch_normalize=1, stride=2)
    + conv(batch_normalize=1, filters=CLASSES, size=1)
    + section("avgpool")
    + section("softmax")
    + section("cost"),
    "groups": conv(filters=6, groups=3) + conv(groups=2, stride=2) + CLASSIFY,
    "vgg": conv() + conv() + section("maxpool", size=2, stride=2) + conv(filters=6) + CLASSIFY,
    "odd pools": conv()
    + section("maxpool", size=2, stride=1)
    + section("maxpool", size=3, stride=2, padding=1)
    + conv()
    + section("maxpool", size=3, stride=2)
    + section("maxpool", size=3, stride=1, padding=0)
    + CLASSIFY,
    "padding": conv(pad=0, padding=2, size=4, stride=3) + conv(pad=0) + CLASSIFY,
    "temperature": conv() + CLASSIFY.replace("[softmax]", "[softmax]\ntemperature=2.5"),
    "groups of softmax": conv() + CLASSIFY.replace("[softmax]", "[softmax]\ngroups=2"),
    "no cost": conv() + CLASSIFY.replace("[cost]\ntype=sse\n", ""),
    "rates of layers": conv(learning_rate=0.5)
    + section("connected", output=6, activation="tanh", learning_rate=0)
    + CLASSIFY,
    "scaled cost": conv() + CLASSIFY.replace("type=sse", "type=sse\nscale=.3"),
    **{
        f"cost {kind}": conv() + CLASSIFY.replace("sse", kind)
        for kind in ("masked", "L1", "smooth", "seg", "wgan")
    },
    **{f"{one} and {other}": activated(one, other) for one, other in ACTIVATIONS},
}


def partition(range_: str) -> list[str]:
    start, _, end = range_.partition(":")
    return ["-pp_start", start, "-pp_end", end] if end else []


# ---- Predicting ----


@pytest.fixture
def digits(pair: Pair, tmp_path: Path) -> Pair:
    """Both with the data set `digits`."""
    target = tmp_path / "digits"
    write_digits(DIGITS / "digits.csv.gz", target, PurePosixPath(target))
    names = DIGITS / "data" / "digits" / "names.list"
    data = (
        f"classes=10\ntop=5\ntrain={target}/digits.train.list\nvalid={target}/digits.valid.list\n"
        f"labels={names.with_name('labels.list')}\nnames={names}\nbackup=backup\n"
    )
    for files in (pair.ours, pair.reference):
        files.write("data", data)
        files.images = sorted((target / "images").iterdir())
    return pair


def check_tops(pair: Pair, images: list[Path], weights: Path, range_: str) -> None:
    """The five best of each image in the same order, with the same percentages."""
    stdin = "".join(f"{image}\n" for image in images)
    wanted = pair.reference.classifier("predict", LENET, weights, stdin=stdin).tops
    got = pair.ours.classifier("predict", LENET, weights, *partition(range_), stdin=stdin).tops
    assert len(got) == len(wanted) == len(images)
    for ours, reference in zip(got, wanted, strict=True):
        assert [name for name, _ in ours] == [name for name, _ in reference]
        percents = [percent for _, percent in ours]
        # What is printed is rounded to 1e-4
        assert percents == pytest.approx(
            [percent for _, percent in reference], abs=100 * PROBABILITY + 1e-9
        )


@pytest.mark.parametrize("range_", ["", "0:3", "4:8", "10:10"])
def test_digits_are_predicted_alike(digits: Pair, range_: str) -> None:
    check_tops(digits, digits.ours.images[::150], LENET_WEIGHTS, range_)
    wanted = digits.reference.classifier("valid", LENET, LENET_WEIGHTS)
    got = digits.ours.classifier("valid", LENET, LENET_WEIGHTS, *partition(range_))
    assert len(wanted.valid) == 364
    assert np.abs(got.valid - wanted.valid).max() <= 1e-5
    accuracy = [said.out.splitlines()[-1].partition(": ")[2] for said in (got, wanted)]
    assert accuracy[0] == accuracy[1]
    assert "top 1: 0.97" in accuracy[0]


@pytest.mark.parametrize(("height", "width"), [(28, 28), (61, 40), (9, 90), (14, 14), (300, 200)])
def test_images_of_any_shape_are_fitted_alike(digits: Pair, height: int, width: int) -> None:
    digits.ours.add_image(noise(height, height, width), 0)
    digits.reference.write("list", f"{digits.ours.images[-1]}\n")
    digits.ours.write("list", f"{digits.ours.images[-1]}\n")
    check_tops(digits, digits.ours.images[-1:], LENET_WEIGHTS, "")
    for files in (digits.ours, digits.reference):
        files.write("data", (files.root / "data").read_text().replace("valid=", "valid=list\nx="))
    wanted = digits.reference.classifier("valid", LENET, LENET_WEIGHTS).valid
    got = digits.ours.classifier("valid", LENET, LENET_WEIGHTS).valid
    assert np.abs(got - wanted).max() <= PROBABILITY


# ---- Networks: training, predicting, weights of either ----


def predictions_agree(pair: Pair, cfg: str, weights: Path) -> None:
    wanted = pair.reference.classifier("valid", cfg, weights).valid
    assert len(wanted) == len(pair.reference.images)
    for range_ in ("", "0:0"):
        got = pair.ours.classifier("valid", cfg, weights, *partition(range_)).valid
        assert np.abs(got - wanted).max() <= PROBABILITY / 10


def training_agrees(pair: Pair, cfg: str, start: Path, before: Floats) -> None:
    """From the same start: losses, averages, rates, and all parameters."""
    ours, got = pair.ours.train(cfg, start, "-clear")
    reference, wanted = pair.reference.train(cfg, start, "-clear")
    assert len(ours.iterations) == len(reference.iterations) > 0
    assert seen(pair.ours.weights) == seen(pair.reference.weights)
    assert ours.losses == pytest.approx(reference.losses, abs=LOSS)
    averages = [[iteration.average for iteration in said.iterations] for said in (ours, reference)]
    assert averages[0] == pytest.approx(averages[1], abs=LOSS)
    assert distance(got - before, wanted - before) <= UPDATE


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_agree(pair: Pair, tmp_path: Path, name: str) -> None:
    pair.add_image(mirrored(1), 1)
    layers = NETWORKS[name]
    _, before = pair.ours.train(net(layers, max_batches=2))
    start = write_floats(tmp_path / "start", before, seen=8)
    training_agrees(pair, net(layers), start, before)
    for number in range(2, 12):
        pair.add_image(noise(number), 0)
    predictions_agree(pair, net(layers), pair.reference.weights)


@pytest.mark.parametrize(
    "numbers",
    [
        {"momentum": 0.0, "decay": 0.0},
        {"momentum": 0.5, "decay": 0.3},
        {"batch": 6, "subdivisions": 3},
        {"batch": 1, "max_batches": 9},
        {"more": "policy=poly\npower=2"},
        {"more": "policy=steps\nsteps=1,3\nscales=.1,20\nburn_in=2"},
    ],
    ids=str,
)
def test_updates_agree(pair: Pair, tmp_path: Path, numbers: dict[str, float]) -> None:
    pair.add_image(mirrored(2), 2)
    layers = conv(stride=2) + section("connected", output=5, activation="tanh") + CLASSIFY
    before = pair.ours.fresh(layers)
    start = write_floats(tmp_path / "start", before)
    training_agrees(pair, net(layers, **numbers), start, before)  # type: ignore[arg-type]


def test_training_of_either_goes_on_with_the_other(digits: Pair) -> None:
    """The images seen are in the file: batches are counted on, and the rate is theirs."""
    cfg = re.sub(r"^max_batches=.*$", "max_batches=6", LENET, flags=re.M)
    cfg = re.sub(r"^batch=.*$", "batch=10", cfg, flags=re.M)
    half = cfg.replace("max_batches=6", "max_batches=3")
    for first, second in ((digits.ours, digits.reference), (digits.reference, digits.ours)):
        first.train(half)
        assert seen(first.weights) == 30
        said, _ = second.train(cfg, first.weights)
        assert [iteration.batch for iteration in said.iterations] == [4, 5, 6]
        assert said.rates == pytest.approx(0.06 * (1 - np.arange(4, 7) / 6) ** 4, abs=1e-6)
        check_tops(digits, digits.ours.images[:5], second.weights, "")


# ---- Learning rates ----

FROZEN = section("connected", output=CLASSES, learning_rate=0) + section("softmax")
POLICIES = {
    "constant": "policy=constant",
    "step": "policy=step\nstep=2\nscale=.5",
    "steps": "policy=steps\nsteps=2,4,5\nscales=.1,.5,10",
    "exp": "policy=exp\ngamma=.7",
    "poly": "policy=poly\npower=3",
    "poly of the default power": "policy=poly",
    "sigmoid": "policy=sigmoid\ngamma=.5\nstep=0",
    "burn-in": "policy=step\nburn_in=3\npower=2\nstep=1\nscale=.9",
    "burn-in of the default power": "policy=constant\nburn_in=4",
    "burn-in before poly": "policy=poly\nburn_in=2",
    "unknown": "policy=frobnicate",
}


def rates(pair: Pair, policy: str, start: Path | None = None) -> tuple[Floats, Floats]:
    """Rates after each batch, of ours and the reference; large, as 6 places are printed."""
    pair.add_image(mirrored(3), 3)
    batch = seen(start) if start else 0
    cfg = net(FROZEN, batch=1, rate=1000, max_batches=batch + 7, more=policy)
    ours, reference = (files.train(cfg, start)[0].rates for files in (pair.ours, pair.reference))
    assert len(ours) == len(reference) == 7
    return ours, reference


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_rates_agree(pair: Pair, policy: str) -> None:
    ours, reference = rates(pair, policy)
    assert ours == pytest.approx(reference, rel=RATE, abs=2e-6)


@pytest.mark.parametrize(
    "policy",
    [
        "policy=step\nstep=5003\nscale=.5",
        "policy=steps\nsteps=5001,5003\nscales=.1,.5",
        "policy=exp\ngamma=.9999",
        "policy=poly",
        "policy=sigmoid\ngamma=.001\nstep=4000",
        "policy=constant\nburn_in=5004",
    ],
)
def test_rates_agree_in_the_midst_of_a_training(pair: Pair, tmp_path: Path, policy: str) -> None:
    pair.add_image(mirrored(3), 3)
    start = write_floats(tmp_path / "start", pair.ours.fresh(FROZEN), seen=5000)
    ours, reference = rates(pair, policy, start)
    assert ours == pytest.approx(reference, rel=RATE, abs=2e-6)


def test_random_rates_lie_in_the_same_range(pair: Pair) -> None:
    for drawn in rates(pair, "policy=random\npower=2"):
        assert (drawn > 0).all() and (drawn < 1000).all()
        assert len(set(drawn)) == 7


def test_a_softmax_without_loss_counts_in_the_mean(pair: Pair, tmp_path: Path) -> None:
    """With a loss of 0, so that the cost layer's shows as a half in both."""
    pair.add_image(mirrored(5), 1)
    layers = CLASSIFY.replace("[softmax]", "[softmax]\nnoloss=1")
    before = pair.ours.fresh(layers)
    start = write_floats(tmp_path / "start", before)
    ours, got = pair.ours.train(net(layers), start)
    reference, wanted = pair.reference.train(net(layers), start)
    assert ours.losses == pytest.approx(reference.losses, abs=LOSS)
    assert distance(got - before, wanted - before) <= UPDATE


# ---- Where Darknet is wrong or odd, and ours is not ----


def test_darknets_sigmoid_is_no_sigmoid_before_its_step(pair: Pair) -> None:
    """There batch - step is unsigned: a rate of 0 until the step, or the full one."""
    ours, reference = rates(pair, "policy=sigmoid\ngamma=.5\nstep=3")
    assert reference[:2] == pytest.approx([0, 0])
    assert ours == pytest.approx(1000 / (1 + np.exp(0.5 * (np.arange(1, 8) - 3))), rel=RATE)
    assert ours[2:] == pytest.approx(reference[2:], rel=RATE)


def test_darknets_smooth_cost_leads_away_beyond_1(pair: Pair, tmp_path: Path) -> None:
    """Its gradient has the wrong sign there; the losses and the rest are the same."""
    pair.add_image(mirrored(4), 0)
    layers = section("connected", output=CLASSES, activation="linear") + section(
        "cost", type="smooth"
    )
    before = 20 * pair.ours.fresh(layers)
    start = write_floats(tmp_path / "start", before)
    cfg = net(layers, decay=0, rate=0.001)
    ours, got = pair.ours.train(cfg, start)
    reference, wanted = pair.reference.train(cfg, start)
    assert ours.losses[0] == pytest.approx(reference.losses[0], rel=RATE)
    assert (np.diff(ours.losses) < 0).all() and (np.diff(reference.losses) > 0).all()
    steep = np.abs(got - before) >= np.abs(wanted - before).max() / 2
    assert np.sign(got - before)[steep] == pytest.approx(-np.sign(wanted - before)[steep])
