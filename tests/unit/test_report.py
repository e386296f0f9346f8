# SPDX-License-Identifier: MIT
"""The record of a run and its views."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from junitparser import Error, Failure, JUnitXml, Skipped, TestCase
from rich.console import Console

from tzkit.console import Event
from tzkit.errors import (
    Advice,
    CheckFailed,
    EnvironmentFailed,
    RequestError,
    TargetDied,
    TzkitError,
)
from tzkit.job import Stage
from tzkit.parts import Part
from tzkit.report import (
    SUITES,
    Boot,
    ReportDocument,
    RunRecord,
    document,
    junit,
    table,
    write,
)
from tzkit.suites.darknetp import Partition
from tzkit.suites.darknetp_judge import (
    DarknetpResult,
    Iteration,
    PredictResult,
    TrainResult,
    UsageResult,
    ValidResult,
)
from tzkit.suites.xtest import XtestResult
from tzkit.suites.xtest_output import Case

PP = Partition(4, 10)
CASES = (
    Case("regression_1001", "Core self tests", "pass", 0.01),
    Case("regression_1002", "PTA parameters", "pass", 0.02),
)
XTEST = XtestResult("pass", 2, 0, 0, 33, 0, 143.0, (), CASES)
USAGE = UsageResult("pass", 0.5)
TRAIN = TrainResult("pass", PP, (Iteration(1, 1.85, "secure", 1.2, 100, None, 1.85),), 31.0)
TUNE = replace(TRAIN, iterations=(Iteration(1, 0.25, "normal", 1.2, 100, 0.25, 0.5),))
VALID = ValidResult("pass", PP, 364, 0.975, 1.0, 5, 8.0)
PREDICT = PredictResult("pass", PP, "data/a.png", "3", (("3", 100.0), ("1", 0.0)), 0.7)
PANIC = Event("ta-panic", "secure", "E/TC:? 0 TA panicked with code 0x1", 3.14159, "a TA panicked")
GOOD = RunRecord(
    board="qemu_v8",
    source="debian",
    app="own",
    reproduce="./inv qemu-test --board qemu_v8",
    stages=(Stage("fetch", 3.1, cached=True, verdict="pass"),),
    parts=(Part("optee-os", "4.5.0-2", "ab" * 32, "trixie/main", "optee-os.deb"),),
    boot=Boot(5.2, "4.5.0"),
    xtest=XTEST,
    darknetp=DarknetpResult(USAGE, TRAIN, TUNE, (PREDICT,), VALID),
    events=tuple(replace(PANIC, seconds=float(n), tolerated=True) for n in range(3)),
    logs={"normal": Path("out/normal.log")},
)
DIED = TargetDied("the kernel panicked", kind="kernel-panic", hint="look", log=Path("normal.log"))
BROKEN_OFF = replace(GOOD, xtest=None, darknetp=DarknetpResult(USAGE), error=DIED)


def as_json(record: RunRecord) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(document(record).model_dump_json())
    return loaded


def shown(record: RunRecord, *, plain: bool = True) -> str:
    stream = io.StringIO()
    Console(file=stream, width=120).print(table(record, plain=plain))
    return stream.getvalue()


def cases(record: RunRecord) -> dict[str, TestCase]:
    xml = JUnitXml.fromstring(junit(record))
    return {case.name: case for suite in xml for case in suite}


def results(record: RunRecord) -> dict[str, type]:
    """What each case that is no pass is in junit.xml."""
    return {name: type(case.result[0]) for name, case in cases(record).items() if case.result}


# ---- The verdict ----


def test_everything_passed() -> None:
    assert (GOOD.verdict, GOOD.exit_code, GOOD.missing) == ("pass", 0, ())


@pytest.mark.parametrize("suite", SUITES)
def test_a_suite_that_was_wanted_and_has_no_result_is_no_pass(suite: str) -> None:
    darknetp = GOOD.darknetp
    lacking = {
        "boot": replace(GOOD, boot=None),
        "xtest": replace(GOOD, xtest=None),
        "usage": replace(GOOD, darknetp=replace(darknetp, usage=None)),
        "train": replace(GOOD, darknetp=replace(darknetp, train=None)),
        "tune": replace(GOOD, darknetp=replace(darknetp, tune=None)),
        "predict": replace(GOOD, darknetp=replace(darknetp, predictions=())),
        "valid": replace(GOOD, darknetp=replace(darknetp, valid=None)),
    }[suite]
    assert (lacking.verdict, lacking.exit_code, lacking.missing) == ("error", 1, (suite,))
    unwanted = replace(lacking, wanted=tuple(name for name in SUITES if name != suite))
    assert (unwanted.verdict, unwanted.exit_code) == ("pass", 0)


def test_a_run_of_nothing_is_no_pass() -> None:
    assert replace(GOOD, wanted=()).verdict == "error"
    assert replace(GOOD, wanted=()).exit_code == 1


@pytest.mark.parametrize("verdict", ["fail", "error"])
def test_every_suite_can_fail_the_run(verdict: Any) -> None:
    darknetp = GOOD.darknetp
    for record in (
        replace(GOOD, xtest=replace(XTEST, verdict=verdict)),
        replace(GOOD, darknetp=replace(darknetp, usage=replace(USAGE, verdict=verdict))),
        replace(GOOD, darknetp=replace(darknetp, train=replace(TRAIN, verdict=verdict))),
        replace(GOOD, darknetp=replace(darknetp, tune=replace(TUNE, verdict=verdict))),
        replace(GOOD, darknetp=replace(darknetp, valid=replace(VALID, verdict=verdict))),
        replace(
            GOOD,
            darknetp=replace(
                darknetp, predictions=(PREDICT, replace(PREDICT, verdict=verdict), PREDICT)
            ),
        ),
    ):
        assert (record.verdict, record.exit_code) == ("fail", 1)


@pytest.mark.parametrize(
    ("error", "verdict", "code"),
    [
        (CheckFailed("x"), "fail", 1),
        (RequestError("x"), "error", 2),
        (EnvironmentFailed("x"), "error", 3),
        (DIED, "error", 4),
    ],
)
def test_errors_decide(error: TzkitError, verdict: str, code: int) -> None:
    record = replace(GOOD, error=error)
    assert (record.verdict, record.exit_code) == (verdict, code)


def test_interruption_decides_over_all() -> None:
    record = replace(GOOD, error=DIED, interrupted=True)
    assert (record.verdict, record.exit_code) == ("error", 130)


# ---- report.json ----


def test_report_has_the_promised_keys() -> None:
    promised = {
        "version": 1,
        "board": "qemu_v8",
        "source": "debian",
        "app": "own",
        "verdict": "pass",
        "exit_code": 0,
        "error": None,
        "reproduce": "./inv qemu-test --board qemu_v8",
        "stages": [{"name": "fetch", "seconds": 3.1, "cached": True, "verdict": "pass"}],
        "parts": [
            {
                "name": "optee-os",
                "version": "4.5.0-2",
                "sha256": "ab" * 32,
                "origin": "trixie/main",
            }
        ],
        "boot": {"seconds": 5.2, "tee": "4.5.0"},
        "xtest": {
            "verdict": "pass",
            "cases": 2,
            "cases_failed": 0,
            "cases_skipped": 0,
            "subtests": 33,
            "subtests_failed": 0,
            "seconds": 143.0,
        },
        "darknetp": {
            "usage": {"verdict": "pass"},
            "train": {
                "verdict": "pass",
                "pp": "4:10",
                "iterations": [
                    {"n": 1, "loss": 1.85, "world": "secure", "seconds": 1.2, "images": 100}
                ],
            },
            "tune": {"iterations": [{"world": "normal", "normal": 0.25, "secure": 0.5}]},
            "predict": {
                "verdict": "pass",
                "pp": "4:10",
                "image": "data/a.png",
                "top": [["3", 100.0], ["1", 0.0]],
            },
            "valid": {"verdict": "pass", "pp": "4:10", "images": 364, "top1": 0.975, "k": 5},
        },
        "events": [{"kind": "ta-panic", "console": "secure", "text": PANIC.text}],
    }
    assert_contains(as_json(GOOD), promised)


@pytest.mark.parametrize("share", [78.123456789, float("nan")])
def test_report_can_be_read_again(share: float) -> None:
    shown = replace(PREDICT, top=(("3", share), ("1", 0.0)))
    record = replace(GOOD, darknetp=replace(GOOD.darknetp, predictions=(shown,)))
    written = document(record)
    assert ReportDocument.model_validate_json(written.model_dump_json()) == written


def assert_contains(found: Any, promised: Any) -> None:
    """Every promised key is there with its value; more keys may be."""
    if isinstance(promised, dict):
        for key, value in promised.items():
            assert_contains(found[key], value)
    elif isinstance(promised, list):
        assert len(found) == len(promised)
        for one, other in zip(found, promised, strict=True):
            assert_contains(one, other)
    else:
        assert found == promised


def test_tolerated_events_are_counted_the_others_are_all_listed() -> None:
    record = replace(GOOD, events=(*GOOD.events, PANIC, PANIC))
    events = as_json(record)["events"]
    assert [(event["tolerated"], event["count"]) for event in events] == [
        (True, 3),
        (False, 1),
        (False, 1),
    ]
    assert events[1]["seconds"] == 3.142


def test_report_of_a_run_that_died() -> None:
    report = as_json(BROKEN_OFF)
    assert (report["verdict"], report["exit_code"]) == ("error", 4)
    assert "the kernel panicked" in report["error"] and "normal.log" in report["error"]
    assert report["xtest"] is None
    assert report["darknetp"]["train"] is None and report["darknetp"]["predict"] is None
    assert as_json(replace(BROKEN_OFF, darknetp=DarknetpResult()))["darknetp"] is None
    assert as_json(replace(BROKEN_OFF, interrupted=True))["error"] == "interrupted"


def test_reports_tell_what_is_known_of_the_error() -> None:
    known = Advice("memory", "too little memory", "use less")
    record = replace(GOOD, error=EnvironmentFailed("it failed", advice=[known]))
    for text in (as_json(record)["error"], cases(record)["run"].result[0].text):
        assert "likely cause: too little memory" in text and "what to do: use less" in text


def test_failed_prediction_is_the_one_shown() -> None:
    wrong = replace(PREDICT, verdict="fail", image="data/b.png", reasons=("predicted was 8",))
    record = replace(GOOD, darknetp=DarknetpResult(USAGE, TRAIN, TUNE, (PREDICT, wrong), VALID))
    report = as_json(record)["darknetp"]
    assert report["predict"]["image"] == "data/b.png"
    assert [result["image"] for result in report["predictions"]] == ["data/a.png", "data/b.png"]


def test_losses_that_json_cannot_hold_are_text() -> None:
    losses = (
        Iteration(1, float("nan"), "secure", 1.0, 1),
        Iteration(2, float("inf"), "secure", 1.0, 2),
    )
    record = replace(GOOD, darknetp=DarknetpResult(train=replace(TRAIN, iterations=losses)))
    said = as_json(record)["darknetp"]["train"]["iterations"]
    assert [iteration["loss"] for iteration in said] == ["nan", "inf"]


def test_shares_that_json_cannot_hold_are_text() -> None:
    wrong = replace(PREDICT, top=(("3", float("nan")), ("1", float("-inf")), ("2", 1e18)))
    record = replace(GOOD, darknetp=DarknetpResult(predictions=(wrong,)))
    assert as_json(record)["darknetp"]["predict"]["top"] == [
        ["3", "nan"],
        ["1", "-inf"],
        ["2", 1e18],
    ]


def test_files_are_written_whole(tmp_path: Path) -> None:
    write(GOOD, tmp_path)
    write(BROKEN_OFF, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["junit.xml", "report.json"]
    assert json.loads((tmp_path / "report.json").read_text())["exit_code"] == 4
    assert len(list(JUnitXml.fromfile(str(tmp_path / "junit.xml")))) == 4


# ---- junit.xml ----


def test_junit_of_a_pass() -> None:
    xml = JUnitXml.fromstring(junit(GOOD))
    names = {suite.name: [case.name for case in suite] for suite in xml}
    assert names == {
        "qemu_v8.run": ["run"],
        "qemu_v8.boot": ["boot"],
        "qemu_v8.xtest": ["regression_1001", "regression_1002", "the whole of xtest"],
        "qemu_v8.darknetp": [
            "usage",
            "train",
            "tune",
            "predict data/a.png, layers 4:10 in the TEE",
            "valid",
        ],
    }
    assert results(GOOD) == {}
    case = cases(GOOD)["regression_1002"]
    assert (case.time, case.classname) == (0.02, "qemu_v8.xtest")
    assert (xml.tests, xml.failures, xml.errors, xml.skipped) == (10, 0, 0, 0)


def test_junit_tells_failed_broken_and_skipped_apart() -> None:
    failed = replace(
        XTEST,
        verdict="fail",
        reasons=("regression_1001 failed",),
        details=(
            replace(CASES[0], status="fail", failure="x.c:1: \x00bad\nmore"),
            replace(CASES[1], status="unfinished"),
        ),
    )
    record = replace(GOOD, xtest=failed, wanted=("boot", "xtest", "usage", "train"))
    record = replace(record, darknetp=replace(GOOD.darknetp, predictions=()))
    assert results(record) == {
        "regression_1001": Failure,
        "regression_1002": Error,
        "the whole of xtest": Failure,
        "predict": Skipped,
    }
    (failure,) = cases(record)["regression_1001"].result
    assert failure.message == "x.c:1: \ufffdbad" and "more" in failure.text


def test_junit_of_missing_evidence_is_an_error() -> None:
    record = replace(GOOD, xtest=replace(XTEST, verdict="error", reasons=("no complete summary",)))
    assert results(record) == {"the whole of xtest": Error}


def test_junit_of_a_run_that_died() -> None:
    lacking = dict.fromkeys(("xtest", "train", "tune", "predict", "valid"), Skipped)
    assert results(BROKEN_OFF) == {"run": Error, **lacking}
    (error,) = cases(BROKEN_OFF)["run"].result
    assert error.type == "kernel-panic" and "the kernel panicked" in error.message
    assert results(replace(BROKEN_OFF, error=CheckFailed("x")))["run"] is Failure
    assert results(replace(BROKEN_OFF, interrupted=True)) == {"run": Error, **lacking}


def test_suite_that_never_reported_is_an_error() -> None:
    assert results(replace(GOOD, xtest=None)) == {"xtest": Error}


# ---- The table ----


def test_table_shows_stages_suites_and_evidence() -> None:
    text = shown(GOOD)
    for part in ("qemu_v8: PASS", "fetch", "cached", "OP-TEE 4.5.0", "2 cases, 33 subtests",
                 "1 iterations", "loss 0.250 to 0.250 on the normal console",
                 "recognised: 3 (layers 4:10 in the TEE)",
                 "97.5% of 364 held-out images"):  # fmt: skip
        assert part in text
    assert text.isascii()
    assert "━" in shown(GOOD, plain=False) or "─" in shown(GOOD, plain=False)


def test_table_shows_what_went_wrong() -> None:
    assert "ERROR" in shown(BROKEN_OFF)
    assert "the kernel panicked" in shown(BROKEN_OFF)
    assert shown(BROKEN_OFF).count("not run") == 5
    failed = replace(GOOD, xtest=replace(XTEST, verdict="fail", reasons=("[bold]odd",)))
    assert "FAIL" in shown(failed) and "[bold]odd" in shown(failed)
    assert "interrupted" in shown(replace(GOOD, interrupted=True))
