# SPDX-License-Identifier: MIT
"""`darknetp plan` on the target, and darknetp-plan on a machine without a TEE."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from darknetp_workspace import Workspace, partition, refused

ROOT = Path(__file__).parents[2]
CFG = ROOT / "tests" / "cfg"
LENET = CFG / "mnist_lenet.cfg"
MIB = 1 << 20
# What the TA's allocator and session take of its heap; nn_footprint.h
RESERVE = 4096


@dataclass
class Answer:
    status: int
    events: list[dict[str, Any]]
    err: str

    @property
    def plan(self) -> dict[str, Any]:
        (plan,) = [event for event in self.events if event["event"] == "plan"]
        return plan


@dataclass
class Planner:
    program: Path

    def run(self, *words: str | Path | int) -> subprocess.CompletedProcess[str]:
        command = [str(self.program), *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    def ask(self, *words: str | Path | int) -> Answer:
        done = self.run(*words, "-json")
        events = [json.loads(line) for line in done.stdout.splitlines()]
        return Answer(done.returncode, events, done.stderr)


@pytest.fixture(scope="session")
def planner(tmp_path_factory: pytest.TempPathFactory) -> Planner:
    build = tmp_path_factory.mktemp("planner")
    program = build / "darknetp-plan"
    make = ["make", "-C", str(ROOT / "host"), "-j2", f"O={build}", str(program)]
    done = subprocess.run(make, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return Planner(program)


def test_the_program_needs_no_tee_library(planner: Planner) -> None:
    done = subprocess.run(["ldd", str(planner.program)], capture_output=True, text=True)
    assert "libteec" not in done.stdout


def test_a_plan_is_what_the_application_takes(planner: Planner, work: Workspace) -> None:
    """Issue 4, 6: the same number here, on the target, and in the application's answer."""
    for start, end in [(0, 10), (4, 10), (2, 6), (9, 9)]:
        answer = planner.ask(work.root / work.cfg, *partition(start, end))
        assert answer.status == 0, answer.err
        model = answer.plan["model"]
        heap = str(model)
        told = work.run("plan", work.cfg, *partition(start, end), INPROCESS_TEE_HEAP=heap)
        assert told.status == 0 and f": {model} bytes (" in told.out
        flags = ["-iterations", "1", *partition(start, end), "-json", str(work.root / "events")]
        assert work.train(*flags, INPROCESS_TEE_HEAP=heap).status == 0
        events = map(json.loads, (work.root / "events").read_text().splitlines())
        begun = next(event for event in events if event["event"] == "start")
        assert begun["secure_memory"] == {"needed": model, "available": model}


def test_sizes_of_layers_and_totals(planner: Planner) -> None:
    plan = planner.ask(LENET, *partition(4, 10), "-micro", 100).plan
    secure = [layer for layer in plan["layers"] if layer["world"] == "secure"]
    assert [layer["index"] for layer in secure] == list(range(4, 11))
    # 120 x 294 weights and 120 biases
    assert secure[0]["weights"] == secure[0]["gradients"] == 4 * 120 * 295
    assert secure[0]["activations"] == secure[0]["deltas"] == 4 * 100 * 120
    assert sum(layer["weights"] for layer in secure) == plan["weights"]
    parts = ["weights", "gradients", "activations", "deltas", "workspace", "bookkeeping"]
    assert plan["model"] == sum(plan[part] for part in parts) + 16
    assert plan["heap"] % 4096 == 0
    assert 0 <= plan["heap"] - plan["model"] - RESERVE < 4096


def test_the_micro_batch_is_the_largest_even_part_that_fits(planner: Planner) -> None:
    """Issue 4, 7: mnist_lenet 0:10 at batch 100 within 2 MiB of secure memory."""
    plan = planner.ask(LENET, *partition(0, 10), "-heap", 2 * MIB).plan
    assert plan["fits"] and plan["samples"] == 100
    assert plan["micro_batch"] == 25
    larger = planner.ask(LENET, *partition(0, 10), "-heap", 2 * MIB, "-micro", 34)
    assert larger.status == 1 and not larger.plan["fits"]
    assert larger.plan["samples"] == 100
    assert planner.ask(LENET, *partition(0, 10), "-heap", plan["heap"]).plan["micro_batch"] == 25
    less = planner.ask(LENET, *partition(0, 10), "-heap", plan["heap"] - 4096).plan
    assert less["micro_batch"] == 20


