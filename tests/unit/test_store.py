# SPDX-License-Identifier: MIT
"""The store: equal inputs, no work; whatever interrupts, nothing half-made is trusted."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tzkit.errors import EnvironmentFailed
from tzkit.store import Store, digest_of_tree, write_whole


def write_result(folder: Path) -> None:
    (folder / "result").write_text("made")


def refuse(folder: Path) -> None:
    raise AssertionError("made again")


def test_equal_inputs_are_made_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = store.get("thing", {"a": 1}, write_result)
    again = store.get("thing", {"a": 1}, refuse)
    assert (first.cached, again.cached) == (False, True)
    assert first.path == again.path
    assert (again.path / "result").read_text() == "made"


def test_other_inputs_are_another_entry(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.get("thing", {"a": 1}, write_result).path != store.path("thing", {"a": 2})
    assert not store.get("thing", {"a": 2}, write_result).cached


def test_failure_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def fail(folder: Path) -> None:
        write_result(folder)
        raise EnvironmentFailed("half way")

    with pytest.raises(EnvironmentFailed, match="half way"):
        store.get("thing", {}, fail)
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []
    assert not store.get("thing", {}, write_result).cached


def test_killed_while_making(tmp_path: Path) -> None:
    """kill -9 in the middle: the next run makes it anew, from nothing."""
    program = (
        "import sys, time; from pathlib import Path; from tzkit.store import Store\n"
        "def make(folder):\n"
        "    (folder / 'half').write_text('x'); print('started', flush=True); time.sleep(60)\n"
        "Store(Path(sys.argv[1])).get('thing', {}, make)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE)
    assert child.stdout is not None and child.stdout.readline() == b"started\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    entry = Store(tmp_path).get("thing", {}, write_result)
    assert not entry.cached
    assert [path.name for path in entry.path.iterdir()] == ["result"]


def test_two_at_once_make_it_once(tmp_path: Path) -> None:
    made = []

    def make(folder: Path) -> None:
        made.append(1)
        time.sleep(0.2)
        write_result(folder)

    threads = [
        threading.Thread(target=Store(tmp_path).get, args=("thing", {}, make)) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]


def test_full_disk_is_told(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(EnvironmentFailed, match="No space left") as failed:
        Store(tmp_path).get("thing", {}, fail)
    assert failed.value.hint is not None and "disk is full" in failed.value.hint


def test_old_entries_are_forgotten(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for number in range(6):
        entry = store.get("thing", {"n": number}, write_result)
        os.utime(entry.path, (number, number))
    store.get("thing", {"n": 6}, write_result)
    assert {store.path("thing", {"n": n}).exists() for n in (4, 5, 6)} == {True}
    assert {store.path("thing", {"n": n}).exists() for n in (0, 1, 2, 3)} == {False}


def test_store_may_keep_more(tmp_path: Path) -> None:
    store = Store(tmp_path, kept=5)
    for number in range(6):
        entry = store.get("thing", {"n": number}, write_result)
        os.utime(entry.path, (number, number))
    store.get("thing", {"n": 6}, write_result)
    assert {n for n in range(7) if store.path("thing", {"n": n}).exists()} == {2, 3, 4, 5, 6}


def test_entries_in_use_are_kept(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for number in range(6):
        store.get("thing", {"n": number}, write_result)
    assert all(store.path("thing", {"n": n}).exists() for n in range(6))


def test_tree_digest_sees_content_and_names_not_caches(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("1")
    first = digest_of_tree(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "x.pyc").write_text("x")
    assert digest_of_tree(tmp_path) == first
    (tmp_path / "a.c").write_text("2")
    second = digest_of_tree(tmp_path)
    (tmp_path / "a.c").rename(tmp_path / "b.c")
    assert len({first, second, digest_of_tree(tmp_path)}) == 3


def test_write_whole_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    write_whole(path, "one")
    write_whole(path, b"two")
    assert path.read_text() == "two"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_write_whole_where_a_folder_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(EnvironmentFailed, match="cannot write"):
        write_whole(tmp_path / "file", "x")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
