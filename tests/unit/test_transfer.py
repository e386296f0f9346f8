# SPDX-License-Identifier: MIT
"""Files through the console: whole and equal, or an error; never half a file."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
from console_guest import Guest, booted

from tzkit.errors import RequestError, TargetDied
from tzkit.transfer import get_file


@pytest.fixture(scope="module")
def guest_and_shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Guest, object]]:
    with booted(tmp_path_factory.mktemp("guest")) as pair:
        yield pair


@pytest.mark.parametrize("size", [0, 1, 57, 200_000])
def test_a_file_arrives_whole(guest_and_shell: tuple, size: int, tmp_path: Path) -> None:
    there = tmp_path / "a 'file'.weights"
    there.write_bytes(random.Random(size).randbytes(size))
    here = get_file(guest_and_shell[1], PurePosixPath(there), tmp_path / "run")
    assert here == tmp_path / "run" / there.name
    assert here.read_bytes() == there.read_bytes()


def test_a_missing_file_is_named(guest_and_shell: tuple, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"no\.weights.*No such file"):
        get_file(guest_and_shell[1], PurePosixPath(tmp_path / "no.weights"), tmp_path)


def test_a_file_that_does_not_arrive_whole_is_not_kept(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_bytes(b"content")
    with booted(tmp_path / "guest") as (guest, shell):
        guest.program("base64", [("normal", "Y29udGVuZA==\n")])
        with pytest.raises(TargetDied, match="did not arrive whole"):
            get_file(shell, PurePosixPath(there), tmp_path / "run")
    assert not (tmp_path / "run").exists()
