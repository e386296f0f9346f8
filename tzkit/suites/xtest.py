# SPDX-License-Identifier: MIT
"""The xtest suite: OP-TEE's own regression and PKCS#11 tests, whole or a quick selection.

A full run can be split into shards, each run in a session of its own. Every shard's closing counts
tell how many cases there are in all, so that the judge knows whether the union is complete.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tzkit.console import Line, Shell
from tzkit.console.death import TA_PANIC, sign_in
from tzkit.errors import RequestError, TargetDied
from tzkit.suites import Verdict
from tzkit.suites.xtest_output import Case, Count, XtestOutput, case_name, read_output

Level = Literal["full", "smoke"]

SUITES = "regression+pkcs11"
CLEAR_STORAGE = "xtest --clear-storage"
CLEAR_SECONDS = 120.0

# xtest provokes panics and aborts of its own trusted applications; nothing else is normal.
TOLERATED = (TA_PANIC,)

# A full run of any OP-TEE since 3.0 has more cases than this.
FULL_MINIMUM = 80

# Quick and broad: core, user TAs, panics, threads; sockets; crypto; storage; PKCS#11.
SMOKE = (
    "regression_1001", "regression_1002", "regression_1003", "regression_1004", "regression_1005",
    "regression_1007", "regression_1012", "regression_1015", "regression_1018", "regression_1019",
    "regression_1020", "regression_1026", "regression_1028", "regression_1029", "regression_1030",
    "regression_1031", "regression_1032", "regression_1034", "regression_1037", "regression_1041",
    "regression_2001",
    "regression_4001", "regression_4003", "regression_4004", "regression_4007_ecc",
    "regression_4007_rsa", "regression_4007_x25519", "regression_4008", "regression_4010",
    "regression_4012", "regression_4015", "regression_4101", "regression_4102", "regression_4103",
    "regression_4108",
    "regression_5006",
    "regression_6003", "regression_6006",
    "regression_8002",
    "pkcs11_1000", "pkcs11_1001", "pkcs11_1002", "pkcs11_1005", "pkcs11_1006", "pkcs11_1007",
    "pkcs11_1010", "pkcs11_1016", "pkcs11_1017",
)  # fmt: skip

# What all shards but the last run; the last runs the rest. Of about equal length under QEMU.
SPLITS: dict[int, tuple[tuple[str, ...], ...]] = {
    1: (),
    2: (("pkcs11_",),),
    3: (
        ("pkcs11_1021", "pkcs11_1022", "pkcs11_1023"),
        ("regression_1013", "regression_4006", "regression_4011", "regression_6016"),
    ),
    4: (
        ("pkcs11_1021", "pkcs11_1023"),
        ("pkcs11_1019", "pkcs11_1022", "pkcs11_1025", "pkcs11_1026"),
        ("regression_1013", "regression_4006", "regression_4011"),
    ),
}


@dataclass(frozen=True)
class Shard:
    """A part of the suite: only the cases named by ``only``, or all but those of ``without``."""

    name: str
    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        excluded = [word for name in self.without for word in ("-x", name)]
        return shlex.join(["xtest", "-t", SUITES, *self.only, *excluded])


@dataclass(frozen=True)
class ShardRun:
    """What a shard printed, its exit status and its duration on the target."""

    shard: Shard
    lines: tuple[Line, ...]
    status: int
    seconds: float


@dataclass(frozen=True)
class XtestResult:
    """The verdict over all shards; ``reasons`` say in words why it is not a pass.

    ``fail`` means that a test failed, ``error`` that the evidence is missing or contradicts
    itself. ``cases_skipped`` were not asked for (smoke) or not run by any shard; of these,
    ``left_out`` are known not to fit this board, each with why. ``seconds`` are those of the
    longest shard: they run side by side.
    """

    verdict: Verdict
    cases: int
    cases_failed: int
    cases_skipped: int
    subtests: int
    subtests_failed: int
    seconds: float
    reasons: tuple[str, ...] = ()
    details: tuple[Case, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)


def plan(level: Level, shards: int = 1, without: Collection[str] = ()) -> tuple[Shard, ...]:
    """The shards to run, in sessions of their own; ``without`` are cases that none of them runs.

    Smoke is never split.
    """
    left = tuple(without)
    if level == "smoke":
        return (Shard("smoke", only=tuple(name for name in SMOKE if name not in left)),)
    if shards not in SPLITS:
        raise RequestError(f"xtest can be split into {', '.join(map(str, SPLITS))} shards")
    groups = [tuple(name for name in group if name not in left) for group in SPLITS[shards]]
    named = tuple(Shard(f"{number}", group, left) for number, group in enumerate(groups, 1))
    rest = tuple(name for group in groups for name in group)
    return (*named, Shard(f"{len(groups) + 1}", without=(*rest, *left)))


def run_shard(
    shell: Shell,
    shard: Shard,
    *,
    timeout: float,
    on_case: Callable[[str], None] = lambda name: None,
) -> ShardRun:
    """Run one shard after clearing the secure storage; ``on_case`` is told each case's name.

    Raises TargetDied, naming the case it died in.
    """
    lines: list[Line] = []

    def note(line: Line) -> None:
        lines.append(line)
        if name := case_name(line.text):
            on_case(name)

    cleared = shell.run(CLEAR_STORAGE, timeout=min(timeout, CLEAR_SECONDS), tolerate=TOLERATED)
    if cleared.status:
        raise TargetDied(
            f"'{CLEAR_STORAGE}' failed with status {cleared.status}: {cleared.output.strip()}",
            kind="no-tee",
            hint="is tee-supplicant running and /dev/tee0 there? see the log of the boot",
            log=shell.target.logs["normal"],
        )
    try:
        ended = shell.run(shard.command, timeout=timeout, on_line=note, tolerate=TOLERATED)
    except TargetDied as error:
        error.message += f"\n    xtest was in {_last_case(lines)}"
        raise
    return ShardRun(shard, tuple(lines), ended.status, ended.seconds)


def judge(
    runs: Sequence[ShardRun], level: Level, left_out: Mapping[str, str] | None = None
) -> XtestResult:
    """The verdict over the shards of one plan, from what they printed and nothing else.

    ``left_out`` are the cases that the plan was made without, each with why.
    """
    left_out = left_out or {}
    outputs = [read_output(run.lines) for run in runs]
    reasons = [
        f"shard {run.shard.name}: {reason}" if len(runs) > 1 else reason
        for run, output in zip(runs, outputs, strict=True)
        for reason in _shard_reasons(run, output)
    ]
    reasons += _union_reasons(outputs, level, len(left_out))
    cases = [case for output in outputs for case in output.cases]
    failed = sum(case.status == "fail" for case in cases)
    failed = max(failed, sum(output.test_cases.failed for output in outputs if output.test_cases))
    ran = sum(output.test_cases.total for output in outputs if output.test_cases)
    return XtestResult(
        verdict="fail" if failed else "error" if reasons else "pass",
        cases=ran,
        cases_failed=failed,
        cases_skipped=max((_total(output) for output in outputs), default=0) - ran,
        subtests=sum(output.subtests.total for output in outputs if output.subtests),
        subtests_failed=sum(output.subtests.failed for output in outputs if output.subtests),
        seconds=round(max((run.seconds for run in runs), default=0.0), 3),
        reasons=tuple(reasons),
        details=tuple(cases),
        left_out=left_out,
    )


def _shard_reasons(run: ShardRun, output: XtestOutput) -> list[str]:
    """Why this shard is not a pass; empty when everything fits together."""
    reasons = [
        f"{case.name} failed: {_first_line(case.failure) or output.listed.get(case.name, '')}"
        for case in output.cases
        if case.status == "fail"
    ]
    if run.status:
        reasons.append(f"xtest ended with status {run.status}")
    reasons += [f"in the output: {line.text}" for line in run.lines if _is_bad(line.text)]
    if not output.done or output.subtests is None or output.test_cases is None:
        return [*reasons, f"no complete summary: the output stops after {_last_case(run.lines)}"]
    reasons += _list_reasons(output)
    reasons += _count_reasons(output, output.test_cases, output.subtests)
    return [*reasons, *_selection_reasons(run.shard, output)]


def _list_reasons(output: XtestOutput) -> list[str]:
    """Where the cases as they ran and the closing list do not say the same."""
    reasons = list(output.oddities)
    ran = {case.name: case.status for case in output.cases}
    reasons += [f"{name} ran but is not listed" for name in ran if name not in output.listed]
    for name, place in output.listed.items():
        if name not in ran:
            reasons.append(f"{name} is listed but was not seen running")
        elif (ran[name] == "pass") != (place == ""):
            reasons.append(f"{name}: {ran[name]} as it ran, listed as {place or 'OK'}")
    return reasons


def _count_reasons(output: XtestOutput, cases: Count, subtests: Count) -> list[str]:
    """Where the closing counts do not fit the closing list or each other."""
    reasons = []
    listed_failed = sum(bool(place) for place in output.listed.values())
    if (cases.total, cases.failed) != (len(output.listed), listed_failed):
        reasons.append(
            f"the summary counts {cases.total} cases, {cases.failed} failed; "
            f"the list has {len(output.listed)}, {listed_failed} failed"
        )
    if bool(subtests.failed) != bool(cases.failed):
        reasons.append(f"{subtests.failed} subtests and {cases.failed} cases failed")
    if subtests.failed > subtests.total or subtests.total < cases.total:
        reasons.append(
            f"impossible: {subtests.total} subtests, {subtests.failed} failed, "
            f"in {cases.total} cases"
        )
    return reasons


def _selection_reasons(shard: Shard, output: XtestOutput) -> list[str]:
    """Whether what ran is what was asked for."""
    reasons = []
    if output.suite != SUITES:
        reasons.append(f"the test suite is '{output.suite}', not '{SUITES}'")
    for name in shard.only:
        if not any(name in case for case in output.listed):
            reasons.append(f"{name} was asked for and did not run")
    for case in output.listed:
        asked = not shard.only or any(name in case for name in shard.only)
        if not asked or any(name in case for name in shard.without):
            reasons.append(f"{case} ran and was not asked for")
    if output.skipped is None:
        reasons.append("the summary does not count skipped cases")
    return reasons


def _union_reasons(outputs: Sequence[XtestOutput], level: Level, left_out: int) -> list[str]:
    """Whether all shards together are the whole suite but what is left out, every case once."""
    if not outputs:
        return ["nothing was run"]
    reasons = []
    totals = {_total(output) for output in outputs}
    if len(totals) > 1:
        reasons.append(f"the shards count different totals: {sorted(totals)}")
    times = Counter(name for output in outputs for name in output.listed)
    reasons += [f"{name} ran in {count} shards" for name, count in times.items() if count > 1]
    if level == "full" and len(times) != max(totals) - left_out:
        reasons.append(f"{len(times)} of {max(totals) - left_out} cases ran")
    if level == "full" and len(times) < FULL_MINIMUM:
        reasons.append(f"only {len(times)} cases: a full run has {FULL_MINIMUM} or more")
    return reasons


def _total(output: XtestOutput) -> int:
    """How many cases there are, run or not, as this shard's summary says."""
    ran = output.test_cases.total if output.test_cases else 0
    return ran + (output.skipped or 0)


def _is_bad(text: str) -> bool:
    sign = sign_in(text)
    return sign is not None and sign.fatal and sign.kind not in TOLERATED


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


def _last_case(lines: Sequence[Line]) -> str:
    """The last case that began, for messages."""
    names = (case_name(line.text) for line in reversed(lines))
    return next((name for name in names if name), "the start")
