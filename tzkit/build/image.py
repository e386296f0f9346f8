# SPDX-License-Identifier: MIT
"""The base system as an initramfs, and the payload that is handed to it once it runs.

The base holds what does not change while people work on a model: busybox, libraries,
tee-supplicant, xtest, OP-TEE's own trusted applications. TA, darknetp and data travel on a disk
that the guest looks at after boot or after a snapshot was restored, so a changed TA needs neither
a new image nor a boot.
"""

from __future__ import annotations

import gzip
import lzma
import os
import shutil
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import InterpSegment

from tzkit.boardfile import RootFs
from tzkit.build.application import RESUME, Application
from tzkit.job import Job
from tzkit.parts.sysroot import MODULES, find, find_all, modules_for
from tzkit.process import Runner
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
MODULE_FOLDER = "/lib/modules"
MODULE_LISTS = "etc/modules"
BOOT, PAYLOAD_GROUP = "boot", "payload"  # inserted by init, and before the payload is mounted
TA_FOLDER = "lib/optee_armtz"
PROGRAM_FOLDER = "bin"
FOLDERS = (
    "dev", "etc", "media", "payload", "proc", "root", "run", "sys", "tmp",
    "usr/bin", "usr/sbin", "usr/lib/modules", "var/lib/tee",
)  # fmt: skip
LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "var/run": "../run"}
EPOCH = 1  # time stamp of every file: equal inputs give equal archives


def render_init(workspace: Workspace) -> str:
    """The base system's /init."""
    return render(
        workspace.templates, "init.j2", load_modules=load_modules(BOOT), ready_text=READY_TEXT
    )


def load_modules(group: str) -> str:
    """The shell command that inserts a group of modules of the base system."""
    return f"while read -r module; do insmod {MODULE_FOLDER}/$module; done </{MODULE_LISTS}.{group}"


def build_base(
    job: Job, rootfs: RootFs, modules: Mapping[str, Collection[str]], sysroot: Entry, host: Entry
) -> Entry:
    """The initramfs, ``BASE`` in the returned entry; ``modules`` are groups of kernel modules."""
    init = render_init(job.workspace)
    resume = host.path / RESUME
    inputs = {
        "init": init,
        "rootfs": rootfs.model_dump(mode="json"),
        "modules": {group: list(names) for group, names in modules.items()},
        "sysroot": sysroot.key,
        "resume": file_sha256(resume),
        "code": file_sha256(Path(__file__)),
    }

    def make(destination: Path) -> None:
        root = destination / "root"
        _lay_out(root)
        _install_programs(rootfs, sysroot.path, root)
        _install_modules(modules, sysroot.path, root, job.runner)
        _copy(resume, root / "usr/bin" / RESUME, 0o755)
        _write(root / "init", init, 0o755)
        _write(root / "etc/passwd", "root::0:0:root:/root:/bin/sh\n")
        _write(root / "etc/group", "root:x:0:\n")
        _pack(root, destination / BASE, job.runner)
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
        _copy(app.ta, tree / TA_FOLDER / app.ta.name, 0o444)
        _copy(app.program, tree / PROGRAM_FOLDER / app.names[0], 0o755)
        for name in app.names[1:]:
            (tree / PROGRAM_FOLDER / name).symlink_to(app.names[0])
        job.runner.run(
            ["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-E",
             "root_owner=0:0", "-d", tree, destination / PAYLOAD, f"{PAYLOAD_SIZE >> 20}M"],
            what=f"packing TA, {app.names[0]} and data",
            hint=f"together they must fit into {show_size(PAYLOAD_SIZE)}; use a smaller data set",
        )  # fmt: skip
        shutil.rmtree(tree)

    return job.store.get("payload", inputs, make)


def _lay_out(root: Path) -> None:
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name, target in LINKS.items():
        (root / name).symlink_to(target)


def _install_programs(rootfs: RootFs, sysroot: Path, root: Path) -> None:
    programs = [find(sysroot, pattern) for pattern in rootfs.programs]
    for program in programs:
        _copy(program, root / program.relative_to(sysroot), 0o755)
    for name, library in _libraries(programs, sysroot).items():
        _copy(library, root / "usr/lib" / name, 0o755)
    for pattern in rootfs.trusted_applications:
        for path in find_all(sysroot, pattern):
            _copy(path, root / "usr/lib/optee_armtz" / path.name, 0o444)
    for pattern in rootfs.files:
        for path in find_all(sysroot, pattern):
            _copy(path, root / path.relative_to(sysroot), 0o644)


def _libraries(programs: Iterable[Path], sysroot: Path) -> dict[str, Path]:
    """The shared libraries these programs need, and those need, by name."""
    found: dict[str, Path] = {}
    waiting = list(programs)
    while waiting:
        for name in _needed(waiting.pop()):
            if name not in found:
                found[name] = find(sysroot, f"usr/lib/*-linux-gnu*/{name}")
                waiting.append(found[name])
    return found


def _needed(path: Path) -> list[str]:
    """Names of the libraries an ELF file asks for, its loader included."""
    with path.open("rb") as stream:
        elf = ELFFile(stream)
        names = [
            tag.needed  # type: ignore[attr-defined]  # pyelftools names it at run time
            for section in elf.iter_sections()
            if isinstance(section, DynamicSection)
            for tag in section.iter_tags("DT_NEEDED")
        ]
        for segment in elf.iter_segments():
            if isinstance(segment, InterpSegment):
                names.append(Path(segment.get_interp_name()).name)
    return names


def _install_modules(
    groups: Mapping[str, Collection[str]], sysroot: Path, root: Path, runner: Runner
) -> None:
    """Kernel modules, unpacked (busybox's insmod reads no xz), and a list for each group.

    A list holds what the group needs and no group before it has, in order.
    """
    installed: set[str] = set()
    for group, names in groups.items():
        listed = []
        for packed in modules_for(sysroot, names, runner):
            name = packed.name.removesuffix(".xz")
            if name not in installed:
                _write(root / MODULES / name, lzma.decompress(packed.read_bytes()))
                listed.append(name)
        installed.update(listed)
        _write(root / f"{MODULE_LISTS}.{group}", "".join(f"{name}\n" for name in listed))


def _pack(root: Path, archive: Path, runner: Runner) -> None:
    """newc cpio, gzip'ed, all owned by root, equal bytes for equal content."""
    for path in [root, *root.rglob("*")]:
        os.utime(path, (EPOCH, EPOCH), follow_symlinks=False)
    listing = archive.with_suffix(".list")
    names = sorted(str(path.relative_to(root)) for path in root.rglob("*"))
    listing.write_text("".join(f"{name}\n" for name in names))
    plain = archive.with_suffix("")
    runner.run(
        ["cpio", "--create", "--quiet", "--format=newc", "--reproducible", "--owner=+0:+0",
         f"--directory={root}", f"--file={plain}"],
        what="packing the base system",
        stdin=listing,
    )  # fmt: skip
    with (
        plain.open("rb") as source,
        archive.open("wb") as target,
        gzip.GzipFile("", "wb", compresslevel=1, fileobj=target, mtime=EPOCH) as packed,
    ):
        shutil.copyfileobj(source, packed)
    plain.unlink()
    listing.unlink()


def _copy(source: Path, destination: Path, mode: int) -> None:
    _write(destination, source.read_bytes(), mode)


def _write(path: Path, content: str | bytes, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)
