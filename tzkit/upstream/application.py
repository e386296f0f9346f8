# SPDX-License-Identifier: MIT
"""Our application, or another, as one of OP-TEE's examples.

Its build picks up every folder of ``optee_examples`` that has a ``CMakeLists.txt``, and every
``ta/Makefile`` below one; no list names them. It copies sources only when they are newer than what
it has, and never removes any: files get the time of the copy, and earlier results are removed.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tzkit.build.application import DARKNETP, HEADER, TA_FILE, TaMemory, render_header
from tzkit.errors import EnvironmentFailed
from tzkit.foreign.build import header_for
from tzkit.foreign.shape import ForeignApp
from tzkit.store import copy_tree, digest_of, digest_of_tree, write_whole
from tzkit.templates import render
from tzkit.upstream.tree import Tree
from tzkit.workspace import Workspace

CMAKE = "CMakeLists.txt"
FOLDERS = ("host", "nn", "ta")
# Debian's libstb-dev; Buildroot shows an example only headers of packages it knows to need.
STB = Path("/usr/include/stb/stb_image.h")
PACKAGE = "optee_examples_ext"
# What CMake installs is what its project is called, in OP-TEE's examples and in darknetz.
_PROJECT = re.compile(r"^\s*project\s*\(\s*([\w.-]+)", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True)
class Application:
    """Something that :func:`place` can put into a tree; ``digest`` is over all it writes.

    ``programs`` are the names its program may have, the likeliest first.
    """

    digest: str
    ta_file: str
    write: Callable[[Path], None]
    programs: tuple[str, ...] = (DARKNETP,)


def own_application(workspace: Workspace, memory: TaMemory) -> Application:
    """Ours, in the shape that OP-TEE's examples have."""
    header = render_header(workspace, memory)
    cmake = render(workspace.templates, f"{CMAKE}.j2", nn_cflags=_nn_cflags(workspace))
    sources = [workspace.root / name for name in FOLDERS]

    def write(destination: Path) -> None:
        for folder in sources:
            copy_tree(folder, destination / folder.name)
        write_whole(destination / CMAKE, cmake)
        write_whole(destination / "ta" / "include" / HEADER, header)
        _copy_stb(destination / "host" / "include" / "stb")

    inputs = {"header": header, "cmake": cmake, "sources": digest_of_tree(*sources)}
    return Application(digest_of(inputs), TA_FILE, write)


def foreign_application(workspace: Workspace, app: ForeignApp, memory: TaMemory) -> Application:
    """Another one, in darknetz's shape, which is that of OP-TEE's examples."""
    header = header_for(workspace, app, memory)
    project = _PROJECT.search((app.folder / CMAKE).read_text(errors="replace"))
    names = (project[1] if project else DARKNETP, app.program or DARKNETP, DARKNETP)

    def write(destination: Path) -> None:
        copy_tree(app.folder, destination)
        write_whole(destination / app.header_path, header)

    inputs = {"header": header, "sources": digest_of_tree(app.folder)}
    return Application(digest_of(inputs), app.ta_file, write, tuple(dict.fromkeys(names)))


def place(application: Application, tree: Tree) -> None:
    """Put it into the tree, all of it new, and remove what earlier ones left behind."""
    _remove_results(tree)
    shutil.rmtree(tree.application, ignore_errors=True)
    application.write(tree.application)


def _remove_results(tree: Tree) -> None:
    """Trusted applications and build folders of the examples; the build makes them again."""
    builds = list(tree.buildroot.glob(f"build/{PACKAGE}-*"))
    names = {path.name for build in builds for path in build.glob("*/ta/out/*.ta")}
    targets = [tree.target, tree.buildroot / "per-package" / PACKAGE / "target"]
    for target in targets:
        for name in names:
            (target / "lib" / "optee_armtz" / name).unlink(missing_ok=True)
    for build in builds:
        shutil.rmtree(build)


def _copy_stb(destination: Path) -> None:
    if not STB.is_file():
        raise EnvironmentFailed(
            f"{STB}, which darknetp reads images with, is missing",
            hint="./inv doctor --source upstream --install",
        )
    destination.mkdir(parents=True)
    shutil.copy(STB, destination / STB.name)


def _nn_cflags(workspace: Workspace) -> str:
    """The flags that keep the arithmetic of both worlds the same, from their one place."""
    makefile = (workspace.root / "nn" / "nn.mk").read_text()
    found = re.search(r"^NN_CFLAGS := (.+)$", makefile, re.MULTILINE)
    if found is None:
        raise RuntimeError("nn/nn.mk sets no NN_CFLAGS")
    return found[1]
