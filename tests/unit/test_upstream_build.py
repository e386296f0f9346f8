# SPDX-License-Identifier: MIT
"""What is put into OP-TEE's tree and removed from it around ``make``; the tree is a stand-in."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import pytest
from upstream_tree import Work, worker

from tzkit.build.application import TaMemory
from tzkit.datasets import DataFiles
from tzkit.errors import EnvironmentFailed
from tzkit.foreign.shape import ForeignApp, recognise
from tzkit.upstream import application, build
from tzkit.upstream.application import Application, foreign_application, own_application
from tzkit.upstream.tree import Tree
from tzkit.workspace import Workspace

WORKSPACE = Workspace.of_checkout()
MEMORY = TaMemory(65536, 4 << 20)
TA = "0.ta"


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    """A fetched tree of a board whose stand-in builds nothing but an empty image."""
    work = worker(tmp_path, monkeypatch)("hikey")
    work.fetch()
    return work


def data(folder: Path, *names: str) -> DataFiles:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return DataFiles(folder, PurePosixPath("/root"), " ".join(names))


def write(destination: Path) -> None:
    destination.mkdir()
    (destination / "CMakeLists.txt").touch()


def make(work: Work, folder: Path, digest: str = "1") -> bool:
    """Build; whether that was cached."""
    stage = work.stage()
    build.build(work.job, work.tree, Application(digest, TA, write), data(folder, "a"), stage)
    return stage.cached


def results(tree: Tree) -> None:
    """What the examples' package would have installed."""
    for name in (f"lib/optee_armtz/{TA}", "usr/bin/darknetp"):
        (tree.target / name).parent.mkdir(parents=True, exist_ok=True)
        (tree.target / name).touch()


def commands(work: Work) -> list[str]:
    lines = (work.job.folder / "commands.log").read_text().splitlines()
    found = [re.search(r"\$ (make.*)", line) for line in lines]
    return [re.sub(r" -j\d+", "", match[1]) for match in found if match]


def test_make_that_ends_well_without_results_is_a_failure(work: Work, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailed, match=r"out-br/target/lib/optee_armtz/0\.ta, .*darknetp"):
        make(work, tmp_path / "data")
    assert work.tree.note(build.BUILD) is None


def test_half_a_toolchain_is_removed_and_a_whole_one_kept(work: Work, tmp_path: Path) -> None:
    results(work.tree)
    half = work.tree.root / "toolchains" / "aarch64" / "half"
    half.parent.mkdir(parents=True)
    half.touch()
    (work.control / "toolchains-fails").write_text("<html>404</html>\n")
    with pytest.raises(EnvironmentFailed, match="404"):
        make(work, tmp_path / "data")
    assert not half.exists()
    assert work.tree.note(build.TOOLCHAINS) is None
    make(work, tmp_path / "data")
    half.touch()
    make(work, tmp_path / "data", digest="2")
    assert half.exists()


def test_unchanged_is_not_built_again(work: Work, tmp_path: Path) -> None:
    results(work.tree)
    assert not make(work, tmp_path / "data")
    ran = len(commands(work))
    assert make(work, tmp_path / "data")
    assert len(commands(work)) == ran
    assert not make(work, tmp_path / "data", digest="2")


def test_missing_result_is_built_again(work: Work, tmp_path: Path) -> None:
    results(work.tree)
    make(work, tmp_path / "data")
    (work.tree.root / "out/boot-fat.uefi.img").unlink()
    assert not make(work, tmp_path / "data")


def test_failed_build_makes_the_one_before_it_void(work: Work, tmp_path: Path) -> None:
    """The tree holds the application that did not compile."""
    results(work.tree)
    make(work, tmp_path / "data")
    (work.control / "build-fails").write_text("error: expected ';'\n")
    with pytest.raises(EnvironmentFailed, match="expected ';'"):
        make(work, tmp_path / "data", digest="2")
    assert not make(work, tmp_path / "data")


def test_other_variables_clean_optee_first(work: Work, tmp_path: Path) -> None:
    results(work.tree)
    make(work, tmp_path / "data")
    ta = work.job.board.ta.model_copy(update={"page_table_entries": 20})
    work.job.board = work.job.board.model_copy(update={"ta": ta})
    make(work, tmp_path / "data")
    assert commands(work) == [
        "make toolchains",
        "make CFG_PGT_CACHE_ENTRIES=16 all",
        "make CFG_PGT_CACHE_ENTRIES=20 optee-os-clean",
        "make CFG_PGT_CACHE_ENTRIES=20 all",
    ]


