# SPDX-License-Identifier: MIT
"""Requests that cannot be: exit 2, a message that names the cure, and nothing done."""

from __future__ import annotations

import pytest
from checkout import Checkout, Ended

WRONG = {
    "unknown board": (
        ("qemu-test", "--board", "qemu_v9"),
        ("there is no board 'qemu_v9'; did you mean 'qemu_v8'?", "./inv boards"),
    ),
    "partition in words": (("qemu-test", "--pp", "all"), ("--pp all", "--pp 4:10")),
    "partition reversed": (("qemu-test", "--pp", "9:4"), ("--pp 9:4", "START:END")),
    "partition negative": (("qemu-test", "--pp=-1:4"), ("--pp -1:4", "START:END")),
    "partition outside": (
        ("qemu-test", "--pp", "4:11"),
        ("--pp 4:11: outside the network, whose layers are 0 to 10", "within 0:10"),
    ),
    "heap in words": (("build", "--ta-heap", "big"), ("--ta-heap: 'big'", "KiB, MiB")),
    "heap of nothing": (("build", "--ta-heap", "0"), ("heap of 0 bytes", "4096")),
    "stack of nothing": (("build", "--ta-stack", "0"), ("stack of 0 bytes", "4096")),
    "heap of odd size": (("build", "--ta-heap", "5000"), ("heap of 5000 bytes", "4096 and 8192")),
    "heap too large": (("build", "--ta-heap", "64M"), ("only 13 MiB of", "12.4 MiB or less")),
    "time in words": (("qemu-test", "--timeout", "soon"), ("--timeout soon", "seconds above 0")),
    "time negative": (("qemu-test", "--timeout=-5"), ("--timeout -5", "seconds above 0")),
    "xtest level": (("qemu-test", "--xtest", "all"), ("--xtest all", "full, smoke, none")),
    "suite": (
        ("qemu-test", "--only", "fly"),
        ("--only fly", "xtest, usage, train, tune, predict, valid"),
    ),
    "contradiction": (
        ("qemu-test", "--only", "xtest", "--xtest", "none"),
        ("contradict",),
    ),
    "data set": (
        ("qemu-test", "--dataset", "faces"),
        ("there is no data set 'faces'", "digits", "dataset.toml"),
    ),
    "source": (("fetch", "--source", "cvs"), ("--source cvs", "debian")),
    "application": (("build", "--app", "nowhere"), ("--app nowhere", "no such folder")),
    "shape of an application": (
        ("qemu-test", "--app", "datasets/digits"),
        ("--app datasets/digits", "CMakeLists.txt is missing", "ta/Makefile is missing"),
    ),
    "commit of an application": (
        ("fetch", "--app", "https://example.org/app#-x"), ("'-x' is no commit", "URL#COMMIT")
    ),
    "bench of an application": (("bench", "--app", "nowhere"), ("--app nowhere", "this project")),
}  # fmt: skip

BROKEN_BOARDS = {
    "no_toml": ('title = "', "title = ", "Invalid"),
    "unknown_key": ('start = "started', 'colour = "red"\nstart = "started', "colour: unknown key"),
    "missing_key": ('heap = "4 MiB"', "", "ta.heap: this key is missing"),
    "odd_size": ('heap = "4 MiB"', 'heap = "lots"', "ta.heap: 'lots' is no size"),
    "too_large": ('heap = "4 MiB"', 'heap = "14 MiB"', "the secure memory leaves 13 MiB"),
}


def assert_refused(checkout: Checkout, ended: Ended, *texts: str) -> None:
    assert ended.status == 2, ended.text
    assert ended.text.startswith("request: "), ended.text
    assert "Traceback" not in ended.text
    assert [text for text in texts if text not in ended.text] == [], ended.text
    left = [path for path in checkout.workspace.out.rglob("*") if path.is_file()]
    assert left == [], "something was built or started"


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout in which nothing has happened."""
    return Checkout(tmp_path_factory.mktemp("untouched"))


@pytest.mark.parametrize("name", WRONG)
def test_wrong_request(untouched: Checkout, name: str) -> None:
    arguments, texts = WRONG[name]
    assert_refused(untouched, untouched.run(*arguments), *texts)


@pytest.mark.parametrize("name", BROKEN_BOARDS)
def test_malformed_board_file(untouched: Checkout, name: str) -> None:
    old, new, text = BROKEN_BOARDS[name]
    board = untouched.derive_board(name, (old, new))
    ended = untouched.run("qemu-test", "--board", board)
    assert_refused(untouched, ended, f"boards/{board}.toml", text, "mend the file")


def test_malformed_data_set(untouched: Checkout) -> None:
    folder = untouched.root / "broken"
    folder.mkdir()
    (folder / "dataset.toml").write_text('root = "here"\ncolour = "red"\n')
    ended = untouched.run("build", "--dataset", str(folder))
    assert_refused(untouched, ended, "broken/dataset.toml", "colour: unknown key", "root", "copy")


@pytest.mark.parametrize(
    ("arguments", "guess"), [(("bords",), "'boards'"), (("build", "--bord", "x"), "'--board'")]
)
def test_misspelt_task_or_flag(untouched: Checkout, arguments: tuple[str, ...], guess: str) -> None:
    ended = untouched.run(*arguments)
    assert ended.status == 2
    assert f"Did you mean {guess}?" in ended.text
    assert "Traceback" not in ended.text


def test_partition_is_not_judged_when_it_is_not_used(untouched: Checkout) -> None:
    ended = untouched.run("qemu-test", "--dry-run", "--only", "usage", "--pp", "4:99")
    assert ended.status == 0, ended.text
