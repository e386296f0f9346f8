# SPDX-License-Identifier: MIT
"""The trusted application under real OP-TEE against a hostile normal world (tests/target)."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkout import SOURCE, Checkout

from tzkit.build.toolchain import PREFIXES
from tzkit.console import Completed
from tzkit.job import Job
from tzkit.parts import sysroot
from tzkit.pipeline import Build, BuildOptions, build
from tzkit.session import Session, open_session
from tzkit.suites.darknetp import Partition, run_predict
from tzkit.suites.darknetp_judge import judge_predict

PROGRAMS = ("hostile", "campaign")
FOLDER = "programs"  # of the data set that carries them to the target
HOSTILE_SECONDS = 300.0
CAMPAIGN_SECONDS = 400.0
CALLS = 100_000
SEED = 1


@pytest.fixture(scope="module")
def programs(build_job: Job, built: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs, compiled for the target."""
    output = tmp_path_factory.mktemp("target")
    with build_job.stage("sysroot", "sysroot") as stage:
        root = sysroot.unpack(built.parts, build_job.store, build_job.runner, stage.step)
    argv = [
        "make", "-C", str(SOURCE / "tests" / "target"), f"-j{os.cpu_count() or 1}",
        f"CC={PREFIXES[build_job.board.arch]}gcc", f"SYSROOT={root.path}", f"O={output}",
    ]  # fmt: skip
    build_job.runner.run(argv, what="building the hostile programs")
    return output


@pytest.fixture(scope="module")
def armed(checkout: Checkout, build_job: Job, programs: Path) -> Build:
    """The usual build, with the programs among its data: the payload takes them to the target."""
    folder = checkout.root / "armed"
    shutil.copytree(checkout.root / "datasets" / "digits", folder)
    descriptor = folder / "dataset.toml"
    text = descriptor.read_text()
    assert text.count("copy = [") == 1
    descriptor.write_text(text.replace("copy = [", f'copy = ["{FOLDER}", '))
    (folder / FOLDER).mkdir()
    for name in PROGRAMS:
        shutil.copy2(programs / name, folder / FOLDER)
    return build(build_job, BuildOptions(dataset=str(folder)))


@pytest.fixture(scope="module")
def session(
    checkout: Checkout, build_job: Job, armed: Build, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Session]:
    """One system for all attacks: what one of them breaks, the next one meets."""
    job = Job(checkout.workspace, checkout.board, build_job.ui, tmp_path_factory.mktemp("hostile"))
    with open_session(job, armed, cold=False) as session:
        yield session


def attack(session: Session, armed: Build, command: str, timeout: float) -> Completed:
    """Run one of the programs. A TA that panics ends this with TargetDied."""
    name = command.split()[0]
    place = f"{armed.dataset.root}/{FOLDER}/{name}"
    return session.shell.run(
        f"cp {place} /tmp/ && chmod 755 /tmp/{name} && /tmp/{command}", timeout=timeout
    )


def assert_unharmed(session: Session, armed: Build) -> None:
    """No trusted application panicked, and darknetp still predicts."""
    assert [event for event in session.target.events if not event.tolerated] == []
    example = armed.dataset.examples[0]
    run = run_predict(session.shell, armed.dataset, example, Partition(4, 10), timeout=60)
    judged = judge_predict([(example, run)], Partition(4, 10))
    assert judged.verdict == "pass", judged


def test_every_hole_is_closed(session: Session, armed: Build) -> None:
    """S1 to S17, wrong order, types and buffers, races: refused, and the session works on."""
    ended = attack(session, armed, "hostile", HOSTILE_SECONDS)
    print(ended.output)
    plan = re.search(r"^1\.\.(\d+)$", ended.output, re.MULTILINE)
    passed = re.findall(r"^ok \d+ - (.+)$", ended.output, re.MULTILINE)
    assert plan and ended.status == 0, ended.output
    assert len(passed) == int(plan[1])
    named = {match for name in passed for match in re.findall(r"^S\d+", name)}
    assert named == {f"S{number}" for number in range(1, 18)}
    assert_unharmed(session, armed)
