# SPDX-License-Identifier: MIT
"""Trees of source packages: unpacked, and changed where a board asks for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from tzkit.errors import EnvironmentFailed
from tzkit.process import Runner


def unpack_source(dsc: Path, tree: Path, runner: Runner, log: Path) -> None:
    """Unpack a source package into ``tree``, Debian's patches applied."""
    runner.run(
        ["dpkg-source", "--no-check", "--extract", dsc, tree],
        what=f"unpacking {dsc.name}",
        log=log,
    )


def set_macros(tree: Path, changes: Mapping[str, Mapping[str, str]]) -> None:
    """Give ``#define``s of C headers other values; each must be defined exactly once.

    ``changes`` maps headers, relative to ``tree``, to macros and values.
    """
    for header, macros in changes.items():
        path = tree / header
        text = path.read_text()
        for name, value in macros.items():
            pattern = re.compile(rf"^(#define\s+{re.escape(name)}\s+)\S.*$", re.MULTILINE)
            text, count = pattern.subn(rf"\g<1>{value}", text)
            if count != 1:
                raise EnvironmentFailed(
                    f"{header} defines {name} {count} times, not once",
                    hint="the board file names it; this version of the source is another",
                )
        path.write_text(text)
