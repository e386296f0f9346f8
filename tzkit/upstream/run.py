# SPDX-License-Identifier: MIT
"""``make run-only``: QEMU as OP-TEE's tree starts it, its consoles connected to us, a session.

QEMU connects each serial line to a port where somebody must listen already. Before that, the
makefile looks whether somebody does by connecting and hanging up. QEMU waits, frozen, under its
monitor on the terminal until it is told to go on.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from tzkit.advice import COMMANDS, advice_for
from tzkit.board import Board
from tzkit.boardfile import ConsoleName, UpstreamRun
from tzkit.console import Shell, Target, socket_line
from tzkit.console.console import SerialLine
from tzkit.errors import EnvironmentFailed, RequestError
from tzkit.job import Job
from tzkit.session import SHELL_SECONDS, Session, must, tee_version
from tzkit.terminal import Terminal
from tzkit.upstream.build import variables
from tzkit.upstream.host import environment
from tzkit.upstream.releases import PORT_VARIABLES, since
from tzkit.upstream.tree import Tree, upstream_of

LOCALHOST = "127.0.0.1"
# Before there were variables for them.
FIXED_PORTS: dict[ConsoleName, int] = {"normal": 54320, "secure": 54321}
MONITOR_SECONDS = 120.0
CONNECT_SECONDS = 10.0
PROBE_SECONDS = 0.2  # a connection that is closed within it was only a look


class Listener:
    """A port for one serial line of QEMU."""

    def __init__(self, port: int = 0) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((LOCALHOST, port))
        except OSError as error:
            self._socket.close()
            raise EnvironmentFailed(
                f"port {port}, where this release of OP-TEE has its console, is taken",
                hint="end what uses it, or use a newer --release, whose ports can be chosen",
            ) from error
        self._socket.listen()

    @property
    def port(self) -> int:
        number: int = self._socket.getsockname()[1]
        return number

    def connection(self, timeout: float) -> socket.socket:
        """The first connection that is not hung up at once. Raises EnvironmentFailed."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self._socket], [], [], left)[0]:
                break
            connected, _ = self._socket.accept()
            if _lives(connected):
                return connected
            connected.close()
        raise EnvironmentFailed(f"QEMU did not connect to port {self.port}")

    def close(self) -> None:
        self._socket.close()


def _lives(connected: socket.socket) -> bool:
    if not select.select([connected], [], [], PROBE_SECONDS)[0]:
        return True
    with contextlib.suppress(ConnectionError):
        return bool(connected.recv(1, socket.MSG_PEEK))
    return False


def run_of(board: Board) -> UpstreamRun:
    """How the tree runs the board. Raises RequestError when it does not."""
    run = upstream_of(board).run
    if run is None:
        raise RequestError(
            f"OP-TEE's own tree does not emulate {board.name}",
            hint=f"'./inv build --board {board.name} --source upstream' makes its image; "
            "'./inv boards' says how it gets onto the board",
        )
    return run


def run_argv(board: Board, release: str, ports: Mapping[ConsoleName, object]) -> list[str]:
    """The make command; the terminals it would open are not wanted."""
    run = run_of(board)
    named = [f"{run.ports[name]}={port}" for name, port in ports.items()]
    if not since(release, PORT_VARIABLES):
        named = []
    return ["make", *variables(board, release), *named, "LAUNCH_TERMINAL=true", run.goal]


@contextlib.contextmanager
def open_session(
    job: Job, tree: Tree, commands: Sequence[str] = (), name: str = ""
) -> Iterator[Session]:
    """A session that ends with the block, however that ends. Call from the main thread.

    ``commands`` are run on the board before anything else. Raises TargetDied when the system does
    not come up, EnvironmentFailed when QEMU does not.
    """
    board, run, suffix = job.board, run_of(job.board), f"-{name}" if name else ""
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        stack.enter_context(_gdb_port(run.gdb_port, job.workspace.cache / "upstream"))
        listeners = {name: _listener(stack, name, tree.release) for name in run.ports}
        ports = {name: listener.port for name, listener in listeners.items()}
        terminal = Terminal.start(
            job.runner,
            run_argv(board, tree.release, ports),
            cwd=tree.build,
            log=job.log(f"qemu{suffix}"),
            env=environment(),
        )
        stack.callback(terminal.stop)
        _await_monitor(terminal, run)
        lines: dict[str, SerialLine] = {
            name: _line(stack, listener) for name, listener in listeners.items()
        }
        terminal.type_line(run.start_command)
        terminal.read_on()
        target = Target(
            lines, job.folder, suffix=suffix, boots=1, ended=terminal.ended, abort=job.abort
        )
        stack.enter_context(target)
        shell = Shell(target)
        shell.login(board.login.prompt, board.login.user, timeout=run.boot_seconds)
        tee = tee_version(shell)
        for command in commands:
            must(shell, command, SHELL_SECONDS, "preparing the board")
        seconds = round(time.monotonic() - began, 3)
        yield Session(shell, target, terminal, lines, False, seconds, tee)


def _listener(stack: contextlib.ExitStack, name: ConsoleName, release: str) -> Listener:
    listener = Listener(0 if since(release, PORT_VARIABLES) else FIXED_PORTS[name])
    stack.callback(listener.close)
    return listener


def _line(stack: contextlib.ExitStack, listener: Listener) -> SerialLine:
    connected = stack.enter_context(listener.connection(CONNECT_SECONDS))
    return socket_line(connected)


def _await_monitor(terminal: Terminal, run: UpstreamRun) -> None:
    what = f"'{run.monitor_prompt}' of QEMU's monitor"
    found = terminal.expect([run.monitor_prompt], timeout=MONITOR_SECONDS, what=what)
    if found is None:
        how = terminal.ended(CONNECT_SECONDS)
        raise EnvironmentFailed(
            f"'make {run.goal}' ended before QEMU: {how}",
            log=terminal.log,
            advice=advice_for(terminal.log.read_text(errors="replace"), *COMMANDS),
        )


@contextlib.contextmanager
def _gdb_port(port: int, folder: Path) -> Iterator[None]:
    """Hold the one port for debuggers, which OP-TEE's makefiles do not let us choose.

    Raises EnvironmentFailed when another run has it.
    """
    taken = EnvironmentFailed(
        f"port {port}, which QEMU opens for debuggers, is taken: another system runs from OP-TEE's "
        "tree, and two cannot on one machine",
        hint="wait until it has ended, or end it",
    )
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / f".port-{port}.lock", timeout=0):
            if not _is_free(port):
                raise taken
            yield
    except Timeout as error:
        raise taken from error


def _is_free(port: int) -> bool:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("", port))
        return True
    return False
