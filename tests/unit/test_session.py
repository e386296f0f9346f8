# SPDX-License-Identifier: MIT
"""What a session tells the system it has restored; see tests/system for real ones."""

from __future__ import annotations

import re
import time
from pathlib import Path, PurePosixPath
from typing import Any, cast

import pytest

from tzkit import session
from tzkit.boardfile import Payload
from tzkit.console import Completed, Shell
from tzkit.errors import TargetDied


class Listener:
    """Stands in for a shell: notes the commands and ends them all with one status."""

    def __init__(self, status: int = 0) -> None:
        self.commands: list[str] = []
        self.target = self
        self.logs = {"normal": Path("normal.log")}
        self._status = status

    def run(self, command: str, **_: Any) -> Completed:
        self.commands.append(command)
        return Completed("no such device\n", self._status, 0.1)


def refresh(listener: Listener) -> tuple[str, int, str]:
    session._refresh(cast(Shell, listener))
    program, seconds, seed = listener.commands[-1].split()
    return program, int(seconds), seed


def test_every_session_gets_the_time_and_a_seed_of_its_own() -> None:
    listener = Listener()
    first, second = refresh(listener), refresh(listener)
    for program, seconds, seed in (first, second):
        assert program == "tzresume"
        assert abs(seconds - time.time()) < 2
        assert re.fullmatch("[0-9a-f]{64}", seed)
    assert first[2] != second[2]


def test_session_without_clock_and_randomness_is_none() -> None:
    with pytest.raises(TargetDied, match="random pool failed with status 1: no such") as died:
        refresh(Listener(status=1))
    assert (died.value.kind, died.value.log) == ("setup", Path("normal.log"))


def test_folders_of_an_application_are_made_where_it_looks_for_them() -> None:
    listener = Listener()
    payload = Payload(device="/dev/vda")
    folders = (PurePosixPath("/media/results"), PurePosixPath("/root/my backup"))
    session._deliver(cast(Shell, listener), payload, PurePosixPath("/root"), folders)
    steps = listener.commands[-1].split(" && ")
    mounted = next(n for n, step in enumerate(steps) if step.startswith("mount --bind "))
    assert steps[mounted + 1 :] == ["mkdir -p /media/results", "mkdir -p '/root/my backup'"]


def test_linux_without_optee_is_told() -> None:
    with pytest.raises(TargetDied, match="found no TEE") as died:
        session.tee_version(cast(Shell, Listener(status=1)))
    assert died.value.kind == "no-tee"
    assert [known.id for known in died.value.advice] == ["no-tee"]
