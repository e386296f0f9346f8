# SPDX-License-Identifier: MIT
"""Where things are: the project, its output and the download cache."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path


@dataclass(frozen=True)
class Workspace:
    """Folders of one checkout."""

    root: Path
    out: Path
    cache: Path

    @classmethod
    def of_checkout(cls) -> Workspace:
        root = Path(__file__).resolve().parent.parent
        return cls(root=root, out=root / "out", cache=user_cache_path("tzkit"))

    @property
    def boards(self) -> Path:
        return self.root / "boards"

    @property
    def templates(self) -> Path:
        return self.root / "templates"

    def board_out(self, board: str) -> Path:
        return self.out / board
