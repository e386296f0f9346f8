# SPDX-License-Identifier: MIT
"""The darknetp suite: judges over made-up runs and their spoiled versions; runner on real ptys."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from console_guest import Guest, booted, joined

from tzkit.console import Line, Shell
from tzkit.datasets import DatasetSummary, Example
from tzkit.errors import CheckFailed, RequestError, TargetDied
from tzkit.suites import darknetp
from tzkit.suites.darknetp import (
    DarknetpRun,
    Partition,
    run_predict,
    run_train,
    run_usage,
    run_valid,
)
from tzkit.suites.darknetp_judge import (
    judge_predict,
    judge_train,
    judge_tune,
    judge_usage,
    judge_valid,
)
from tzkit.suites.darknetp_output import read_normal
from tzkit.suites.darknetp_stream import Spoiled, as_output, read_stream

KINDS = ["conv", "max", "conv", "max", "connected", "dropout", "connected", "dropout",
         "connected", "softmax", "cost"]  # fmt: skip
PP = Partition(4, 10)
THREE = Example.model_validate({"image": "data/t_00003_c3.png", "label": "3"})
DATASET = DatasetSummary(
    root=PurePosixPath("/"),
    data_cfg=PurePosixPath("cfg/digits.dataset"),
    network_cfg=PurePosixPath("cfg/mnist_lenet.cfg"),
    weights=PurePosixPath("models/mnist_lenet.weights"),
    training_batch=32,
    examples=(THREE,),
    train_images=1433,
    held_out_images=20,
    layers=("convolutional", "maxpool", "convolutional", "maxpool", "connected", "dropout",
            "connected", "dropout", "connected", "softmax", "cost"),
    accuracy=0.9,
)  # fmt: skip
SHORT = replace(DATASET, short_cfg=PurePosixPath("cfg/mnist_lenet_short.cfg"))


@dataclass
class Said:
    """What both worlds say, before it is spoiled; ``stream`` is said to programs by our own."""

    normal: list[str] = field(default_factory=list)
    secure: list[str] = field(default_factory=list)
    status: int = 0
    stream: list[dict[str, Any]] = field(default_factory=list)

    def run(self) -> DarknetpRun:
        def lines(texts: Sequence[str]) -> tuple[Line, ...]:
            return tuple(Line(float(n), text) for n, text in enumerate(texts))

        stream = read_stream(map(json.dumps, self.stream)) if self.stream else None
        normal, secure = lines(self.normal), lines(self.secure)
        return DarknetpRun("darknetp", normal, secure, self.status, 9.5, stream)

    def swap(self, old: str, new: str) -> None:
        """Replace a text on both consoles; it must be there."""
        assert any(old in text for text in self.normal + self.secure), old
        self.normal = [text.replace(old, new) for text in self.normal]
        self.secure = [text.replace(old, new) for text in self.secure]


def layer_table(partition: Partition | None) -> list[str]:
    rows = ["layer     filters    size              input                output"]
    for index, kind in enumerate(KINDS):
        inside = partition is not None and partition.start <= index <= partition.end
        rows.append(f"{index:5d} {kind}{'_TA' if inside else '   '}       400  ->   120")
    return rows


def start(partition: Partition | None) -> Said:
    normal = ["Prepare session with the TA", "Begin darknet", "mnist_lenet", "1"]
    secure = ["I/TA: secure world opened!"] if partition else []
    return Said([*normal, *layer_table(partition), "workspace_size=117600"], secure)


def loss(number: int) -> float:
    return 2.5 / math.sqrt(number)


def training(partition: Partition | None = PP, count: int = 30) -> Said:
    said = start(partition)
    hidden = partition is not None and partition.end == 10
    for n in range(1, count + 1):
        shown = 0.0 if hidden else loss(n)
        said.normal += [
            "Loaded: 0.012345 seconds",
            f"{n}, {n / 14:.3f}: {shown:f}, {shown:f} avg, 0.049900 rate, "
            f"0.812345 seconds, {100 * n} images",
            "user CPU start: 0.1; end: 0.2",
            "Max: 5000  kilobytes",
        ]
        if hidden:
            said.secure.append(f"I/TA:  loss = {loss(n):.5f}, avg loss = {loss(n):.5f} from the TA")
    said.normal.append("Saving weights to /root/backup/mnist_lenet.weights")
    said.secure.append("I/TA: Goodbye!")
    return said


def prediction(partition: Partition | None = PP, *, shown: Sequence[str] | None = None) -> Said:
    said = start(partition)
    hidden = partition is not None and partition.end >= 9
    one_hot = ["100.00%: 3", " 0.00%: 1", " 0.00%: 2", " 0.00%: 0", " 0.00%: 4"]
    open_ = ["78.48%: 3", "21.52%: 5", " 0.00%: 1", " 0.00%: 2", " 0.00%: 0"]
    said.normal.append("data/t_00003_c3.png: Predicted in 0.004321 seconds.")
    said.normal += shown if shown is not None else one_hot if hidden else open_
    return said


# ---- The same as a stream for programs ----


def started(partition: Partition | None) -> dict[str, Any]:
    def world(index: int) -> str:
        inside = partition is not None and partition.start <= index <= partition.end
        return "secure" if inside else "normal"

    layers = [
        {"index": index, "kind": kind, "world": world(index), "inputs": 10, "outputs": 10}
        for index, kind in enumerate(DATASET.layers)
    ]
    return {"event": "start", "format": 1, "verb": "v", "micro_batch": 4, "layers": layers}


def ended(status: int = 0) -> dict[str, Any]:
    crossed = {"calls": 12, "bytes_to_secure": 1000, "bytes_from_secure": 10}
    commands = {"build": crossed, "forward": crossed, "train": crossed}
    return {"event": "end", "status": status, "seconds": 9.5, "commands": commands}


def streamed_training(partition: Partition | None = PP, scale: float = 1.0) -> Said:
    said = training(partition)
    hidden = partition is not None and partition.end == 10
    said.stream = [started(partition)]
    for n in range(1, 31):
        own = None if hidden else scale * loss(n)
        numbers = {"loss": own, "average": own, "rate": 0.05, "seconds": 0.8, "images": 100 * n}
        said.stream.append({"event": "iteration", "n": n, **numbers})
    said.stream += [{"event": "saved", "path": "x"}, ended()]
    if hidden:
        texts = [f"{scale * loss(n):.5f}" for n in range(1, 31)]
        lines = [f"I/TA: loss = {text}, avg loss = {text} from the TA" for text in texts]
        said.secure = [said.secure[0], *lines]
    return said


def streamed_prediction(partition: Partition | None, shares: Sequence[float]) -> Said:
    said = prediction(partition)
    top = [
        {"class": number, "name": name, "share": share}
        for number, (name, share) in enumerate(zip("35102", shares, strict=False))
    ]
    told = {"event": "prediction", "image": "data/t_00003_c3.png", "seconds": 0.004, "top": top}
    said.stream = [started(partition), told, ended()]
    return said


def streamed_validation(partition: Partition | None = PP, right: int = 19) -> Said:
    said = start(partition)
    images = [
        {"event": "validated", "image": f"{n}.png", "class": 3, "best": 3 if n < right else 8,
         "in_top": True}
        for n in range(20)
    ]  # fmt: skip
    share = {"images": 20, "top": 5, "top1": right / 20, "topk": 1.0}
    said.stream = [started(partition), *images, {"event": "accuracy", **share}, ended()]
    return said


@pytest.mark.parametrize("partition", [PP, Partition(2, 6), Partition(4, 9), None])
def test_stream_and_prose_say_the_same(partition: Partition | None) -> None:
    said = streamed_training(partition)
    run = said.run()
    assert run.stream is not None
    told, printed = as_output(run.stream), read_normal(run.normal)
    assert [(layer.index, layer.world) for layer in told.layers] == [
        (layer.index, layer.world) for layer in printed.layers
    ]
    for one, other in zip(told.iterations, printed.iterations, strict=True):
        assert (one.number, one.images) == (other.number, other.images)
        assert one.loss == pytest.approx(other.loss, abs=1e-5)
    result = judge_train(run, partition, 30)
    assert result.reasons == ()
    hidden = partition is not None and partition.end == 10
    assert (result.iterations[0].normal, result.iterations[0].secure) == (
        (None, 2.5) if hidden else (2.5, None)
    )


def test_stream_knows_numbers_that_json_does_not() -> None:
    said = streamed_training(None)
    said.stream[3]["loss"] = "nan"
    assert "finite" in "\n".join(judge_train(said.run(), None, 30).reasons)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "line 2: : Invalid JSON"),
        ('{"event": "iteration", "n": 1}', "line 2: iteration.loss: Field required"),
        ('{"event": "start", "format": 2, "layers": []}', "line 2: start.format"),
        ('{"none": 1}', "line 2: event: Field required"),
    ],
)
def test_spoiled_stream_names_its_line(line: str, why: str) -> None:
    with pytest.raises(Spoiled) as caught:
        read_stream([json.dumps(started(PP)), line])
    assert str(caught.value).startswith(why.replace(": : ", ": "))


def test_events_of_a_newer_program_are_left_alone() -> None:
    newer = {**ended(), "more": [1]}
    stream = read_stream(['{"event": "sealed", "n": "?"}', json.dumps(newer)])
    assert stream.end is not None and stream.end.status == 0


def test_what_crosses_is_counted_by_step() -> None:
    """Forward and train; building is not repeated."""
    crossed = read_stream([json.dumps(ended())]).crossed
    assert (crossed.calls, crossed.bytes_to_secure, crossed.bytes_from_secure) == (24, 2000, 20)
    assert read_stream([]).crossed.calls == 0


# ---- Training ----


@pytest.mark.parametrize("partition", [PP, Partition(0, 10), Partition(2, 6), None])
def test_good_training_passes(partition: Partition | None) -> None:
    result = judge_train(training(partition).run(), partition, 30)
    assert result.reasons == () and result.verdict == "pass"
    assert [said.number for said in result.iterations] == list(range(1, 31))
    world = "secure" if partition and partition.end == 10 else "normal"
    assert {said.world for said in result.iterations} == {world}
    first = result.iterations[0]
    assert (first.loss, first.seconds, first.images) == (2.5, 0.812345, 100)


def drop(lines: list[str], text: str) -> None:
    del lines[next(n for n, line in enumerate(lines) if text in line)]


def not_falling(said: Said) -> None:
    losses = [line for line in said.secure if "loss =" in line]
    said.secure = ["I/TA: secure world opened!", *reversed(losses)]


BAD_TRAINING: dict[str, tuple[Callable[[Said], object], str]] = {
    "status": (lambda said: setattr(said, "status", 1), "status 1"),
    "no output": (lambda said: said.normal.clear(), "no layer table"),
    "one loss missing": (lambda said: drop(said.secure, "loss ="), "29 losses"),
    "all losses missing": (lambda said: said.secure.clear(), "0 losses"),
    "one loss too many": (lambda said: said.secure.append(said.secure[3]), "31 losses"),
    "one iteration missing": (lambda said: drop(said.normal, " avg, "), "29 were reported"),
    "iterations out of order": (lambda said: said.swap("7, 0.500:", "8, 0.500:"), "one after"),
    "loss leaks": (
        lambda said: said.swap("0.000000, 0.000000 avg", "0.5, 0.0 avg"),
        "shows a loss",
    ),
    "average leaks": (lambda said: said.swap(" 0.000000 avg", " 0.400000 avg"), "shows a loss"),
    "nan leaks": (lambda said: said.swap(": 0.000000,", ": nan,"), "shows a loss"),
    "nan": (lambda said: said.swap("loss = 2.50000,", "loss = nan,"), "finite"),
    "infinite": (lambda said: said.swap("loss = 2.50000,", "loss = inf,"), "finite"),
    "no learning": (not_falling, "did not fall"),
    "layer not in the TEE": (lambda said: said.swap("connected_TA", "connected   "), "the table"),
    "too much in the TEE": (lambda said: said.swap("2 conv   ", "2 conv_TA"), "the table"),
    "gap in the table": (lambda said: drop(said.normal, " 1 max"), "gaps"),
    "TA not opened": (lambda said: drop(said.secure, "opened"), "was opened"),
    "loss on the wrong console": (
        lambda said: (said.normal.extend(said.secure[1:-1]), said.secure.clear()),
        "0 losses",
    ),
}


@pytest.mark.parametrize("name", BAD_TRAINING)
def test_bad_training_fails_with_a_reason(name: str) -> None:
    spoil, reason = BAD_TRAINING[name]
    said = training()
    spoil(said)
    result = judge_train(said.run(), PP, 30)
    assert result.verdict == "fail"
    assert reason in "\n".join(result.reasons)


def test_training_that_is_cut_off_never_passes() -> None:
    whole = training()
    for cut in range(len(whole.normal) - 4):
        said = replace(whole, normal=whole.normal[:cut])
        assert judge_train(said.run(), PP, 30).verdict == "fail", cut
    for cut in range(len(whole.secure) - 1):
        said = replace(whole, secure=whole.secure[:cut])
        assert judge_train(said.run(), PP, 30).verdict == "fail", cut


@pytest.mark.parametrize("partition", [PP, Partition(4, 9), None])
def test_tuning_passes_where_weights_had_learnt(partition: Partition | None) -> None:
    """An untrained network of ten classes shows 1.6 in a world with both losses, 0.9 with one."""
    assert judge_tune(streamed_training(partition, 0.1).run(), partition, 30).verdict == "pass"
    result = judge_tune(streamed_training(partition).run(), partition, 30)
    assert result.verdict == "fail" and "the weights did not count" in result.reasons[0]


def test_tuning_that_runs_away_fails() -> None:
    said = streamed_training(PP, 0.1)
    said.secure[-3:] = [line.replace("loss = 0.", "loss = 9.") for line in said.secure[-3:]]
    assert "did not count" in judge_tune(said.run(), PP, 30).reasons[0]


def test_few_iterations_are_no_evidence() -> None:
    assert judge_train(training(count=20).run(), PP, 20).verdict == "pass"
    assert "too few" in judge_train(training(count=19).run(), PP, 19).reasons[0]
    assert judge_train(training(count=3).run(), PP, 3).verdict == "fail"
    assert judge_train(training(count=30).run(), PP, 31).verdict == "fail"


def test_upstream_spelling_of_the_loss_is_read() -> None:
    said = training()
    said.secure = [line.replace("= 0.", "= .").replace("I/TA:  ", "I/TA: ") for line in said.secure]
    assert judge_train(said.run(), PP, 30).verdict == "pass"


def test_mixed_up_streams_and_kernel_messages_do_no_harm() -> None:
    said = training()
    said.swap("12, 0.857:", "output file: x12, 0.857:".replace("x", " "))
    said.swap("Loaded: 0.012345 seconds", "Loaded: 0.0[   12.345678] hrtimer: x")
    assert judge_train(said.run(), PP, 30).verdict == "pass"


def test_shared_uart_carries_both_worlds() -> None:
    said = training()
    both = replace(said, normal=said.normal + said.secure, secure=said.normal + said.secure)
    assert judge_train(both.run(), PP, 30).verdict == "pass"


# ---- Prediction and usage ----


@pytest.mark.parametrize("partition", [PP, Partition(9, 9), Partition(0, 8), None])
def test_good_prediction_passes(partition: Partition | None) -> None:
    result = judge_predict(prediction(partition).run(), partition, THREE)
    assert result.reasons == () and result.verdict == "pass"
    assert result.top[0] == ("3", 78.48 if result.top[0][1] < 100 else 100.0)
    assert len(result.top) == 5


BAD_TOP: dict[str, tuple[list[str], str]] = {
    "nothing": ([], "no classes"),
    "wrong digit": (["100.00%: 8", " 0.00%: 3"], "predicted was 8"),
    "confidences show": (["78.48%: 3", "21.52%: 5"], "confidences show"),
    "a trace shows": (["100.00%: 3", " 0.01%: 5"], "confidences show"),
    "not certain": (["99.99%: 3", " 0.00%: 5"], "confidences show"),
    "all zero": ([" 0.00%: 3", " 0.00%: 5"], "nothing was predicted"),
    "out of order": (["50.00%: 3", " 0.00%: 5", "50.00%: 1"], "not in order"),
    "no share": (["300.00%: 3", " 0.00%: 5"], "not shares"),
    "absurd": (["1001840967680.00%: 3", " 0.00%: 1"], "shares of a whole: 3 1001840967680.00%"),
    "below zero": (["-0.00%: 0", "-1128787.00%: 3"], "3 -1128787.00%"),
    "not a number": ([" -nan%: 3", "  nan%: 1"], "shares of a whole: 3 nan%, 1 nan%"),
    "infinite": ([" inf%: 3", " 0.00%: 1"], "shares of a whole: 3 inf%"),
}


@pytest.mark.parametrize("name", BAD_TOP)
def test_bad_prediction_fails_with_a_reason(name: str) -> None:
    shown, reason = BAD_TOP[name]
    result = judge_predict(prediction(shown=shown).run(), PP, THREE)
    assert result.verdict == "fail"
    assert reason in "\n".join(result.reasons)


def test_prediction_without_its_evidence_fails() -> None:
    for text, reason in (
        ("Predicted in", "no line says"),
        ("opened!", "was opened"),
        (" 0 conv", "gaps"),
    ):
        said = prediction()
        drop(said.normal if any(text in line for line in said.normal) else said.secure, text)
        result = judge_predict(said.run(), PP, THREE)
        assert result.verdict == "fail" and reason in "\n".join(result.reasons)
    assert judge_predict(replace(prediction(), status=1).run(), PP, THREE).verdict == "fail"
    assert judge_predict(prediction(None).run(), PP, THREE).verdict == "fail"


def test_prediction_by_stream() -> None:
    hidden = streamed_prediction(PP, [1.0])
    result = judge_predict(hidden.run(), PP, THREE)
    assert (result.verdict, result.top[0]) == ("pass", ("3", 100.0))
    leak = streamed_prediction(PP, [1.0, 1e-7, 0.0, 0.0, 0.0])
    assert "confidences show" in judge_predict(leak.run(), PP, THREE).reasons[0]
    shown = streamed_prediction(Partition(4, 8), [0.8, 0.2, 0.0, 0.0, 0.0])
    assert judge_predict(shown.run(), Partition(4, 8), THREE).verdict == "pass"


BAD_VALIDATION: dict[str, tuple[Callable[[Said], object], str]] = {
    "status": (lambda said: setattr(said, "status", 1), "status 1"),
    "too few right": (
        lambda said: setattr(said, "stream", streamed_validation(right=17).stream),
        "85.0% of the images were recognised, 90.0% must be",
    ),
    "no accuracy": (lambda said: said.stream.pop(-2), "no accuracy was reported"),
    "an image missing": (lambda said: said.stream.pop(4), "top 1: 0.9500 was reported, but 18"),
    "an image twice": (lambda said: said.stream[5].update(image="1.png"), "20 images are held out"),
    "praise": (lambda said: said.stream[-2].update(top1=1.0), "1.0000 was reported, but 19"),
    "nothing in the TEE": (lambda said: said.stream.__setitem__(0, started(None)), "the table"),
    "nothing at all": (lambda said: said.stream.clear(), "no accuracy was reported"),
}


@pytest.mark.parametrize("name", BAD_VALIDATION)
def test_bad_validation_fails_with_a_reason(name: str) -> None:
    spoil, reason = BAD_VALIDATION[name]
    said = streamed_validation()
    spoil(said)
    result = judge_valid(said.run(), PP, DATASET)
    assert result.verdict == "fail"
    assert reason in "\n".join(result.reasons)


def test_good_validation_passes() -> None:
    result = judge_valid(streamed_validation().run(), PP, DATASET)
    assert result.reasons == ()
    assert (result.images, result.top1, result.topk, result.k) == (20, 0.95, 1.0, 5)
    guessing = judge_valid(streamed_validation(right=3).run(), PP, replace(DATASET, accuracy=0))
    assert guessing.reasons == ("15.0% of the images were recognised, 20.0% must be",)


def test_usage() -> None:
    said = Said(["Prepare session with the TA", "Begin darknet", "usage: darknetp <function>"])
    assert judge_usage(said.run()).verdict == "pass"
    assert judge_usage(replace(said, status=1).run()).verdict == "fail"
    assert judge_usage(replace(said, normal=said.normal[:2]).run()).verdict == "fail"


OPEN_FAILED = "darknetp: TEEC_Opensession failed with code 0xffff000c origin 0x3"


@pytest.mark.parametrize(
    ("secure", "cure"),
    [
        ([], "what to do: a smaller '--ta-heap' (DarkneTZ's"),
        (["E/TC:? 0 pgt:341 Page tables are not available"], "CFG_PGT_CACHE_ENTRIES"),
    ],
)
def test_failure_is_explained_by_what_both_worlds_said(secure: list[str], cure: str) -> None:
    run = Said([OPEN_FAILED], secure, status=1).run()
    for result in (judge_usage(run), judge_train(run, PP, 30), judge_predict(run, PP, THREE)):
        assert result.reasons[0] == f"darknetp ended with status 1: {OPEN_FAILED}"
        assert result.reasons[-1].startswith("likely cause: ")
        assert cure in result.reasons[-1]


def test_what_passes_needs_no_explanation() -> None:
    said = training()
    said.secure.append("E/TC:? 0 pgt:341 Page tables are not available")
    assert judge_train(said.run(), PP, 30).reasons == ()


@pytest.mark.parametrize("text", ["4", "4:", "a:b", "10:4", "-1:3", "4:10:11", "", "4 10"])
def test_partitions_that_are_none(text: str) -> None:
    with pytest.raises(RequestError):
        Partition.parse(text)


def test_partition() -> None:
    assert Partition.parse(" 4:10 ") == PP
    assert str(PP) == "4:10"


@pytest.mark.parametrize(
    ("partition", "outside"),
    [(PP, Partition(4, 8)), (Partition(4, 8), Partition(4, 8)), (Partition(9, 10), None)],
)
def test_partition_before_the_softmax(partition: Partition, outside: Partition | None) -> None:
    assert partition.before_softmax(DATASET.layers) == outside


# ---- The runner ----


@pytest.fixture(scope="module")
def guest_and_shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Guest, Shell]]:
    with booted(tmp_path_factory.mktemp("guest")) as pair:
        yield pair


@pytest.fixture(autouse=True)
def stream_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that programs write their stream to; the guest shares our file system."""
    path = tmp_path / "darknetp.json"
    monkeypatch.setattr(darknetp, "STREAM", PurePosixPath(path))
    return path


