# SPDX-License-Identifier: MIT
"""Results of stages, kept by the content of their inputs.

An entry is a folder ``NAME-KEY``; KEY is a hash over everything the result depends on. It is made
under a temporary name and renamed when whole, so that whatever interrupts a stage, the next run
never meets half a result. Unchanged inputs: the entry is there, nothing is done.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from tzkit.errors import DISK_FULL, EnvironmentFailed

KEPT_PER_NAME = 3
IN_USE_SECONDS = 3600.0  # since a run asked for an entry
KEY_DIGITS = 16
MAKING = ".making-"
DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO}


@dataclass(frozen=True)
class Entry:
    """A finished folder of the store; ``cached`` when it was there before this run."""

    path: Path
    key: str
    cached: bool


class Store:
    """The entries below one folder; of each name the last ``kept`` stay."""

    def __init__(self, root: Path, kept: int = KEPT_PER_NAME) -> None:
        self.root = root
        self._kept = kept

    def path(self, name: str, inputs: Mapping[str, Any]) -> Path:
        """Where the entry for these inputs is or will be."""
        return self.root / f"{name}-{digest_of(inputs)[:KEY_DIGITS]}"

    def get(self, name: str, inputs: Mapping[str, Any], make: Callable[[Path], None]) -> Entry:
        """The entry for these inputs, made by ``make(folder)`` when there is none."""
        final = self.path(name, inputs)
        key = digest_of(inputs)
        if final.is_dir():
            os.utime(final)
            return Entry(final, key, cached=True)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with FileLock(self.root / f".{final.name}.lock"):
                if final.is_dir():
                    return Entry(final, key, cached=True)
                self._make(name, final, make)
        except OSError as error:
            raise cannot_write(error, final) from error
        return Entry(final, key, cached=False)

    def _make(self, name: str, final: Path, make: Callable[[Path], None]) -> None:
        for stale in self.root.glob(f"{MAKING}{final.name}*"):
            shutil.rmtree(stale, ignore_errors=True)
        # What a killed run has left behind may write on for a moment: never into this folder.
        making = self.root / f"{MAKING}{final.name}.{os.getpid()}"
        making.mkdir()
        try:
            make(making)
        except BaseException:
            shutil.rmtree(making, ignore_errors=True)
            raise
        os.utime(making)  # what was unpacked into it may have set an old time
        making.rename(final)
        self._prune(name)

    def _prune(self, name: str) -> None:
        """Forget results of this name, but the last few and those that a run may still use."""
        length = len(name) + 1 + KEY_DIGITS
        used = {p: p.stat().st_mtime for p in self.root.glob(f"{name}-*") if len(p.name) == length}
        oldest = time.time() - IN_USE_SECONDS
        for path in sorted(used, key=used.__getitem__, reverse=True)[self._kept :]:
            if used[path] < oldest:
                doomed = path.with_name(f"{MAKING}{path.name}")
                path.rename(doomed)
                shutil.rmtree(doomed, ignore_errors=True)

    def drop(self, entry: Entry) -> None:
        """Throw an entry away that proved to be unusable."""
        shutil.rmtree(entry.path, ignore_errors=True)


def digest_of(inputs: Mapping[str, Any]) -> str:
    """SHA-256 over the inputs; they must be plain JSON values."""
    text = json.dumps(inputs, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def digest_of_files(root: Path, paths: Iterable[Path]) -> str:
    """SHA-256 over names (relative to ``root``), modes and contents of files."""
    total = hashlib.sha256()
    for path in sorted(paths):
        executable = os.access(path, os.X_OK)
        total.update(f"{path.relative_to(root)}\0{executable}\0{file_sha256(path)}\n".encode())
    return total.hexdigest()


def digest_of_tree(*roots: Path) -> str:
    """SHA-256 over all regular files below folders, hidden and cache files left out."""
    total = hashlib.sha256()
    for root in roots:
        total.update(f"{root.name}:{digest_of_files(root, files_of_tree(root))}\n".encode())
    return total.hexdigest()


def files_of_tree(root: Path) -> list[Path]:
    """All regular files below a folder, hidden and cache files left out."""
    return [
        path
        for path in root.rglob("*")
        if path.is_file()
        and not any(part.startswith((".", "__")) for part in path.relative_to(root).parts)
    ]


def copy_tree(root: Path, destination: Path) -> None:
    """Copy what :func:`digest_of_tree` counts: no version control's data, no times."""
    for path in files_of_tree(root):
        copied = destination / path.relative_to(root)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copied)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def write_whole(path: Path, data: str | bytes) -> None:
    """Write a file whole or not at all (temporary name, then rename)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise cannot_write(error, path) from error


def disk_error(error: OSError) -> EnvironmentFailed | None:
    """The error in words if it is about room or permission to write, else None."""
    if error.errno not in DISK_ERRORS:
        return None
    return cannot_write(error, Path(error.filename or "a log"))


def cannot_write(error: OSError, path: Path) -> EnvironmentFailed:
    """An operating system's refusal, in words."""
    hint = None
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        hint = DISK_FULL
    elif error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        hint = "make the folder writable for this user"
    return EnvironmentFailed(f"cannot write {path}: {error.strerror}", hint=hint)
