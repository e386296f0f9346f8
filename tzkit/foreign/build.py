# SPDX-License-Identifier: MIT
"""A foreign application, built for a board: its TA against the dev kit, its host program by CMake.

Both are made in copies that belong to the store; the user's folder is only read. The copy's header
is rendered with the memory that was decided, everything else of it kept.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tzkit.board import Board
from tzkit.build.application import DARKNETP, Application, Devkit, TaMemory, render_header
from tzkit.build.toolchain import PREFIXES, PROCESSORS, compiler_version
from tzkit.errors import EnvironmentFailed
from tzkit.foreign.header import FLAGS, UUID
from tzkit.foreign.oldc import build_old_c
from tzkit.foreign.shape import HOST_MAKEFILE, ForeignApp
from tzkit.job import Job
from tzkit.store import Entry, copy_tree, digest_of_tree, write_whole
from tzkit.workspace import Workspace

OPTIMISATION = "-O2"  # of the host program; assertions stay in
SOURCE = "source"
OUTPUT = "output"
FACTS = "facts.json"
KEEP_GOING = "--keep-going"  # all that a compiler refuses is to be known at once
# CMake's file API: this file in a build folder makes it describe the targets there.
QUERY, REPLY = ".cmake/api/v1/query/codemodel-v2", ".cmake/api/v1/reply"


@dataclass(frozen=True)
class Facts:
    """What was learnt by building: the program's file, its names, the flags that were needed."""

    file: str
    names: tuple[str, ...]
    flags: tuple[str, ...]


def build(
    job: Job, app: ForeignApp, memory: TaMemory, devkit: Devkit, sysroot: Entry
) -> Application:
    """Both halves, from the store when nothing has changed."""
    sources = digest_of_tree(app.folder)
    ta = _build_ta(job, app, sources, memory, devkit)
    host = _build_host(job, app, sources, sysroot)
    facts = _facts(host.path)
    flags = sorted({*_facts(ta.path).flags, *facts.flags})
    if flags:
        job.ui.detail(f"{app.origin} is old C, built with {' '.join(flags)}")
    return Application(
        ta=ta.path / app.ta_file,
        program=host.path / facts.file,
        names=facts.names,
        cached=ta.cached and host.cached,
    )


def header_for(workspace: Workspace, app: ForeignApp, memory: TaMemory) -> str:
    """Our header with what is the application's own."""
    macros = app.header.macros
    return render_header(
        workspace,
        memory,
        includes=app.header.includes,
        uuid=macros[UUID],
        flags=macros[FLAGS],
        others=app.header.others,
    )


# ---- The trusted application ----


def ta_argv(board: Board, devkit: str, source: str, output: str) -> list[str]:
    """The make command of its trusted application."""
    return [
        "make", "-C", f"{source}/ta", f"-j{os.cpu_count() or 1}", KEEP_GOING,
        f"CROSS_COMPILE={PREFIXES[board.ta.arch]}", f"TA_DEV_KIT_DIR={devkit}",
        f"PYTHON3={sys.executable}", f"O={output}",
    ]  # fmt: skip


def _build_ta(job: Job, app: ForeignApp, sources: str, memory: TaMemory, devkit: Devkit) -> Entry:
    header = header_for(job.workspace, app, memory)
    inputs = {
        "header": header,
        "sources": sources,
        "devkit": devkit.key,
        "compiler": compiler_version(job.board.ta.arch, job.runner),
    }
    log = job.log("app-ta")

    def make(destination: Path) -> None:
        log.unlink(missing_ok=True)
        source, output = destination / SOURCE, destination / OUTPUT
        copy_tree(app.folder, source)
        write_whole(source / app.header_path, header)
        argv = ta_argv(job.board, str(devkit.path), str(source), str(output))

        def compile_ta(flags: tuple[str, ...]) -> None:
            # In the environment: makefiles and dev kit add to it rather than lose theirs.
            env = {"CFLAGS": " ".join(flags)}
            what = f"building the trusted application of {app.origin}"
            job.runner.run(argv, what=what, env=env, log=log)

        flags = build_old_c(compile_ta, log)
        _keep(output / app.ta_file, destination / app.ta_file, log)
        _note(destination, Facts(app.ta_file, (), flags))

    return job.store.get("app-ta", inputs, make)


# ---- The program of the normal world ----


def cmake_argvs(board: Board, sysroot: str, source: str, output: str) -> list[list[str]]:
    """Configuring, without the C flags, and building."""
    return [
        [
            "cmake", "-S", source, "-B", output, "-G", "Unix Makefiles", "-Wno-dev",
            "-DCMAKE_SYSTEM_NAME=Linux",
            f"-DCMAKE_SYSTEM_PROCESSOR={PROCESSORS[board.arch]}",
            f"-DCMAKE_C_COMPILER={PREFIXES[board.arch]}gcc", f"-DCMAKE_SYSROOT={sysroot}",
            "-DCMAKE_FIND_ROOT_PATH_MODE_PROGRAM=NEVER", "-DCMAKE_INSTALL_BINDIR=bin",
            "-DCMAKE_POLICY_VERSION_MINIMUM=3.5",
        ],
        ["cmake", "--build", output, "--parallel", str(os.cpu_count() or 1), "--", KEEP_GOING],
    ]  # fmt: skip


