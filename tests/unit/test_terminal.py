# SPDX-License-Identifier: MIT
"""Programs on a terminal of ours: read, answered, and gone with everything they started."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from test_process import wait_until_gone

from tzkit.errors import EnvironmentFailed
from tzkit.process import Runner
from tzkit.terminal import Terminal


@contextmanager
def running(folder: Path, script: str) -> Iterator[Terminal]:
    argv = ["bash", "-c", script]
    terminal = Terminal.start(Runner(), argv, cwd=folder, log=folder / "terminal.log")
    try:
        yield terminal
    finally:
        terminal.stop()


def test_question_is_seen_and_answered(tmp_path: Path) -> None:
    with running(tmp_path, 'read -r -p "name? " name; echo "hello $name"; exit 3') as terminal:
        assert terminal.expect(["other? ", "name? "], timeout=10, what="question") == 1
        terminal.type_line("world")
        assert terminal.expect(["name? "], timeout=10, what="question") is None
        assert terminal.wait(10, "the program") == 3
        assert terminal.ended() == "exit status 3: hello world"
    assert "hello world" in terminal.log.read_text()


def test_silence_has_a_deadline(tmp_path: Path) -> None:
    with running(tmp_path, "sleep 100") as terminal:
        with pytest.raises(EnvironmentFailed, match=r"no question within 0 s"):
            terminal.expect(["?"], timeout=0.1, what="question")
        with pytest.raises(EnvironmentFailed, match="the program: no end"):
            terminal.wait(0.1, "the program")


def test_a_talkative_program_is_never_kept_waiting(tmp_path: Path) -> None:
    """More than a terminal holds unread."""
    script = "echo ready; for n in $(seq 20000); do echo line $n; done"
    with running(tmp_path, script) as terminal:
        assert terminal.expect(["ready"], timeout=10, what="start") == 0
        terminal.read_on()
        assert terminal.wait(20, "the program") == 0
    assert "line 20000" in terminal.log.read_text()


def test_the_end_takes_children_along(tmp_path: Path) -> None:
    with running(tmp_path, "sleep 100 & echo pid $! end; wait") as terminal:
        assert terminal.expect([" end"], timeout=10, what="start") == 0
        pid = int(terminal.log.read_text().split()[1])
    assert wait_until_gone(pid)


def test_they_end_when_we_are_killed(tmp_path: Path) -> None:
    """A child of the program too, which does not hear of our death by itself."""
    log = tmp_path / "log"
    us = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from pathlib import Path; from tzkit.process import Runner\n"
            "from tzkit.terminal import Terminal\n"
            "Terminal.start(Runner(), ['sh', '-c', 'sleep 100 & echo pid $!; wait'],"
            " cwd=Path('/'), log=Path(sys.argv[1])).expect(['pid'], timeout=10, what='x')\n"
            "print(flush=True); time.sleep(100)",
            log,
        ],
        stdout=subprocess.PIPE,
    )
    assert us.stdout is not None and us.stdout.readline()
    time.sleep(0.2)
    (pid,) = subprocess.run(["pgrep", "-s", str(session_of(us.pid)), "sleep"],
                            capture_output=True, check=True, text=True).stdout.split()  # fmt: skip
    us.kill()
    us.wait()
    assert wait_until_gone(int(pid))


def session_of(parent: int) -> int:
    """The pid of the only child of a process."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    assert len(children) == 1, os.getpid()
    return int(children[0])
