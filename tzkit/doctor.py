# SPDX-License-Identifier: MIT
"""Host tools: what this machine needs, what is missing, and the one command that installs it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rich.text import Text

from tzkit.board import Board
from tzkit.boardfile import Arch
from tzkit.errors import EnvironmentFailed
from tzkit.process import Runner, quoted
from tzkit.ui import Ui

INSTALL_DEADLINE_SECONDS = 1800.0


@dataclass(frozen=True)
class Tool:
    """Something tzkit calls: present when ``probe`` is a program on PATH or a file (a pattern)."""

    probe: str
    package: str
    purpose: str

    def present(self) -> bool:
        if self.probe.startswith("/"):
            return any(Path("/").glob(self.probe[1:]))
        return shutil.which(self.probe) is not None


COMMON = (
    Tool("setpriv", "util-linux", "ends children when tzkit is killed"),
    Tool("setsid", "util-linux", "starts programs that want a terminal"),
    Tool("make", "make", "builds"),
    Tool("gcc", "gcc", "tools of the firmware, native tests"),
    Tool("/usr/include/stdio.h", "libc6-dev", "tools of the firmware, native tests"),
)
DEBIAN_PARTS = (
    Tool("mmdebstrap", "mmdebstrap", "fetches Debian packages for the board"),
    Tool("/usr/share/keyrings/debian-archive-keyring.gpg", "debian-archive-keyring",
         "checks Debian's signatures"),
    Tool("dpkg-deb", "dpkg", "unpacks Debian packages"),
    Tool("dpkg-source", "dpkg-dev", "unpacks Debian source packages"),
    Tool("xz", "xz-utils", "unpacks Debian source packages"),
)  # fmt: skip
IMAGE = (
    Tool("/sbin/depmod", "kmod", "orders kernel modules"),
    Tool("cpio", "cpio", "packs the base system"),
    Tool("/sbin/mke2fs", "e2fsprogs", "packs TA, darknetp and data"),
)
FIRMWARE = (Tool("/usr/include/openssl/ssl.h", "libssl-dev", "tools of the firmware"),)
KERNEL = (
    Tool("flex", "flex", "configures the kernel"),
    Tool("bison", "bison", "configures the kernel"),
    Tool("bc", "bc", "builds the kernel"),
)
CARD = (
    Tool("genimage", "genimage", "packs the SD card"),
    Tool("faked-sysv", "fakeroot", "gives the card's files to root"),
    Tool("/sbin/mkfs.vfat", "dosfstools", "packs the SD card"),
    Tool("mcopy", "mtools", "packs the SD card"),
    Tool("bmaptool", "bmap-tools", "maps the card's blocks, writes cards"),
    Tool("fdtput", "device-tree-compiler", "completes device trees"),
)
COMPILERS: dict[Arch, Tool] = {
    "arm64": Tool("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu", "cross compiler"),
    "armhf": Tool("arm-linux-gnueabihf-gcc", "gcc-arm-linux-gnueabihf", "cross compiler"),
}
EMULATORS = {
    "qemu-system-aarch64": Tool("qemu-system-aarch64", "qemu-system-arm", "emulator"),
    "qemu-system-arm": Tool("qemu-system-arm", "qemu-system-arm", "emulator"),
}
FOREIGN = (
    Tool("cmake", "cmake", "builds other applications, --app PATH|URL"),
    Tool("git", "git", "fetches other applications, --app URL"),
)
DEVELOPMENT = (
    Tool("/usr/include/cmocka.h", "libcmocka-dev", "native tests"),
    Tool("/usr/include/stb/stb_image.h", "libstb-dev", "native tests of darknetp"),
    Tool("clang", "clang", "fuzzing"),
    Tool("cmake", "cmake", "tests of --source upstream"),
    Tool("nc", "netcat-openbsd", "tests of --source upstream"),
    Tool("rsync", "rsync", "tests of --source upstream"),
)
# Not every release of Debian and Ubuntu has it for every machine.
OPTIONAL = (Tool("darknet", "darknet", "tests of darknetp against Darknet itself"),)
# To be looked for when clang is there: Ubuntu 22.04's brings it along and knows no such package.
FUZZING = (
    Tool("/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a", "libclang-rt-dev",
         "fuzzing"),
)  # fmt: skip


def tools_for(board: Board, *, emulate: bool, foreign: bool = False) -> list[Tool]:
    """What ``--source debian`` needs for a board, with its emulator if it is to run in one.

    ``foreign``: and for an application that is not ours.
    """
    tools = [*COMMON, *DEBIAN_PARTS]
    tools += [COMPILERS[arch] for arch in sorted({board.arch, board.ta.arch})]
    if board.rootfs is not None:
        tools += IMAGE
    if board.firmware is not None:
        tools += FIRMWARE
    if board.kernel is not None and board.kernel.build is not None:
        tools += KERNEL
    if board.card is not None:
        tools += CARD
    if foreign:
        tools += FOREIGN
    if emulate and board.emulator is not None:
        tools.append(EMULATORS[board.emulator.program])
    return tools


def missing(tools: Iterable[Tool]) -> list[Tool]:
    return [tool for tool in tools if not tool.present()]


def install_argv(tools: Iterable[Tool]) -> list[str]:
    """The one command that installs these tools."""
    packages = sorted({tool.package for tool in tools})
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    return [*sudo, "apt-get", "install", "--yes", "--no-install-recommends", *packages]


def ensure(tools: Iterable[Tool], runner: Runner, ui: Ui, log: Path, install: bool) -> None:
    """Make sure the tools are there: install what is missing when we may, else say how.

    We may when root, when ``install`` (or CI=true), or when the user at the terminal agrees.
    Raises EnvironmentFailed with the command when tools stay missing.
    """
    lacking = missing(tools)
    if not lacking:
        return
    argv = install_argv(lacking)
    names = ", ".join(sorted({tool.package for tool in lacking}))
    ui.say(f"missing on this machine: {names}\n  to be installed by: {quoted(argv)}")
    if not (install or os.geteuid() == 0 or os.environ.get("CI") == "true" or _agreed(ui)):
        raise EnvironmentFailed(
            f"host tools are missing: {names}", hint=f"{quoted(argv)}   (or add --install)"
        )
    with ui.step("installing host tools"):
        _install(argv, runner, log)
    still = missing(lacking)
    if still:
        raise EnvironmentFailed(
            f"still missing after the installation: {', '.join(tool.probe for tool in still)}",
            log=log,
        )


def ensure_optional(
    tools: Iterable[Tool], runner: Runner, ui: Ui, log: Path, install: bool
) -> None:
    """The same for tools that this machine's distribution may not have: then say so, and go on.

    Raises EnvironmentFailed, as :func:`ensure` does, for a tool that it has.
    """
    for tool in missing(tools):
        try:
            ensure([tool], runner, ui, log, install)
        except EnvironmentFailed:
            if _offered(tool, runner):
                raise
            ui.say(f"{tool.package} cannot be had for this machine, so no {tool.purpose}")


def _offered(tool: Tool, runner: Runner) -> bool:
    """Whether the package lists, as of the last update, have the tool's package."""
    try:
        runner.run(["apt-cache", "show", tool.package], what=f"looking for {tool.package}")
    except EnvironmentFailed:
        return False
    return True


def _install(argv: list[str], runner: Runner, log: Path) -> None:
    """Install; when the package lists are missing or old, update them and install again."""
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    apt_get = argv[: argv.index("apt-get") + 1]
    log.unlink(missing_ok=True)

    def run(command: list[str], what: str) -> None:
        runner.run(command, what=what, env=environment, log=log, timeout=INSTALL_DEADLINE_SECONDS)

    try:
        run(argv, "installing host tools")
    except EnvironmentFailed:
        run([*apt_get, "update"], "updating the package lists")
        run(argv, "installing host tools")


def _agreed(ui: Ui) -> bool:
    if not sys.stdin.isatty():
        return False
    return ui.console.input(Text("install them now? [y/N] ")).strip().lower() in {"y", "yes"}
