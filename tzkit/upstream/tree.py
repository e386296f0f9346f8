# SPDX-License-Identifier: MIT
"""One tree: of one release and one manifest, never mixed, kept in the download cache.

What is known of a tree is noted in it, each note written when it has become true, so that whatever
interrupts the work, the next run knows where it stands.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from tzkit.board import Board
from tzkit.boardfile import Upstream
from tzkit.errors import RequestError
from tzkit.store import write_whole
from tzkit.ui import Ui
from tzkit.workspace import Workspace

NOTES = ".tzkit"


@dataclass(frozen=True)
class Tree:
    """Folders of the tree, by what OP-TEE's build has in them."""

    root: Path
    release: str
    manifest: str

    @property
    def build(self) -> Path:
        """Where ``make`` is called, and nowhere else."""
        return self.root / "build"

    @property
    def application(self) -> Path:
        return self.root / "optee_examples" / "darknetz"

    @property
    def buildroot(self) -> Path:
        return self.root / "out-br"

    @property
    def target(self) -> Path:
        """The root file system as Buildroot puts it together."""
        return self.buildroot / "target"

    def note(self, name: str) -> Any:
        """What was noted under a name; None when nothing was, or nothing readable."""
        with contextlib.suppress(OSError, ValueError):
            return json.loads(self._note_path(name).read_text())
        return None

    def write_note(self, name: str, content: Mapping[str, Any]) -> None:
        write_whole(self._note_path(name), json.dumps(content, indent=1))

    def forget(self, name: str) -> None:
        self._note_path(name).unlink(missing_ok=True)

    def _note_path(self, name: str) -> Path:
        return self.root / NOTES / f"{name}.json"

    @contextlib.contextmanager
    def locked(self, ui: Ui) -> Iterator[None]:
        """Work in the tree; who comes second waits and is told so."""
        self.root.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.root.parent / f".{self.root.name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            ui.say(f"another run works in {self.root}: waiting for it")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()


def upstream_of(board: Board) -> Upstream:
    """Raises RequestError when OP-TEE's tree knows nothing of the board."""
    if board.upstream is None:
        raise RequestError(
            f"OP-TEE's own tree does not build {board.name}", hint="leave --source upstream away"
        )
    return board.upstream


def tree_of(workspace: Workspace, board: Board, release: str) -> Tree:
    """Where the tree for a board is, or will be."""
    upstream = upstream_of(board)
    root = workspace.cache / "upstream" / release / upstream.name
    return Tree(root, release, upstream.manifest)