def host_make_argv(board: Board, sysroot: str, source: str) -> list[str]:
    """The command of its own host/Makefile, for where CMake cannot."""
    return [
        "make", "-C", f"{source}/host", f"-j{os.cpu_count() or 1}", KEEP_GOING, "--always-make",
        f"CROSS_COMPILE={PREFIXES[board.arch]}", f"TEEC_EXPORT={sysroot}/usr",
        f"CC={PREFIXES[board.arch]}gcc --sysroot={sysroot}",
    ]  # fmt: skip


def _build_host(job: Job, app: ForeignApp, sources: str, sysroot: Entry) -> Entry:
    inputs = {
        "sources": sources,
        "sysroot": sysroot.key,
        "compiler": compiler_version(job.board.arch, job.runner),
        "optimisation": OPTIMISATION,
    }
    log = job.log("app-host")

    def make(destination: Path) -> None:
        log.unlink(missing_ok=True)
        copy_tree(app.folder, destination / SOURCE)
        root = str(sysroot.path)
        try:
            facts = _by_cmake(job, app, root, destination, log)
        except EnvironmentFailed as error:
            if app.program is None:
                raise
            job.ui.say(f"CMake cannot build {app.origin}; trying its {HOST_MAKEFILE}")
            facts = _by_make(job, app, root, destination, log, error)
        _note(destination, facts)

    return job.store.get("app-host", inputs, make)


def _by_cmake(job: Job, app: ForeignApp, sysroot: str, destination: Path, log: Path) -> Facts:
    source, output = destination / SOURCE, destination / OUTPUT
    write_whole(output / QUERY, "")
    configure, compile_ = cmake_argvs(job.board, sysroot, str(source), str(output))

    def run(flags: tuple[str, ...]) -> None:
        what = f"building {app.origin} by CMake"
        chosen = f"-DCMAKE_C_FLAGS={' '.join((OPTIMISATION, *flags))}"
        job.runner.run([*configure, chosen], what=what, log=log)
        job.runner.run(compile_, what=what, log=log)

    flags = build_old_c(run, log)
    built = installed_program(output)
    names = tuple(dict.fromkeys((built.name, app.program or built.name, DARKNETP)))
    _keep(built, destination / built.name, log)
    return Facts(built.name, names, flags)


def _by_make(
    job: Job, app: ForeignApp, sysroot: str, destination: Path, log: Path, first: EnvironmentFailed
) -> Facts:
    source, name = destination / SOURCE, app.program or ""

    def run(flags: tuple[str, ...]) -> None:
        argv = host_make_argv(job.board, sysroot, str(source))
        env = {"CFLAGS": " ".join((OPTIMISATION, *flags))}
        job.runner.run(argv, what=f"building {app.origin} by {HOST_MAKEFILE}", env=env, log=log)

    try:
        flags = build_old_c(run, log)
    except EnvironmentFailed as error:
        raise EnvironmentFailed(
            f"{first.message}\n{error.message}", hint="the log tells why both failed", log=log
        ) from error
    _keep(source / "host" / name, destination / name, log)
    return Facts(name, tuple(dict.fromkeys((name, DARKNETP))), flags)


def installed_program(output: Path) -> Path:
    """The executable that the project installs, by CMake's own description of its targets.

    A project that installs none may build one. Raises EnvironmentFailed when it is not clear.
    """
    targets = [_read_json(path) for path in sorted((output / REPLY).glob("target-*.json"))]
    programs = [target for target in targets if target["type"] == "EXECUTABLE"]
    chosen = [target for target in programs if "install" in target] or programs
    if len(chosen) != 1:
        names = ", ".join(target["name"] for target in chosen) or "none"
        raise EnvironmentFailed(
            f"one program for the normal world is expected, CMake builds: {names}",
            hint="let CMakeLists.txt install the one that is to be on the board, and no other",
        )
    return output / str(chosen[0]["artifacts"][0]["path"])


# ---- Common ----


def _keep(made: Path, kept: Path, log: Path) -> None:
    """Move the result out of the folders it was made in, and remove those."""
    if not made.is_file():
        raise EnvironmentFailed(f"the build made no {made.name}", log=log)
    made.rename(kept)
    for name in (SOURCE, OUTPUT):
        shutil.rmtree(kept.parent / name, ignore_errors=True)


def _note(destination: Path, facts: Facts) -> None:
    content = {"file": facts.file, "names": facts.names, "flags": facts.flags}
    write_whole(destination / FACTS, json.dumps(content))


def _facts(folder: Path) -> Facts:
    content = _read_json(folder / FACTS)
    return Facts(content["file"], tuple(content["names"]), tuple(content["flags"]))


def _read_json(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded
