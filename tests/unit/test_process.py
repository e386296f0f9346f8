# SPDX-License-Identifier: MIT
"""Processes: failures in words, deadlines, and nothing that outlives us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tzkit.errors import DISK_FULL, EnvironmentFailed
from tzkit.process import Runner


def alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def wait_until_gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def test_output_is_returned_and_the_command_logged(tmp_path: Path) -> None:
    runner = Runner(tmp_path / "commands.log")
    assert runner.run(["echo", "a b"], what="echoing") == "a b\n"
    assert "$ echo 'a b'" in (tmp_path / "commands.log").read_text()


def test_standard_input_is_empty_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("given")
    assert Runner().run(["cat"], what="reading") == ""
    assert Runner().run(["cat"], what="reading", stdin=tmp_path / "in") == "given"


def test_missing_program_names_the_cure() -> None:
    with pytest.raises(EnvironmentFailed, match="'no-such-tool' is not installed") as failed:
        Runner().run(["no-such-tool"], what="trying")
    assert failed.value.hint == "./inv doctor --install"


def test_failure_shows_the_last_lines_and_the_log(tmp_path: Path) -> None:
    log = tmp_path / "step.log"
    with pytest.raises(EnvironmentFailed, match=r"status 3(.|\n)*broken here") as failed:
        Runner().run(["sh", "-c", "echo broken here >&2; exit 3"], what="the step", log=log)
    assert failed.value.log == log
    assert "broken here" in log.read_text()


def test_full_disk_is_recognised() -> None:
    with pytest.raises(EnvironmentFailed) as failed:
        Runner().run(["cp", "/etc/passwd", "/dev/full"], what="writing", hint="of the caller")
    assert DISK_FULL in str(failed.value)
    assert failed.value.hint is None, "it is about another cause"


@pytest.mark.parametrize("logged", [True, False])
def test_known_symptom_is_explained(logged: bool, tmp_path: Path) -> None:
    script = "echo 'x.c:1:2: fatal error: gnutls/gnutls.h: No such file or directory'; exit 2"
    log = tmp_path / "step.log" if logged else None
    with pytest.raises(EnvironmentFailed) as failed:
        Runner().run(["sh", "-c", script], what="the step", log=log, hint="of the caller")
    told = str(failed.value).splitlines()
    hint = told.index("  what to do: of the caller")
    assert told[hint + 1].startswith("  likely cause: ")
    assert told[hint + 2] == "  what to do: install 'libgnutls28-dev'"


def test_known_symptom_of_what_never_ends_is_explained(tmp_path: Path) -> None:
    script = "echo '< waiting for any device >'; sleep 100"
    log = tmp_path / "step.log"
    with pytest.raises(EnvironmentFailed, match="no end after 1 s") as failed:
        Runner().run(["sh", "-c", script], what="flashing", log=log, timeout=1.0)
    assert [known.id for known in failed.value.advice] == ["fastboot-waiting"]
    assert failed.value.log == log


def test_deadline_ends_the_whole_group(tmp_path: Path) -> None:
    script = f"sleep 100 & echo $! >{tmp_path}/pid; wait"
    with pytest.raises(EnvironmentFailed, match="no end after 1 s"):
        Runner().run(["sh", "-c", script], what="waiting", timeout=1.0)
    assert wait_until_gone(int((tmp_path / "pid").read_text()))


def test_child_ends_when_we_are_killed(tmp_path: Path) -> None:
    """kill -9 of tzkit itself takes the emulator along."""
    program = (
        "import sys, time; from pathlib import Path; from tzkit.process import Runner\n"
        "log = open(sys.argv[1], 'wb')\n"
        "child = Runner().start(['sleep', '100'], output=log)\n"
        "print(child.pid, flush=True); time.sleep(100)\n"
    )
    us = subprocess.Popen([sys.executable, "-c", program, tmp_path / "log"], stdout=subprocess.PIPE)
    assert us.stdout is not None
    pid = int(us.stdout.readline())
    while Path(f"/proc/{pid}/comm").read_text() != "sleep\n":
        time.sleep(0.01)
    us.send_signal(signal.SIGKILL)
    us.wait()
    assert wait_until_gone(pid)


def test_child_tells_how_it_ended(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        child = Runner().start(["sleep", "100"], output=log)
        assert child.ended() is None
        os.killpg(child.pid, signal.SIGKILL)
        child.wait(10)
        assert child.ended() == "killed by SIGKILL"
        child.stop()
