# SPDX-License-Identifier: MIT
"""A test run: what it is asked, and its report in every ending; build and board are stand-ins."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tzkit import origin, pipeline, testrun
from tzkit.board import load_board
from tzkit.boardfile import Xtest
from tzkit.datasets import Example
from tzkit.errors import EnvironmentFailed, RequestError, TargetDied
from tzkit.job import Job
from tzkit.pipeline import BuildOptions
from tzkit.suites import xtest
from tzkit.suites.darknetp import Partition
from tzkit.testrun import TestOptions, run_tests
from tzkit.ui import QUIET, Ui
from tzkit.workspace import Workspace

DARKNETP = ("usage", "train", "tune", "predict", "valid")


def options(**given: Any) -> TestOptions:
    flags: dict[str, Any] = {"pp": "4:10", "xtest": "full", "only": None}
    return TestOptions.parse(**{**flags, "keep": False, "cold": False, **given})


# ---- What is asked ----


def test_everything_is_the_default() -> None:
    asked = options()
    assert asked.suites == ("boot", "xtest", *DARKNETP)
    assert (asked.partition, asked.xtest) == (Partition(4, 10), "full")


@pytest.mark.parametrize(
    ("given", "suites"),
    [
        ({"xtest": "none"}, ("boot", *DARKNETP)),
        ({"only": "xtest"}, ("boot", "xtest")),
        ({"only": "train", "xtest": "none"}, ("boot", "train")),
    ],
)
def test_selection(given: dict[str, Any], suites: tuple[str, ...]) -> None:
    assert options(**given).suites == suites


@pytest.mark.parametrize(
    "given",
    [{"xtest": "much"}, {"only": "boot"}, {"pp": "4"}, {"only": "xtest", "xtest": "none"}],
)
def test_wrong_requests(given: dict[str, Any]) -> None:
    with pytest.raises(RequestError):
        options(**given)


def test_board_decides_how_much_xtest_there_is() -> None:
    board = load_board(Workspace.of_checkout().boards, "qemu_v8")
    asked = options(xtest=None)
    assert asked.for_board(board).xtest == "full"
    smoke = board.model_copy(update={"xtest": Xtest(level="smoke")})
    assert asked.for_board(smoke).xtest == "smoke"
    assert options(xtest="full").for_board(smoke).xtest == "full"


def test_board_without_xtest_runs_the_rest() -> None:
    board = load_board(Workspace.of_checkout().boards, "qemu_v8")
    bare = board.model_copy(update={"xtest": None})
    assert options(xtest=None).for_board(bare).suites == ("boot", *DARKNETP)
    for given in ({"xtest": "smoke"}, {"xtest": None, "only": "xtest"}):
        with pytest.raises(RequestError, match="qemu_v8 has no xtest"):
            options(**given).for_board(bare)


def test_partition_must_lie_in_the_network_that_uses_it() -> None:
    options().check_network(11)
    with pytest.raises(RequestError, match="4:10: outside the network, whose layers are 0 to 9"):
        options().check_network(10)
    options(only="usage").check_network(3)


def test_other_applications_are_asked_for_less() -> None:
    asked = options().for_app("https://example.org/darknetz")
    assert asked.suites == ("boot", "xtest", "usage", "train", "predict")
    assert options().for_app("own") == options()
    with pytest.raises(RequestError, match="--only tune is for --app own"):
        options(only="tune").for_app("/somewhere")


def test_validation_needs_images() -> None:
    assert options().for_dataset(3) == options()
    assert "valid" not in options().for_dataset(0).suites
    with pytest.raises(RequestError, match="--only valid needs images that were held out"):
        options(only="valid").for_dataset(0)


def test_one_image_is_predicted_with_the_softmax_outside() -> None:
    example = Example.model_validate({"image": "a.png", "label": "a"})
    data: Any = SimpleNamespace(
        examples=(example,) * 4, layers=("connected", "softmax", "cost"), short_cfg=None
    )
    places = [place for place, _ in testrun._asked_predictions(data, Partition(0, 2))]
    assert places == [Partition(0, 2)] * 3 + [Partition(0, 0)]
    assert len(testrun._asked_predictions(data, Partition(0, 0))) == 3
    assert len(testrun._asked_predictions(data, Partition(1, 2))) == 3
    data.short_cfg = "for upstream.cfg"
    assert len(testrun._asked_predictions(data, Partition(0, 2))) == 3


# ---- How it ends ----


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    workspace = Workspace(Workspace.of_checkout().root, tmp_path / "out", tmp_path / "cache")
    monkeypatch.setattr(pipeline, "prepare_host", lambda job, emulate, app: None)
    board = load_board(workspace.boards, "qemu_v8")
    folder = workspace.board_out(board.name) / "runs" / "now"
    return Job(workspace, board, Ui(QUIET), folder)


def report(job: Job) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((job.out / "latest" / "report.json").read_text())
    return loaded


@pytest.mark.parametrize(
    ("problem", "code", "said"),
    [
        (EnvironmentFailed("no network"), 3, "environment: no network"),
        (TargetDied("it panicked", kind="kernel-panic"), 4, "target died: it panicked"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), 3, "No space left on device"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_every_ending_has_a_report(
    job: Job, monkeypatch: pytest.MonkeyPatch, problem: BaseException, code: int, said: str
) -> None:
    def build(*_: object) -> None:
        raise problem

    monkeypatch.setattr(pipeline, "build", build)
    assert run_tests(job, BuildOptions(), options(), None) == code
    written = report(job)
    assert (written["verdict"], written["exit_code"]) == ("error", code)
    assert said in written["error"]
    assert (job.folder / "junit.xml").exists()


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Sessions that only note when they are opened and closed."""
    notes: list[str] = []

    @contextmanager
    def opened(job: Job, built: object, *, cold: bool, name: str = "") -> Iterator[Any]:
        notes.append(f"open {name}")
        target = SimpleNamespace(events=())
        try:
            yield SimpleNamespace(target=target, shell=name, boot_seconds=1.0, tee="4.5", warm=True)
        finally:
            notes.append(f"close {name}")

    dataset = SimpleNamespace(held_out_images=3)
    built = SimpleNamespace(parts=SimpleNamespace(parts=()), dataset=dataset)  # a pipeline's Build
    monkeypatch.setattr(pipeline, "build", lambda *_: built)
    monkeypatch.setattr(origin, "open_session", opened)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    return notes


