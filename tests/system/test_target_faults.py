# SPDX-License-Identifier: MIT
"""The target dies or lies: exit 4 (or 1) soon after, the cause by name, and never a pass."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from checkout import Checkout, gone, read_report
from junitparser import Error, JUnitXml

from tzkit import origin, testrun
from tzkit.errors import TargetDied
from tzkit.job import Job
from tzkit.pipeline import Build, BuildOptions
from tzkit.session import Session, open_session
from tzkit.testrun import TestOptions

SOON_SECONDS = 10.0  # from the fault to the end of the run
PANIC_IN_A_TA = "xtest -t regression 1010"  # bad memory accesses, which panic its TA


@dataclass(frozen=True)
class Run:
    """A test run in this process: its exit code, its report, seconds since the fault."""

    status: int
    report: dict[str, Any]
    folder: Path
    seconds: float

    def assert_died(self, kind: str, *texts: str) -> None:
        """Everything that is asked of a run whose target died."""
        assert (self.status, self.report["exit_code"]) == (4, 4)
        assert self.report["verdict"] == "error"
        assert self.report["error"].startswith("target died: ")
        assert [text for text in texts if text not in self.report["error"]] == []
        fatal = [event for event in self.report["events"] if not event["tolerated"]]
        assert fatal and fatal[0]["kind"] == kind, fatal
        assert self.report["stages"][-1] | {"seconds": 0} == {
            "name": "suites", "seconds": 0, "cached": False, "verdict": "error",
        }  # fmt: skip
        cases = [
            case for suite in JUnitXml.fromfile(str(self.folder / "junit.xml")) for case in suite
        ]
        errors = [case for case in cases if any(isinstance(r, Error) for r in case.result)]
        assert len(errors) == 1
        assert self.seconds < SOON_SECONDS


def options(only: str, xtest: str = "none") -> TestOptions:
    return TestOptions.parse(pp="4:10", xtest=xtest, only=only, keep=False, cold=False)


def run_with(
    monkeypatch: pytest.MonkeyPatch,
    job: Job,
    what: TestOptions,
    fault: str,
    *,
    delay: float = 0.0,
    timeout: float = 60.0,
) -> Run:
    """A test run in whose guest the command ``fault`` runs ``delay`` seconds after the boot."""
    began = 0.0

    @contextlib.contextmanager
    def prepared(*args: Any, **named: Any) -> Iterator[Session]:
        nonlocal began
        with open_session(*args, **named) as session:
            command = f"(sleep {delay}; {fault}) >/dev/null 2>&1 &" if delay else fault
            session.shell.run(command, timeout=10)
            began = time.monotonic() + delay
            yield session

    monkeypatch.setattr(origin, "open_session", prepared)
    status = testrun.run_tests(job, BuildOptions(), what, timeout)
    seconds = time.monotonic() - began
    return Run(status, read_report(job.folder), job.folder, seconds)


@pytest.fixture
def job(checkout: Checkout, warm: Build, job: Job) -> Job:
    """Work in a run folder, where a test run expects to be."""
    folder = checkout.out() / "runs" / job.folder.parent.name
    return Job(job.workspace, job.board, job.ui, folder)


# ---- Crashes ----


def test_kernel_panic(monkeypatch: pytest.MonkeyPatch, job: Job) -> None:
    run = run_with(monkeypatch, job, options("train"), "echo c >/proc/sysrq-trigger", delay=4)
    run.assert_died("kernel-panic", "sysrq triggered crash", "darknetp classifier train")


def test_guest_reboots(monkeypatch: pytest.MonkeyPatch, job: Job) -> None:
    run = run_with(monkeypatch, job, options("train"), "reboot -f", delay=4)
    run.assert_died("emulator-gone", "the target is gone (exit status 0")


def test_ta_panics_during_training(monkeypatch: pytest.MonkeyPatch, job: Job) -> None:
    """Another TA's panic: outside of xtest nobody expects one."""
    run = run_with(monkeypatch, job, options("train"), PANIC_IN_A_TA, delay=4)
    run.assert_died("ta-panic", "a trusted application", "on the secure console")


def test_ta_panic_is_tolerated_only_where_it_is_told(warm: Build, job: Job) -> None:
    with open_session(job, warm, cold=False) as session:
        session.shell.run(PANIC_IN_A_TA, timeout=60, tolerate=("ta-panic",))
        with pytest.raises(TargetDied) as died:
            session.shell.run(PANIC_IN_A_TA, timeout=60)
    assert (died.value.kind, died.value.console) == ("ta-panic", "secure")