def play(guest: Guest, said: Said, last: str = "") -> None:
    steps = [("normal", joined(said.normal)), ("secure", joined(said.secure))]
    if said.stream:
        written = guest.folder / "stream"
        written.write_text(joined(map(json.dumps, said.stream)))
        last = f'for file; do :; done\ncat {written} >"$file"\n{last}'  # -json FILE comes last
    guest.program("darknetp", steps, status=said.status, last=last)


def test_training_through_consoles(guest_and_shell: tuple[Guest, Shell], stream_file: Path) -> None:
    guest, shell = guest_and_shell
    guest.say_secure("I/TA: loss = 9.0, avg loss = 9.0 from the TA\n")  # of an earlier run
    shell.run("true", timeout=5)
    play(guest, streamed_training())
    counted: list[int] = []
    run = run_train(shell, DATASET, PP, timeout=10, iterations=30, on_iteration=counted.append)
    assert judge_train(run, PP, 30).reasons == ()
    assert counted == list(range(1, 31))
    start = "cd / && darknetp classifier train -pp_start 4 -pp_end 10 -iterations 30 -seed 1 "
    assert run.command.startswith(start)
    assert run.command.endswith(f" cfg/digits.dataset cfg/mnist_lenet.cfg -json {stream_file}")
    assert not stream_file.exists()