def test_death_in_one_session_ends_the_others(
    job: Job, monkeypatch: pytest.MonkeyPatch, sessions: list[str]
) -> None:
    """The second shard waits for ever; nobody waits for it."""

    def die(*_: object) -> None:
        raise TargetDied("it panicked", kind="kernel-panic")

    def wait(*_: object, **__: object) -> None:
        assert job.abort.wait(30)
        raise KeyboardInterrupt

    monkeypatch.setattr(testrun, "_run_darknetp", die)
    monkeypatch.setattr(xtest, "run_shard", wait)
    began = time.monotonic()
    assert run_tests(job, BuildOptions(), options(), None) == 4
    assert time.monotonic() - began < 5
    assert sessions == ["open ", "open 2", "close 2", "close "]
    assert report(job)["error"] == "target died: it panicked"
    assert [stage["verdict"] for stage in report(job)["stages"]] == ["pass", "error"]


def test_xtest_alone(job: Job, monkeypatch: pytest.MonkeyPatch, sessions: list[str]) -> None:
    """The suites that were not asked for do not stand in its way."""
    good = xtest.XtestResult("pass", 2, 0, 0, 33, 0, 1.0)
    ran: list[str] = []

    def run_shard(shell: str, shard: xtest.Shard, **_: object) -> SimpleNamespace:
        ran.append(f"{shard.name} in session {shell}")
        return SimpleNamespace(shard=shard)

    monkeypatch.setattr(xtest, "run_shard", run_shard)
    monkeypatch.setattr(xtest, "judge", lambda runs, level, left_out: good)
    assert run_tests(job, BuildOptions(), options(only="xtest"), None) == 0
    assert sorted(ran) == ["1 in session ", "2 in session 2"]
    assert report(job)["verdict"] == "pass"


def test_suite_without_a_result_is_no_pass(
    job: Job, monkeypatch: pytest.MonkeyPatch, sessions: list[str]
) -> None:
    """Nothing failed, nothing was found: not a pass."""
    monkeypatch.setattr(testrun, "_run_darknetp", lambda *_: None)
    assert run_tests(job, BuildOptions(), options(xtest="none"), None) == 1
    assert report(job)["verdict"] == "error"
