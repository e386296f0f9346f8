# SPDX-License-Identifier: MIT
"""Applications of other people: what is read in them, and every way in which one is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tzkit import doctor, dryrun
from tzkit.board import load_board
from tzkit.build.application import TaMemory, check_memory
from tzkit.errors import RequestError
from tzkit.foreign.build import header_for
from tzkit.foreign.header import read_header
from tzkit.foreign.makefile import make_variable
from tzkit.foreign.shape import ForeignApp, recognise
from tzkit.pipeline import BuildOptions, check_request
from tzkit.workspace import Workspace

WORKSPACE = Workspace.of_checkout()
BOARD = load_board(WORKSPACE.boards, "qemu_v8")
SHAPED = Path(__file__).parent / "data" / "shaped_app"
HEADER = "ta/include/user_ta_header_defines.h"
MIB = 1 << 20


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the stand-in application that a test may spoil."""
    folder = tmp_path / "app"
    shutil.copytree(SHAPED, folder)
    return folder


def shaped() -> ForeignApp:
    return recognise(SHAPED, "shaped_app")


# ---- What is read ----


def test_the_shape_is_recognised() -> None:
    app = shaped()
    assert app.uuid == "5ba9ed00-57a4-4d1e-8f07-000000000001"
    assert app.ta_file == f"{app.uuid}.ta"
    assert str(app.header_path) == HEADER
    assert app.program == "optee_example_shaped"
    assert app.header.includes == ("<shaped_ta.h>",)


def test_memory_is_what_its_header_asks_for_in_whole_pages() -> None:
    assert shaped().memory(None, None) == TaMemory(stack=4096, heap=MIB)
    assert shaped().memory(8192, None) == TaMemory(stack=8192, heap=MIB)
    assert shaped().memory(None, 2 * MIB) == TaMemory(stack=4096, heap=2 * MIB)


def test_memory_that_does_not_fit_is_refused_with_the_largest_that_does(copy: Path) -> None:
    replace(copy / HEADER, "(1 * 1024 * SHAPED_KIB)", "(64 * 1024 * SHAPED_KIB)")
    memory = recognise(copy, "app").memory(None, None)
    with pytest.raises(RequestError, match=r"heap 64 MiB.* on qemu_v8 only 13 MiB") as refused:
        check_memory(BOARD, memory)
    assert "a heap of 12.5 MiB or less (--ta-heap)" in str(refused.value)


def test_a_size_nobody_can_read_must_be_given(copy: Path) -> None:
    replace(copy / HEADER, "(2 * SHAPED_KIB)", "sizeof(int) * 512")
    app = recognise(copy, "app")
    with pytest.raises(RequestError, match=r"TA_STACK_SIZE is 'sizeof\(int\) \* 512'") as refused:
        app.memory(None, None)
    assert "--ta-stack" in str(refused.value)
    assert app.memory(8192, None).stack == 8192


def test_a_request_is_checked_before_anything_is_built(copy: Path) -> None:
    _, memory = check_request(WORKSPACE, BOARD, BuildOptions(app=str(SHAPED)))
    assert memory == TaMemory(stack=4096, heap=MIB)
    _, memory = check_request(WORKSPACE, BOARD, BuildOptions(app=str(SHAPED), ta_heap=2 * MIB))
    assert memory == TaMemory(stack=4096, heap=2 * MIB)
    replace(copy / HEADER, "(1 * 1024 * SHAPED_KIB)", "(64 * 1024 * SHAPED_KIB)")
    with pytest.raises(RequestError, match="heap 64 MiB"):
        check_request(WORKSPACE, BOARD, BuildOptions(app=str(copy)))


def test_what_is_still_to_be_fetched_is_not_looked_for() -> None:
    url = "https://example.org/app"
    _, memory = check_request(WORKSPACE, BOARD, BuildOptions(app=url))
    assert memory == TaMemory(BOARD.ta.stack, BOARD.ta.heap)


def test_dry_run_shows_how_it_is_fetched_and_built() -> None:
    url = "https://example.org/app#v1"
    fetched = dryrun.fetch_commands(WORKSPACE, BOARD, url)[-1]
    assert fetched.startswith("git clone --quiet --no-checkout https://example.org/app ")
    built = "\n".join(dryrun.build_commands(WORKSPACE, BOARD, url))
    for text in ("/app-ta/source/ta ", "cmake -S ", "-DCMAKE_SYSROOT=", "cmake --build "):
        assert text in built
    assert f"-C {WORKSPACE.root}/ta " not in built  # not our own TA


def test_its_tools_are_asked_for_only_when_it_is_built() -> None:
    ours = set(doctor.tools_for(BOARD, emulate=True))
    tools = set(doctor.tools_for(BOARD, emulate=True, foreign=True)) - ours
    assert {tool.package for tool in tools} == {"cmake", "git"}