def test_tuning_starts_from_the_weights(guest_and_shell: tuple[Guest, Shell]) -> None:
    guest, shell = guest_and_shell
    play(guest, streamed_training(scale=0.1))
    run = run_train(shell, DATASET, PP, timeout=10, iterations=30, tune=True)
    assert judge_tune(run, PP, 30).reasons == ()
    words = " cfg/digits.dataset cfg/mnist_lenet.cfg models/mnist_lenet.weights -json "
    assert words in run.command


def test_validation_through_consoles(guest_and_shell: tuple[Guest, Shell]) -> None:
    guest, shell = guest_and_shell
    play(guest, streamed_validation())
    assert judge_valid(run_valid(shell, DATASET, PP, timeout=10), PP, DATASET).reasons == ()


def test_program_that_never_came_to_its_stream_fails(guest_and_shell: tuple[Guest, Shell]) -> None:
    guest, shell = guest_and_shell
    play(guest, Said(["Prepare session with the TA"], status=1))
    result = judge_valid(run_valid(shell, DATASET, PP, timeout=10), PP, DATASET)
    assert result.reasons[0].startswith("darknetp ended with status 1")


def test_spoiled_stream_is_a_failed_check(guest_and_shell: tuple[Guest, Shell]) -> None:
    guest, shell = guest_and_shell
    play(guest, replace(streamed_training(), stream=[{"event": "iteration"}]))
    with pytest.raises(CheckFailed, match=r"is not in its format: line 1: iteration\.n"):
        run_train(shell, DATASET, PP, timeout=10)


