# SPDX-License-Identifier: MIT
"""The verbs of tzkit. Each task is its flags and one call; errors become exit codes here."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task as invoke_task

from tzkit import commands, develop
from tzkit.commands import Common
from tzkit.errors import EXIT_INTERRUPTED, TzkitError
from tzkit.flashing import Order
from tzkit.store import disk_error
from tzkit.testrun import TestOptions

HELP = {
    "board": "board to work on; './inv boards' lists them",
    "source": "what the system is made from: debian (packages), upstream (OP-TEE's own build tree)",
    "release": "release of OP-TEE's tree (default: the newest known)",
    "reference": "folder with a mirror of the same tree, for repo init",
    "app": "application to put into the TEE: own, or path or URL[#COMMIT] of one like darknetz",
    "dataset": "network, weights and images: digits, or a folder (dataset.toml, or as tz_datasets)",
    "ta-heap": "heap of the TA, such as 6M (default: the board's, or what another app asks for)",
    "ta-stack": "stack of the trusted application (default: the board's)",
    "secure-memory": "simulate this much secure memory in the emulator, such as 64M (not isolated)",
    "ssh-key": "public key that may log in as root, for boards with a network",
    "dry-run": "print the commands, run none",
    "install": "install missing host tools without asking",
    "verbose": "say more",
    "quiet": "say only the result",
    "timeout": "seconds that one command on the board may take (darknetp task: 3600)",
    "device": "block device to write to, such as /dev/sdb",
    "yes": "do not ask before overwriting; what is to be done by hand is done",
    "force": "also a disk that is built in",
    "pp": "layers in the TEE, START:END, both included; to size the TA also auto",
    "cfg": "network that the TA is to have memory for (plan: default the data set's)",
    "mode": "train or predict (plan: default both; else train)",
    "batch": "images per update (default: the network's own)",
    "xtest": "full, smoke or none (default: what the board file says)",
    "only": "run only this suite: xtest, usage, train, tune, predict or valid",
    "keep": "when done, hand over the consoles instead of ending the system",
    "cold": "boot from reset instead of restoring the saved system",
    "get": "file on the board to copy into the folder of the run when done",
    "all": "also the runs, every other board and the download cache",
    "repeat": "how often each thing is measured",
    "fresh": "also measure a fresh clone with an empty cache (minutes)",
    "system": "also the tests that boot OP-TEE in the emulator",
    "only-system": "only the tests that boot OP-TEE in the emulator",
}
TALK = ("verbose", "quiet")
MACHINE = ("board", "source", "dry_run", "install", *TALK)
TREE = ("release", "reference")
BUILD = (*MACHINE, *TREE, "app", "dataset", "ta_heap", "ta_stack", "secure_memory", "ssh_key")
SIZED = ("cfg", "pp", "mode", "batch")


def task(*shared: str) -> Callable[[Callable[..., None]], Any]:
    """An invoke task with shared flags, whose tzkit errors become a message and an exit code.

    ``shared`` names fields of :class:`Common`; the body gets them as its second argument, and
    its own parameters become flags as invoke does it.
    """
    defaults = {field.name: field.default for field in dataclasses.fields(Common)}

    def decorate(body: Callable[..., None]) -> Any:
        context, _, *own = inspect.signature(body).parameters.values()
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        flags = [inspect.Parameter(name, kind, default=defaults[name]) for name in shared]

        @functools.wraps(body)
        def run(c: Context, **values: Any) -> None:
            common = Common(**{name: values.pop(name) for name in shared})
            try:
                body(c, common, **values)
            except TzkitError as error:
                raise _ended(common, str(error), error.exit_code) from error
            except OSError as error:
                failure = disk_error(error)
                if failure is None:
                    raise
                raise _ended(common, str(failure), failure.exit_code) from error
            except KeyboardInterrupt as error:
                raise _ended(common, str(error) or "interrupted", EXIT_INTERRUPTED) from error

        parameters = [context, *own, *flags]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        names = [parameter.name.replace("_", "-") for parameter in parameters[1:]]
        return invoke_task(help={name: HELP[name] for name in names}, auto_shortflags=False)(run)

    return decorate


@task(*TALK)
def boards(c: Context, common: Common, board: str | None = None) -> None:
    """The boards: what each can do here, secure memory, consoles; --board shows one whole."""
    commands.boards(common, board)


@task(*MACHINE, "app")
def doctor(c: Context, common: Common) -> None:
    """What this machine needs for a board; --install installs what is missing."""
    commands.doctor_report(common)


@task(*MACHINE, *TREE, "app")
def fetch(c: Context, common: Common) -> None:
    """Fetch and verify the parts."""
    commands.fetch(common)


@task(*BUILD, *SIZED)
def build(c: Context, common: Common) -> None:
    """Everything up to what can be booted; --cfg and --pp make the TA as large as they need."""
    commands.build(common)


@task(*MACHINE, "dataset", "ta_heap", "ta_stack", "secure_memory", *SIZED)
def plan(c: Context, common: Common) -> None:
    """Secure memory of a network, layer by layer; without --pp the largest partition that fits."""
    commands.plan(common)


@task(*BUILD, *SIZED)
def run(c: Context, common: Common, cold: bool = False) -> None:
    """Boot and hand both consoles to you."""
    commands.run(common, cold)


@task(*BUILD, *SIZED)
def flash(
    c: Context, common: Common, device: str | None = None, yes: bool = False, force: bool = False
) -> None:
    """Build, and put the image on the real board; asks before it overwrites a device."""
    commands.flash(common, Order(device, yes, force))


@task(*BUILD, "timeout")
def qemu_test(
    c: Context,
    common: Common,
    pp: str = "4:10",
    xtest: str | None = None,
    only: str | None = None,
    keep: bool = False,
    cold: bool = False,
) -> None:
    """Fetch, build, boot in the emulator, xtest, darknetp end to end, report."""
    options = TestOptions.parse(pp=pp, xtest=xtest, only=only, keep=keep, cold=cold)
    raise Exit(code=commands.qemu_test(common, options))


@task(*BUILD, *SIZED, "timeout")
def darknetp(c: Context, common: Common, cold: bool = False, get: str | None = None) -> None:
    """Run one darknetp command line on the board: ./inv darknetp -- classifier predict ..."""
    # invoke joins the words after "--" with blanks; what was quoted must stay one word.
    words = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
    commands.darknetp(common, words, cold, get)


@task(*BUILD)
def bench(c: Context, common: Common, repeat: int = 3, fresh: bool = False) -> None:
    """Measure what users wait for: no-op build, boots, changed TA, iterations; JSON beside it."""
    commands.bench(common, repeat, fresh)


@task("board", "dry_run", *TALK)
def clean(c: Context, common: Common, all: bool = False) -> None:
    """Remove what was built for a board, not its runs; --all: all output and the cache."""
    commands.clean(common, all)


@task("install", *TALK)
def test(c: Context, common: Common, system: bool = False, only_system: bool = False) -> None:
    """The project's tests: native C and Python; --system adds those that boot OP-TEE."""
    kinds = {"unit": not only_system, "system": system or only_system}
    raise Exit(code=develop.run_tests(c, install=common.install, **kinds))


@task(*TALK)
def lint(c: Context, common: Common) -> None:
    """Linters and type checks over the whole project."""
    raise Exit(code=develop.run_linters(c))


def _ended(common: Common, message: str, code: int) -> Exit:
    """The end of a task that went wrong; what the user is told is in the log too."""
    common.ui.note(message)
    return Exit(message, code=code)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    """Being asked to end is like Ctrl-C: everything that was started is ended."""
    raise KeyboardInterrupt


signal.signal(signal.SIGTERM, _interrupt)
signal.signal(signal.SIGHUP, _interrupt)

ns = Collection(
    boards,
    doctor,
    fetch,
    build,
    plan,
    run,
    flash,
    qemu_test,
    darknetp,
    bench,
    clean,
    test,
    lint,
)
