# SPDX-License-Identifier: MIT
"""The SD card of a board: what its loader reads, and the root file system, as one image.

The same image is written to a real card and put into the emulated board's slot. Root owns every
file of it whoever builds it (fakeroot); a block map beside it spares the writing of holes.
"""

from __future__ import annotations

import functools
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tzkit.board import Board
from tzkit.boardfile import Card, DeviceTree, Kernel, RootFs
from tzkit.build import devicetree
from tzkit.build import image as images
from tzkit.build import tree as trees
from tzkit.build.application import RESUME, Application
from tzkit.build.fakeroot import fake_root
from tzkit.build.image import BASE, BOOT, READY_TEXT, put_application
from tzkit.build.tree import (
    PROGRAM_FOLDER,
    copy,
    install_modules,
    install_programs,
    lay_out,
    load_modules,
    pack_cpio,
    write,
)
from tzkit.datasets import DataFiles
from tzkit.job import Job
from tzkit.parts.debian import Parts
from tzkit.parts.sysroot import find
from tzkit.process import Runner
from tzkit.store import Entry, file_sha256, write_whole
from tzkit.templates import render
from tzkit.units import show_size
from tzkit.workspace import Workspace

IMAGE = "sdcard.img"
BLOCK_MAP = f"{IMAGE}.bmap"
TREE_FOR_EMULATOR = "emulator.dtb"
KERNEL_ARGUMENTS = "cmdline.txt"
ROOT, NETWORK = "root", "network"  # groups of modules
FIRST_PARTITION = 1 << 20  # bytes before it: the partition table
ROOT_PARTITION = 2
LAYOUT, PARTS = "genimage.cfg", "parts"  # of genimage, while it works
AUTHORIZED_KEYS = "root/.ssh/authorized_keys"


@dataclass(frozen=True)
class Tables:
    """The tables of a board file that a card needs."""

    card: Card
    device_tree: DeviceTree
    rootfs: RootFs
    kernel: Kernel

    def dump(self) -> dict[str, object]:
        return {name: table.model_dump(mode="json") for name, table in vars(self).items()}


@dataclass(frozen=True)
class Contents:
    """Where the card's files come from."""

    firmware: Path
    kernel: Path
    kernel_key: str
    initramfs: Path
    app: Application
    resume: Path
    data: DataFiles
    folders: tuple[PurePosixPath, ...]  # further ones that the application expects
    loader: Parts | None  # what starts the real board, where it could be had
    authorized_keys: Path | None  # public keys that may log in over SSH

    def digests(self) -> dict[str, object]:
        """What a card depends on."""
        files = [self.firmware, self.initramfs, self.resume, self.app.ta]
        files += [self.app.program, *([self.authorized_keys] if self.authorized_keys else [])]
        return {
            "kernel": self.kernel_key,
            "files": [file_sha256(path) for path in files],
            "names": list(self.app.names),
            "data": [self.data.key, str(self.data.root)],
            "folders": [str(folder) for folder in self.folders],
            "loader": self.loader.binaries_key() if self.loader else None,
        }


def build_initramfs(job: Job, card: Card, sysroot: Entry) -> Entry:
    """What mounts the card's root and goes on there, ``BASE`` in the returned entry."""
    init = render(
        job.workspace.templates, "init-card.j2", load_modules=load_modules(ROOT),
        partition=ROOT_PARTITION,
    )  # fmt: skip
    inputs = {
        "init": init,
        "modules": list(card.modules),
        "sysroot": sysroot.key,
        "code": _code(),
    }

    def make(destination: Path) -> None:
        root = destination / "root"
        lay_out(root)
        copy(find(sysroot.path, "usr/bin/busybox"), root / "usr/bin/busybox", 0o755)
        install_modules({ROOT: card.modules}, sysroot.path, root, job.runner)
        write(root / "init", init, 0o755)
        pack_cpio(root, destination / BASE, job.runner)
        shutil.rmtree(root)

    return job.store.get("initramfs", inputs, make)


def build_card(job: Job, tables: Tables, contents: Contents, sysroot: Entry) -> Entry:
    """``IMAGE``, ``BLOCK_MAP`` and ``TREE_FOR_EMULATOR`` in the returned entry."""
    card = tables.card
    config = render_config(job.workspace, tables)
    init = render_root_init(job.workspace, job.board)
    udhcpc = render(job.workspace.templates, "udhcpc.j2")
    layout = render_layout(job.workspace, card)
    inputs = {
        "texts": [config, init, udhcpc, layout],
        "tables": tables.dump(),
        "emulator": job.board.emulator.model_dump(mode="json") if job.board.emulator else None,
        "contents": contents.digests(),
        "sysroot": sysroot.key,
        "code": _code(),
    }

    def make(destination: Path) -> None:
        log = job.log("card")
        log.unlink(missing_ok=True)
        tree = destination / "tree"
        boot, root = tree / "boot", tree / "root"
        boot.mkdir(parents=True)
        _fill_boot(tables, contents, sysroot.path, boot, job.runner)
        write(boot / Path(card.config).stem, config)
        write(boot / KERNEL_ARGUMENTS, f"{card.kernel_arguments}\n")
        _fill_root(job, tables, contents, sysroot.path, root)
        write(root / "sbin/init", init, 0o755)
        write(root / "usr/share/udhcpc/default.script", udhcpc, 0o755)
        _emulated_tree(job, tables, boot, contents.initramfs, destination / TREE_FOR_EMULATOR)
        write_whole(destination / LAYOUT, layout)
        (destination / PARTS).mkdir()
        run = functools.partial(job.runner.run, log=log, hint=_room(card))
        with fake_root(job.runner, job.log("faked")) as environment:
            run(genimage_argv(destination), what="packing the SD card", env=environment)
        (destination / PARTS / IMAGE).rename(destination / IMAGE)
        run(block_map_argv(destination), what="mapping the blocks of the SD card")
        for name in ("tree", PARTS, "temporary"):
            shutil.rmtree(destination / name, ignore_errors=True)

    return job.store.get("card", inputs, make)


