# SPDX-License-Identifier: MIT
"""Host tools: found or named, installed only with leave, by one command."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tzkit import doctor
from tzkit.board import board_names, load_board
from tzkit.doctor import Tool
from tzkit.errors import EnvironmentFailed
from tzkit.process import Runner
from tzkit.ui import QUIET, Ui
from tzkit.workspace import Workspace

BOARDS = Workspace.of_checkout().boards

WANTED = [Tool("flasher", "flash-tools", "flashes"), Tool("cat", "coreutils", "reads")]

# Installs "flasher"; fails the first time when there is a file "old" beside it, always when
# there is "broken".
APT_GET = """#!/bin/sh
folder=$(dirname "$0")
echo "$@" >>"$folder/calls"
[ "$1" = update ] && exec rm -f "$folder/old"
[ -e "$folder/broken" ] && { echo "E: Broken"; exit 100; }
[ -e "$folder/old" ] && { echo "E: Unable to locate package"; exit 100; }
[ -e "$folder/empty" ] || ln -s /bin/true "$folder/flasher"
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Programs of a machine without flasher, whose user is root and not a CI system."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in (("apt-get", APT_GET), ("sudo", '#!/bin/sh\nexec "$@"\n')):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.delenv("CI", raising=False)
    become(monkeypatch, 0)
    return folder


def become(monkeypatch: pytest.MonkeyPatch, user: int) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)


def ensure(tmp_path: Path, *, install: bool = False) -> None:
    doctor.ensure(WANTED, Runner(), Ui(QUIET), tmp_path / "install.log", install)


def calls(machine: Path) -> list[str]:
    path = machine / "calls"
    return path.read_text().splitlines() if path.exists() else []


def test_a_file_may_be_wanted_in_any_version(tmp_path: Path) -> None:
    tool = Tool(f"{tmp_path}/llvm-*/runtime.a", "runtime", "links")
    assert not tool.present()
    (tmp_path / "llvm-14").mkdir()
    (tmp_path / "llvm-14" / "runtime.a").touch()
    assert tool.present()


def test_nothing_missing_nothing_done(machine: Path, tmp_path: Path) -> None:
    (machine / "flasher").symlink_to("/bin/true")
    ensure(tmp_path)
    assert calls(machine) == []


def test_root_gets_what_is_missing_and_no_more(machine: Path, tmp_path: Path) -> None:
    ensure(tmp_path)
    assert calls(machine) == ["install --yes --no-install-recommends flash-tools"]


def test_old_package_lists_are_updated(machine: Path, tmp_path: Path) -> None:
    (machine / "old").touch()
    ensure(tmp_path)
    assert [call.split()[0] for call in calls(machine)] == ["install", "update", "install"]


def test_user_who_did_not_agree_gets_the_command(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    become(monkeypatch, 1000)
    with pytest.raises(EnvironmentFailed, match="flash-tools") as failed:
        ensure(tmp_path)
    command = "sudo apt-get install --yes --no-install-recommends flash-tools"
    assert failed.value.hint == f"{command}   (or add --install)"
    assert calls(machine) == []


@pytest.mark.parametrize("leave", ["--install", "CI"])
def test_user_with_leave(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leave: str
) -> None:
    become(monkeypatch, 1000)
    monkeypatch.setenv("CI", str(leave == "CI").lower())
    ensure(tmp_path, install=leave == "--install")
    assert len(calls(machine)) == 1


def test_package_without_the_tool_is_no_success(machine: Path, tmp_path: Path) -> None:
    (machine / "empty").touch()
    with pytest.raises(EnvironmentFailed, match="still missing after the installation: flasher"):
        ensure(tmp_path)


def ensure_optional(tmp_path: Path) -> None:
    doctor.ensure_optional(WANTED, Runner(), Ui(), tmp_path / "install.log", False)


def offer(machine: Path, status: int) -> None:
    """apt-cache that knows the package, or not."""
    program = machine / "apt-cache"
    program.write_text(f'#!/bin/sh\n[ "$*" = "show flash-tools" ] && exit {status}\nexit 2\n')
    program.chmod(0o755)


def test_an_optional_tool_is_installed(machine: Path, tmp_path: Path) -> None:
    ensure_optional(tmp_path)
    assert calls(machine) == ["install --yes --no-install-recommends flash-tools"]


def test_an_optional_tool_that_is_not_offered_is_told(
    machine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (machine / "broken").touch()
    offer(machine, 100)
    ensure_optional(tmp_path)
    said = " ".join(capsys.readouterr().err.split())
    assert "flash-tools cannot be had for this machine, so no flashes" in said


def test_an_optional_tool_that_is_offered_must_install(machine: Path, tmp_path: Path) -> None:
    (machine / "broken").touch()
    offer(machine, 0)
    with pytest.raises(EnvironmentFailed, match="installing host tools failed"):
        ensure_optional(tmp_path)


@pytest.mark.parametrize("name", board_names(BOARDS))
def test_every_tool_says_what_it_is_for(name: str) -> None:
    tools = doctor.tools_for(load_board(BOARDS, name), emulate=True)
    assert all(tool.package and tool.purpose for tool in tools)
    assert len({tool.probe for tool in tools}) == len(tools)
