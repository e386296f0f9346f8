# SPDX-License-Identifier: MIT
"""QEMU's command line, and a QEMU that does not do as it should."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tzkit import emulator
from tzkit.board import load_board
from tzkit.boardfile import Emulator as Machine
from tzkit.emulator import Emulator, Image, qemu_argv
from tzkit.errors import DISK_FULL, EnvironmentFailed
from tzkit.process import Runner
from tzkit.workspace import Workspace

MACHINE = load_board(Workspace.of_checkout().boards, "qemu_v8").emulator
assert MACHINE is not None
FILES = Image(
    {
        "firmware": Path("a,b/fw.bin"),
        "kernel": Path("vmlinuz"),
        "initramfs": Path("initrd"),
        "payload": Path("a,b/payload"),
    }
)

# The monitor of a QEMU: answers with what the file beside it says, else with nothing.
STAND_IN = (
    f"#!{sys.executable}"
    + r"""
import json, re, socket, sys
answers = json.load(open(sys.argv[0] + ".answers"))
monitor = socket.socket(fileno=int(re.search(r"id=monitor,fd=(\d+)", " ".join(sys.argv))[1]))
monitor.sendall(b'{"QMP": {"version": {}, "capabilities": []}}\n')
text = ""
while data := monitor.recv(4096):
    text += data.decode()
    try:
        asked = json.loads(text)
    except ValueError:
        continue
    text = ""
    if asked["execute"] == "migrate":
        print("cat: write error:", answers.get("trouble"), flush=True)
    if asked["execute"] == answers.get("silent"):
        continue
    answer = {"return": answers.get(asked["execute"], {}), "id": asked.get("id")}
    monitor.sendall(json.dumps(answer).encode() + b"\n")
"""
)


@contextmanager
def started(tmp_path: Path, script: str = STAND_IN, answers: object = None) -> Iterator[Emulator]:
    """An emulator whose program is this script."""
    program = tmp_path / "qemu"
    program.write_text(script)
    program.chmod(0o755)
    machine = MACHINE.model_copy(update={"program": str(program)})
    program.with_suffix(".answers").write_text(json.dumps(answers or {}))
    emulator = Emulator.start(machine, FILES, Runner(), tmp_path / "qemu.log")
    try:
        yield emulator
    finally:
        emulator.stop()


def refusal(tmp_path: Path, script: str) -> EnvironmentFailed:
    """Why a program does not start."""
    with pytest.raises(EnvironmentFailed, match=r"did not start: ") as refused:
        started(tmp_path, script).__enter__()
    return refused.value


def failure_to_save(tmp_path: Path, **answers: object) -> EnvironmentFailed:
    """Why the system cannot be saved."""
    with started(tmp_path, answers=answers) as running:
        with pytest.raises(EnvironmentFailed) as failed:
            running.save(tmp_path / "state")
        return failed.value


def words(machine: Machine = MACHINE, incoming: int | None = None) -> list[str]:
    return qemu_argv(machine, FILES, [11, 12], 10, incoming)


def test_serial_lines_come_in_the_boards_order() -> None:
    text = " ".join(words())
    assert text.index("id=serial0,fd=11") < text.index("id=serial1,fd=12")
    assert "socket,id=monitor,fd=10" in text


def test_payload_is_never_written_and_may_have_a_comma() -> None:
    assert any("snapshot=on,file=a,,b/payload" in word for word in words())


def test_path_that_stands_alone_is_not_escaped() -> None:
    argv = words()
    assert argv[argv.index("-bios") + 1] == "a,b/fw.bin"
    assert argv[argv.index("-append") + 1] == MACHINE.kernel_arguments


def test_full_disk_does_not_stop_the_guest_silently() -> None:
    assert any("drive=payload,werror=report" in word for word in words())


def test_only_a_restored_system_waits() -> None:
    assert "-incoming" not in words()
    assert words(incoming=13)[-2:] == ["-incoming", "fd:13"]


def test_reset_of_the_guest_is_an_end() -> None:
    assert "-no-reboot" in words()


def test_program_that_refuses_its_options(tmp_path: Path) -> None:
    refused = refusal(tmp_path, "#!/bin/sh\necho 'qemu: no such property' >&2\nexit 1\n")
    assert "exit status 1: qemu: no such property" in refused.message
    assert refused.log == tmp_path / "qemu.log"
    assert refused.hint is not None and "[emulator]" in refused.hint


def test_program_that_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator, "MONITOR_SECONDS", 0.5)
    refused = refusal(tmp_path, "#!/bin/sh\nexec sleep 60\n")
    assert "did not answer 'query-status'" in refused.message


def test_monitor_that_falls_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator, "MONITOR_SECONDS", 2.0)
    failed = failure_to_save(tmp_path, silent="stop")
    assert "did not answer 'stop' within 2 s" in failed.message


def test_saving_fails_for_a_reason(tmp_path: Path) -> None:
    refused = {"query-migrate": {"status": "failed", "error-desc": "not today"}}
    failed = failure_to_save(tmp_path, **refused)
    assert failed.message == "saving the booted system failed: not today"
    assert failed.hint is None


def test_saving_to_a_full_disk(tmp_path: Path) -> None:
    refused = {"query-migrate": {"status": "failed"}, "trouble": "No space left on device"}
    assert failure_to_save(tmp_path, **refused).hint == DISK_FULL


def test_end_is_told_with_the_last_words(tmp_path: Path) -> None:
    with started(tmp_path) as running:
        assert running.ended() is None
        with running.log.open("a") as log:
            log.write("out of cheese\n")
        running.child.stop()
        assert running.ended() == "killed by SIGTERM: out of cheese"
