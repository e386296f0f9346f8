# SPDX-License-Identifier: MIT
"""A network file whose training ends soon, for applications that know no ``-iterations``.

Darknet trains for ``max_batches`` batches, ten thousand of them in most files. The copy differs
from its original in the keys of ``[net]`` given here, and in nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

_SECTION = re.compile(r"^\s*\[")
SUFFIX = "_short"


def short_keys(iterations: int, batch: int | None) -> dict[str, str]:
    """``[net]`` for that many iterations; ``batch`` images each (None: as the file says).

    The rate stays what it is: policies that reach zero at max_batches would not learn at all.
    """
    keys = {"max_batches": str(iterations), "policy": "constant"}
    return keys if batch is None else {**keys, "batch": str(batch), "subdivisions": "1"}


def short_name(network_cfg: PurePosixPath) -> PurePosixPath:
    """What the copy is called, beside its original."""
    return network_cfg.with_name(f"{network_cfg.stem}{SUFFIX}{network_cfg.suffix}")


def write_short(tree: Path, network_cfg: PurePosixPath, keys: Mapping[str, str]) -> None:
    """Write the copy beside the original, which is below ``tree``."""
    text = (tree / network_cfg).read_text(encoding="utf-8", errors="surrogateescape")
    changed = with_net_keys(text, keys)
    copy = tree / short_name(network_cfg)
    copy.write_text(changed, encoding="utf-8", errors="surrogateescape")


def with_net_keys(text: str, keys: Mapping[str, str]) -> str:
    """The network file with these keys in its first section, instead of those it has there."""
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if _SECTION.match(line)]
    if not starts:
        return text
    first, end = starts[0] + 1, (starts[1:] or [len(lines)])[0]
    kept = [line for line in lines[first:end] if line.partition("=")[0].strip() not in keys]
    set_ = [f"{key}={value}" for key, value in keys.items()]
    return "".join(f"{line}\n" for line in [*lines[:first], *set_, *kept, *lines[end:]])
