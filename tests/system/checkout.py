# SPDX-License-Identifier: MIT
"""A copy of the checkout, its tasks as real processes, and what they leave behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tzkit.board import Board, load_board
from tzkit.workspace import Workspace

SOURCE = Path(__file__).resolve().parents[2]
COPIED = ("boards", "datasets", "host", "nn", "ta", "templates", "tzkit", "tasks.py")
BOARD = "qemu_v8"
LONGEST_SECONDS = 240.0  # any task of these tests, on a busy machine
POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Ended:
    """A task that has ended: exit status, everything it printed, how long it took."""

    status: int
    text: str
    seconds: float


class Task:
    """A task that runs, in a process group of its own as under a terminal."""

    def __init__(self, argv: Sequence[str], folder: Path, env: Mapping[str, str]) -> None:
        self._began = time.monotonic()
        self._popen = subprocess.Popen(
            argv,
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._popen.pid

    def running(self) -> bool:
        return self._popen.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """To the whole group, as Ctrl-C does."""
        os.killpg(self.pid, number)

    def kill(self) -> None:
        """Harmless when it has ended."""
        if self.running():
            self.signal(signal.SIGKILL)
            self._popen.communicate()

    def descendants(self) -> dict[int, str]:
        """Pid and name of every process below this one, whatever group it is in."""
        return _below(self.pid, _processes())

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        """Fails when the task ends or a minute passes before the condition is met."""
        deadline = time.monotonic() + 60
        while not condition():
            if not self.running():
                raise AssertionError(f"ended before {what}:\n{self.end().text}")
            assert time.monotonic() < deadline, f"no {what} within a minute"
            time.sleep(POLL_SECONDS)

    def wait_for_program(self, *words: str) -> int:
        """The pid of a process below this one whose command line holds all these words."""
        found: list[int] = []

        def look() -> bool:
            found[:] = self._running(words)
            return bool(found)

        self.wait_for(look, f"process {words}")
        return found[0]

    def wait_for_emulator(self) -> int:
        """The pid of QEMU with a system in it."""
        return self.wait_for_program("qemu-system-aarch64", "-machine")

    def end(self, longest: float = LONGEST_SECONDS) -> Ended:
        """Wait for the end."""
        try:
            output, _ = self._popen.communicate(timeout=longest)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        seconds = time.monotonic() - self._began
        return Ended(self._popen.returncode, output.decode(errors="replace"), seconds)

    def _running(self, words: Sequence[str]) -> list[int]:
        return [pid for pid in self.descendants() if set(words) <= set(_command_line(pid))]


class Checkout:
    """A copy of this project's sources with an ``out`` of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._tasks: list[Task] = []
        self.workspace = Workspace(root, root / "out", Workspace.of_checkout().cache)
        ignore = shutil.ignore_patterns("__pycache__")
        for name in COPIED:
            if (SOURCE / name).is_dir():
                shutil.copytree(SOURCE / name, root / name, ignore=ignore)
            else:
                shutil.copy2(SOURCE / name, root / name)

    @property
    def board(self) -> Board:
        return load_board(self.workspace.boards, BOARD)

    def start(
        self, *arguments: str, env: Mapping[str, str] | None = None, before: Sequence[str] = ()
    ) -> Task:
        """Start a task; ``before`` are words before the command, such as ``unshare --net``."""
        argv = [*before, sys.executable, "-m", "tzkit", *arguments]
        task = Task(argv, self.root, {**os.environ, **(env or {})})
        self._tasks.append(task)
        return task

    def run(
        self, *arguments: str, env: Mapping[str, str] | None = None, before: Sequence[str] = ()
    ) -> Ended:
        """Run a task to its end."""
        return self.start(*arguments, env=env, before=before).end()

    def kill_tasks(self) -> None:
        """End what a failed test has left running."""
        for task in self._tasks:
            task.kill()
        self._tasks.clear()

    def out(self, board: str = BOARD) -> Path:
        return self.workspace.board_out(board)

    def latest(self, board: str = BOARD) -> Path:
        """The folder of the last run."""
        return (self.out(board) / "latest").resolve()

    def runs(self, board: str = BOARD) -> set[Path]:
        """The folders of all runs."""
        return set((self.out(board) / "runs").glob("*"))

    def report(self, board: str = BOARD) -> dict[str, Any]:
        """report.json of the last run."""
        return read_report(self.latest(board))

    def derive_board(self, name: str, *replacements: tuple[str, str]) -> str:
        """A board that differs from the usual one in some texts of its file."""
        text = (self.workspace.boards / f"{BOARD}.toml").read_text()
        for old, new in replacements:
            assert text.count(old) == 1, f"{old!r} is not once in the board file"
            text = text.replace(old, new)
        (self.workspace.boards / f"{name}.toml").write_text(text)
        return name

    def lend_build(self, board: str, *names: str) -> None:
        """Let a board use artifacts of the usual one: those named, else all."""
        store = self.out(board) / "build"
        store.mkdir(parents=True, exist_ok=True)
        for entry in (self.out() / "build").iterdir():
            if entry.is_dir() and (not names or entry.name.rpartition("-")[0] in names):
                (store / entry.name).symlink_to(entry)

    def locks_held(self) -> list[Path]:
        """Lock files of the store that a process still holds."""
        held = {line.split()[5] for line in Path("/proc/locks").read_text().splitlines()}
        found = [*self.workspace.out.rglob(".*.lock"), *self.workspace.cache.rglob(".*.lock")]
        return [path for path in found if _lock_name(path) in held]


def read_report(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return loaded


def gone(pids: Mapping[int, str]) -> bool:
    """Whether all these processes end within two seconds."""
    deadline = time.monotonic() + 2
    while remaining := {pid for pid in pids if pid in _processes()}:
        if time.monotonic() > deadline:
            print("still there:", {pid: pids[pid] for pid in remaining})
            return False
        time.sleep(POLL_SECONDS)
    return True


def _processes() -> dict[int, tuple[int, str]]:
    """Parent and name of every process, zombies left out."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            before, after = path.read_text().rsplit(")", 1)
        except OSError:
            continue
        pid, name = before.split("(", 1)
        state, parent = after.split()[:2]
        if state != "Z":
            found[int(pid)] = (int(parent), name)
    return found


def _command_line(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return []


def _below(parent: int, processes: Mapping[int, tuple[int, str]]) -> dict[int, str]:
    found: dict[int, str] = {}
    for pid, (above, name) in processes.items():
        if above == parent:
            found |= {pid: name, **_below(pid, processes)}
    return found


def _lock_name(path: Path) -> str:
    """The file as /proc/locks names it: device and inode."""
    status = path.stat()
    return f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
