# SPDX-License-Identifier: MIT
"""The verbs: every flag explained, every error an exit code, every message in the log."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from invoke.context import Context
from invoke.exceptions import Exit

import tasks
from tzkit.commands import Common
from tzkit.errors import Advice, CheckFailed, EnvironmentFailed, RequestError, TargetDied

VERBS = {
    "boards", "doctor", "fetch", "build", "run", "qemu-test", "darknetp", "clean", "test", "lint",
}  # fmt: skip


def call(problem: BaseException, log: Path) -> Exit:
    """How a task ends whose body raises ``problem``."""

    def body(c: Context, common: Common) -> None:
        """A task."""
        common.ui.log_to(log)
        raise problem

    wrapped: Any = tasks.task("quiet")(body)
    with pytest.raises(Exit) as ended:
        wrapped(Context(), quiet=True)
    return ended.value


def test_every_verb_of_the_interface_is_there() -> None:
    assert set(tasks.ns.task_names) >= VERBS


@pytest.mark.parametrize("name", sorted(VERBS))
def test_every_flag_says_what_it_does(name: str) -> None:
    verb = tasks.ns[name]
    assert verb.__doc__
    for argument in verb.get_arguments():
        assert argument.help, argument


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (CheckFailed("wrong", hint="look"), 1),
        (RequestError("no board", hint="choose"), 2),
        (EnvironmentFailed("no network", log=Path("fetch.log")), 3),
        (TargetDied("panic", kind="kernel-panic"), 4),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "out/file"), 3),
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES), "out/file"), 3),
        (KeyboardInterrupt(), 130),
    ],
)
def test_errors_become_exit_codes(problem: BaseException, code: int, tmp_path: Path) -> None:
    log = tmp_path / "tzkit.log"
    ended = call(problem, log)
    assert ended.code == code
    message = ended.message or ""
    assert message
    assert all(line.strip() in log.read_text() for line in message.splitlines())


def test_message_has_cause_cure_and_log(tmp_path: Path) -> None:
    known = Advice("proxy", "a proxy", "set it", ("OP-TEE/build#1", "OP-TEE/build#2"))
    problem = EnvironmentFailed(
        "no network", hint="plug it in", log=Path("fetch.log"), advice=[known]
    )
    message = call(problem, tmp_path / "log").message or ""
    assert [line.strip() for line in message.splitlines()] == [
        "environment: no network",
        "what to do: plug it in",
        "likely cause: a proxy",
        "what to do: set it",
        "see: OP-TEE/build#1, OP-TEE/build#2",
        "full log: fetch.log",
    ]


@pytest.mark.parametrize("defect", [ValueError("x"), FileNotFoundError(errno.ENOENT, "x")])
def test_defects_keep_their_traceback(defect: Exception) -> None:
    def body(c: Context, common: Common) -> None:
        raise defect

    wrapped: Any = tasks.task("quiet")(body)
    with pytest.raises(type(defect)):
        wrapped(Context(), quiet=True)


def test_shared_flags_reach_the_body() -> None:
    seen = []

    def body(c: Context, common: Common, own: str = "x") -> None:
        seen.append((common.board, common.quiet, own))

    wrapped: Any = tasks.task("board", "quiet")(_explained(body))
    wrapped(Context(), board="b", quiet=True, own="y")
    assert seen == [("b", True, "y")]


def _explained(body: Any) -> Any:
    """Every flag needs a help text, those of tests too."""
    tasks.HELP.setdefault("own", "of a test")
    return body
