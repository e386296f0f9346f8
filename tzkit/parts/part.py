# SPDX-License-Identifier: MIT
"""The record of one part: what it is, which version, where from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """One thing that was fetched: a file, or a git tree whose ``version`` is its commit.

    A commit is a hash over its content, so ``sha256`` is None for those.
    """

    name: str
    version: str
    sha256: str | None
    origin: str
    file: str
