# SPDX-License-Identifier: MIT
"""A board in QEMU: started, saved with both worlds, restored, ended.

Serial lines and the monitor are socket pairs, not paths or ports: two runs cannot collide, nothing
is left behind, and the end of QEMU is the end of the stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qemu.qmp import QMPClient, QMPError

from tzkit.boardfile import Emulator as Machine
from tzkit.boardfile import Loaded
from tzkit.errors import DISK_FULL, EnvironmentFailed
from tzkit.process import Child, Runner

MIGRATION_SECONDS = 60.0
POLL_SECONDS = 0.02
UNLIMITED_BANDWIDTH = 1 << 40  # bytes per second
MONITOR_SECONDS = 30.0
LAST_WORDS_SECONDS = 1.0


@dataclass(frozen=True)
class Image:
    """The files a board boots from, by the names that its emulator's arguments have for them.

    ``addresses`` are where they are loaded, where the emulator must be told: {NAME_address}.
    """

    files: Mapping[str, Path]
    addresses: Mapping[Loaded, int] = field(default_factory=dict)


def escaped(path: Path | str) -> str:
    """A path inside one of QEMU's comma-separated option strings."""
    return str(path).replace(",", ",,")


def qemu_argv(
    machine: Machine,
    image: Image,
    serial_fds: Sequence[int | str],
    monitor_fd: int | str,
    incoming_fd: int | None = None,
) -> list[str]:
    """QEMU's command line; with ``incoming_fd`` it waits for a saved system instead of booting."""
    argv = [
        machine.program,
        "-nodefaults", "-display", "none", "-no-reboot",
        "-m", str(machine.memory >> 20),
        *(_filled(word, machine, image) for word in machine.arguments),
        "-chardev", f"socket,id=monitor,fd={monitor_fd}",
        "-mon", "chardev=monitor,mode=control",
    ]  # fmt: skip
    for number, fd in enumerate(serial_fds):
        argv += [
            "-chardev",
            f"socket,id=serial{number},fd={fd}",
            "-serial",
            f"chardev:serial{number}",
        ]
    if incoming_fd is not None:
        argv += ["-incoming", f"fd:{incoming_fd}"]
    return argv


def _filled(word: str, machine: Machine, image: Image) -> str:
    """An argument with its placeholders filled; a path that stands alone needs no escapes."""
    alone = {f"{{{name}}}": str(path) for name, path in image.files.items()}
    alone["{kernel_arguments}"] = machine.kernel_arguments
    if word in alone:
        return alone[word]
    values = {name: escaped(path) for name, path in image.files.items()}
    values |= {f"{name}_address": f"{address:#x}" for name, address in image.addresses.items()}
    return word.format_map(values)


