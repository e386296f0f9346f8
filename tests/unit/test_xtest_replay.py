# SPDX-License-Identifier: MIT
"""A checker that cannot lie: the recorded run, spoiled, through real consoles into the judge.

Both recorded consoles are played in the order of their times through real ptys; Target, Shell,
runner and judge are the ones that drive a board.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from console_guest import Guest, Step, booted, joined, recorded, recorded_xtest

from tzkit.console import Line, Shell
from tzkit.errors import TargetDied
from tzkit.suites.xtest import XtestResult, judge, plan, run_shard

OUTPUT = recorded_xtest()
SECURE = [line for line in recorded("secure") if line.seconds >= OUTPUT[0].seconds]
SLICES = 20
(SHARD,) = plan("full")


def in_order(normal: Sequence[Line], secure: Sequence[Line] = SECURE) -> list[Step]:
    """Both consoles in slices of time."""
    first, last = normal[0].seconds, max(normal[-1].seconds, secure[-1].seconds)
    steps: list[Step] = []
    for number in range(SLICES):
        begin = first + (last - first) * number / SLICES if number else 0.0
        end = first + (last - first) * (number + 1) / SLICES if number + 1 < SLICES else 1e9
        for console, lines in (("secure", secure), ("normal", normal)):
            steps.append((console, joined(line for line in lines if begin <= line.seconds < end)))
    return [step for step in steps if step[1]]


def run(guest: Guest, shell: Shell, steps: Sequence[Step], status: int = 0) -> XtestResult:
    guest.program("xtest", steps, status=status)
    return judge([run_shard(shell, SHARD, timeout=30)], "full")


@pytest.fixture(scope="module")
def guest_and_shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Guest, Shell]]:
    with booted(tmp_path_factory.mktemp("guest")) as pair:
        yield pair


def test_recorded_run_passes(guest_and_shell: tuple[Guest, Shell]) -> None:
    result = run(*guest_and_shell, in_order(OUTPUT))
    assert (result.verdict, result.reasons, result.cases) == ("pass", (), 139)
    events = guest_and_shell[1].target.events
    assert len(events) > 100
    assert {(event.kind, event.tolerated) for event in events} == {("ta-panic", True)}


def test_cases_are_announced(guest_and_shell: tuple[Guest, Shell]) -> None:
    guest, shell = guest_and_shell
    guest.program("xtest", in_order(OUTPUT))
    names: list[str] = []
    run_shard(shell, SHARD, timeout=30, on_case=names.append)
    assert len(names) == 139 and names[0] == "regression_1001"


SPOILED: dict[str, Callable[[list[Line]], list[Line]]] = {
    "summary dropped": lambda lines: [line for line in lines if " of which " not in line.text],
    "a case removed": lambda lines: [line for line in lines if "regression_1019" not in line.text],
    "a count changed": lambda lines: [
        line._replace(text=line.text.replace("139 test", "149 test")) for line in lines
    ],
    "a failure added": lambda lines: [
        line._replace(text=line.text.replace("  regression_1019 OK", "  regression_1019 FAILED"))
        for line in lines
    ],
    "the end dropped": lambda lines: lines[:-1],
}


@pytest.mark.parametrize("name", SPOILED)
def test_spoiled_output_is_no_pass(guest_and_shell: tuple[Guest, Shell], name: str) -> None:
    result = run(*guest_and_shell, in_order(SPOILED[name](list(OUTPUT))))
    assert result.verdict != "pass" and result.reasons


def test_status_is_no_pass(guest_and_shell: tuple[Guest, Shell]) -> None:
    assert run(*guest_and_shell, in_order(OUTPUT), status=1).verdict == "error"


DEADLY = [
    ("normal", "[  200.123456] Kernel panic - not syncing: Fatal exception", "kernel-panic"),
    ("normal", "[  200.123456] Internal error: Oops: 0000000096000004 [#1] SMP", "kernel-oops"),
    ("normal", "[  200.123456] rcu: INFO: rcu_sched self-detected stall on CPU", "kernel-stall"),
    ("normal", "NOTICE:  BL1: v2.12.1(release):", "reset"),
    ("normal", "U-Boot 2025.01-3+deb13u1 (Jun 24 2026 - 09:07:15 +0000)", "reset"),
    ("secure", "I/TC: OP-TEE version: Unknown_4.5 (gcc version 14.2.0)", "reset"),
    ("secure", "E/TC:0 0 Panic 'unhandled pageable abort' at core/abort.c:582 <f>", "tee-panic"),
    ("secure", "E/TC:1 0 assertion 'x' failed at core/kernel/mutex.c:12 <f>", "tee-panic"),
    ("secure", "E/TC:0 0 Core data-abort at address 0x0 (translation fault)", "tee-panic"),
]


@pytest.mark.parametrize(("console", "text", "kind"), DEADLY)
def test_death_in_the_middle_is_named(tmp_path: Path, console: str, text: str, kind: str) -> None:
    steps = in_order(OUTPUT)
    half = len(steps) // 2
    # a saved system has had its boot: the first banner is a reset
    with booted(tmp_path, boots=0) as (guest, shell):
        with pytest.raises(TargetDied) as caught:
            run(guest, shell, [*steps[:half], (console, text + "\n"), *steps[half:]])
        assert (caught.value.kind, caught.value.console) == (kind, console)
        assert text in caught.value.message
        assert "xtest was in " in caught.value.message
        assert text in shell.target.logs[console].read_text()
        assert next(event.kind for event in shell.target.events if not event.tolerated) == kind


def test_second_boot_of_a_cold_started_target_is_a_reset(tmp_path: Path) -> None:
    with booted(tmp_path, boots=1) as (guest, shell):
        guest.program("boot", [("normal", joined(recorded("normal")[:60]))])
        shell.run("boot", timeout=10)
        with pytest.raises(TargetDied) as caught:
            shell.run("boot", timeout=10)
        assert caught.value.kind == "reset"


@pytest.mark.parametrize("seed", range(9))
def test_emulator_that_ends_anywhere_is_never_a_pass(tmp_path: Path, seed: int) -> None:
    """Cut inside lines, in the closing part and right before the end."""
    text = joined(OUTPUT)
    cut = random.Random(seed).randrange(len(text)) if seed < 5 else len(text) - 4 ** (seed - 5)
    with booted(tmp_path) as (guest, shell):
        guest.program("xtest", [("normal", text[:cut])], last=guest.power_off())
        with pytest.raises(TargetDied) as caught:
            run_shard(shell, SHARD, timeout=30)
        assert caught.value.kind == "emulator-gone"
        assert "xtest was in" in caught.value.message


def test_hang_is_silence(tmp_path: Path) -> None:
    with booted(tmp_path) as (guest, shell):
        guest.program("xtest", [("normal", joined(OUTPUT[:1000]))], last="sleep 30")
        with pytest.raises(TargetDied) as caught:
            run_shard(shell, SHARD, timeout=0.4)
        assert caught.value.kind == "silence"


def test_storage_that_cannot_be_cleared_ends_the_suite(tmp_path: Path) -> None:
    with booted(tmp_path) as (guest, shell):
        guest.program("xtest", [])
        (guest.bin / "xtest").write_text("#!/bin/sh\necho no TEE\nexit 1\n")
        with pytest.raises(TargetDied) as caught:
            run_shard(shell, SHARD, timeout=5)
        assert caught.value.kind == "no-tee" and "no TEE" in caught.value.message
