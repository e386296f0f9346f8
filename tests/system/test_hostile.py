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
from tzkit.store import Entry
from tzkit.suites.darknetp import Partition, run_predict
from tzkit.suites.darknetp_judge import judge_predict

PROGRAMS = ("hostile", "campaign", "darknetp-other")
OTHER_ABI = 99
FOLDER = "programs"  # of the data set that carries them to the target
HOSTILE_SECONDS = 300.0
CAMPAIGN_SECONDS = 400.0
CALLS = 100_000
SEED = 1
PARTITION = Partition(4, 10)


def make_argv(job: Job, folder: Path, root: Entry, output: Path) -> list[str]:
    """The make command for programs of the target's normal world."""
    return [
        "make", "-C", str(folder), f"-j{os.cpu_count() or 1}",
        f"CC={PREFIXES[job.board.arch]}gcc", f"SYSROOT={root.path}", f"O={output}",
    ]  # fmt: skip


def build_other_darknetp(job: Job, root: Entry, folder: Path) -> Path:
    """A darknetp of another version of the interface."""
    for name in ("host", "nn", "ta"):
        shutil.copytree(SOURCE / name, folder / name)
    header = folder / "ta" / "include" / "darknetp_ta.h"
    text, count = re.subn(
        r"(#define DARKNETP_TA_ABI) \d+u", rf"\1 {OTHER_ABI}u", header.read_text()
    )
    assert count == 1
    header.write_text(text)
    argv = make_argv(job, folder / "host", root, folder / "out")
    job.runner.run(argv, what="building another darknetp")
    return folder / "out" / "darknetp"


@pytest.fixture(scope="module")
def programs(build_job: Job, built: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs, compiled for the target."""
    output = tmp_path_factory.mktemp("target")
    with build_job.stage("sysroot", "sysroot") as stage:
        root = sysroot.unpack(built.parts, build_job.store, build_job.runner, stage.step)
    argv = make_argv(build_job, SOURCE / "tests" / "target", root, output)
    build_job.runner.run(argv, what="building the hostile programs")
    other = build_other_darknetp(build_job, root, tmp_path_factory.mktemp("other"))
    shutil.copy2(other, output / "darknetp-other")
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
        f"cp {place} /tmp/ && chmod 755 /tmp/{name} && cd {armed.dataset.root} && /tmp/{command}",
        timeout=timeout,
    )


def passed_tests(ended: Completed) -> list[str]:
    """The names of the tests, all of which have passed."""
    plan = re.search(r"^1\.\.(\d+)$", ended.output, re.MULTILINE)
    passed = re.findall(r"^ok \d+ - (.+)$", ended.output, re.MULTILINE)
    assert plan and ended.status == 0, ended.output
    assert len(passed) == int(plan[1]) > 0
    return passed


def assert_unharmed(session: Session, armed: Build) -> None:
    """No trusted application panicked, and darknetp still predicts."""
    assert [event for event in session.target.events if event.fatal] == []
    example = armed.dataset.examples[0]
    run = run_predict(session.shell, armed.dataset, example, PARTITION, timeout=60)
    judged = judge_predict(run, PARTITION, example)
    assert judged.verdict == "pass", judged


def test_every_hole_is_closed(session: Session, armed: Build) -> None:
    """S1 to S17, wrong order, types and buffers, races: refused, and the session works on."""
    ended = attack(session, armed, "hostile", HOSTILE_SECONDS)
    print(ended.output)
    passed = passed_tests(ended)
    named = {match for name in passed for match in re.findall(r"^S\d+", name)}
    assert named == {f"S{number}" for number in range(1, 18)}
    assert_unharmed(session, armed)


def test_random_calls(session: Session, armed: Build) -> None:
    """No panic, no answer that the contract does not know, and all memory is back."""
    ended = attack(session, armed, f"campaign -seed {SEED} -n {CALLS}", CAMPAIGN_SECONDS)
    print(ended.output)
    assert "random calls" in passed_tests(ended)
    assert f"# {CALLS} of {CALLS} calls" in ended.output
    assert "by applications" in ended.output, "Debian's core tells what memory is in use"
    assert_unharmed(session, armed)


def test_versions_refuse_each_other(session: Session, armed: Build) -> None:
    """darknetp of another version says so; hostile tries the application's side of it."""
    data = armed.dataset
    words = [
        *("darknetp-other", "classifier", "predict", *PARTITION.flags),
        *(data.data_cfg, data.network_cfg, data.weights, data.examples[0].image),
    ]
    ended = attack(session, armed, " ".join(map(str, words)), 60)
    assert ended.status == 1, ended.output
    assert re.search(rf"speaks version \d+ .*, darknetp speaks {OTHER_ABI}", ended.output)
    assert "of different versions: build and install both together" in ended.output
    assert_unharmed(session, armed)
