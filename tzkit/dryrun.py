# SPDX-License-Identifier: MIT
"""What ``--dry-run`` shows: every command of the stages, with the paths they would use."""

from __future__ import annotations

from tzkit import doctor
from tzkit.board import Board
from tzkit.build import application, firmware, image
from tzkit.emulator import Image, qemu_argv
from tzkit.parts import debian
from tzkit.process import quoted
from tzkit.workspace import Workspace


def fetch_commands(workspace: Workspace, board: Board) -> list[str]:
    """Fetching the parts."""
    parts = workspace.cache / "debian" / "parts"
    return [quoted(debian.mmdebstrap_argv(board.debian, board.arch, parts))]


def build_commands(workspace: Workspace, board: Board) -> list[str]:
    """Building firmware, trusted application and darknetp."""
    made = workspace.board_out(board.name) / "build"
    sysroot = made / "sysroot"
    files = {name: str(sysroot / path) for name, path in board.firmware.files.items()}
    boot = firmware.make_argv(
        board, files, str(made / "firmware" / "source"), str(made / "firmware" / "build")
    )
    ta = application.ta_argv(
        board, workspace, str(sysroot / board.debian.devkit), str(made / "ta" / "config"),
        str(made / "ta"),
    )  # fmt: skip
    host = application.host_argv(board, workspace, str(sysroot), str(made / "host"))
    return [quoted(argv) for argv in (boot, ta, host)]


def boot_commands(workspace: Workspace, board: Board) -> list[str]:
    """Starting the emulator; the file descriptors are socket pairs of tzkit."""
    made = workspace.board_out(board.name) / "build"
    files = Image(
        made / "firmware" / firmware.IMAGE,
        made / "sysroot" / board.kernel.image,
        made / "base" / image.BASE,
        made / "payload" / image.PAYLOAD,
    )
    serials = [f"FD-{name}" for name in board.consoles]
    return [quoted(qemu_argv(board, files, serials, "FD-monitor"))]


def install_commands(board: Board) -> list[str]:
    """Installing the host tools that are missing here, if any."""
    lacking = doctor.missing(doctor.tools_for(board.arch, board.emulator.program))
    return [quoted(doctor.install_argv(lacking))] if lacking else []