def render_config(workspace: Workspace, tables: Tables) -> str:
    """The loader's configuration."""
    card = tables.card
    addresses = {name: f"{address:#010x}" for name, address in card.addresses.items()}
    return render(
        workspace.templates, card.config, files=card.files, addresses=addresses,
        trees=list(tables.device_tree.files),
    )  # fmt: skip


def render_root_init(workspace: Workspace, board: Board) -> str:
    """First process of the card's own system."""
    return render(
        workspace.templates, "init-root.j2", load_modules=load_modules(BOOT),
        load_network=load_modules(NETWORK), host_name=f"tzkit-{board.name}", ready_text=READY_TEXT,
    )  # fmt: skip


def render_layout(workspace: Workspace, card: Card) -> str:
    """What genimage is told."""
    return render(
        workspace.templates, "genimage.cfg.j2", image=IMAGE, boot_size=card.boot,
        root_size=card.root, first=FIRST_PARTITION,
    )  # fmt: skip


def genimage_argv(folder: Path) -> list[str]:
    """The command that makes the image from the tree in ``folder``, run as if by root."""
    parts = str(folder / PARTS)
    return [
        "genimage", "--config", str(folder / LAYOUT),
        "--rootpath", str(folder / "tree"), "--tmppath", str(folder / "temporary"),
        "--inputpath", parts, "--outputpath", parts,
    ]  # fmt: skip


def block_map_argv(folder: Path) -> list[str]:
    """The command that lists the blocks of the image that hold something."""
    return ["bmaptool", "create", "-o", str(folder / BLOCK_MAP), str(folder / IMAGE)]


def _code() -> list[str]:
    modules = (__file__, trees.__file__, devicetree.__file__, images.__file__)
    return [file_sha256(Path(name or "")) for name in modules]


def _room(card: Card) -> str:
    return (
        f"the card has {show_size(card.boot)} for the loader's files and {show_size(card.root)} "
        "for the root file system; use a smaller data set"
    )


def _fill_boot(
    tables: Tables, contents: Contents, sysroot: Path, boot: Path, runner: Runner
) -> None:
    """What the loader reads: its own files where there are any, then ours."""
    for name, file in tables.card.files.items():
        shutil.copyfile(getattr(contents, name), boot / file)
    devicetree.write_trees(tables.device_tree, sysroot, boot, runner)
    if contents.loader is not None:
        _unpack_loader(tables.card, contents.loader, boot, runner)


def _unpack_loader(card: Card, loader: Parts, boot: Path, runner: Runner) -> None:
    folder = boot.parent / "loader"
    for package in loader.binaries():
        if package.name.startswith(f"{card.loader_package}_"):
            runner.run(["dpkg-deb", "--extract", package, folder], what=f"unpacking {package.name}")
    for pattern in card.loader:
        path = find(folder, pattern)
        shutil.copyfile(path, boot / path.name)
    shutil.rmtree(folder)


def _fill_root(job: Job, tables: Tables, contents: Contents, sysroot: Path, root: Path) -> None:
    """The whole system of the card, our application and the data set in it."""
    lay_out(root)
    install_programs(tables.rootfs, sysroot, root, contents.app.program)
    groups = {ROOT: tables.card.modules, BOOT: tables.kernel.load, NETWORK: tables.card.network}
    install_modules(groups, sysroot, root, job.runner)
    put_application(contents.app, root)
    data = contents.data
    shutil.copytree(data.folder, root / data.root.relative_to("/"), dirs_exist_ok=True)
    for folder in contents.folders:
        (root / folder.relative_to("/")).mkdir(parents=True, exist_ok=True)
    copy(contents.resume, root / PROGRAM_FOLDER / RESUME, 0o755)
    # No password lets anybody in: a key does, or the serial line.
    for name, text in {"passwd": "root:*:0:0:root:/root:/bin/sh", "group": "root:x:0:",
                       "shells": "/bin/sh"}.items():  # fmt: skip
        write(root / "etc" / name, f"{text}\n")
    (root / "root").chmod(0o700)
    (root / "tmp").chmod(0o1777)
    if contents.authorized_keys is not None:
        copy(contents.authorized_keys, root / AUTHORIZED_KEYS, 0o600)
        (root / AUTHORIZED_KEYS).parent.chmod(0o700)


def _emulated_tree(job: Job, tables: Tables, boot: Path, initramfs: Path, made: Path) -> None:
    """The device tree that the emulator hands to Linux in the loader's place."""
    machine = job.board.emulator
    if machine is None:
        return
    shutil.copyfile(boot / tables.device_tree.emulated, made)
    start = tables.card.addresses["initramfs"]
    end = start + initramfs.stat().st_size
    memory = machine.linux_memory or machine.memory
    for argv in devicetree.emulated_argvs(machine, memory, (start, end), str(made)):
        job.runner.run(argv, what="completing the emulator's device tree")
