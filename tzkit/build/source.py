# SPDX-License-Identifier: MIT
"""Trees of source packages: unpacked, and changed where a board asks for it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tzkit.boardfile import Edit
from tzkit.errors import EnvironmentFailed
from tzkit.process import Runner


def unpack_source(dsc: Path, tree: Path, runner: Runner, log: Path) -> None:
    """Unpack a source package into ``tree``, Debian's patches applied."""
    runner.run(
        ["dpkg-source", "--no-check", "--no-copy", "--extract", dsc, tree],
        what=f"unpacking {dsc.name}",
        log=log,
    )


def apply_edits(tree: Path, edits: Iterable[Edit]) -> None:
    """Make the changes. Raises EnvironmentFailed when the source is not the one they are for."""
    for edit in edits:
        path = tree / edit.file
        text = path.read_text() if path.is_file() else ""
        count = text.count(edit.old)
        if count != 1:
            raise EnvironmentFailed(
                f"{edit.file} has {edit.old!r} {count} times, not once",
                hint="the board file changes it; this version of the source is another",
            )
        path.write_text(text.replace(edit.old, edit.new))
