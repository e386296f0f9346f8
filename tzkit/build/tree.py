# SPDX-License-Identifier: MIT
"""Trees of files for the target: programs with their libraries, kernel modules; archives."""

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
from tzkit.parts.sysroot import MODULES, find, find_all, modules_for
from tzkit.process import Runner

TA_FOLDER = "lib/optee_armtz"
PROGRAM_FOLDER = "bin"
MODULE_FOLDER = "/lib/modules"
MODULE_LISTS = "etc/modules"
FOLDERS = (
    "dev", "etc", "media", "payload", "proc", "root", "run", "sys", "tmp",
    "usr/bin", "usr/sbin", "usr/lib/modules", "usr/lib/optee_armtz", "var/lib/tee",
)  # fmt: skip
LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "var/run": "../run"}
EPOCH = 1  # time stamp of every file: equal inputs give equal archives


def load_modules(group: str) -> str:
    """The shell command that inserts a group of modules of the target's tree."""
    return f"while read -r module; do insmod {MODULE_FOLDER}/$module; done </{MODULE_LISTS}.{group}"


def lay_out(root: Path) -> None:
    """The folders and links of an empty system."""
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name, target in LINKS.items():
        (root / name).symlink_to(target)


def install_programs(rootfs: RootFs, sysroot: Path, root: Path, *guests: Path) -> None:
    """What a board file names of the packages, and the libraries it needs.

    ``guests`` are programs that come later, whose libraries are to be there already.
    """
    programs = [find(sysroot, pattern) for pattern in rootfs.programs]
    for program in programs:
        copy(program, root / program.relative_to(sysroot), 0o755)
    for name, library in libraries([*programs, *guests], sysroot).items():
        copy(library, root / "usr/lib" / name, 0o755)
    for pattern in rootfs.trusted_applications:
        for path in find_all(sysroot, pattern):
            copy(path, root / "usr/lib/optee_armtz" / path.name, 0o444)
    for pattern in rootfs.files:
        for path in find_all(sysroot, pattern):
            copy(path, root / path.relative_to(sysroot), 0o644)


def libraries(programs: Iterable[Path], sysroot: Path) -> dict[str, Path]:
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


def install_modules(
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
                write(root / MODULES / name, lzma.decompress(packed.read_bytes()))
                listed.append(name)
        installed.update(listed)
        write(root / f"{MODULE_LISTS}.{group}", "".join(f"{name}\n" for name in listed))


def pack_cpio(root: Path, archive: Path, runner: Runner) -> None:
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
        what=f"packing {archive.name}",
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


def copy(source: Path, destination: Path, mode: int) -> None:
    """Copy a file of the packages; its time and owner stay behind."""
    write(destination, source.read_bytes(), mode)


def write(path: Path, content: str | bytes, mode: int = 0o644) -> None:
    """Write a file of the tree, its folders made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)
