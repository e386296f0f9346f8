# SPDX-License-Identifier: MIT
"""What ``--dry-run`` shows: every command of the stages, with the paths they would use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from tzkit import doctor
from tzkit.board import Board
from tzkit.build import application, card, devicetree, firmware, image, kernel, optee
from tzkit.doctor import Tool
from tzkit.emulator import Image, qemu_argv
from tzkit.foreign import OWN
from tzkit.foreign import build as foreign
from tzkit.parts import debian, git
from tzkit.process import quoted
from tzkit.store import Entry
from tzkit.workspace import Workspace


def fetch_commands(workspace: Workspace, board: Board, app: str = OWN) -> list[str]:
    """Fetching the parts, and an application that is named by its URL."""
    parts = workspace.cache / "debian" / "parts"
    wants = [debian.wanted(board), debian.wanted_loader(board)]
    argvs = [debian.mmdebstrap_argv(want, parts) for want in wants if want is not None]
    return [*(quoted(argv) for argv in argvs), *app_commands(workspace, app)]


def app_commands(workspace: Workspace, app: str) -> list[str]:
    """Fetching an application that is named by its URL."""
    if not git.is_url(app):
        return []
    return [quoted(git.clone_argv(git.parse(app), workspace.cache / "git" / git.TREE))]


def build_commands(workspace: Workspace, board: Board, app: str = OWN) -> list[str]:
    """Building what the board's tables ask for, then the application."""
    made = workspace.board_out(board.name) / "build"
    return [quoted(argv) for argv in _build_argvs(workspace, board, made, app)]


def boot_commands(workspace: Workspace, board: Board) -> list[str]:
    """Starting the emulator; the file descriptors are socket pairs of tzkit."""
    if board.emulator is None:
        return []
    made = workspace.board_out(board.name) / "build"
    files = {
        "firmware": made / "firmware" / firmware.IMAGE,
        "kernel": _kernel_file(board, made),
        "initramfs": made / ("initramfs" if board.card else "base") / image.BASE,
        "payload": made / "payload" / image.PAYLOAD,
        "sdcard": made / "card" / card.IMAGE,
        "device_tree": made / "card" / card.TREE_FOR_EMULATOR,
    }
    addresses = {} if board.card is None else board.card.addresses
    serials = [f"FD-{name}" for name in board.emulator.serials]
    return [quoted(qemu_argv(board.emulator, Image(files, addresses), serials, "FD-monitor"))]


def _kernel_file(board: Board, made: Path) -> Path:
    packaged = board.kernel.image if board.kernel else None
    return made / "sysroot" / packaged if packaged else made / "kernel" / kernel.IMAGE


def install_commands(tools: Iterable[Tool]) -> list[str]:
    """Installing those of the host tools that are missing here, if any."""
    lacking = doctor.missing(tools)
    return [quoted(doctor.install_argv(lacking))] if lacking else []


def _build_argvs(workspace: Workspace, board: Board, made: Path, app: str) -> Iterator[list[str]]:
    sysroot = made / "sysroot"
    core = made / "optee"
    if board.optee is not None:
        key = str(sysroot / board.optee.sign_key) if board.optee.sign_key else None
        yield optee.make_argv(board, board.optee, str(core / "source"), str(core / "build"), key)
    if board.firmware is not None:
        files = {name: str(sysroot / path) for name, path in board.firmware.files.items()}
        files |= {name: str(core / path) for name, path in board.firmware.optee_files.items()}
        boot = made / "firmware"
        yield firmware.make_argv(
            board, board.firmware, files, str(boot / "source"), str(boot / "build")
        )
    if board.kernel is not None and board.kernel.build is not None:
        yield from _kernel_argvs(board, made / "kernel")
    kit = application.devkit_of(board, _entry(sysroot), _entry(core) if board.optee else None)
    if app == OWN:
        yield application.ta_argv(
            board, workspace, str(kit.path), str(made / "ta" / "config"), str(made / "ta")
        )
    # Base systems hold a helper that is made with darknetp.
    yield application.host_argv(board, workspace, str(sysroot), str(made / "host"))
    if app != OWN:
        yield from _foreign_argvs(board, made, kit.path, sysroot)
    if board.card is not None and board.device_tree is not None:
        folder = made / "card"
        for name in board.device_tree.files:
            yield from devicetree.edit_argvs(
                board.device_tree, str(folder / "tree" / "boot" / name)
            )
        yield card.genimage_argv(folder)
        yield card.block_map_argv(folder)


def _foreign_argvs(board: Board, made: Path, kit: Path, sysroot: Path) -> Iterator[list[str]]:
    """Building an application that is not ours; both halves from a copy of it."""
    ta, host = (made / name for name in ("app-ta", "app-host"))
    source, output = foreign.SOURCE, foreign.OUTPUT
    yield foreign.ta_argv(board, str(kit), str(ta / source), str(ta / output))
    yield from foreign.cmake_argvs(board, str(sysroot), str(host / source), str(host / output))


def _kernel_argvs(board: Board, folder: Path) -> Iterator[list[str]]:
    if board.kernel is None or board.kernel.build is None:
        return
    source, output, options = (str(folder / name) for name in ("source", "build", "options"))
    for goal in (kernel.CONFIGURE, board.kernel.build.goal):
        yield kernel.make_argv(board.kernel.build, board.arch, source, output, goal, options)


def _entry(folder: Path) -> Entry:
    return Entry(folder, "", cached=False)
