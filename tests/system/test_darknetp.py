# SPDX-License-Identifier: MIT
"""``./inv darknetp -- ...``: its words and its exit status reach the user."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from checkout import Checkout

from tzkit.pipeline import Build

DATA, CFG, WEIGHTS = (
    "cfg/digits.dataset",
    "cfg/mnist_lenet.cfg",
    "models/digits/mnist_lenet.weights",
)
IMAGE = "data/digits/images/t_01435_c0.png"
SECURE = ("-pp_start", "4", "-pp_end", "10")


@pytest.fixture(scope="module")
def spoilt(checkout: Checkout) -> Path:
    """The digits with a network and weights beside them that nobody can use."""
    folder = checkout.root / "spoilt"
    shutil.copytree(checkout.root / "datasets" / "digits", folder)
    cfg = (folder / CFG).read_text()
    (folder / "cfg" / "unknown.cfg").write_text(cfg.replace("[softmax]", "[teleport]"))
    weights = (folder / WEIGHTS).read_bytes()
    (folder / "models" / "short.weights").write_bytes(weights[: len(weights) // 2])
    return folder


def predict(cfg: str = CFG, weights: str = WEIGHTS, image: str = IMAGE) -> tuple[str, ...]:
    return ("classifier", "predict", *SECURE, DATA, cfg, weights, image)


def test_prediction(checkout: Checkout, warm: Build) -> None:
    ended = checkout.run("darknetp", "--", *predict())
    assert ended.status == 0, ended.text
    assert "100.00%: 0" in ended.text
    assert "secure| " in ended.text and "secure world opened!" in ended.text


WRONG = {
    "image": (predict(image="data/none.png"), 1, ("data/none.png",)),
    "layer": (predict(cfg="cfg/unknown.cfg"), 2, ("cfg/unknown.cfg", "teleport")),
    "weights": (predict(weights="models/short.weights"), 1, ("models/short.weights",)),
    "partition": (
        ("classifier", "predict", "-pp_start", "4", "-pp_end", "11", DATA, CFG, WEIGHTS, IMAGE),
        2,
        ("partition 4:11 lies outside the network: layers are 0 to 10",),
    ),
    "function": (("detector", "test"), 2, ("detector",)),
}


@pytest.mark.parametrize("name", WRONG)
def test_refusals_and_failures(checkout: Checkout, warm: Build, spoilt: Path, name: str) -> None:
    arguments, status, texts = WRONG[name]
    ended = checkout.run("darknetp", "--dataset", str(spoilt), "--", *arguments)
    assert ended.status == status, ended.text
    assert [text for text in texts if text not in ended.text] == [], ended.text
    assert f"darknetp ended with status {status}" in ended.text
    assert "normal.log" in ended.text
    assert "Traceback" not in ended.text


def test_deadline(checkout: Checkout, warm: Build) -> None:
    train = ("classifier", "train", *SECURE, DATA, CFG)
    ended = checkout.run("darknetp", "--timeout", "3", "--", *train)
    assert ended.status == 4, ended.text
    assert "target died: no end of " in ended.text and "within 3 s" in ended.text


def test_what_went_wrong_is_in_the_log(checkout: Checkout, warm: Build) -> None:
    before = checkout.runs()
    ended = checkout.run("darknetp", "--", "detector", "test")
    (folder,) = checkout.runs() - before
    log = (folder / "tzkit.log").read_text()
    message = ended.text[ended.text.index("request: ") :]
    assert [line for line in message.splitlines() if line not in log] == []
