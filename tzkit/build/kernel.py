# SPDX-License-Identifier: MIT
"""The normal world's kernel: Debian's, or one built from its source and a list of options."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from tzkit.boardfile import Arch, Kernel, KernelBuild
from tzkit.build.source import unpack_source
from tzkit.build.toolchain import PREFIXES, compiler_version
from tzkit.errors import EnvironmentFailed
from tzkit.job import Job
from tzkit.parts.debian import Parts
from tzkit.parts.sysroot import find
from tzkit.store import Entry, file_sha256, write_whole

IMAGE = "kernel"
CONFIGURE = "allnoconfig"
# Built in whatever place at whatever time, equal sources are to give equal kernels.
REPRODUCIBLE = (
    "KBUILD_BUILD_TIMESTAMP=1970-01-01", "KBUILD_BUILD_USER=tzkit", "KBUILD_BUILD_HOST=tzkit",
)  # fmt: skip


@dataclass(frozen=True)
class LinuxImage:
    """A kernel: its file, a key for it, and whether it was there before this run."""

    path: Path
    key: str
    cached: bool


def build_kernel(job: Job, kernel: Kernel, parts: Parts, sysroot: Entry) -> LinuxImage:
    """The board's kernel: that of the packages, or one that is built."""
    if kernel.build is not None:
        entry = _compiled(job, kernel.build, parts)
        return LinuxImage(entry.path / IMAGE, entry.key, entry.cached)
    path = find(sysroot.path, kernel.image or "")
    return LinuxImage(path, f"{sysroot.key}/{path.name}", sysroot.cached)


def make_argv(
    build: KernelBuild, arch: Arch, source: str, output: str, goal: str, options: str
) -> list[str]:
    """A make command in the kernel's source tree; ``options`` is the file that lists them."""
    return [
        "make", "-C", source, f"-j{os.cpu_count() or 1}", f"O={output}",
        f"ARCH={build.arch}", f"CROSS_COMPILE={PREFIXES[arch]}", *REPRODUCIBLE,
        f"KCONFIG_ALLCONFIG={options}", goal,
    ]  # fmt: skip


def _compiled(job: Job, build: KernelBuild, parts: Parts) -> Entry:
    runner, log, arch = job.runner, job.log("kernel"), job.board.arch
    source = parts.source(build.source)
    inputs = {
        "build": build.model_dump(mode="json"),
        "source": file_sha256(source),
        "compiler": compiler_version(arch, runner),
    }

    def make(destination: Path) -> None:
        tree, output = destination / "source", destination / "build"
        options = destination / "options"
        log.unlink(missing_ok=True)
        unpack_source(source, tree, runner, log)
        write_whole(options, "".join(f"CONFIG_{name}=y\n" for name in build.options))
        for goal in (CONFIGURE, build.goal):
            argv = make_argv(build, arch, str(tree), str(output), goal, str(options))
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
