# SPDX-License-Identifier: MIT
"""The normal world's kernel: Debian's, or one built from its source and a list of options."""

from __future__ import annotations

import gzip
import os
import shutil
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
GZIP_MAGIC = b"\x1f\x8b"


def build_kernel(job: Job, kernel: Kernel, parts: Parts, sysroot: Entry) -> Entry:
    """The kernel, ``IMAGE`` in the returned entry."""
    if kernel.build is not None:
        return _compiled(job, kernel.build, parts)
    packed = find(sysroot.path, kernel.image or "")
    inputs = {"image": file_sha256(packed), "plain": kernel.plain}

    def make(destination: Path) -> None:
        if kernel.plain:
            write_whole(destination / IMAGE, _unpacked(packed))
        else:
            shutil.copyfile(packed, destination / IMAGE)

    return job.store.get("kernel", inputs, make)


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


def _unpacked(packed: Path) -> bytes:
    """The plain image of a compressed kernel."""
    content = packed.read_bytes()
    if not content.startswith(GZIP_MAGIC):
        raise EnvironmentFailed(
            f"{packed.name} is not compressed with gzip",
            hint="the board file's [kernel] asks for it plain; Debian may have changed its form",
        )
    return gzip.decompress(content)
