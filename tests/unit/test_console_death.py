# SPDX-License-Identifier: MIT
"""The table of signs, against real and provoked lines."""

from __future__ import annotations

from collections import Counter

import pytest
from console_guest import recorded

from tzkit.console import Line
from tzkit.console.death import SIGNS, Watch, sign_in

EXAMPLES = [
    ("kernel-panic", "[    1.2] Kernel panic - not syncing: VFS: Unable to mount root fs"),
    ("kernel-panic", "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000009"),
    ("kernel-stall", "[   60.000001] watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [xtest:99]"),
    ("kernel-stall", "[   60.0] rcu: INFO: rcu_sched self-detected stall on CPU"),
    ("kernel-stall", "[   60.0] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:"),
    ("kernel-stall", "[  242.1] INFO: task xtest:123 blocked for more than 120 seconds."),
    ("kernel-oops", "[ 1.0] Unable to handle kernel NULL pointer dereference at virtual address 0"),
    ("kernel-oops", "[ 1.0] Internal error: Oops: 0000000096000004 [#1] SMP"),
    ("kernel-oops", "[ 1.0] Internal error: synchronous external abort: 96000210 [#2] SMP"),
    ("kernel-bug", "[    9.123456] BUG: scheduling while atomic: sh/1/0x00000002"),
    ("kernel-bug", "[    9.123456] kernel BUG at mm/slub.c:305!"),
    ("tee-panic", "E/TC:0 0 Core data-abort at address 0x0 (translation fault)"),
    ("tee-panic", "E/TC:1 0 Core undef-abort at address 0xe123450"),
    ("tee-panic", "E/TC:0 0 Panic 'unhandled pageable abort' at core/kernel/abort.c:582 <handler>"),
    ("tee-panic", "*E/TC:1 0 Panic at core/mm/mm.c:12 <func>"),
    ("tee-panic", "E/TC:0 Panic"),
    ("tee-panic", "E/TC:? 0 assertion 'n < 3' failed at core/tee/tee_svc.c:90 <syscall>"),
    ("ta-panic", "E/TA:  assertion 'n < 3' failed at model.c:90 in model_build()"),
    ("ta-panic", "E/TC:? 0 TA panicked with code 0xffff000c"),
    ("ta-panic", "E/LD:  Status of TA 5b9e0e40-2636-11e1-ad9e-0002a5d5c51b"),
    ("ta-panic", "E/TC:? 0 User mode data-abort at address 0x0 (translation fault)"),
    ("ta-panic", "E/TC:? 0 User TA prefetch-abort at address 0x0 (translation fault)"),
    ("firmware-panic", "PANIC in EL3."),
    ("firmware-panic", "Unhandled Exception from EL3."),
    ("firmware-panic", '"Synchronous Abort" handler, esr 0x96000210'),
    ("firmware-panic", "### ERROR ### Please RESET the board ###"),
    ("tee-page-tables", "E/TC:? 0 pgt_get_from_free_list:341 Page tables are not available"),
    ("out-of-memory", "[ 9.0] Out of memory: Killed process 99 (darknetp) total-vm:9kB"),
    ("kernel-warning", "[ 9.0] WARNING: CPU: 0 PID: 12 at drivers/tee/tee_core.c:99 x+0x1/0x2"),
    ("reset", "NOTICE:  BL1: v2.12.1(release):"),
    ("reset", "NOTICE:  BL31: lts-v2.10.4(debug):"),
    ("reset", "I/TC: OP-TEE version: Unknown_4.5 (gcc version 14.2.0) #1 aarch64"),
    ("reset", "U-Boot SPL 2025.01 (Jun 24 2026)"),
    ("reset", "U-Boot 2025.01-3+deb13u1 (Jun 24 2026 - 09:07:15 +0000)"),
    ("reset", "[    0.000000] Booting Linux on physical CPU 0x0000000000 [0x411fd070]"),
    ("reset", "[    0.000000] Linux version 6.12.117+deb13-cloud-arm64 (debian-kernel)"),
]

HARMLESS = [
    "D/TC:? 0 user_ta_enter:195 tee_user_ta_enter: TA panicked with code 0xbeef",
    "D/TC:0 0 abort_handler:560 [abort] abort in User mode (TA will panic)",
    "E/TC:? 0 tee_ta_open_session:749 Failed for TA e6a33ed4-562b. Return error 0xffff0008",
    "* regression_1007 Test Panic",
    "o regression_6010.1.2 RestrictObjectUsage Panic",
    "DEBUG: 12",
    "[    4.086000] rcu: RCU calculated value of scheduler-enlistment delay is 25 jiffies.",
    "NOTICE:  BL1: Booting BL2",
    "NOTICE:  BL31: Built : 09:43:27, Nov 23 2026",
    "printf 'Linux versions differ'",
]


@pytest.mark.parametrize(("kind", "text"), EXAMPLES)
def test_sign_is_recognised(kind: str, text: str) -> None:
    sign = sign_in(text)
    assert sign is not None and sign.kind == kind


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_line_is_no_sign(text: str) -> None:
    assert sign_in(text) is None


def test_every_sign_has_an_example() -> None:
    found = {sign_in(text) for _, text in EXAMPLES}
    assert found == set(SIGNS)


@pytest.mark.parametrize("banner", [text for kind, text in EXAMPLES if kind == "reset"])
def test_banner_is_a_reset_when_it_comes_once_too_often(banner: str) -> None:
    cold, warm = Watch(boots=1), Watch(boots=0)
    assert cold.look("normal", Line(0.0, banner)) is None
    assert cold.look("secure", Line(0.0, banner)) is None, "each console has its own boot"
    for watch in (cold, warm):
        event = watch.look("normal", Line(1.0, banner))
        assert event is not None and event.kind == "reset" and event.fatal


def test_passing_xtest_shows_nothing_but_panics_of_its_own_tas() -> None:
    watch = Watch(boots=1)
    seen = Counter(
        event.kind
        for console in ("normal", "secure")
        for line in recorded(console)
        if (event := watch.look(console, line))
    )
    assert set(seen) == {"ta-panic"}
    assert seen["ta-panic"] > 100