def test_the_rendered_header_keeps_what_is_its_own() -> None:
    ours = read_header(header_for(WORKSPACE, shaped(), TaMemory(stack=65536, heap=3 * MIB)))
    theirs = shaped().header
    assert ours.includes == theirs.includes
    assert ours.macros["TA_UUID"] == "TA_SHAPED_UUID"
    assert ours.macros["TA_FLAGS"] == "(TA_FLAG_EXEC_DDR)"
    assert (ours.number("TA_STACK_SIZE"), ours.number("TA_DATA_SIZE")) == (65536, 3 * MIB)
    assert ours.others == theirs.others
    assert set(ours.others) == {"SHAPED_KIB", "TA_CURRENT_TA_EXT_PROPERTIES"}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("#define X (10 * 1024 * 1024)", 10 * MIB),
        ("#define X 0x10000", 0x10000),
        ("#define X ((5 + 1) << 20)", 6 * MIB),
        ("#define X (KIB * 4UL)\n#define KIB 1024 /* bytes */", 4096),
        ("#define X 9 / 2", 4),
        ("#define X /* all */ 4096 // bytes", 4096),
        ("#define X \\\n\t8192", 8192),
        ("#define X size()", None),
        ("#define X Y", None),
        ("#define X X * X", None),
        ("#define X 1 << 1000000000", None),
        ("#define X 1 / 0", None),
        ("#define X", None),
        ("#define OTHER 1", None),
    ],
)
def test_arithmetic_of_macros(text: str, number: int | None) -> None:
    assert read_header(f"{text}\n").number("X") == number


def test_text_that_looks_like_a_comment_stays() -> None:
    macros = read_header('#define URL "http://a/*b*/" /* really */\n').macros
    assert macros == {"URL": '"http://a/*b*/"'}


@pytest.mark.parametrize(
    ("makefile", "value"),
    [
        ("BINARY=abc", "abc"),
        ("BINARY := a-b # why", "a-b"),
        ("ID ?= 1\nBINARY = x$(ID)${ID}", "x11"),
        ("BINARY ?= a\nBINARY ?= b", "a"),
        ("BINARY = a\nBINARY = b", "b"),
        ("BINARY = a\nBINARY += b", "a b"),
        ("override BINARY = \\\n  a", "a"),
        ("BINARY = $(shell date)", "$(shell date)"),
        ("BINARY = $(BINARY)", "$(BINARY)"),
        ("all:\n\tBINARY=x", None),
        ("# BINARY = x", None),
        ("NO_BINARY = x", None),
    ],
)
def test_variables_of_makefiles(makefile: str, value: str | None) -> None:
    assert make_variable(makefile, "BINARY") == value


# ---- What is refused: one broken folder per rule ----


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1, f"{old!r} is not once in {path}"
    path.write_text(text.replace(old, new))


def second_header(folder: Path) -> None:
    shutil.copy(folder / HEADER, folder / "ta")


def host_is_a_file(folder: Path) -> None:
    shutil.rmtree(folder / "host")
    (folder / "host").touch()


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no CMakeLists.txt": (lambda f: (f / "CMakeLists.txt").unlink(), "CMakeLists.txt is missing"),
    "no host": (lambda f: shutil.rmtree(f / "host"), "host/ is missing"),
    "host is a file": (host_is_a_file, "host/ is missing"),
    "no ta/Makefile": (lambda f: (f / "ta/Makefile").unlink(), "ta/Makefile is missing"),
    "no ta/sub.mk": (lambda f: (f / "ta/sub.mk").unlink(), "ta/sub.mk is missing"),
    "no header": (lambda f: (f / HEADER).unlink(), "user_ta_header_defines.h is missing below ta/"),
    "two headers": (second_header, "is there 2 times: ta/include/user_ta_header_defines.h, ta/"),
    "no BINARY": (
        lambda f: replace(f / "ta/Makefile", "BINARY =", "NAME ="),
        "ta/Makefile does not set BINARY",
    ),
    "BINARY is no UUID": (
        lambda f: replace(f / "ta/Makefile", "BINARY = $(UUID)", "BINARY = my_ta"),
        "BINARY is 'my_ta', which is no UUID",
    ),
    "no UUID in the header": (
        lambda f: replace(f / HEADER, "#define TA_UUID", "#define MY_UUID"),
        "does not define TA_UUID",
    ),
    "no flags": (
        lambda f: replace(f / HEADER, "#define TA_FLAGS", "#define FLAGS"),
        "does not define TA_FLAGS",
    ),
    "no stack": (
        lambda f: replace(f / HEADER, "#define TA_STACK_SIZE", "//"),
        "does not define TA_STACK_SIZE",
    ),
    "no heap": (
        lambda f: replace(f / HEADER, "#define TA_DATA_SIZE", "//"),
        "does not define TA_DATA_SIZE",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_another_shape_is_refused(copy: Path, name: str) -> None:
    spoil, text = BROKEN[name]
    spoil(copy)
    with pytest.raises(
        RequestError, match="--app app: not an application in darknetz's shape"
    ) as e:
        recognise(copy, "app")
    lacking = e.value.message.splitlines()[1:]
    assert len(lacking) == 1 and text in lacking[0]


def test_all_that_is_missing_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(RequestError) as refused:
        recognise(tmp_path, "empty")
    assert len(refused.value.message.splitlines()) == 6


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="--app nowhere: there is no such folder"):
        recognise(tmp_path / "nowhere", "nowhere")
