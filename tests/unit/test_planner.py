# SPDX-License-Identifier: MIT
"""Plans of secure memory: the real planner, what is asked of it, what its answers become."""

from __future__ import annotations

import io
import itertools
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from tzkit import commands, planner
from tzkit.board import Board, load_board
from tzkit.commands import Common
from tzkit.errors import RequestError
from tzkit.job import Job
from tzkit.planner import Plan, Question, ask, heap_for, question_argv, table, verdict
from tzkit.suites.darknetp import Partition
from tzkit.ui import QUIET, Ui
from tzkit.workspace import Workspace

ROOT = Workspace.of_checkout().root
LENET = ROOT / "datasets" / "digits" / "cfg" / "mnist_lenet.cfg"
WHOLE = Question(LENET, Partition(0, 10), "train")
MIB = 1 << 20


@pytest.fixture(scope="module")
def board() -> Board:
    return load_board(Workspace.of_checkout().boards, "qemu_v8")


@pytest.fixture(scope="module")
def job(board: Board, tmp_path_factory: pytest.TempPathFactory) -> Job:
    folder = tmp_path_factory.mktemp("planner")
    workspace = Workspace(ROOT, folder / "out", folder / "cache")
    return Job(workspace, board, Ui(QUIET), folder / "logs")


def planned(job: Job, question: Question) -> Plan:
    plan = ask(job, question).plan
    assert plan is not None
    return plan


def test_layers_outside_the_partition_take_nothing(job: Job) -> None:
    plan = planned(job, replace(WHOLE, partition=Partition(4, 10)))
    inside = [layer.index for layer in plan.layers if layer.world == "secure"]
    assert inside == list(range(4, 11)) and len(plan.layers) == 11
    assert all(layer.weights == 0 for layer in plan.layers[:4])
    assert sum(layer.weights for layer in plan.layers) == plan.weights
    assert (plan.micro_batch, plan.samples, plan.fits) == (100, 100, True)


def test_prediction_takes_less_than_training(job: Job) -> None:
    train, predict = planned(job, WHOLE), planned(job, replace(WHOLE, mode="predict"))
    assert predict.gradients == predict.deltas == 0 < train.gradients
    assert predict.weights == train.weights and predict.heap < train.heap // 10


def test_small_heaps_are_met_by_smaller_parts(job: Job) -> None:
    """mnist_lenet whole, 100 images, in 2 MiB: the claim of the README."""
    plan = planned(job, replace(WHOLE, heap=2 * MIB))
    assert plan.fits and plan.heap <= 2 * MIB and 1 <= plan.micro_batch < 100
    other = planned(job, replace(WHOLE, heap=2 * MIB, batch=10))
    assert (other.samples, other.micro_batch) == (10, 10)


def test_heap_for_a_partition_is_whole_pages_and_enough(job: Job) -> None:
    heap = heap_for(job, WHOLE)
    assert heap % 4096 == 0
    assert planned(job, replace(WHOLE, heap=heap)).micro_batch == 100
    assert planned(job, replace(WHOLE, heap=heap - 4096)).micro_batch < 100


def test_auto_finds_the_largest_partition(job: Job) -> None:
    asked = replace(WHOLE, partition=None)
    assert planned(job, asked).partition.start == 0
    smaller = planned(job, replace(asked, heap=400 << 10))
    assert (smaller.partition.start, smaller.partition.end, smaller.fits) == (3, 10, True)


def test_board_without_room_is_told_what_would_fit(job: Job) -> None:
    with pytest.raises(RequestError) as caught:
        heap_for(job, replace(WHOLE, heap=400 << 10))
    assert "a TA heap of 400 KiB is not enough to train layers 0:10" in str(caught.value)
    assert "3:10" in str(caught.value)


