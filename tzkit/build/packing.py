# SPDX-License-Identifier: MIT
"""Fourth stage of the pipeline: from what was built to the files that a board boots from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tzkit.board import Board
from tzkit.boardfile import Kernel, RootFs
from tzkit.build import card, firmware, image
from tzkit.build.application import RESUME, Application
from tzkit.build.kernel import LinuxImage
from tzkit.datasets import DataFiles
from tzkit.emulator import Image
from tzkit.job import Job, link_latest
from tzkit.parts.debian import Parts
from tzkit.store import Entry, digest_of


@dataclass(frozen=True)
class Made:
    """The entries of the build stage; None for what a board's tables do not ask for."""

    sysroot: Entry
    optee: Entry | None
    firmware: Entry | None
    kernel: LinuxImage | None
    app: Application
    host: Entry


@dataclass(frozen=True)
class Extras:
    """What goes onto a card besides what is built."""

    loader: Parts | None
    ssh_key: Path | None
    folders: tuple[PurePosixPath, ...]


@dataclass(frozen=True)
class Packed:
    """The files, and a key for what of them is there before the application is."""

    image: Image
    system_key: str
    cached: bool


def title(board: Board) -> str:
    """What is made for a board, for people."""
    if board.rootfs is None:
        return "data"
    return "SD card" if board.card is not None else "base system, payload"


def pack(job: Job, made: Made, data: DataFiles, extras: Extras) -> Packed | None:
    """The files the board boots from; None when Debian gives no whole system."""
    board, boot, linux = job.board, made.firmware, made.kernel
    if board.rootfs is None or board.kernel is None or boot is None or linux is None:
        return None
    files = {"firmware": boot.path / firmware.IMAGE, "kernel": linux.path}
    if board.card is not None and board.device_tree is not None:
        tables = card.Tables(board.card, board.device_tree, board.rootfs, board.kernel)
        packed = _card(job, tables, made, data, extras, files, linux.key)
    else:
        packed = _disks(job, board.rootfs, board.kernel, made, data)
    system = {"firmware": boot.key, "kernel": linux.key, "rest": packed.system_key}
    addresses = packed.image.addresses
    return Packed(
        Image({**files, **packed.image.files}, addresses), digest_of(system), packed.cached
    )


def _disks(job: Job, rootfs: RootFs, linux: Kernel, made: Made, data: DataFiles) -> Packed:
    """A base system in memory, and a disk with the rest."""
    modules = {image.BOOT: linux.load}
    machine = job.board.emulator
    if machine is not None and machine.payload is not None:
        modules[image.PAYLOAD_GROUP] = machine.payload.modules
    base = image.build_base(job, rootfs, modules, made.sysroot, made.host)
    payload = image.build_payload(job, made.app, data.folder, data.key)
    files = {"initramfs": base.path / image.BASE, "payload": payload.path / image.PAYLOAD}
    return Packed(Image(files), base.key, base.cached and payload.cached)


def _card(
    job: Job,
    tables: card.Tables,
    made: Made,
    data: DataFiles,
    extras: Extras,
    files: Mapping[str, Path],
    kernel_key: str,
) -> Packed:
    """An SD card, for the real board and the emulated one."""
    initramfs = card.build_initramfs(job, tables.card, made.sysroot)
    contents = card.Contents(
        firmware=files["firmware"],
        kernel=files["kernel"],
        kernel_key=kernel_key,
        initramfs=initramfs.path / image.BASE,
        app=made.app,
        resume=made.host.path / RESUME,
        data=data,
        folders=extras.folders,
        loader=extras.loader,
        authorized_keys=extras.ssh_key,
    )
    packed = card.build_card(job, tables, contents, made.sysroot)
    link_latest(job.out, packed.path / card.IMAGE, packed.path / card.BLOCK_MAP)
    made_files = {
        "initramfs": contents.initramfs,
        "sdcard": packed.path / card.IMAGE,
        "device_tree": packed.path / card.TREE_FOR_EMULATOR,
    }
    return Packed(Image(made_files, tables.card.addresses), packed.key, packed.cached)
