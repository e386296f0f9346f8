# SPDX-License-Identifier: MIT
"""``make flash`` on a terminal: every question shown and answered, in a stand-in tree."""

from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock, Timeout
from upstream_tree import Work, Worker, worker

from tzkit.errors import EnvironmentFailed, RequestError
from tzkit.upstream.flash import check_flash, flash


@pytest.fixture
def work_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Worker:
    return worker(tmp_path, monkeypatch)


@pytest.fixture
def hikey(work_for: Worker) -> Work:
    work = work_for("hikey")
    work.fetch()
    return work


def test_questions_are_asked_in_order_and_answered(hikey: Work) -> None:
    asked: list[str] = []
    flash(hikey.job, hikey.tree, asked.append)
    assert asked == [
        "Press enter to continue",
        "the micro USB cable (press enter)",
        "Connect HiKey to power up (press enter)",
        "Then press enter to continue flashing",
    ]
    assert "fastboot flash boot" in hikey.job.log("flash").read_text()


def test_nobody_else_works_in_the_tree_meanwhile(hikey: Work) -> None:
    lock = FileLock(hikey.tree.root.parent / f".{hikey.tree.root.name}.lock", timeout=0)
    tried: list[str] = []

    def ask(question: str) -> None:
        tried.append(question)
        with pytest.raises(Timeout):
            lock.acquire()

    flash(hikey.job, hikey.tree, ask)
    assert tried


def test_failure_is_told(hikey: Work) -> None:
    (hikey.control / "flash-fails").write_text("FAILED (remote: flash write failure)\n")
    with pytest.raises(EnvironmentFailed, match=r"'make flash' failed: exit status 2") as failed:
        flash(hikey.job, hikey.tree, lambda question: None)
    assert failed.value.log == hikey.job.log("flash")
    assert "flash write failure" in hikey.job.log("flash").read_text()


def test_who_walks_away_leaves_nothing_flashed(hikey: Work) -> None:
    def leave(question: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        flash(hikey.job, hikey.tree, leave)
    assert "fastboot" not in hikey.job.log("flash").read_text()


def test_juno_must_have_an_address(work_for: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    work = work_for("juno")
    work.fetch()
    monkeypatch.delenv("JUNO_IP", raising=False)
    with pytest.raises(RequestError, match="JUNO_IP must be set"):
        check_flash(work.job.board, yes=True, person=False)
    monkeypatch.setenv("JUNO_IP", "192.0.2.7")
    check_flash(work.job.board, yes=True, person=False)
    flash(work.job, work.tree, lambda question: None)
    assert "--host 192.0.2.7" in work.job.log("flash").read_text()


def test_nobody_there_and_no_yes(hikey: Work) -> None:
    with pytest.raises(RequestError, match="nobody is here") as refused:
        check_flash(hikey.job.board, yes=False, person=False)
    assert refused.value.hint is not None and "--yes" in refused.value.hint
    check_flash(hikey.job.board, yes=False, person=True)


def test_board_that_is_flashed_another_way(work_for: Worker) -> None:
    with pytest.raises(RequestError, match="no goal that flashes rpi3: write the image"):
        check_flash(work_for("rpi3").job.board, yes=True, person=True)