@pytest.mark.parametrize(
    ("arguments", "sign", "where"),
    [
        (("--only", "train"), "darknetp train 2/", "darknetp classifier train"),
        (("--only", "xtest", "--xtest", "smoke"), "xtest smoke regression_", "xtest was in "),
    ],
)
def test_emulator_killed(
    checkout: Checkout, warm: Build, arguments: tuple[str, ...], sign: str, where: str
) -> None:
    task = checkout.start("qemu-test", *arguments)
    emulator = task.wait_for_emulator()
    log = checkout.latest() / "tzkit.log"
    task.wait_for(lambda: sign in log.read_text(), sign)
    os.kill(emulator, signal.SIGKILL)
    killed = time.monotonic()
    ended = task.end()
    assert time.monotonic() - killed < SOON_SECONDS
    assert ended.status == 4, ended.text
    assert "killed by SIGKILL" in ended.text and where in ended.text
    report = checkout.report()
    assert (report["verdict"], report["exit_code"]) == ("error", 4)
    assert "killed by SIGKILL" in report["error"]
    assert [event["kind"] for event in report["events"] if not event["tolerated"]] == [
        "emulator-gone"
    ]


# ---- Silence ----


def test_emulator_that_stands_still(checkout: Checkout, warm: Build) -> None:
    """Stopped, not ended: nothing says so but the deadline."""
    task = checkout.start("qemu-test", "--only", "train", "--timeout", "5")
    emulator = task.wait_for_emulator()
    log = checkout.latest() / "tzkit.log"
    task.wait_for(lambda: "suites: train" in log.read_text(), "training")
    os.kill(emulator, signal.SIGSTOP)
    ended = task.end()
    assert ended.status == 4, ended.text
    assert "within 5 s on the normal console" in ended.text
    assert "--timeout" in ended.text
    assert checkout.report()["events"][-1]["kind"] == "silence"
    assert gone({emulator: "QEMU"})


def test_command_that_hangs(session: Session) -> None:
    began = time.monotonic()
    with pytest.raises(TargetDied, match="no end of 'sleep 100' within 2 s") as died:
        session.shell.run("sleep 100", timeout=2)
    assert died.value.kind == "silence"
    assert time.monotonic() - began < 5
    session.shell.interrupt()
    assert session.shell.run("echo alive", timeout=10).output == "alive\n"


def test_no_supplicant(monkeypatch: pytest.MonkeyPatch, job: Job) -> None:
    """OP-TEE waits for tee-supplicant for ever; we do not."""
    run = run_with(monkeypatch, job, options("usage"), "killall tee-supplicant", timeout=5)
    run.assert_died("silence", "no end of 'darknetp' within 5 s")


# ---- A target that is not what it seems ----


def test_xtest_is_missing(monkeypatch: pytest.MonkeyPatch, job: Job) -> None:
    run = run_with(monkeypatch, job, options("xtest", "smoke"), "rm /usr/bin/xtest")
    assert run.status == 4
    assert run.report["verdict"] == "error"
    assert "'xtest --clear-storage' failed with status 127" in run.report["error"]
    assert "not found" in run.report["error"]
    assert run.seconds < SOON_SECONDS


FAKES = {
    "says nothing": "exit 0",
    "says only the end": "echo 'TEE test application done!'",
    "says a summary of nothing": (
        "echo 'Result of testsuite regression+pkcs11:'; echo '0 subtests of which 0 failed';"
        "echo '0 test cases of which 0 failed'; echo '0 test cases were skipped';"
        "echo 'TEE test application done!'"
    ),
}


@pytest.mark.parametrize("name", FAKES)
def test_fake_xtest_never_passes(monkeypatch: pytest.MonkeyPatch, job: Job, name: str) -> None:
    """Status 0 and no trouble on any console is no evidence."""
    fake = f"printf '%s\\n' '#!/bin/sh' {shlex.quote(FAKES[name])} >/usr/bin/xtest"
    run = run_with(monkeypatch, job, options("xtest", "smoke"), fake)
    assert (run.status, run.report["exit_code"]) == (1, 1)
    assert run.report["verdict"] == "fail"
    assert run.report["xtest"]["verdict"] == "error"
    assert run.report["xtest"]["reasons"] != []


@pytest.mark.parametrize("suite", ["usage", "train", "predict"])
def test_fake_darknetp_never_passes(monkeypatch: pytest.MonkeyPatch, job: Job, suite: str) -> None:
    run = run_with(monkeypatch, job, options(suite), "cp /bin/true /bin/darknetp")
    assert run.status == 1
    assert run.report["verdict"] == "fail"
    assert run.report["darknetp"][suite]["reasons"] != []
