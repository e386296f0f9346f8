# SPDX-License-Identifier: MIT
"""The judge of xtest over a real passing run, and over every way to spoil it."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from console_guest import recorded_xtest

from tzkit.console import Line
from tzkit.errors import RequestError
from tzkit.suites.xtest import SMOKE, SPLITS, Shard, ShardRun, XtestResult, judge, plan

OUTPUT = recorded_xtest()
CASES, SUBTESTS = 139, 39397
CLOSING = next(n for n, line in enumerate(OUTPUT) if line.text.startswith("Result of testsuite"))

Mutation = Callable[[list[Line]], Sequence[Line]]


def judged(lines: Sequence[Line], status: int = 0) -> XtestResult:
    return judge([ShardRun(plan("full")[0], tuple(lines), status, 470.0)], "full")


def at(pattern: str, start: int = 0) -> int:
    """The first line from ``start`` on that is ``pattern``."""
    return next(n for n in range(start, len(OUTPUT)) if re.fullmatch(pattern, OUTPUT[n].text))


def without(pattern: str, start: int = 0) -> Mutation:
    return lambda lines: lines[: at(pattern, start)] + lines[at(pattern, start) + 1 :]


def inserted(text: str, where: int) -> Mutation:
    return lambda lines: [*lines[:where], Line(lines[where].seconds, text), *lines[where:]]


def replaced(pattern: str, text: str, start: int = 0) -> Mutation:
    def mutate(lines: list[Line]) -> list[Line]:
        where = at(pattern, start)
        return [*lines[:where], lines[where]._replace(text=text), *lines[where + 1 :]]

    return mutate


def both(first: Mutation, second: Mutation) -> Mutation:
    return lambda lines: second(list(first(lines)))


def shard_of(lines: Sequence[Line], shard: Shard, total: int = CASES) -> ShardRun:
    """What xtest would have printed for a shard of the recorded run."""
    chosen: list[Line] = []
    count, keep = 0, True
    for line in lines:
        match = re.match(r"(?:\* |o | {2})?((?:regression|pkcs11)_\w+)", line.text)
        if match:
            asked = not shard.only or any(name in match[1] for name in shard.only)
            keep = asked and not any(name in match[1] for name in shard.without)
            count += keep and line.text == f"{match[1]} OK"
        elif line.text.startswith(("+--", "Result of")) or " of which " in line.text:
            keep = True
        text = re.sub(r"^\d+ test cases of", f"{count} test cases of", line.text)
        text = re.sub(r"^0 test cases were", f"{total - count} test cases were", text)
        if keep:
            chosen.append(line._replace(text=text))
    return ShardRun(shard, tuple(chosen), 0, 100.0)


def test_real_run_passes() -> None:
    result = judged(OUTPUT)
    assert result.reasons == ()
    assert result.verdict == "pass"
    assert (result.cases, result.cases_failed, result.cases_skipped) == (CASES, 0, 0)
    assert (result.subtests, result.subtests_failed) == (SUBTESTS, 0)
    assert len(result.details) == CASES
    case = next(case for case in result.details if case.name == "regression_4011")
    assert case.title == "Test TEE Internal API Bleichenbacher attack (negative)"
    assert case.seconds is not None and 10 < case.seconds < 100


def test_real_failure_is_told_in_words() -> None:
    place = "./host/xtest/regression_1000.c:2467"
    said = f"{place}: open_session() has an unexpected value: 0xffff0008 = ITEM_NOT_FOUND"
    lines = inserted(said, at(r"  regression_1033 OK"))(OUTPUT)
    for pattern, text in (
        (r"  regression_1033 OK", "  regression_1033 FAILED"),
        (r"regression_1033 OK", f"regression_1033 FAILED first error at {place}"),
        (r"\d+ subtests .*", "39397 subtests of which 1 failed"),
        (r"\d+ test cases of .*", "139 test cases of which 1 failed"),
    ):
        lines = [line._replace(text=text) if re.fullmatch(pattern, line.text) else line
                 for line in lines]  # fmt: skip
    result = judged(lines, status=1)
    assert (result.verdict, result.cases_failed, result.subtests_failed) == ("fail", 1, 1)
    assert result.reasons == (f"regression_1033 failed: {said}", "xtest ended with status 1")
    (failed,) = [case for case in result.details if case.status == "fail"]
    assert failed.name == "regression_1033" and said in failed.failure


CASE_BODY = slice(at(r"\* regression_1019 .*"), at(r"  regression_1019 OK") + 1)


def case_removed(lines: list[Line]) -> list[Line]:
    return lines[: CASE_BODY.start] + lines[CASE_BODY.stop :]


def all_of_case_removed(lines: list[Line]) -> list[Line]:
    return [line for line in lines if "regression_1019" not in line.text]


CONTRADICTIONS: dict[str, Mutation] = {
    "nothing at all": lambda lines: [],
    "summary dropped": lambda lines: lines[:CLOSING],
    "subtest count dropped": without(r"\d+ subtests .*"),
    "case count dropped": without(r"\d+ test cases of .*"),
    "skipped count dropped": without(r"0 test cases were skipped"),
    "last line dropped": lambda lines: lines[:-1],
    "a case did not run": case_removed,
    "a case is not listed": without(r"regression_1019 OK", CLOSING),
    "a case vanished everywhere but in the count": all_of_case_removed,
    "end of a case dropped": without(r"  regression_1019 OK"),
    "start of a case dropped": without(r"\* regression_1019 .*"),
    "start of a subcase dropped": without(r"o regression_4001\.3 .*"),
    "end of a subcase dropped": without(r"  regression_4001\.3 OK"),
    "a subcase dropped": both(
        without(r"o regression_4001\.3 .*"), lambda lines: lines[: at(r"o regression_4001\.3 .*")]
        + lines[at(r"o regression_4001\.3 .*") + 1 :]
    ),
    "case count too high": replaced(r"139 test cases .*", "140 test cases of which 0 failed"),
    "case count too low": replaced(r"139 test cases .*", "138 test cases of which 0 failed"),
    "skipped in a full run": replaced(r"0 test cases were.*", "3 test cases were skipped"),
    "fewer subtests than cases": replaced(r"\d+ subtests.*", "12 subtests of which 0 failed"),
    "a case ran twice": lambda lines: lines[: CASE_BODY.stop] + lines[CASE_BODY.start :],
    "listed twice": inserted("regression_1019 OK", at(r"regression_1020 OK", CLOSING)),
    "another suite": replaced(r"Result of testsuite.*", "Result of testsuite benchmark:"),
    "garbage in the list": inserted("Segmentation fault", at(r"regression_1020 OK", CLOSING)),
    "rebooted": inserted("NOTICE:  BL1: v2.12.1(release):", 500),
    "rebooted into Linux": inserted("[    0.000000] Linux version 6.12.1 (x)", 500),
    "kernel panicked": inserted("[   99.123456] Kernel panic - not syncing: x", 500),
    "kernel panicked at the end": inserted("Kernel panic - not syncing: x", len(OUTPUT) - 1),
}  # fmt: skip

FAILURES: dict[str, Mutation] = {
    "a case failed, list and counts deny it": replaced(
        r"  regression_1019 OK", "  regression_1019 FAILED"
    ),
    "only the list has a failure": replaced(
        r"regression_1019 OK", "regression_1019 FAILED first error at x.c:1", CLOSING
    ),
    "only a message tells of a failure": inserted(
        "./host/xtest/x.c:12: f(x) has an unexpected value: 1, expected 0", CASE_BODY.start + 1
    ),
    "only a subcase failed": replaced(r"  regression_4001\.3 OK", "  regression_4001.3 FAILED"),
    "the summary counts a failed case": replaced(
        r"139 test cases .*", "139 test cases of which 1 failed"
    ),
    "the summary counts a failed subtest": replaced(
        r"\d+ subtests.*", "39397 subtests of which 1 failed"
    ),
    "a second end, failed": inserted("  regression_1019 FAILED", CASE_BODY.stop),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_spoiled_evidence_is_no_pass(name: str) -> None:
    result = judged(CONTRADICTIONS[name](list(OUTPUT)))
    assert result.verdict == "error", name
    assert result.reasons


@pytest.mark.parametrize("name", FAILURES)
def test_trace_of_failure_is_no_pass(name: str) -> None:
    result = judged(FAILURES[name](list(OUTPUT)))
    assert result.verdict != "pass", name
    assert result.reasons


@pytest.mark.parametrize("status", [1, 2, 126, 137, 255])
def test_status_counts_even_when_the_output_is_fine(status: int) -> None:
    result = judged(OUTPUT, status)
    assert result.verdict == "error"
    assert result.reasons == (f"xtest ended with status {status}",)


def test_no_truncation_passes() -> None:
    cuts = random.Random(1).sample(range(len(OUTPUT)), 40) + list(
        range(CLOSING - 3, CLOSING + 3)
    ) + [len(OUTPUT) - n for n in range(1, 9)]  # fmt: skip
    for cut in cuts:
        assert judged(OUTPUT[:cut]).verdict == "error", f"cut at line {cut}"


def test_no_missing_line_of_the_closing_part_passes() -> None:
    rules = [n for n in range(CLOSING, len(OUTPUT)) if OUTPUT[n].text.startswith("+--")]
    for missing in (*range(CLOSING, len(OUTPUT) - 6, 7), *range(len(OUTPUT) - 6, len(OUTPUT))):
        if missing in rules:
            continue
        result = judged(OUTPUT[:missing] + OUTPUT[missing + 1 :])
        assert result.verdict != "pass", OUTPUT[missing].text


def test_kernel_messages_in_mid_line_do_no_harm() -> None:
    rng = random.Random(2)
    lines: list[Line] = []
    for line in OUTPUT:
        if rng.random() < 0.1:
            cut = rng.randrange(len(line.text) + 1)
            torn = f"{line.text[:cut]}[  {rng.randrange(999):3d}.591182] hrtimer: took 12 ns"
            lines += [line._replace(text=torn), line._replace(text=line.text[cut:])]
        else:
            lines.append(line)
    assert judged(lines).verdict == "pass"
    assert judged(lines[:-1]).verdict == "error"


@pytest.mark.parametrize("count", SPLITS)
def test_shards_together_are_the_whole(count: int) -> None:
    runs = [shard_of(OUTPUT, shard) for shard in plan("full", count)]
    result = judge(runs, "full")
    assert result.reasons == ()
    assert (result.verdict, result.cases, result.cases_skipped) == ("pass", CASES, 0)
    assert len({case.name for case in result.details}) == CASES
    assert result.seconds == 100.0


def test_incomplete_or_overlapping_shards_are_no_pass() -> None:
    first, second = (shard_of(OUTPUT, shard) for shard in plan("full", 2))
    assert judge([first, second], "full").verdict == "pass"
    spoiled: dict[str, list[ShardRun]] = {
        "one missing": [first],
        "other missing": [second],
        "same twice": [first, first],
        "whole and part": [ShardRun(plan("full")[0], tuple(OUTPUT), 0, 1.0), second],
        "different totals": [first, shard_of(OUTPUT, second.shard, CASES - 1)],
        "wrong shard": [replace(second, shard=first.shard), replace(first, shard=second.shard)],
        "one failed": [first, replace(second, status=1)],
        "one cut off": [first, replace(second, lines=second.lines[:-1])],
        "none": [],
    }
    for name, runs in spoiled.items():
        assert judge(runs, "full").verdict == "error", name


@pytest.mark.parametrize("count", SPLITS)
def test_cases_that_do_not_fit_the_board_are_left_out_by_name(count: int) -> None:
    left_out = {"regression_1006": "needs a newer core", "pkcs11_1019": "the same"}
    runs = [shard_of(OUTPUT, shard) for shard in plan("full", count, left_out)]
    result = judge(runs, "full", left_out)
    assert result.reasons == ()
    assert (result.verdict, result.cases, result.cases_skipped) == ("pass", CASES - 2, 2)
    assert result.left_out == left_out
    assert judge(runs, "full").verdict == "error", "what was left out must be said"


def test_smoke_needs_every_chosen_case() -> None:
    (shard,) = plan("smoke")
    run = shard_of(OUTPUT, shard)
    result = judge([run], "smoke")
    assert result.reasons == ()
    assert (result.verdict, result.cases) == ("pass", len(SMOKE))
    assert result.cases_skipped == CASES - len(SMOKE) > 0
    lacking = replace(shard, only=(*SMOKE, "regression_9999"))
    assert "regression_9999" in judge([replace(run, shard=lacking)], "smoke").reasons[0]
    assert judge([run], "full").verdict == "error", "a quick selection is no full run"


def test_a_tiny_full_run_is_no_pass() -> None:
    few = shard_of(OUTPUT, Shard("1", only=("regression_10",)), total=0)
    run = replace(few, shard=plan("full")[0])
    lines = [line._replace(text=re.sub(r"^-\d+ test", "0 test", line.text)) for line in run.lines]
    result = judge([replace(run, lines=tuple(lines))], "full")
    assert result.verdict == "error"
    assert "only" in result.reasons[-1]


def test_commands_are_what_xtest_understands() -> None:
    assert [shard.command for shard in plan("full", 2)] == [
        "xtest -t regression+pkcs11 pkcs11_",
        "xtest -t regression+pkcs11 -x pkcs11_",
    ]
    assert plan("full")[0].command == "xtest -t regression+pkcs11"
    assert len(SMOKE) >= 40 and len(set(SMOKE)) == len(SMOKE)
    with pytest.raises(RequestError):
        plan("full", 7)
