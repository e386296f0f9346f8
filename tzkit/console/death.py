# SPDX-License-Identifier: MIT
"""The lines by which a target says that it has crashed, was reset or is in trouble.

A table and a small matcher. The table is data: one entry per sign, the first that fits wins. A
sign counts on every console, because which world prints on which line differs between boards.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from tzkit.console.transcript import Line

# Kernel lines start at the left edge or after the "[   12.345678] " of printk.
_KERNEL = r"(?:^|\] )(?:watchdog: |kernel )?"
# OP-TEE's error lines: E, then who speaks: TC the core, TA an application, LD the TA loader.
_CORE = r"E/TC:.*"
_ANY_TEE = r"E/(?:TC|LD):.*"


@dataclass(frozen=True)
class Sign:
    """A line that means something.

    ``fatal`` signs end every wait; the others are only recorded. After a ``recoverable`` one the
    target goes on working. A ``banner`` is printed once per boot and means a reset when it comes
    more often than that.
    """

    kind: str
    pattern: re.Pattern[str]
    meaning: str
    hint: str | None = None
    fatal: bool = True
    recoverable: bool = False
    banner: bool = False


@dataclass(frozen=True)
class Event:
    """A sign that was seen: on which console, in which line, seconds after the start.

    ``tolerated`` ones were expected by the suite that ran at the time.
    """

    kind: str
    console: str
    text: str
    seconds: float
    meaning: str
    hint: str | None = None
    fatal: bool = True
    recoverable: bool = False
    tolerated: bool = False


def _sign(
    kind: str,
    pattern: str,
    meaning: str,
    hint: str | None = None,
    *,
    fatal: bool = True,
    recoverable: bool = False,
) -> Sign:
    return Sign(kind, re.compile(pattern), meaning, hint, fatal, recoverable)


def _banner(pattern: str, who: str) -> Sign:
    meaning = f"the target was reset: {who} started again"
    return Sign("reset", re.compile(pattern), meaning, _RESET_HINT, banner=True)


_CRASH_HINT = "read the lines before it in the log; a crash of the core is a defect of OP-TEE"
_RESET_HINT = "look for a panic or a watchdog just before it; on a board, check its power supply"
_TA_HINT = "the call stack after it in the secure log names the function; see also its TA's id"
_SLOW_HINT = "is this machine overloaded? an emulator that is starved looks like this"

KERNEL_PANIC = "kernel-panic"
KERNEL_OOPS = "kernel-oops"
KERNEL_BUG = "kernel-bug"
KERNEL_STALL = "kernel-stall"
TEE_PANIC = "tee-panic"
TA_PANIC = "ta-panic"
FIRMWARE_PANIC = "firmware-panic"
RESET = "reset"
SILENCE = "silence"
EMULATOR_GONE = "emulator-gone"

SIGNS: tuple[Sign, ...] = (
    _sign(KERNEL_PANIC, r"Kernel panic - not syncing", "the kernel panicked"),
    _sign(
        KERNEL_STALL,
        r"soft lockup|hard LOCKUP|rcu.*detected (?:expedited )?stalls|self-detected stall on CPU",
        "a CPU of the target is stuck",
        _SLOW_HINT,
    ),
    _sign(
        KERNEL_STALL,
        r"INFO: task .+ blocked for more than \d+ seconds",
        "a task of the target hangs",
        _SLOW_HINT,
    ),
    _sign(
        KERNEL_OOPS,
        r"Unable to handle kernel|Internal error: .*\[#\d+\]|Internal error: Oops",
        "the kernel crashed",
    ),
    _sign(KERNEL_BUG, _KERNEL + r"BUG(?::| at )", "the kernel found a bug in itself"),
    _sign(
        TEE_PANIC,
        _CORE + r"Core (?:data|prefetch|undef)-abort",
        "the OP-TEE core crashed",
        _CRASH_HINT,
    ),
    _sign(
        TEE_PANIC,
        _CORE + r"\bPanic(?: '.*')?(?: at |\s*$)",
        "the OP-TEE core panicked",
        _CRASH_HINT,
    ),
    _sign(
        TEE_PANIC,
        _CORE + r"assertion '.*' failed",
        "an assertion of the OP-TEE core failed",
        _CRASH_HINT,
    ),
    _sign(
        TA_PANIC,
        r"E/TA:.*assertion '.*' failed",
        "an assertion in a trusted application failed",
        _TA_HINT,
        recoverable=True,
    ),
    _sign(
        TA_PANIC,
        _ANY_TEE + r"(?:TA panicked with code|Status of TA )",
        "a trusted application panicked",
        _TA_HINT,
        recoverable=True,
    ),
    _sign(
        TA_PANIC,
        _CORE + r"User (?:mode|TA) (?:data|prefetch|undef)-abort",
        "a trusted application crashed",
        _TA_HINT,
        recoverable=True,
    ),
    _sign(
        FIRMWARE_PANIC,
        r"PANIC (?:in EL3|at PC)|Unhandled Exception (?:in|from) EL3",
        "the secure monitor (TF-A) crashed",
    ),
    _sign(
        FIRMWARE_PANIC,
        r"^### ERROR ### Please RESET|^\"Synchronous Abort\" handler",
        "U-Boot crashed",
    ),
    _sign(
        "tee-page-tables",
        r"Page tables are not available",
        "OP-TEE ran out of page tables for trusted applications",
        fatal=False,
    ),
    _sign(
        "out-of-memory",
        r"Out of memory: Killed process",
        "the kernel killed a process for want of memory",
        fatal=False,
    ),
    _sign(
        "kernel-warning",
        _KERNEL + r"WARNING: CPU: \d+ PID:",
        "the kernel warned of something that should not happen",
        fatal=False,
    ),
    _banner(r"NOTICE:\s+BL1: (?:lts-)?v?\d+\.\d", "TF-A's BL1"),
    _banner(r"NOTICE:\s+BL31: (?:lts-)?v?\d+\.\d", "TF-A's BL31"),
    _banner(r"[IM]/TC: OP-TEE version", "OP-TEE"),
    _banner(r"^U-Boot SPL \d{4}\.\d", "U-Boot's SPL"),
    _banner(r"^U-Boot \d{4}\.\d", "U-Boot"),
    _banner(r"Booting Linux on physical CPU", "Linux"),
    _banner(r"(?:^|\] )Linux version \d+\.\d", "Linux"),
)

# One search that almost every line fails, so that 200,000 of them cost little.
_ANY = re.compile("|".join(f"(?:{sign.pattern.pattern})" for sign in SIGNS))


def sign_in(text: str) -> Sign | None:
    """The sign in a line, be it a banner that is due or not."""
    if not _ANY.search(text):
        return None
    return next((sign for sign in SIGNS if sign.pattern.search(text)), None)


class Watch:
    """Looks at every line of a target and says which are events.

    ``boots`` is how many times each banner may be seen on a console: once after a cold start,
    never in a session that was restored from a snapshot.
    """

    def __init__(self, boots: int = 1) -> None:
        self._boots = boots
        self._banners: Counter[tuple[Sign, str]] = Counter()

    def look(self, console: str, line: Line) -> Event | None:
        sign = sign_in(line.text)
        if sign is None:
            return None
        if sign.banner:
            self._banners[sign, console] += 1
            if self._banners[sign, console] <= self._boots:
                return None
        return Event(
            kind=sign.kind,
            console=console,
            text=line.text,
            seconds=line.seconds,
            meaning=sign.meaning,
            hint=sign.hint,
            fatal=sign.fatal,
            recoverable=sign.recoverable,
        )
