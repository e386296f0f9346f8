# SPDX-License-Identifier: MIT
"""The JSON line stream of darknetp: host/json.h says what is in it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from darknetp_workspace import CLASSES, LAST_LAYER, LAYERS, NET, Result, Workspace, partition

Event = dict[str, Any]


def told(work: Workspace, *words: str | Path, **settings: str) -> tuple[Result, list[Event]]:
    """The result of a run and its events."""
    path = work.root / "events.jsonl"
    result = work.run("classifier", *words, "-json", path, **settings)
    lines = path.read_bytes().decode().splitlines()
    return result, [json.loads(line) for line in lines]


def train(work: Workspace, *words: str | Path, **settings: str) -> tuple[Result, list[Event]]:
    return told(work, "train", work.data, work.cfg, "-seed", "1", *words, **settings)


def predict(work: Workspace, *words: str | Path) -> tuple[Result, list[Event]]:
    return told(work, "predict", work.data, work.cfg, work.weights, *words)


def named(events: list[Event], name: str) -> list[Event]:
    return [event for event in events if event["event"] == name]


def kinds(events: list[Event]) -> list[str]:
    return [event["event"] for event in events if event["event"] != "note"]


def test_the_start_describes_both_worlds(work: Workspace) -> None:
    _, events = train(work, "-iterations", "1", *partition(4, LAST_LAYER))
    (start,) = named(events, "start")
    assert list(start)[:8] == [
        *("event", "format", "abi", "verb", "data", "network", "weights", "partition")
    ]
    assert (start["format"], start["verb"], start["weights"]) == (1, "train", None)
    assert (start["data"], start["network"]) == (str(work.data), str(work.cfg))
    assert start["partition"] == {"start": 4, "end": 10}
    assert (start["frozen"], start["batch"], start["subdivisions"]) == (0, 8, 1)
    assert (start["micro_batch"], start["seed"]) == (8, 1)
    assert [layer["kind"] for layer in start["layers"][:5]] == [
        *("convolutional", "maxpool", "convolutional", "maxpool", "connected")
    ]
    assert [layer["world"] for layer in start["layers"]] == ["normal"] * 4 + ["secure"] * 7
    assert start["layers"][4] == {
        "index": 4,
        "kind": "connected",
        "world": "secure",
        "inputs": 16,
        "outputs": 12,
    }
    memory = start["secure_memory"]
    assert 0 < memory["needed"] <= memory["available"]


def test_what_is_not_there_is_null(work: Workspace) -> None:
    _, events = told(work, "train", work.data, work.cfg, "-iterations", "1")
    (start,) = named(events, "start")
    assert start["partition"] is None and start["secure_memory"] is None
    assert "seed" not in start


def test_a_micro_batch_chosen_by_the_memory_is_told(work: Workspace) -> None:
    flags = ["-iterations", "1", *partition(0, 10)]
    _, events = train(work, *flags, INPROCESS_TEE_HEAP="40000")
    (start,) = named(events, "start")
    assert start["micro_batch"] < start["batch"] == 8
    assert start["secure_memory"]["available"] == 40000


def test_iterations_tell_what_is_printed(work: Workspace) -> None:
    result, events = train(work, "-iterations", "3")
    iterations = named(events, "iteration")
    assert [event["n"] for event in iterations] == [1, 2, 3]
    assert [event["images"] for event in iterations] == [8, 16, 24]
    assert [event["loss"] for event in iterations] == pytest.approx(result.losses, abs=1e-6)
    first, second, _ = iterations
    assert first["average"] == first["loss"]
    assert second["average"] == 0.9 * first["loss"] + 0.1 * second["loss"]  # exact
    assert all(event["seconds"] > 0 and event["load_seconds"] > 0 for event in iterations)
    assert f"{first['rate']:f} rate" in result.out


def test_a_loss_of_the_secure_world_is_null(work: Workspace) -> None:
    _, events = train(work, "-iterations", "2", *partition(4, LAST_LAYER))
    assert [(e["loss"], e["average"]) for e in named(events, "iteration")] == [(None, None)] * 2


def test_a_loss_that_is_no_number_is_text(work: Workspace) -> None:
    text = NET.replace("learning_rate=.05", "learning_rate=1e30")
    work.write("cfg/tiny.cfg", text + LAYERS)
    _, events = train(work, "-iterations", "4")
    assert named(events, "iteration")[-1]["loss"] in ("nan", "inf", "-inf")


def test_saved_files_are_named(work: Workspace) -> None:
    _, events = train(work, "-iterations", "2", "-checkpoint", "1", "-ss", "1", *partition(4, 8))
    backup = f"{work.root}/deep/backup/"
    saved = named(events, "saved")
    assert [event["kind"] for event in saved] == ["checkpoint", "checkpoint", "weights"]
    assert saved[0]["path"] == f"{backup}/tiny.backup"
    assert saved[0]["files"] == [
        f"{backup}/tiny.backup{suffix}" for suffix in ("_ree", "_tee", ".state")
    ]
    assert all(Path(name).is_file() for event in saved for name in event["files"])
    assert len(saved[2]["files"]) == 2


def test_a_resumed_training_says_where_it_was(work: Workspace) -> None:
    train(work, "-iterations", "3", "-checkpoint", "2")
    backup = work.weights.with_suffix(".backup")
    _, events = told(work, "train", work.data, work.cfg, backup, "-iterations", "1")
    assert named(events, "resumed") == [{"event": "resumed", "n": 2}]
    assert kinds(events) == ["start", "resumed", "iteration", "saved", "end"]
    assert named(events, "start")[0]["seed"] == 1


def test_predictions_tell_classes_names_and_shares(work: Workspace, weights: Path) -> None:
    result, events = predict(work, work.images[0], work.images[1], "-t", "4", *partition(4, 8))
    first, second = named(events, "prediction")
    assert (first["image"], second["image"]) == (str(work.images[0]), str(work.images[1]))
    printed = [(f"{100 * top['share']:.2f}", top["name"]) for top in first["top"] + second["top"]]
    assert printed == [(f"{value:.2f}", name) for value, name in result.top]
    assert all(top["name"] == f"name {top['class']}" for top in first["top"])
    assert first["hidden"] is False and first["seconds"] > 0


def test_what_is_hidden_is_not_told(work: Workspace, weights: Path) -> None:
    _, plain = predict(work, work.images[0], "-t", "4")
    _, events = predict(work, work.images[0], "-t", "4", *partition(4, LAST_LAYER))
    (prediction,) = named(events, "prediction")
    assert prediction["hidden"] is True
    best = named(plain, "prediction")[0]["top"][0] | {"share": 1}
    assert prediction["top"] == [best]


def test_validation_counts(work: Workspace, weights: Path) -> None:
    _, events = told(work, "valid", work.data, work.cfg, weights)
    images = named(events, "validated")
    (accuracy,) = named(events, "accuracy")
    assert [event["image"] for event in images] == [str(path) for path in work.images]
    assert [event["class"] for event in images] == [i % CLASSES for i in range(16)]
    right = sum(event["best"] == event["class"] for event in images)
    assert accuracy == {
        "event": "accuracy",
        "images": 16,
        "top": 3,
        "top1": right / 16,
        "topk": sum(event["in_top"] for event in images) / 16,
    }


def test_the_test_listing_tells_every_class(work: Workspace, weights: Path) -> None:
    _, events = told(work, "test", work.data, work.cfg, weights)
    predictions = named(events, "prediction")
    assert [event["image"] for event in predictions] == [str(p) for p in work.images[:4]]
    for event in predictions:
        assert sorted(top["class"] for top in event["top"]) == [0, 1, 2, 3]
        assert sum(top["share"] for top in event["top"]) == pytest.approx(1)


def test_the_end_counts_calls_and_bytes(work: Workspace) -> None:
    floats = 4
    inputs, truths, layers = 16, 4, 7
    _, events = train(work, "-iterations", "3", *partition(4, LAST_LAYER))
    end = events[-1]
    assert end["event"] == "end" and end["status"] == 0 and end["seconds"] > 0
    step = end["commands"]["train"]
    # One call per batch: the step, eight inputs and truths there, eight gradients back.
    assert step == {
        "calls": 3,
        "bytes_to_secure": 3 * (40 + floats * 8 * (inputs + truths)),
        "bytes_from_secure": 3 * floats * 8 * inputs,
    }
    assert end["commands"]["build"]["calls"] == 1
    assert end["commands"]["build"]["bytes_to_secure"] > 40 * layers
    parameters = 16 * 12 + 12 + 12 * 10 + 10 + 10 * 4 + 4
    assert end["commands"]["tensor_save"]["bytes_from_secure"] == floats * parameters
    for key in ("calls", "bytes_to_secure", "bytes_from_secure"):
        assert end[key] == sum(command[key] for command in end["commands"].values())


def test_nothing_crosses_without_a_partition(work: Workspace) -> None:
    _, events = train(work, "-iterations", "1")
    end = events[-1]
    assert (end["calls"], end["bytes_to_secure"], end["bytes_from_secure"]) == (0, 0, 0)
    assert end["commands"] == {}


def test_messages_are_events_and_the_end_has_the_status(work: Workspace, weights: Path) -> None:
    result, events = predict(work, "/missing.png", work.images[0])
    assert result.status == 1
    assert named(events, "error") == [
        {"event": "error", "text": "Couldn't open file: /missing.png (No such file or directory)"}
    ]
    assert kinds(events) == ["start", "error", "prediction", "end"]
    assert events[-1]["status"] == 1


def test_a_tee_that_does_not_open_is_told(work: Workspace) -> None:
    result, events = train(work, INPROCESS_TEE_FAIL="session=0xffff000c")
    assert result.status == 1
    assert events[0]["text"] == "TEEC_Opensession failed with code 0xffff000c origin 0x4"
    assert events[-1]["status"] == 1 and "calls" not in events[-1]


def test_odd_names_stay_valid_json(work: Workspace, weights: Path) -> None:
    odd = work.root / 'quote" back\\slash \t tab é.png'
    odd.write_bytes(work.images[0].read_bytes())
    _, events = predict(work, odd)
    assert named(events, "prediction")[0]["image"] == str(odd)
    broken = str(work.root).encode() + b"/\xff\xfe\xed\xa0\x80.png"
    command = work.command("classifier", "predict", work.data, work.cfg, weights)
    done = subprocess.run(
        [*command, broken, "-json", str(work.root / "events.jsonl")],
        env=work.environment(),
        cwd=work.root,
        capture_output=True,
    )
    assert done.returncode == 1
    lines = (work.root / "events.jsonl").read_bytes().decode().splitlines()
    (error,) = named([json.loads(line) for line in lines], "error")
    assert "/\ufffd\ufffd\ufffd\ufffd\ufffd.png" in error["text"]


@pytest.mark.parametrize("stream", ["out", "err"])
def test_standard_streams_carry_whole_lines_of_both(
    work: Workspace, weights: Path, stream: str
) -> None:
    """Also when they go into a file, where two writers would overwrite each other."""
    words = ["classifier", "test", work.data, work.cfg, weights, "-json", f"/dev/std{stream}"]
    path = work.root / "log"
    with path.open("w") as log:
        subprocess.run(
            work.command(*words),
            stdout=log,
            stderr=log,
            env=work.environment(),
            cwd=work.root,
            check=True,
        )
    lines = path.read_text().splitlines()
    events = [json.loads(line) for line in lines if line.startswith("{")]
    assert kinds(events) == ["start", *["prediction"] * 4, "end"]
    assert lines[0] == "Prepare session with the TA"
    assert sum(line.startswith(f"{work.root}/images/") for line in lines) == 4


def test_a_stream_that_cannot_be_written_fails_the_run(work: Workspace, weights: Path) -> None:
    words = ["predict", work.data, work.cfg, weights, work.images[0]]
    for path, text in [
        ("/nowhere/x", "cannot write /nowhere/x: No such file"),
        ("/dev/full", "cannot write /dev/full: No space left on device"),
    ]:
        result = work.run("classifier", *words, "-json", path)
        assert result.status == 1
        assert text in result.err