def test_short_training_asks_for_nothing_that_upstream_does_not_know(
    guest_and_shell: tuple[Guest, Shell],
) -> None:
    guest, shell = guest_and_shell
    play(guest, training())
    run = run_train(shell, SHORT, PP, timeout=10, iterations=30)
    assert judge_train(run, PP, 30).verdict == "pass"
    assert run.command == (
        "cd / && darknetp classifier train -pp_start 4 -pp_end 10 "
        "cfg/digits.dataset cfg/mnist_lenet_short.cfg"
    )


def test_a_session_that_is_refused_is_told(guest_and_shell: tuple[Guest, Shell]) -> None:
    guest, shell = guest_and_shell
    refusal = "darknetp: TEEC_Opensession failed with code 0xffff000c origin 0x3"
    play(guest, Said(["Prepare session with the TA", refusal], status=1))
    result = judge_usage(run_usage(shell, timeout=5))
    assert result.reasons[0] == f"darknetp ended with status 1: {refusal}"


def test_losses_that_come_late_are_waited_for(guest_and_shell: tuple[Guest, Shell]) -> None:
    guest, shell = guest_and_shell
    said = training()
    late = guest.folder / "late"
    late.write_text(joined(said.secure[20:]))
    play(
        guest,
        replace(said, secure=said.secure[:20]),
        last=f"(sleep 0.2; cat {late} >{guest.secure_path}) >/dev/null 2>&1 &",
    )
    run = run_train(shell, SHORT, PP, timeout=10, iterations=30)
    assert judge_train(run, PP, 30).verdict == "pass"


