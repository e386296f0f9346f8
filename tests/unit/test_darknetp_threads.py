# SPDX-License-Identifier: MIT
"""What makes darknetp fast changes no result: threads, and how little crosses to the TEE."""

from __future__ import annotations

import json
from typing import Any

import pytest
from darknetp_workspace import (
    CLASSES,
    LAST_LAYER,
    LAYERS,
    NET,
    Workspace,
    partition,
    refused,
)

JsonEvent = dict[str, Any]

# Every kind of layer, sources and groups included.
ALL_KINDS = """
[convolutional]
filters=6
size=3
stride=1
pad=1
groups=3
batch_normalize=1
activation=leaky

[convolutional]
filters=6
size=1
stride=1
activation=relu

[shortcut]
from=-2
activation=tanh

[batchnorm]

[activation]
activation=elu

[maxpool]
size=3
stride=2

[convolutional]
filters=7
size=5
stride=2
pad=1
activation=logistic

[route]
layers=-1,-1

[dropout]
probability=.4

[connected]
output=40
batch_normalize=1
activation=relu

[connected]
output=90
activation=leaky

[convolutional]
filters=4
size=1
stride=1
activation=linear

[avgpool]

[softmax]
groups=1

[cost]
type=smooth
"""


# ---- Threads ----


@pytest.mark.parametrize("layers", [LAYERS, ALL_KINDS], ids=["lenet", "all-kinds"])
def test_weights_do_not_depend_on_threads(work: Workspace, layers: str) -> None:
    """Claim: -threads changes no bit, for every kind of layer."""
    cfg = work.write("cfg/threads.cfg", NET + layers)
    reference = work.trained("-threads", "1", cfg=cfg)
    for threads in ("2", "3", "8"):
        assert work.trained("-threads", threads, cfg=cfg) == reference, threads
    assert work.trained(cfg=cfg) == reference


def test_neither_threads_nor_partition_change_weights(work: Workspace) -> None:
    assert work.trained("-threads", "3", *partition(2, 6)) == work.trained("-threads", "1")


def test_predictions_do_not_depend_on_threads(work: Workspace) -> None:
    work.write("weights", "").write_bytes(work.trained())
    rows = [work.predict("weights", work.images[5], "-threads", n).top for n in "138"]
    assert len(rows[0]) == 3
    assert rows[0] == rows[1] == rows[2]


def test_threads_end_together_when_an_image_fails(work: Workspace) -> None:
    for image in work.images:
        image.write_bytes(b"no picture")
    refused(work.train("-threads", "3"), "not a PNG, JPEG or BMP picture", status=1)


@pytest.mark.parametrize("count", ["0", "65", "two"])
def test_impossible_numbers_of_threads_are_refused(work: Workspace, count: str) -> None:
    refused(work.train("-threads", count), f"-threads {count}: ")


# ---- What crosses between the worlds ----

BATCH = 8
BATCHES = 3
STEP_BYTES = 40  # struct darknetp_step of darknetp_ta.h
STEPS = ("forward", "backward", "train")
Traffic = dict[str, dict[str, int]]


def train_and_count(work: Workspace, *flags: str, **settings: str) -> tuple[JsonEvent, Traffic]:
    """The stream's event "start", and what the commands of the steps let cross."""
    stream = work.root / "events.json"
    words = ["-iterations", str(BATCHES), "-json", str(stream), *flags]
    result = work.run("classifier", "train", work.data, work.cfg, *words, **settings)
    assert result.status == 0, result.err
    events = [json.loads(line) for line in stream.read_text().splitlines()]
    (start,) = (event for event in events if event["event"] == "start")
    commands = events[-1]["commands"]
    return start, {name: commands[name] for name in STEPS if name in commands}


def expected_traffic(start: JsonEvent, calls: int) -> Traffic:
    """Each tensor once: what goes in, what comes out, and their gradients."""
    first, last = start["partition"]["start"], start["partition"]["end"]
    inputs = 4 * BATCH * start["layers"][first]["inputs"]
    outputs = 4 * BATCH * start["layers"][last]["outputs"]
    input_deltas = inputs if first > 0 else 0
    steps = STEP_BYTES * calls
    if last == LAST_LAYER:
        truths = 4 * BATCH * CLASSES
        return {"train": times_batches(calls, inputs + truths + steps, input_deltas)}
    return {
        "forward": times_batches(calls, inputs + steps, outputs),
        "backward": times_batches(calls, outputs + steps, input_deltas),
    }


def times_batches(calls: int, to_secure: int, from_secure: int) -> dict[str, int]:
    counts = {"calls": calls, "bytes_to_secure": to_secure, "bytes_from_secure": from_secure}
    return {name: BATCHES * count for name, count in counts.items()}


@pytest.mark.parametrize(("start", "end"), [(4, 10), (2, 6), (0, 10), (0, 5)])
def test_every_tensor_crosses_once(work: Workspace, start: int, end: int) -> None:
    """Claim: one call per micro-batch where the partition ends the network, otherwise two."""
    event, traffic = train_and_count(work, *partition(start, end))
    assert event["micro_batch"] == BATCH
    assert traffic == expected_traffic(event, calls=1)


@pytest.mark.parametrize(("start", "end"), [(4, 10), (2, 6), (0, 10), (0, 5)])
def test_micro_batches_let_no_more_cross(work: Workspace, start: int, end: int) -> None:
    event, _ = train_and_count(work, *partition(start, end))
    too_little = str(event["secure_memory"]["needed"] - 1)
    event, traffic = train_and_count(work, *partition(start, end), INPROCESS_TEE_HEAP=too_little)
    calls = -(-BATCH // event["micro_batch"])
    assert calls > 1
    assert traffic == expected_traffic(event, calls)
