# SPDX-License-Identifier: MIT
"""The darknetp suite: judges over made-up runs and their spoiled versions; runner on real ptys."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import pytest
from console_guest import Guest, booted, joined

from tzkit.console import Line, Shell
from tzkit.datasets import DatasetSummary, Example
from tzkit.errors import RequestError, TargetDied
from tzkit.suites.darknetp import DarknetpRun, Partition, run_predict, run_train, run_usage
from tzkit.suites.darknetp_judge import judge_predict, judge_train, judge_usage

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
    held_out_images=364,
)


@dataclass
class Said:
    """What both worlds say, before it is spoiled."""

    normal: list[str] = field(default_factory=list)
    secure: list[str] = field(default_factory=list)
    status: int = 0

    def run(self) -> DarknetpRun:
        def lines(texts: Sequence[str]) -> tuple[Line, ...]:
            return tuple(Line(float(n), text) for n, text in enumerate(texts))

        return DarknetpRun("darknetp", lines(self.normal), lines(self.secure), self.status, 9.5)

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


# ---- The runner ----


@pytest.fixture(scope="module")
def guest_and_shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Guest, Shell]]:
    with booted(tmp_path_factory.mktemp("guest")) as pair:
        yield pair


def play(guest: Guest, said: Said, last: str = "") -> None:
    steps = [("normal", joined(said.normal)), ("secure", joined(said.secure))]
    guest.program("darknetp", steps, status=said.status, last=last)


def test_training_through_consoles(guest_and_shell: tuple[Guest, Shell]) -> None:
    guest, shell = guest_and_shell
    guest.say_secure("I/TA: loss = 9.0, avg loss = 9.0 from the TA\n")  # of an earlier run
    shell.run("true", timeout=5)
    play(guest, training())
    counted: list[int] = []
    run = run_train(shell, DATASET, PP, timeout=10, iterations=30, on_iteration=counted.append)
    assert judge_train(run, PP, 30).verdict == "pass"
    assert counted == list(range(1, 31))
    start = "cd / && darknetp classifier train -pp_start 4 -pp_end 10 -iterations 30 -seed 1 "
    assert run.command.startswith(start)
    assert run.command.endswith(" cfg/digits.dataset cfg/mnist_lenet.cfg")


def test_short_training_asks_for_nothing_that_upstream_does_not_know(
    guest_and_shell: tuple[Guest, Shell],
) -> None:
    guest, shell = guest_and_shell
    play(guest, training())
    short = replace(DATASET, short_cfg=PurePosixPath("cfg/mnist_lenet_short.cfg"))
    run = run_train(shell, short, PP, timeout=10, iterations=30)
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
    run = run_train(shell, DATASET, PP, timeout=10, iterations=30)
    assert judge_train(run, PP, 30).verdict == "pass"


def test_losses_that_never_come_are_not_waited_for_long(
    guest_and_shell: tuple[Guest, Shell], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tzkit.suites.darknetp.LATE_SECONDS", 0.2)
    guest, shell = guest_and_shell
    play(guest, replace(training(), secure=["I/TA: secure world opened!"]))
    run = run_train(shell, DATASET, PP, timeout=10, iterations=30)
    assert "0 losses" in "\n".join(judge_train(run, PP, 30).reasons)


def test_prediction_and_usage_through_consoles(guest_and_shell: tuple[Guest, Shell]) -> None:
    guest, shell = guest_and_shell
    play(guest, prediction())
    run = run_predict(shell, DATASET, THREE, PP, timeout=10)
    assert judge_predict(run, PP, THREE).verdict == "pass"
    assert run.command.endswith(
        "darknetp classifier predict -pp_start 4 -pp_end 10 -t 5 cfg/digits.dataset "
        "cfg/mnist_lenet.cfg models/mnist_lenet.weights data/t_00003_c3.png"
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
