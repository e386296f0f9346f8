# SPDX-License-Identifier: MIT
"""``make`` in OP-TEE's tree, with our application and its data in the root file system.

The tree's own rules decide what is built again. Around them: toolchains that are of another
download are removed, OP-TEE OS is cleaned when its variables change, data of an earlier build does
not stay. When nothing has changed since a build that ended well, nothing is done.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tzkit.board import Board
from tzkit.datasets import DataFiles
from tzkit.errors import EnvironmentFailed
from tzkit.job import Job, StageStep
from tzkit.process import quoted
from tzkit.store import digest_of
from tzkit.upstream.application import Application, place
from tzkit.upstream.host import environment
from tzkit.upstream.memory import page_table_variable
from tzkit.upstream.tree import Tree, upstream_of

TA_FOLDER = "lib/optee_armtz"
PROGRAM_FOLDER = "usr/bin"
TOOLCHAINS, VARIABLES, DATA, BUILD = "toolchains", "variables", "data", "build"  # notes


@dataclass(frozen=True)
class Built:
    """Where the results are, in the tree."""

    ta: Path
    program: Path
    image: Path


def variables(board: Board, release: str) -> list[str]:
    """The variables of every make command for a board."""
    return [*upstream_of(board).make, page_table_variable(board, release)]


def make_argv(board: Board, release: str, *words: str) -> list[str]:
    """A make command of the tree, to be called in its build folder."""
    return ["make", f"-j{os.cpu_count() or 1}", *variables(board, release), *words]


def build(
    job: Job, tree: Tree, application: Application, data: DataFiles, stage: StageStep
) -> Built:
    """Everything up to the image. Call with the tree locked. Raises EnvironmentFailed."""
    board = job.board
    upstream = upstream_of(board)
    inputs = {
        "variables": variables(board, tree.release),
        "goals": list(upstream.goals),
        "application": application.digest,
        "data": [data.key, str(data.root)],
    }
    wanted = {"board": board.name, "inputs": digest_of(inputs)}
    if tree.note(BUILD) == wanted and (found := _found(board, tree, application)) is not None:
        stage.cached = True
        return found
    tree.forget(BUILD)
    log = job.log("build")
    log.unlink(missing_ok=True)
    _make_toolchains(job, tree, log, stage)
    _clean_optee(job, tree, inputs["variables"], log, stage)
    stage.update("application and data")
    place(application, tree)
    place_data(tree, data)
    stage.update(f"make {' '.join(upstream.goals)}, log: {log}")
    _make(job, tree, make_argv(board, tree.release, *upstream.goals), "building OP-TEE", log)
    found = _found(board, tree, application)
    if found is None:
        raise EnvironmentFailed(
            f"make ended well, but {', '.join(_missing(board, tree, application))} is missing",
            log=log,
        )
    tree.write_note(BUILD, wanted)
    return found


def shown(tree: Tree, argv: Sequence[str]) -> str:
    """A command of the tree as a person would type it."""
    settings = [f"{name}={value}" for name, value in environment().items()]
    return f"cd {shlex.quote(str(tree.build))} && {quoted([*settings, *argv])}"


def _make(job: Job, tree: Tree, argv: Sequence[str], what: str, log: Path) -> None:
    if not tree.build.is_dir():
        raise EnvironmentFailed(
            f"{tree.build} is missing: this is no tree of OP-TEE's build",
            hint=f"remove {tree.root}, then fetch again",
        )
    job.runner.run(argv, what=what, cwd=tree.build, env=environment(), log=log)


def toolchains_argv(board: Board) -> list[str]:
    """The command that downloads the compilers. Two at a time, as the documentation has it."""
    return ["make", "-j2", *upstream_of(board).make, "toolchains"]


def _make_toolchains(job: Job, tree: Tree, log: Path, stage: StageStep) -> None:
    """Download the compilers once. What is half there would be taken for whole by the tree."""
    if tree.note(TOOLCHAINS) is not None:
        return
    stage.update("toolchains")
    shutil.rmtree(tree.root / "toolchains", ignore_errors=True)
    _make(job, tree, toolchains_argv(job.board), "downloading the toolchains", log)
    tree.write_note(TOOLCHAINS, {"release": tree.release})


def _clean_optee(job: Job, tree: Tree, wanted: object, log: Path, stage: StageStep) -> None:
    """Objects of OP-TEE OS do not notice that a variable has changed."""
    note = tree.note(VARIABLES)
    if note is not None and note["variables"] != wanted:
        stage.update("make optee-os-clean")
        argv = make_argv(job.board, tree.release, "optee-os-clean")
        _make(job, tree, argv, "cleaning OP-TEE OS", log)
    tree.write_note(VARIABLES, {"variables": wanted})


def place_data(tree: Tree, data: DataFiles) -> None:
    """Copy the data into the root file system, in place of what an earlier build put there.

    Buildroot never removes what it finds in its target folder.
    """
    for name in (tree.note(DATA) or {}).get("files", ()):
        (tree.target / name).unlink(missing_ok=True)
    files = {
        str(data.root.relative_to("/") / path.relative_to(data.folder)): path
        for path in sorted(data.folder.rglob("*"))
        if path.is_file()
    }
    tree.write_note(DATA, {"files": list(files)})
    _copy(tree.target, files)


def _copy(target: Path, files: Mapping[str, Path]) -> None:
    for name, path in files.items():
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def _found(board: Board, tree: Tree, application: Application) -> Built | None:
    if _missing(board, tree, application):
        return None
    program = next(path for path in _programs(tree, application) if path.is_file())
    image = tree.root / upstream_of(board).image
    return Built(tree.target / TA_FOLDER / application.ta_file, program, image)


def _missing(board: Board, tree: Tree, application: Application) -> list[str]:
    """What a build must have made and has not."""
    wanted = [tree.target / TA_FOLDER / application.ta_file, tree.root / upstream_of(board).image]
    missing = [str(path.relative_to(tree.root)) for path in wanted if not path.is_file()]
    programs = _programs(tree, application)
    if not any(path.is_file() for path in programs):
        missing.append(str(programs[0].relative_to(tree.root)))
    return missing


def _programs(tree: Tree, application: Application) -> list[Path]:
    return [tree.target / PROGRAM_FOLDER / name for name in application.programs]
