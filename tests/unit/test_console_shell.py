# SPDX-License-Identifier: MIT
"""Commands through a real shell on a real pty, with echo, prompts and interruptions."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from console_guest import Guest, booted

from tzkit.console import Line, Pacing, Shell, Target, fd_line
from tzkit.errors import RequestError, TargetDied

# printf of the shell replaced by one into whose first marker line the kernel prints.
TORN_MARKERS = r"""printf() {
    command printf "$@" | sed '0,/tzkit:end:/s/tzkit:end:..../&[   12.000000] kernel line\n/'
}"""


@pytest.fixture(scope="module")
def guest_and_shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Guest, Shell]]:
    with booted(tmp_path_factory.mktemp("guest")) as pair:
        yield pair


@pytest.fixture
def shell(guest_and_shell: tuple[Guest, Shell]) -> Shell:
    return guest_and_shell[1]


@pytest.mark.parametrize(
    ("command", "output", "status"),
    [
        ("echo hello", "hello\n", 0),
        ("true", "", 0),
        ("printf 'no newline'", "no newline\n", 0),
        ("echo; echo", "\n\n", 0),
        ("echo out; echo err >&2; exit 3", "out\nerr\n", 3),
        ("(exit 9); true", "", 0),
        ("for i in 1 2; do\n\techo $i\ndone; false", "1\n2\n", 1),
        ("""echo "it's" '"quoted"' \\$HOME""", """it's "quoted" $HOME\n""", 0),
        ("read line; echo got $line", "got\n", 0),
        ("exit 255", "", 255),
        ("cd /; pwd", "/\n", 0),
    ],
)
def test_output_and_status(shell: Shell, command: str, output: str, status: int) -> None:
    done = shell.run(command, timeout=5)
    assert (done.output, done.status) == (output, status)


def test_syntax_error_is_a_status(shell: Shell) -> None:
    assert shell.run("if; then (", timeout=5).status != 0
    assert shell.run("echo alive", timeout=5).output == "alive\n"


def test_commands_do_not_outlive_their_subshell(shell: Shell) -> None:
    shell.run("cd /; X=1", timeout=5)
    assert shell.run("echo [$X]", timeout=5).output == "[]\n"


@pytest.mark.parametrize("length", [700, 800, 900, 5000, 20000])
def test_commands_of_any_length(shell: Shell, length: int) -> None:
    word = ("it's " * length)[:length]
    done = shell.run("cat <<'END'\n" + word + "\nEND", timeout=10)
    assert done.output == word + "\n"


@pytest.mark.parametrize("character", ["\x03", "\x04", "\r", "\x1b", "\x7f", "\x00"])
def test_control_characters_are_refused(shell: Shell, character: str) -> None:
    with pytest.raises(RequestError):
        shell.run(f"echo {character}", timeout=5)


def test_echo_is_no_output(shell: Shell) -> None:
    shell.run("stty echo", timeout=5)
    for _ in range(2):
        assert shell.run("echo hello", timeout=5).output == "hello\n"
    shell.interrupt()


def test_log_tells_which_command_was_typed(shell: Shell) -> None:
    shell.run("echo hel''lo", timeout=5)
    log = shell.target.logs["normal"].read_text()
    assert re.search(r"^\[ +\d+\.\d+\] \$ echo hel''lo$", log, re.MULTILINE)


def test_lines_arrive_as_they_come(shell: Shell) -> None:
    seen: list[Line] = []
    done = shell.run("echo a; sleep 0.2; echo b", timeout=5, on_line=seen.append)
    assert [line.text for line in seen] == ["a", "b"]
    assert seen[1].seconds - seen[0].seconds > 0.1
    assert 0.1 < done.seconds < 2


def test_end_of_a_command_is_seen_though_the_kernel_prints_into_it(tmp_path: Path) -> None:
    with booted(tmp_path) as (guest, shell):
        rc = tmp_path / "rc"
        rc.write_text(TORN_MARKERS)
        os.write(guest.normal, f". {rc}\n".encode())
        done = shell.run("echo hello; exit 7", timeout=5)
        assert "kernel line" in shell.target.logs["normal"].read_text()
        assert (done.output, done.status) == ("hello\n", 7)


def test_many_lines_take_little_time(shell: Shell) -> None:
    began = time.monotonic()
    done = shell.run("seq 40000", timeout=20)
    assert done.output.splitlines() == [str(number) for number in range(1, 40001)]
    assert time.monotonic() - began < 5


def test_silence_then_interrupt_then_life(shell: Shell) -> None:
    with pytest.raises(TargetDied) as caught:
        shell.run("echo working; sleep 100", timeout=0.3)
    assert caught.value.kind == "silence"
    assert "sleep 100" in caught.value.message and "working" in caught.value.message
    shell.interrupt()
    assert shell.run("echo alive", timeout=5).output == "alive\n"


def test_death_before_the_end_marker_counts_although_the_command_ended_well(
    guest_and_shell: tuple[Guest, Shell],
) -> None:
    guest, shell = guest_and_shell
    guest.program("panicking", [("secure", "E/TC:? 0 TA panicked with code 0x1\n")])
    with pytest.raises(TargetDied) as caught:
        shell.run("panicking", timeout=5)
    assert caught.value.kind == "ta-panic"
    assert shell.run("panicking", timeout=5, tolerate=("ta-panic",)).status == 0
    assert shell.run("echo alive", timeout=5).output == "alive\n"


def test_what_the_target_said_before_the_end_marker_is_read_before_the_verdict(
    guest_and_shell: tuple[Guest, Shell],
) -> None:
    guest, shell = guest_and_shell
    lock = shell.target._lock  # while it is held, only this thread reads the consoles

    def panic_unseen(_: Line) -> None:
        time.sleep(0.1)  # the end marker has been read
        lock.acquire()
        guest.say_secure("E/TC:? 0 TA panicked with code 0x1\n")

    try:
        with pytest.raises(TargetDied) as caught:
            shell.run("echo last line", timeout=5, on_line=panic_unseen)
    finally:
        lock.release()
    assert caught.value.kind == "ta-panic"


def test_death_between_commands_is_told_by_the_next(tmp_path: Path) -> None:
    with booted(tmp_path) as (guest, shell):
        guest.say_secure("E/TC:0 0 Panic at core/x.c:1 <f>\n")
        for _ in range(2):
            with pytest.raises(TargetDied) as caught:
                shell.run("echo alive", timeout=5)
            assert caught.value.kind == "tee-panic"


def test_end_of_the_guest_ends_the_command(tmp_path: Path) -> None:
    with booted(tmp_path) as (guest, shell):
        guest.program("crash", [("normal", "going down\n")], last=guest.power_off())
        with pytest.raises(TargetDied) as caught:
            shell.run("crash", timeout=20)
        assert caught.value.kind == "emulator-gone"
        assert "going down" in caught.value.message


def test_abort_ends_the_command(tmp_path: Path) -> None:
    abort = threading.Event()
    with booted(tmp_path, abort=abort) as (_, shell):
        threading.Timer(0.1, abort.set).start()
        with pytest.raises(KeyboardInterrupt):
            shell.run("sleep 20", timeout=20)


def test_boot_is_awaited_by_its_last_line(tmp_path: Path) -> None:
    guest = Guest(tmp_path)
    lines = {"normal": fd_line(guest.normal)}
    try:
        with Target(lines, tmp_path / "logs", pacing=Pacing(16, 0.0)) as target:
            os.write(guest.normal, b"sleep 0.2; echo BOO''TED\n")
            seconds = Shell(target).login_or_ready("BOOTED", timeout=10)
            assert 0.1 < seconds < 5
            assert Shell(target).run("echo up", timeout=5).output == "up\n"
    finally:
        guest.close()


def test_boot_that_does_not_end_is_silence(tmp_path: Path) -> None:
    guest = Guest(tmp_path)
    try:
        with Target({"normal": fd_line(guest.normal)}, tmp_path / "logs") as target:
            with pytest.raises(TargetDied) as caught:
                Shell(target).login_or_ready("BOOTED", timeout=0.2)
            assert caught.value.kind == "silence" and "BOOTED" in caught.value.message
    finally:
        guest.close()


def test_shell_that_does_not_answer_is_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tzkit.console.shell.ATTEMPT_SECONDS", 0.2)
    guest = Guest(tmp_path)
    try:
        with Target({"normal": fd_line(guest.normal)}, tmp_path / "logs") as target:
            os.write(guest.normal, b"stty -isig; exec sleep 30\n")
            time.sleep(0.2)
            with pytest.raises(TargetDied) as caught:
                Shell(target).login_or_ready(None, timeout=0.1)
            assert caught.value.kind == "silence"
    finally:
        guest.close()
