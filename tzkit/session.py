# SPDX-License-Identifier: MIT
"""A booted board with a shell on it, from reset or from a saved system; fifth stage.

The booted base system is saved once per image, both worlds in one file. Later sessions restore
it in about a second, set its clock and random pool right, and mount the payload disk with TA,
darknetp and data, which the saved system had not looked at yet.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from tzkit.advice import advice_for
from tzkit.boardfile import Emulator as Emulated
from tzkit.boardfile import Payload
from tzkit.build import application, image
from tzkit.build.tree import PROGRAM_FOLDER, TA_FOLDER, load_modules
from tzkit.console import Shell, Target, socket_line
from tzkit.console.console import SerialLine
from tzkit.emulator import Emulator, qemu_argv
from tzkit.errors import EnvironmentFailed, TargetDied
from tzkit.job import Job
from tzkit.pipeline import Build
from tzkit.store import Entry, write_whole

STATE = "state"
META = "system.json"
SNAPSHOT_FORMAT = 1
SHELL_SECONDS = 20.0
PAYLOAD_SECONDS = 60.0
TEE_REVISION = "sed -n 's/.*optee: revision \\([0-9.]*\\).*/\\1/p'"


class Machine(Protocol):
    """What runs the board: an emulator here."""

    def ended(self, within: float = 0.0) -> str | None:
        """How it ended, in words; None when it still runs after ``within`` seconds."""


@dataclass
class Session:
    """What suites work with. The owner ends it with the context it came from."""

    shell: Shell
    target: Target
    emulator: Machine
    lines: Mapping[str, SerialLine]
    warm: bool
    boot_seconds: float  # from the start of the emulator to a shell with the payload on it
    tee: str  # version that OP-TEE's driver found


@contextlib.contextmanager
def open_session(job: Job, build: Build, *, cold: bool, name: str = "") -> Iterator[Session]:
    """A session that ends with the block, however that ends.

    ``name`` tells the logs of several sessions of a run apart. Call from the main thread. Raises
    TargetDied when the system does not come up.
    """
    saved = None if cold else saved_system(job, build)
    if saved is not None:
        with contextlib.ExitStack() as stack:
            try:
                session = stack.enter_context(_started(job, build, name, saved))
            except (TargetDied, EnvironmentFailed) as error:
                job.ui.say(
                    f"the saved system did not restore ({error.message}): booting from reset"
                )
                job.store.drop(saved)
            else:
                yield session
                return
    with _started(job, build, name, None) as session:
        yield session


def saved_system(job: Job, build: Build) -> Entry | None:
    """The saved booted system for this image, made now if there is none.

    None, with a line saying why, when this QEMU cannot save it.
    """
    machine = job.machine
    if not machine.warm_start:
        return None
    version = job.runner.run([machine.program, "--version"], what="asking for QEMU's version")
    inputs = {
        "format": SNAPSHOT_FORMAT,
        "system": build.system_key,
        "emulator": version.splitlines()[0],
        "argv": _location_free_argv(machine, build),
    }

    def make(destination: Path) -> None:
        job.ui.detail("booting once to save the system for warm starts")
        with _emulated(job, build, "save", None) as (emulator, target, _):
            shell = Shell(target)
            seconds = shell.login_or_ready(image.READY_TEXT, timeout=_boot_limit(job))
            tee = tee_version(shell)
            emulator.save(destination / STATE)
        meta = {"boot_seconds": round(seconds, 3), "tee": tee}
        write_whole(destination / META, json.dumps(meta))

    try:
        return job.store.get("snapshot", inputs, make)
    except EnvironmentFailed as error:
        job.ui.say(f"no warm start: {error.message}" + (f"; {error.hint}" if error.hint else ""))
        return None


@contextlib.contextmanager
def _started(job: Job, build: Build, name: str, saved: Entry | None) -> Iterator[Session]:
    began = time.monotonic()
    with _emulated(job, build, name, saved) as (emulator, target, lines):
        shell = Shell(target)
        if saved is None:
            shell.login_or_ready(image.READY_TEXT, timeout=_boot_limit(job))
        else:
            emulator.resume()
            shell.login_or_ready(None, timeout=SHELL_SECONDS)
        _refresh(shell)
        if job.machine.payload is not None:
            _deliver(shell, job.machine.payload, build.dataset.root, build.folders)
        tee = tee_version(shell)
        seconds = time.monotonic() - began
        yield Session(shell, target, emulator, lines, saved is not None, round(seconds, 3), tee)


@contextlib.contextmanager
def _emulated(
    job: Job, build: Build, name: str, saved: Entry | None
) -> Iterator[tuple[Emulator, Target, Mapping[str, SerialLine]]]:
    """QEMU and its consoles, drained; both ended with the block."""
    suffix = f"-{name}" if name else ""
    state = None if saved is None else saved.path / STATE
    log = job.log(f"qemu{suffix}")
    emulator = Emulator.start(job.machine, build.bootable_image, job.runner, log, state)
    try:
        lines: dict[str, SerialLine] = {
            console: socket_line(serial)
            for console, serial in zip(job.machine.serials, emulator.serials, strict=True)
        }
        target = Target(
            lines,
            job.folder,
            suffix=suffix,
            boots=0 if saved else 1,
            ended=emulator.ended,
            abort=job.abort,
        )
        with target:
            yield emulator, target, lines
    finally:
        emulator.stop()


def _refresh(shell: Shell) -> None:
    """Set the clock, and make the random pool one that no other session has."""
    command = f"{application.RESUME} {int(time.time())} {secrets.token_hex(32)}"
    must(shell, command, SHELL_SECONDS, "setting clock and random pool")


def _deliver(
    shell: Shell, payload: Payload, root: PurePosixPath, folders: Sequence[PurePosixPath]
) -> None:
    """Put TA and program from the payload disk into place, and the data set at ``root``."""
    mount, folder = image.PAYLOAD_MOUNT, shlex.quote(str(root))
    steps = [
        load_modules(image.PAYLOAD_GROUP),
        f"mount -t ext4 {payload.device} {mount}",
    ]
    for place in (TA_FOLDER, PROGRAM_FOLDER):
        steps.append(f"cp -P {mount}/{place}/* /{place}/")
    steps += [f"mkdir -p {folder}", f"mount --bind {mount}/{image.PAYLOAD_DATA} {folder}"]
    steps += [f"mkdir -p {shlex.quote(str(path))}" for path in folders]
    must(shell, " && ".join(steps), PAYLOAD_SECONDS, "mounting TA, darknetp and data")


def tee_version(shell: Shell) -> str:
    """OP-TEE's version as Linux's driver found it: positive evidence that the TEE is there."""
    done = shell.run(f"test -c /dev/tee0 && dmesg | {TEE_REVISION}", timeout=SHELL_SECONDS)
    version = done.output.strip()
    if done.status or not version:
        message = "Linux booted, but its OP-TEE driver found no TEE"
        raise TargetDied(
            message,
            kind="no-tee",
            log=shell.target.logs["normal"],
            advice=advice_for(message, "boot"),
        )
    return version


def must(shell: Shell, command: str, timeout: float, what: str) -> None:
    """Run a command that cannot fail on a board that is well. Raises TargetDied when it does."""
    done = shell.run(command, timeout=timeout)
    if done.status:
        raise TargetDied(
            f"{what} failed with status {done.status}: {done.output.strip()}",
            kind="setup",
            log=shell.target.logs["normal"],
        )


def _location_free_argv(machine: Emulated, build: Build) -> list[str]:
    """QEMU's arguments without the paths, whose contents the key holds anyway."""
    words = {str(path) for path in build.bootable_image.files.values()}
    argv = qemu_argv(machine, build.bootable_image, machine.serials, "monitor")
    return ["FILE" if any(path in word for path in words) else word for word in argv]


def _boot_limit(job: Job) -> float:
    return job.machine.boot_seconds