def test_bad_networks_are_refused_with_their_line(job: Job, tmp_path: Path) -> None:
    cfg = tmp_path / "odd.cfg"
    cfg.write_text(LENET.read_text().replace("[softmax]", "[teleport]"))
    with pytest.raises(RequestError, match=r"odd.cfg:\d+: .*teleport"):
        ask(job, replace(WHOLE, cfg=cfg))
    with pytest.raises(RequestError, match="0:11 lies outside the network"):
        ask(job, replace(WHOLE, partition=Partition(0, 11)))


def test_mistakes_that_do_not_matter_to_the_plan_are_told(job: Job, tmp_path: Path) -> None:
    """Darknet goes on with another activation; its defaults are no news."""
    cfg = tmp_path / "odd.cfg"
    cfg.write_text(LENET.read_text().replace("activation=relu", "activation=reluu", 1))
    answer = ask(job, replace(WHOLE, cfg=cfg))
    assert answer.plan is not None and answer.plan.fits
    assert any("reluu" in note for note in answer.notes)
    assert not any("Using default" in note for note in answer.notes)


def test_layer_that_the_normal_world_cannot_compute_is_refused(job: Job, tmp_path: Path) -> None:
    cfg = tmp_path / "large.cfg"
    net, _, layers = LENET.read_text().partition("[convolutional]")
    large = f"[connected]\noutput=1000000\n\n[connected]\noutput=2352\n\n{layers}"
    cfg.write_text(net + large.replace("\nfilters", "\n[convolutional]\nfilters", 1))
    with pytest.raises(RequestError, match=r"large.cfg:\d+: layer 0 cannot be computed"):
        ask(job, replace(WHOLE, cfg=cfg, partition=Partition(4, 5)))


def test_question_carries_the_numbers_of_the_board(board: Board) -> None:
    argv = question_argv("plan", board, replace(WHOLE, partition=None, batch=7, stack=8192))
    said = dict(itertools.pairwise(argv))
    assert said["-budget"] == str(13 * MIB) and said["-tables"] == "8"
    assert (said["-batch"], said["-stack"], said["-mode"]) == ("7", "8192", "train")
    assert "-auto" in argv and "-heap" not in argv


def shown(board: Board, plan: Plan) -> str:
    stream = io.StringIO()
    Console(file=stream, width=160).print(table(plan), verdict(board, plan))
    return stream.getvalue()


def test_table_draws_the_line(job: Job, board: Board) -> None:
    fits = shown(board, planned(job, WHOLE))
    assert "of the 13 MiB that qemu_v8 has" in fits and "DOES NOT" not in fits
    assert "100 of 100 images at a time" in fits
    small = shown(board, planned(job, replace(WHOLE, heap=400 << 10)))
    assert "not even one image" in small and "DOES NOT FIT" in small
    assert "a model may only take" in small


# ---- The flags ----


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        ({"pp": "4:10"}, "--pp 4:10: sizes the TA for a network, which --cfg must name"),
        ({"mode": "train"}, "--mode train"),
        ({"batch": "4"}, "--batch 4"),
        ({"batch": "0", "cfg": str(LENET)}, "--batch 0: give a number"),
        ({"cfg": "/nowhere.cfg"}, "there is no such file"),
        ({"cfg": str(LENET), "ta_heap": "4M"}, "exclude each other"),
        ({"cfg": str(LENET), "app": "/else"}, "the plan is that of --app own"),
        ({"cfg": str(LENET), "mode": "dream"}, "choose from train, predict"),
        ({"cfg": str(LENET), "pp": "10:4"}, "not a partition"),
    ],
)
def test_wrong_requests_are_refused_first(flags: dict[str, str], why: str) -> None:
    with pytest.raises(RequestError) as caught:
        commands.build(Common(**flags, quiet=True))
    assert why in str(caught.value)


def test_sized_build_takes_the_planned_heap(job: Job) -> None:
    common = Common(cfg=str(LENET), pp="0:10", mode="predict")
    assert commands._sized(common, job).ta_heap == heap_for(job, replace(WHOLE, mode="predict"))
    assert commands._sized(Common(), job).ta_heap is None
    assert planner.parse_partition("auto") is None
