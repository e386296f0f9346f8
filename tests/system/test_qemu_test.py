# SPDX-License-Identifier: MIT
"""``qemu-test`` as users and CI call it: exit code, report, logs, what is printed."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from checkout import SOURCE, Checkout, Ended, Task
from junitparser import JUnitXml

from tzkit.pipeline import Build
from tzkit.report import ReportDocument
from tzkit.suites.darknetp import TRAIN_ITERATIONS

USAGE = ("qemu-test", "--xtest", "none", "--only", "usage")


@pytest.fixture(scope="module")
def whole(checkout: Checkout, built: Build, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """One run with everything in it but the long part of xtest."""
    scratch = tmp_path_factory.mktemp("scratch")
    ended = checkout.run("qemu-test", "--xtest", "smoke", env={"TMPDIR": str(scratch)})
    assert list(scratch.iterdir()) == [], "temporary files were left behind"
    return ended


@pytest.fixture(scope="module")
def folder(checkout: Checkout, whole: Ended) -> Path:
    assert whole.status == 0, whole.text
    return checkout.latest()


@pytest.fixture(scope="module")
def report(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return loaded


def test_it_passes_and_says_so(whole: Ended, folder: Path) -> None:
    assert whole.status == 0, whole.text
    assert "qemu_v8: PASS" in whole.text
    assert re.search(r"xtest +pass +[\d.]+ +\d+ cases, \d+ subtests", whole.text)
    assert f"report: {folder / 'report.json'}" in whole.text
    assert "reproduce: ./inv qemu-test --xtest smoke" in whole.text


def test_report_is_what_the_interface_promises(report: dict[str, Any]) -> None:
    ReportDocument.model_validate(report)
    assert (report["version"], report["board"], report["source"]) == (1, "qemu_v8", "debian")
    assert (report["app"], report["verdict"], report["exit_code"]) == ("own", "pass", 0)
    assert report["error"] is None
    assert [stage["name"] for stage in report["stages"]] == [
        "fetch", "build", "image", "boot", "suites",
    ]  # fmt: skip
    assert all(stage["verdict"] == "pass" for stage in report["stages"])
    assert all(stage["cached"] for stage in report["stages"][:3])
    assert {"optee-os", "optee-test-qemu", "arm-trusted-firmware"} <= {
        part["name"] for part in report["parts"]
    }
    assert all(re.fullmatch("[0-9a-f]{64}", part["sha256"]) for part in report["parts"])
    assert report["boot"]["tee"].startswith("4.5") and report["boot"]["seconds"] > 0


def test_report_of_xtest(report: dict[str, Any]) -> None:
    xtest = report["xtest"]
    assert xtest["verdict"] == "pass" and xtest["reasons"] == []
    assert xtest["cases"] == len(xtest["details"]) > 40
    assert (xtest["cases_failed"], xtest["subtests_failed"]) == (0, 0)
    assert xtest["subtests"] > 1000 and xtest["seconds"] > 0


def test_report_of_darknetp(report: dict[str, Any]) -> None:
    darknetp = report["darknetp"]
    assert darknetp["usage"]["verdict"] == "pass"
    for name in ("train", "tune"):
        trained = darknetp[name]
        assert (trained["verdict"], trained["pp"]) == ("pass", "4:10")
        assert len(trained["iterations"]) == TRAIN_ITERATIONS
        assert {iteration["world"] for iteration in trained["iterations"]} == {"secure"}
        assert all(iteration["normal"] is None for iteration in trained["iterations"])
    predict = darknetp["predict"]
    assert (predict["verdict"], predict["pp"]) == ("pass", "4:10")
    assert predict["top"][0] == [predict["expected"], 100.0]
    places = [prediction["pp"] for prediction in darknetp["predictions"]]
    assert places == ["4:10", "4:10", "4:10", "4:8"]
    assert {prediction["verdict"] for prediction in darknetp["predictions"]} == {"pass"}
    valid = darknetp["valid"]
    assert (valid["verdict"], valid["images"]) == ("pass", 364) and valid["top1"] >= 0.95


def test_xtests_own_panics_are_told_apart(report: dict[str, Any]) -> None:
    """They are there, and nobody took them for a crash."""
    panics = [event for event in report["events"] if event["kind"] == "ta-panic"]
    assert panics and all(event["tolerated"] for event in report["events"])


def test_junit(folder: Path, report: dict[str, Any]) -> None:
    suites = JUnitXml.fromfile(str(folder / "junit.xml"))
    cases = [case for suite in suites for case in suite]
    assert all(case.is_passed for case in cases)
    ran = {case["name"] for case in report["xtest"]["details"]}
    predicted = {
        f"predict {said['image']}, layers {said['pp']} in the TEE"
        for said in report["darknetp"]["predictions"]
    }
    others = {"boot", "usage", "train", "tune", "valid"}
    assert ran | predicted | others <= {case.name for case in cases}


def test_logs_have_a_time_on_each_line(folder: Path) -> None:
    for name in ("normal.log", "secure.log"):
        lines = (folder / name).read_text().splitlines()
        assert lines and all(re.match(r"\[ *\d+\.\d{3}\] ", line) for line in lines)


def test_everything_printed_is_in_the_log(whole: Ended, folder: Path) -> None:
    log = re.sub(r"(?m)^\d\d:\d\d:\d\d ", "", (folder / "tzkit.log").read_text())
    kept = {line.strip() for line in log.splitlines()}
    missing = [line for line in whole.text.splitlines() if line.strip() not in kept]
    assert missing == []


def test_every_command_is_in_the_log(folder: Path) -> None:
    text = (folder / "commands.log").read_text()
    assert re.search(r"\$ qemu-system-aarch64 .*-incoming", text)
    assert "aarch64-linux-gnu-gcc --version" in text


def started_below(task: Task, seen: set[str]) -> bool:
    """Adds the programs that run now; True when the task is at its suites."""
    seen |= set(task.descendants().values())
    return "qemu-system-aar" in seen


def test_no_command_escapes_the_log(checkout: Checkout, built: Build) -> None:
    """Every program seen below the task is in commands.log."""
    seen: set[str] = set()
    task = checkout.start(*USAGE)
    task.wait_for(lambda: started_below(task, seen), "the emulator")
    assert task.end().status == 0
    commands = (checkout.latest() / "commands.log").read_text()
    own = {"setpriv", "python", "invoke"}
    assert [name for name in seen - own if f"$ {name}" not in commands.replace("/", " ")] == []


def test_two_at_once(checkout: Checkout, built: Build) -> None:
    before = checkout.runs()
    tasks = [checkout.start(*USAGE) for _ in range(2)]
    ended = [task.end() for task in tasks]
    assert [end.status for end in ended] == [0, 0], "\n".join(end.text for end in ended)
    new = checkout.runs() - before
    assert len(new) == 2
    assert checkout.latest() in new
    for folder in new:
        report = json.loads((folder / "report.json").read_text())
        assert report["verdict"] == "pass"
        assert (folder / "normal.log").stat().st_size > 0
    assert checkout.locks_held() == []


def test_quiet_prints_the_table_and_nothing_else(checkout: Checkout, built: Build) -> None:
    ended = checkout.run(*USAGE, "--quiet")
    assert ended.status == 0
    assert ended.text.startswith("qemu_v8: PASS")
    assert "fetch: parts for" not in ended.text and "report:" not in ended.text
    assert "fetch: parts for" in (checkout.latest() / "tzkit.log").read_text()


def test_dry_run_prints_every_command_and_starts_none() -> None:
    """Through ./inv, in the checkout these tests are part of."""
    runs = SOURCE / "out" / "qemu_v8" / "runs"
    before = set(runs.glob("*"))
    task = Task(["./inv", "qemu-test", "--dry-run"], SOURCE, os.environ)
    seen: set[str] = set()
    while task.running():
        seen |= set(task.descendants().values())
    ended = task.end()
    assert ended.status == 0, ended.text
    programs = [line.split()[0] for line in ended.text.splitlines()]
    assert programs == ["mmdebstrap", "make", "make", "make", "qemu-system-aarch64"]
    assert not seen & {"setpriv", *(program[:15] for program in programs)}
    assert set(runs.glob("*")) == before
