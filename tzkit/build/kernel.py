# SPDX-License-Identifier: MIT
"""The normal world's kernel: Debian's, or one built from its source and a list of options."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

from tzkit.boardfile import Arch, Kernel, KernelBuild
from tzkit.build.toolchain import PREFIXES, compiler_version
from tzkit.errors import EnvironmentFailed
from tzkit.job import Job
from tzkit.parts.sysroot import find
from tzkit.store import Entry, file_sha256, write_whole

IMAGE = "kernel"
GZIP_MAGIC = b"\x1f\x8b"


def build_kernel(job: Job, kernel: Kernel, sysroot: Entry) -> Entry:
    """The kernel, ``IMAGE`` in the returned entry."""
    if kernel.build is not None:
        return _compiled(job, kernel.build, sysroot.path)
    packed = find(sysroot.path, kernel.image or "")
    inputs = {"image": file_sha256(packed), "plain": kernel.plain}

    def make(destination: Path) -> None:
        if kernel.plain:
            write_whole(destination / IMAGE, _unpacked(packed))
        else:
            shutil.copyfile(packed, destination / IMAGE)

    return job.store.get("kernel", inputs, make)


def make_argv(
    build: KernelBuild, arch: Arch, source: str, output: str, *goals: str, options: str = ""
) -> list[str]:
    """A make command in the kernel's source tree."""
    chosen = [f"KCONFIG_ALLCONFIG={options}"] if options else []
    return [
        "make", "-C", source, f"-j{os.cpu_count() or 1}", f"O={output}",
        f"ARCH={build.arch}", f"CROSS_COMPILE={PREFIXES[arch]}", *chosen, *goals,
    ]  # fmt: skip


def _compiled(job: Job, build: KernelBuild, sysroot: Path) -> Entry:
    runner, log, arch = job.runner, job.log("kernel"), job.board.arch
    archive = find(sysroot, build.archive)
    inputs = {
        "build": build.model_dump(mode="json"),
        "archive": file_sha256(archive),
        "compiler": compiler_version(arch, runner),
    }

    def make(destination: Path) -> None:
        tree, output = destination / "source", destination / "build"
        options = destination / "options"
        log.unlink(missing_ok=True)
        tree.mkdir()
        runner.run(
            ["tar", "-x", "-f", archive, "-C", tree, "--strip-components=1"],
            what=f"unpacking {archive.name}",
            log=log,
        )
        write_whole(options, "".join(f"CONFIG_{name}=y\n" for name in build.options))
        for goals in (("allnoconfig",), (build.goal,)):
            argv = make_argv(build, arch, str(tree), str(output), *goals, options=str(options))
            runner.run(argv, what="building the kernel", log=log)
        _check_options(build, output / ".config")
        (output / build.output).rename(destination / IMAGE)
        for folder in (tree, output):
            shutil.rmtree(folder)

    return job.store.get("kernel", inputs, make)


def _check_options(build: KernelBuild, config: Path) -> None:
    """An option whose dependencies are missing is dropped by Kconfig without a word."""
    have = set(config.read_text().splitlines())
    dropped = [name for name in build.options if f"CONFIG_{name}=y" not in have]
    if dropped:
        raise EnvironmentFailed(
            f"the kernel's configuration dropped {', '.join(dropped)}",
            hint="the board file's [kernel.build] options lack what these depend on",
        )


def _unpacked(packed: Path) -> bytes:
    """The plain image of a compressed kernel."""
    content = packed.read_bytes()
    if not content.startswith(GZIP_MAGIC):
        raise EnvironmentFailed(
            f"{packed.name} is not compressed with gzip",
            hint="the board file's [kernel] asks for it plain; Debian may have changed its form",
        )
    return gzip.decompress(content)
