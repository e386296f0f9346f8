# SPDX-License-Identifier: MIT
"""Sessions: from reset and from the saved system, one after the other, and what they share."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from checkout import Checkout

from tzkit.build.application import TA_FILE
from tzkit.job import Job
from tzkit.pipeline import Build, BuildOptions, build
from tzkit.session import STATE, Session, open_session, saved_system
from tzkit.store import file_sha256
from tzkit.suites.darknetp import run_usage
from tzkit.suites.darknetp_judge import judge_usage

CLOCK_SECONDS = 5.0  # a loaded machine looks at the two clocks seconds apart
SAVED_LOG = "normal-save.log"  # written when the saved system is made


def clock_error(session: Session) -> float:
    """Seconds between the guest's clock and ours."""
    said = session.shell.run("date +%s", timeout=10).output
    return abs(float(said) - time.time())


def random_bytes(session: Session) -> str:
    said = session.shell.run("head -c 32 /dev/urandom | sha256sum", timeout=10).output
    assert re.match(r"[0-9a-f]{64} ", said)
    return said


def test_cold_session(built: Build, job: Job) -> None:
    with open_session(job, built, cold=True) as session:
        assert not session.warm
        assert re.fullmatch(r"4\.5[\d.]*", session.tee)
        assert judge_usage(run_usage(session.shell, timeout=60)).verdict == "pass"
        assert clock_error(session) <= CLOCK_SECONDS
    assert session.emulator.child.ended() is not None
    assert "OP-TEE version: " in (job.folder / "secure.log").read_text()


def test_warm_sessions_in_turn(built: Build, job: Job) -> None:
    """Two sessions from one saved system: each works, and they share no randomness."""
    said = []
    for number in range(2):
        with open_session(job, built, cold=False, name=f"warm{number}") as session:
            assert session.warm
            assert judge_usage(run_usage(session.shell, timeout=60)).verdict == "pass"
            assert clock_error(session) <= CLOCK_SECONDS
            said.append(random_bytes(session))
        assert session.emulator.child.ended() is not None
    assert said[0] != said[1]


def test_session_forgets_what_the_last_one_did(built: Build, job: Job) -> None:
    mark = built.dataset.root / "mark"
    for number in range(2):
        with open_session(job, built, cold=False, name=f"forget{number}") as session:
            done = session.shell.run(f"test ! -e {mark} && touch {mark} /root/mark", timeout=10)
            assert done.status == 0


def test_changed_ta_reaches_the_restored_guest(checkout: Checkout, built: Build, job: Job) -> None:
    changed = build(job, BuildOptions(ta_heap=checkout.board.ta.heap + (64 << 10)))
    assert file_sha256(changed.ta) != file_sha256(built.ta)
    with open_session(job, changed, cold=False) as session:
        assert session.warm
        said = session.shell.run(f"sha256sum /lib/optee_armtz/{TA_FILE}", timeout=10).output
        assert said.split()[0] == file_sha256(changed.ta)
        assert judge_usage(run_usage(session.shell, timeout=60)).verdict == "pass"
    assert not (job.folder / SAVED_LOG).exists(), "the base system was booted again"


def damage_end(state: Path) -> None:
    os.truncate(state, state.stat().st_size // 2)


def damage_middle(state: Path) -> None:
    """Of equal length: QEMU restores it, but nothing sensible is in it."""
    size = state.stat().st_size
    with state.open("r+b") as stream:
        stream.seek(size // 3)
        stream.write(os.urandom(size // 3))


@pytest.mark.parametrize("damage", [damage_end, damage_middle])
def test_damaged_saved_system_is_thrown_away(
    checkout: Checkout, built: Build, job: Job, damage: Callable[[Path], None]
) -> None:
    saved = saved_system(job, built)
    assert saved is not None
    damage(saved.path / STATE)
    ended = checkout.run("qemu-test", "--xtest", "none", "--only", "usage")
    assert ended.status == 0, ended.text
    assert "the saved system did not restore" in ended.text
    assert "booting from reset" in ended.text
    assert checkout.report()["boot"]["warm"] is False
    assert not saved.path.exists()