def test_losses_that_never_come_are_not_waited_for_long(
    guest_and_shell: tuple[Guest, Shell], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tzkit.suites.darknetp.LATE_SECONDS", 0.2)
    guest, shell = guest_and_shell
    play(guest, replace(training(), secure=["I/TA: secure world opened!"]))
    run = run_train(shell, SHORT, PP, timeout=10, iterations=30)
    assert "0 losses" in "\n".join(judge_train(run, PP, 30).reasons)


def test_prediction_and_usage_through_consoles(
    guest_and_shell: tuple[Guest, Shell], stream_file: Path
) -> None:
    guest, shell = guest_and_shell
    play(guest, streamed_prediction(PP, [1.0]))
    run = run_predict(shell, DATASET, THREE, PP, timeout=10)
    assert judge_predict(run, PP, THREE).verdict == "pass"
    assert run.command.endswith(
        "darknetp classifier predict -pp_start 4 -pp_end 10 -t 5 cfg/digits.dataset "
        f"cfg/mnist_lenet.cfg models/mnist_lenet.weights data/t_00003_c3.png -json {stream_file}"
    )
    play(guest, Said(["usage: darknetp <function>"]))
    assert judge_usage(run_usage(shell, timeout=5)).verdict == "pass"


def test_panicking_ta_ends_the_suite(tmp_path: Path) -> None:
    with booted(tmp_path) as (guest, shell):
        said = training()
        said.secure.insert(9, "E/TC:? 0 TA panicked with code 0xffff000c")
        play(guest, said)
        with pytest.raises(TargetDied) as caught:
            run_train(shell, DATASET, PP, timeout=10, iterations=30)
        assert caught.value.kind == "ta-panic"