def test_a_platform_draws_the_line(planner: Planner) -> None:
    vgg = CFG / "vgg-7_cifar100.cfg"
    platform: list[str | Path | int] = ["-budget", 13 * MIB, "-tables", 8, "-table_span", 2 * MIB]
    answer = planner.ask(vgg, *partition(0, 13), *platform)
    assert answer.status == 0
    numbers = answer.plan["platform"]
    assert numbers["total"] == answer.plan["heap"] + numbers["stack"] + numbers["code"]
    assert numbers["total"] <= 13 * MIB and numbers["pages"] * 4096 == numbers["total"]
    assert answer.plan["micro_batch"] == 8
    small = planner.ask(vgg, *partition(0, 13), "-budget", 1 * MIB)
    assert small.status == 1 and small.plan["micro_batch"] == 0
    found = re.search(r"the largest partition that fits and ends alike: (\d+):13\n", small.err)
    assert found
    for start, status in [(int(found[1]), 0), (int(found[1]) - 1, 1)]:
        assert planner.ask(vgg, *partition(start, 13), "-budget", 1 * MIB).status == status
    told = planner.run(vgg, *partition(0, 13), *platform).stdout
    assert "\n---- secure memory 13631488 bytes: fits; tables 8: fits\n" in told


def test_auto_finds_the_largest_partition(planner: Planner) -> None:
    for mode in ("train", "predict"):
        auto = planner.ask(LENET, "-mode", mode, "-auto", "-heap", 200_000).plan
        assert auto["fits"]
        length = auto["partition"]["end"] - auto["partition"]["start"]
        for start in range(10 - length):
            wider = partition(start, start + length + 1)
            assert planner.ask(LENET, "-mode", mode, *wider, "-heap", 200_000).status == 1


def test_a_residual_network_is_cut_between_its_blocks_only(planner: Planner) -> None:
    cfg = CFG / "residual.cfg"
    answer = planner.ask(cfg, *partition(2, 12))
    assert answer.status == 2
    assert "residual.cfg:" in answer.err and "layer 3 reads layer 0" in answer.err
    auto = planner.ask(cfg, "-auto", "-heap", 70_000).plan["partition"]
    assert auto["start"] in (0, 1, 4, 8, 9, 10, 11, 12)
    assert auto["end"] in (0, 3, 7, 8, 9, 10, 11, 12)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "no cfg given"),
        (["nowhere.cfg"], "Couldn't open file: nowhere.cfg"),
        ([LENET, "other.cfg"], "only one cfg"),
        ([LENET, "-frob"], "unknown flag -frob"),
        ([LENET, "-heap"], "-heap needs a whole number"),
        ([LENET, "-heap", "0"], "-heap needs a whole number"),
        ([LENET, "-mode", "dream"], "-mode dream: it is train or predict"),
        ([LENET, *partition(4, 11)], "lies outside the network"),
        ([LENET, "-auto", *partition(4, 10)], "-auto and -pp_start exclude each other"),
    ],
)
def test_wrong_questions_are_refused(
    planner: Planner, words: list[str | Path | int], text: str
) -> None:
    done = planner.run(*words)
    assert done.returncode == 2
    assert text in done.stderr


def test_the_target_plans_for_its_own_heap(work: Workspace) -> None:
    result = work.run("plan", work.cfg, *partition(0, 10), INPROCESS_TEE_HEAP="6000")
    assert "---- a model may take 6000 bytes: DOES NOT FIT" in result.out
    refused(result, "not enough secure memory for partition 0:10", status=1)
    refused(work.run("plan"), "plan CFG [-pp_start N -pp_end N]")
    refused(work.train("-micro", "4"), "-mode and -micro are for plan")