def test_no_tree(work: Work, tmp_path: Path) -> None:
    work.tree.build.rename(tmp_path / "gone")
    with pytest.raises(EnvironmentFailed, match="no tree of OP-TEE's build"):
        make(work, tmp_path / "data")


def test_configure_scripts_of_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert build.environment() == {"FORCE_UNSAFE_CONFIGURE": "1"}
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert build.environment() == {}


# ---- What is put there ----


def test_data_replaces_earlier_data_and_nothing_else(work: Work, tmp_path: Path) -> None:
    other = work.tree.target / "root" / "other"
    other.parent.mkdir(parents=True)
    other.touch()
    build.place_data(work.tree, data(tmp_path / "one", "old", "sub/both"))
    build.place_data(work.tree, data(tmp_path / "two", "new", "sub/both"))
    placed = {str(path.relative_to(work.tree.target)) for path in work.tree.target.rglob("*")
              if path.is_file()}  # fmt: skip
    assert placed == {"root/other", "root/new", "root/sub/both"}


def test_results_of_earlier_applications_go(work: Work) -> None:
    example = work.tree.buildroot / "build/optee_examples_ext-1.0"
    package = work.tree.buildroot / "per-package/optee_examples_ext/target"
    places = [example / "old/ta/out", *(
        root / "lib/optee_armtz" for root in (package, work.tree.target)
    )]  # fmt: skip
    for place in places:
        place.mkdir(parents=True)
        (place / "old.ta").touch()
    xtest = work.tree.target / "lib/optee_armtz/xtest.ta"
    xtest.touch()
    application.place(Application("1", TA, write), work.tree)
    assert not any((place / "old.ta").exists() for place in places)
    assert xtest.exists() and not example.exists()
    assert (work.tree.application / "CMakeLists.txt").exists()


def test_our_application_has_the_shape_of_an_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stb = tmp_path / "stb_image.h"
    stb.touch()
    monkeypatch.setattr(application, "STB", stb)
    own_application(WORKSPACE, MEMORY).write(tmp_path / "app")
    written = {str(path.relative_to(tmp_path / "app")) for path in (tmp_path / "app").rglob("*")}
    assert written >= {
        "CMakeLists.txt", "host/main.c", "host/include/stb/stb_image.h", "nn/nn.c", "ta/Makefile",
        "ta/sub.mk", "ta/include/darknetp_ta.h", "ta/include/user_ta_header_defines.h",
    }  # fmt: skip
    flags = re.search(r"NN_CFLAGS := (.*)", (WORKSPACE.root / "nn/nn.mk").read_text())
    assert flags is not None and flags[1] in (tmp_path / "app/CMakeLists.txt").read_text()


def foreign(folder: Path, project: str) -> ForeignApp:
    """An application in darknetz's shape."""
    files = {
        "CMakeLists.txt": f"cmake_minimum_required(VERSION 3.5)\nproject ({project} C)\n",
        "host/main.c": "",
        "ta/Makefile": "BINARY=11111111-2222-3333-4444-555555555555\n",
        "ta/sub.mk": "",
        "ta/deep/user_ta_header_defines.h": "#include <their_ta.h>\n#define TA_UUID THEIRS\n"
        "#define TA_FLAGS 0\n#define TA_STACK_SIZE (2 * 1024)\n#define TA_DATA_SIZE 8192\n",
        ".git/config": "",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return recognise(folder, "theirs")


def test_other_application_keeps_its_uuid_and_gets_our_memory(tmp_path: Path) -> None:
    app = foreign(tmp_path / "theirs", "networkp")
    made = foreign_application(WORKSPACE, app, MEMORY)
    made.write(tmp_path / "app")
    header = (tmp_path / "app/ta/deep/user_ta_header_defines.h").read_text()
    assert "#include <their_ta.h>" in header and "THEIRS" in header and str(4 << 20) in header
    assert made.ta_file == "11111111-2222-3333-4444-555555555555.ta"
    assert made.programs == ("networkp", "darknetp")
    assert not (tmp_path / "app/.git").exists()


def test_no_image_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "STB", tmp_path / "none.h")
    with pytest.raises(EnvironmentFailed, match=r"none\.h.*is missing"):
        own_application(WORKSPACE, MEMORY).write(tmp_path / "app")


def test_memory_is_part_of_the_digest() -> None:
    digests = {own_application(WORKSPACE, TaMemory(65536, size << 20)).digest for size in (3, 4)}
    assert len(digests) == 2