class Emulator:
    """One running QEMU. Call :meth:`stop` in every ending; harmless when it has ended."""

    def __init__(
        self, child: Child, serials: Sequence[socket.socket], monitor: socket.socket, log: Path
    ) -> None:
        self.child = child
        self.serials = tuple(serials)
        self.log = log
        self._loop = asyncio.new_event_loop()
        self._client = QMPClient("tzkit")
        self._monitor = monitor
        self._connected = False

    @classmethod
    def start(
        cls, machine: Machine, image: Image, runner: Runner, log: Path, state: Path | None = None
    ) -> Emulator:
        """Start it from reset, or from the saved system in ``state`` (then call :meth:`resume`).

        Call from the main thread. Raises EnvironmentFailed when the program is missing or
        refuses its options.
        """
        pairs = [socket.socketpair() for _ in range(len(machine.serials) + 1)]
        ours = [pair[0] for pair in pairs]
        theirs = [pair[1] for pair in pairs]
        with contextlib.ExitStack() as stack:
            for end in theirs:
                stack.enter_context(end)
            output = stack.enter_context(log.open("ab"))
            fds = [end.fileno() for end in theirs]
            incoming = None if state is None else stack.enter_context(state.open("rb")).fileno()
            argv = qemu_argv(machine, image, fds[1:], fds[0], incoming)
            inherited = fds if incoming is None else [*fds, incoming]
            # Killed while it starts, QEMU leaves a file behind: rather here than in /tmp.
            scratch = {"TMPDIR": str(log.parent)}
            try:
                child = runner.start(argv, output=output, env=scratch, pass_fds=inherited)
            except BaseException:
                for end in ours:
                    end.close()
                raise
        emulator = cls(child, ours[1:], ours[0], log)
        try:
            emulator._await_monitor()
        except BaseException:
            emulator.stop()
            raise
        return emulator

    def ended(self, within: float = 0.0) -> str | None:
        """How QEMU ended, with its last message; None when it still runs after ``within`` s."""
        how = self.child.ended(within)
        if how is None:
            return None
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return f"{how}: {lines[-1]}" if lines else how

    def save(self, path: Path) -> None:
        """Stop the system and save both worlds to ``path``; it stays stopped."""
        self._command("stop")
        self._command("migrate-set-parameters", {"max-bandwidth": UNLIMITED_BANDWIDTH})
        self._command("migrate", {"uri": f"exec:cat > {shlex.quote(str(path))}"})
        try:
            self._await_migration("saving the booted system")
        except EnvironmentFailed as error:
            full = "No space left" in self.log.read_text(errors="replace")
            hint = DISK_FULL if full else error.hint
            raise EnvironmentFailed(error.message, hint=hint, log=self.log) from error

    def resume(self) -> None:
        """Let a restored system run. Raises EnvironmentFailed when it did not restore."""
        self._await_migration("restoring the saved system")
        self._command("cont")

    def stop(self) -> None:
        """End QEMU and free everything."""
        self.child.stop()
        if not self._loop.is_closed():
            # An interrupt may have come in the middle of a command: nobody asks for its result.
            self._loop.set_exception_handler(lambda loop, context: None)
            self._loop.run_until_complete(self._end_monitor())
            self._loop.close()
        for end in (*self.serials, self._monitor):
            end.close()

    async def _end_monitor(self) -> None:
        with contextlib.suppress(QMPError, OSError, EOFError):
            await self._client.disconnect()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    def _await_monitor(self) -> None:
        """The monitor answers once QEMU has taken all its options and files."""
        try:
            self._command("query-status")
        except EnvironmentFailed as error:
            raise EnvironmentFailed(
                f"{self.child.argv[0]} did not start: {self.ended() or error.message}",
                hint="the board file's [emulator] must fit this version of QEMU",
                log=self.log,
            ) from error

    def _await_migration(self, what: str) -> None:
        def settled() -> bool:
            answer = self._command("query-migrate")
            status = answer.get("status") if isinstance(answer, dict) else None
            if status == "failed":
                raise EnvironmentFailed(f"{what} failed: {answer.get('error-desc', 'no reason')}")
            return status == "completed"

        self._poll(settled, what)

    def _poll(self, settled: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + MIGRATION_SECONDS
        while not settled():
            if time.monotonic() > deadline:
                raise EnvironmentFailed(f"{what}: no end after {MIGRATION_SECONDS:.0f} s")
            time.sleep(POLL_SECONDS)

    def _command(self, name: str, arguments: dict[str, Any] | None = None) -> Any:
        async def execute() -> Any:
            if not self._connected:
                await self._client.connect(self._monitor)
                self._connected = True
            return await self._client.execute(name, arguments)

        try:
            return self._loop.run_until_complete(asyncio.wait_for(execute(), MONITOR_SECONDS))
        except asyncio.TimeoutError as error:
            raise EnvironmentFailed(
                f"QEMU's monitor did not answer '{name}' within {MONITOR_SECONDS:.0f} s",
                log=self.log,
            ) from error
        except (QMPError, OSError, EOFError) as error:
            # The monitor closes a little before QEMU can be asked how it ended.
            how = self.ended(LAST_WORDS_SECONDS)
            raise EnvironmentFailed(
                f"QEMU's monitor refused '{name}': {how or error}", log=self.log
            ) from error
