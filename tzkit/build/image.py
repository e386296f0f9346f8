# SPDX-License-Identifier: MIT
"""The base system as an initramfs, and the payload that is handed to it once it runs.

The base holds what does not change while people work on a model: busybox, libraries,
tee-supplicant, xtest, OP-TEE's own trusted applications. TA, darknetp and data travel on a disk
that the guest looks at after boot or after a snapshot was restored, so a changed TA needs neither
a new image nor a boot.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

from tzkit.boardfile import RootFs
from tzkit.build import tree as trees
from tzkit.build.application import DARKNETP, RESUME, Application
from tzkit.build.tree import (
    PROGRAM_FOLDER,
    TA_FOLDER,
    copy,
    install_modules,
    install_programs,
    lay_out,
    libraries,
    load_modules,
    pack_cpio,
    write,
)
from tzkit.job import Job
from tzkit.store import Entry, file_sha256
from tzkit.templates import render
from tzkit.units import show_size
from tzkit.workspace import Workspace

BASE = "initramfs.cpio.gz"
PAYLOAD = "payload.ext4"
PAYLOAD_SIZE = 96 << 20  # of the disk: constant, so that a snapshot fits every payload
PAYLOAD_MOUNT = "/payload"
PAYLOAD_DATA = "data"
READY_TEXT = "tzkit: the system is up"
BOOT, PAYLOAD_GROUP = "boot", "payload"  # inserted by init, and before the payload is mounted


def render_init(workspace: Workspace) -> str:
    """The base system's /init."""
    return render(
        workspace.templates, "init.j2", load_modules=load_modules(BOOT), ready_text=READY_TEXT
    )


def build_base(
    job: Job, rootfs: RootFs, modules: Mapping[str, Collection[str]], sysroot: Entry, host: Entry
) -> Entry:
    """The initramfs, ``BASE`` in the returned entry; ``modules`` are groups of kernel modules."""
    init = render_init(job.workspace)
    resume, darknetp = host.path / RESUME, host.path / DARKNETP
    inputs = {
        "init": init,
        "libraries": sorted(libraries([darknetp], sysroot.path)),
        "rootfs": rootfs.model_dump(mode="json"),
        "modules": {group: list(names) for group, names in modules.items()},
        "sysroot": sysroot.key,
        "resume": file_sha256(resume),
        "code": [file_sha256(Path(module)) for module in (__file__, trees.__file__)],
    }

    def make(destination: Path) -> None:
        root = destination / "root"
        lay_out(root)
        install_programs(rootfs, sysroot.path, root, darknetp)
        install_modules(modules, sysroot.path, root, job.runner)
        copy(resume, root / "usr/bin" / RESUME, 0o755)
        write(root / "init", init, 0o755)
        write(root / "etc/passwd", "root::0:0:root:/root:/bin/sh\n")
        write(root / "etc/group", "root:x:0:\n")
        pack_cpio(root, destination / BASE, job.runner)
        shutil.rmtree(root)

    return job.store.get("base", inputs, make)


def build_payload(job: Job, app: Application, dataset: Path, dataset_key: str) -> Entry:
    """The disk with TA, program and data, ``PAYLOAD`` in the returned entry.

    A file system rather than an archive: mounting takes no time, unpacking thousands of images
    would take seconds under emulation.
    """
    inputs = {
        "ta": [app.ta.name, file_sha256(app.ta)],
        "program": [app.names, file_sha256(app.program)],
        "dataset": dataset_key,
        "code": file_sha256(Path(__file__)),
    }

    def make(destination: Path) -> None:
        tree = destination / "tree"
        shutil.copytree(dataset, tree / PAYLOAD_DATA)
        put_application(app, tree)
        job.runner.run(
            ["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-E",
             "root_owner=0:0", "-d", tree, destination / PAYLOAD, f"{PAYLOAD_SIZE >> 20}M"],
            what=f"packing TA, {app.names[0]} and data",
            hint=f"together they must fit into {show_size(PAYLOAD_SIZE)}; use a smaller data set",
        )  # fmt: skip
        shutil.rmtree(tree)

    return job.store.get("payload", inputs, make)


def put_application(app: Application, root: Path) -> None:
    """Put TA and program where OP-TEE and people look for them, under all their names."""
    copy(app.ta, root / TA_FOLDER / app.ta.name, 0o444)
    copy(app.program, root / PROGRAM_FOLDER / app.names[0], 0o755)
    for name in app.names[1:]:
        (root / PROGRAM_FOLDER / name).symlink_to(app.names[0])
