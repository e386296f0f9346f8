# SPDX-License-Identifier: MIT
"""The darknetp task on a stand-in board: how a command that fails is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any

import pytest
from console_guest import Guest, booted

from tzkit import commands, origin, pipeline
from tzkit.commands import Common
from tzkit.errors import CheckFailed, RequestError, TzkitError
from tzkit.ui import QUIET, Ui


@pytest.fixture
def guest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Guest]:
    """A board that is up whenever a session is asked for."""
    dataset = SimpleNamespace(root=PurePosixPath("/"))
    built = SimpleNamespace(dataset=dataset, program="darknetp")
    with booted(tmp_path) as (guest, shell):

        @contextmanager
        def opened(*_: object, cold: bool, name: str) -> Iterator[Any]:
            yield SimpleNamespace(shell=shell, target=shell.target)

        job = SimpleNamespace(ui=Ui(QUIET), board=SimpleNamespace(name="stand-in"))
        monkeypatch.setattr(commands, "_booting_job", lambda common: job)
        monkeypatch.setattr(pipeline, "build", lambda *_: built)
        monkeypatch.setattr(origin, "open_session", opened)
        yield guest


def run(words: list[str]) -> TzkitError:
    with pytest.raises(TzkitError) as failed:
        commands.darknetp(Common(quiet=True), words, cold=False, get=None)
    return failed.value


def known(error: TzkitError) -> list[str]:
    return [advice.id for advice in error.advice]


def test_failure_is_explained_by_the_normal_world(guest: Guest) -> None:
    text = "darknetp: TEEC_Opensession failed with code 0xffff000f origin 0x3\n"
    guest.program("darknetp", [("normal", text)], status=1)
    error = run(["classifier"])
    assert isinstance(error, CheckFailed) and known(error) == ["ta-signature"]


def test_failure_is_explained_by_the_secure_world(guest: Guest) -> None:
    steps = [
        ("secure", "E/TC:? 0 pgt:341 Page tables are not available\n"),
        ("normal", "darknetp: TEEC_Opensession failed with code 0xffff000c origin 0x3\n"),
    ]
    guest.program("darknetp", steps, status=1)
    assert known(run(["classifier"])) == ["page-tables"]


def test_program_that_is_not_there(guest: Guest) -> None:
    error = run([])
    assert "status 127" in error.message and known(error) == ["darknetp-missing"]


def test_what_is_not_known_is_told_without_advice(guest: Guest) -> None:
    guest.program("darknetp", [("normal", "darknetp: what is a detector?\n")], status=2)
    error = run(["detector"])
    assert isinstance(error, RequestError) and known(error) == []
