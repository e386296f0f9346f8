# SPDX-License-Identifier: MIT
"""``junit.xml``: what CI systems show. Failed, broken and not run are told apart."""

from __future__ import annotations

import re

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite
from junitparser.junitparser import FinalResult

from tzkit.errors import CheckFailed
from tzkit.report.record import RunRecord, Suite, in_the_tee
from tzkit.suites.darknetp_judge import PredictResult
from tzkit.suites.xtest import XtestResult
from tzkit.suites.xtest_output import Case

GROUPS: dict[str, tuple[Suite, ...]] = {
    "boot": ("boot",),
    "xtest": ("xtest",),
    "darknetp": ("usage", "train", "tune", "predict", "valid"),
}
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(record: RunRecord) -> bytes:
    """The whole document: the run itself, then one test suite per group."""
    xml = JUnitXml("tzkit")
    groups = {"run": [_run(record)]}
    for group, suites in GROUPS.items():
        groups[group] = [case for suite in suites for case in _cases(record, suite)]
    for group, cases in groups.items():
        shown = TestSuite(f"{record.board}.{group}")
        for case in cases:
            case.classname = shown.name
            shown.add_testcase(case)
        xml.add_testsuite(shown)
    text: bytes = xml.tostring()  # type: ignore[no-untyped-call]
    return text


def _cases(record: RunRecord, suite: Suite) -> list[TestCase]:
    outcome = record.outcome(suite)
    if outcome.verdict is None:
        return [_absent(record, suite)]
    if suite == "xtest" and record.xtest is not None:
        return _xtest(record.xtest)
    if suite == "predict":
        return [_prediction(result) for result in record.darknetp.predictions]
    return [_case(suite, outcome.seconds, outcome.verdict, outcome.reasons)]


def _run(record: RunRecord) -> TestCase:
    """The run itself, which may have been broken off by what is no suite's result."""
    case = TestCase("run")
    if record.interrupted:
        return _with(case, _result(Error, "interrupted", "interrupted"))
    if record.error is None:
        return case
    kind = Failure if isinstance(record.error, CheckFailed) else Error
    label = getattr(record.error, "kind", record.error.label)
    return _with(case, _result(kind, str(record.error), label))


def _absent(record: RunRecord, suite: Suite) -> TestCase:
    """A suite without a result."""
    if suite not in record.wanted:
        return _with(TestCase(suite), Skipped("not asked for"))
    if record.error or record.interrupted:
        return _with(TestCase(suite), Skipped("the run ended before it had a result"))
    return _with(TestCase(suite), _result(Error, "it never reported", "no result"))


def _xtest(result: XtestResult) -> list[TestCase]:
    """Its cases, and one more for what is wrong with the whole."""
    cases = [_xtest_case(case) for case in result.details]
    whole = result.verdict if result.reasons else "pass"
    cases.append(_case("the whole of xtest", None, whole, result.reasons))
    return cases


def _xtest_case(case: Case) -> TestCase:
    shown = TestCase(case.name, time=case.seconds)
    if case.status == "fail":
        return _with(shown, _result(Failure, case.failure or "failed", case.title))
    if case.status == "unfinished":
        return _with(shown, _result(Error, f"{case.title}: did not end", "unfinished"))
    return shown


def _prediction(result: PredictResult) -> TestCase:
    name = f"predict {result.image}{in_the_tee(result.partition)}"
    return _case(name, result.seconds, result.verdict, result.reasons)


def _case(name: str, seconds: float | None, verdict: str, reasons: tuple[str, ...]) -> TestCase:
    case = TestCase(_xml(name), time=seconds)
    if verdict == "pass":
        return case
    return _with(
        case, _result(Failure if verdict == "fail" else Error, "\n".join(reasons), verdict)
    )


def _with(case: TestCase, result: FinalResult) -> TestCase:
    case.result = [result]
    return case


def _result(kind: type[FinalResult], text: str, label: str) -> FinalResult:
    """The first line is what CI systems list, the rest is shown on request."""
    result = kind(_xml(text.partition("\n")[0]), _xml(label))
    result.text = _xml(text)
    return result


def _xml(text: str) -> str:
    """Without the characters that XML 1.0 cannot hold."""
    return _NOT_XML.sub("\ufffd", text)
