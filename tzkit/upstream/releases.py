# SPDX-License-Identifier: MIT
"""OP-TEE's releases: a branch of that name exists in its manifest repository."""

from __future__ import annotations

import re

from tzkit.errors import RequestError

RELEASES = (
    "4.10.0", "4.9.0", "4.8.0", "4.7.0", "4.6.0", "4.5.0", "4.4.0", "4.3.0", "4.2.0", "4.1.0",
    "4.0.0", "3.22.0",
)  # fmt: skip
NEWEST = RELEASES[0]

PORT_VARIABLES = (4, 2)  # QEMU_NW_PORT and QEMU_SW_PORT
PAGE_TABLE_VARIABLE = (4, 3)  # CFG_PGT_CACHE_ENTRIES
STRICT_COMPILER = (4, 9)  # gcc 14: what old C takes for granted is an error


def check_release(name: str) -> None:
    """Raises RequestError for a release that is not known, with the nearest."""
    if name in RELEASES:
        return
    nearest = f"; the nearest is {_nearest(name)}" if re.match(r"\d", name) else ""
    raise RequestError(
        f"--release {name}: not a release of OP-TEE that is known here{nearest}",
        hint=f"releases known: {', '.join(RELEASES)}",
    )


def _nearest(name: str) -> str:
    """By the first two numbers, so that 4.11 is nearer to 4.10.0 than to 4.1.0."""
    major, minor = ([int(digits) for digits in re.findall(r"\d+", name)] + [0, 0])[:2]

    def distance(release: str) -> tuple[int, int]:
        known = release.split(".")
        return abs(int(known[0]) - major), abs(int(known[1]) - minor)

    return min(RELEASES, key=distance)


def since(release: str, version: tuple[int, int]) -> bool:
    """Whether a release is of this version or later."""
    major, minor, _ = release.split(".")
    return (int(major), int(minor)) >= version
