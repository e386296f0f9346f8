# SPDX-License-Identifier: MIT
"""Parts from Debian: binary packages for the board's architecture, and source packages.

One run of mmdebstrap resolves, downloads and checks (archive signatures, then hashes) everything;
it knows the mirrors, so none is named here. Root uses its plain mode; an ordinary user its
``chrootless`` mode, which needs no privilege because nothing is installed, only unpacked.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import unquote

from tzkit.advice import no_room
from tzkit.board import Board
from tzkit.boardfile import Source
from tzkit.errors import EnvironmentFailed, RequestError
from tzkit.parts.part import Part
from tzkit.process import Runner
from tzkit.store import Entry, Store, digest_of, file_sha256, write_whole
from tzkit.ui import Step

MANIFEST = "manifest.json"
BINARIES = "binary"
SOURCES = "source"
ATTEMPTS = 3
PAUSE_SECONDS = 5.0
DEADLINE_SECONDS = 1800.0
KEPT_SETS = 12  # in the cache, which all boards share
INCONSISTENT = "Mirror sync in progress"  # apt's words for a mirror whose lists do not fit
FORMAT = 2


@dataclass(frozen=True)
class Parts:
    """Everything fetched for a board; files are below ``path``."""

    path: Path
    key: str
    parts: tuple[Part, ...]

    def binaries(self) -> list[Path]:
        return [self.path / part.file for part in self.parts if part.file.endswith(".deb")]

    def source(self, source: Source) -> Path:
        """The .dsc of a source package."""
        for part in self.parts:
            if part.file.endswith(".dsc") and part.name == source.name:
                return self.path / part.file
        raise EnvironmentFailed(f"the source package '{source.name}' was not fetched")

    def binaries_key(self) -> str:
        """Hash over the binary packages: what an unpacked sysroot depends on."""
        contents = [[part.file, part.sha256] for part in self.parts if part.file.endswith(".deb")]
        return digest_of({"parts": contents})


@dataclass(frozen=True)
class Wanted:
    """What is to be fetched for a board."""

    suite: str
    arch: str
    packages: tuple[str, ...]
    sources: tuple[Source, ...] = ()
    component: str | None = None  # section of the archive beside main
    attempts: int = ATTEMPTS

    def inputs(self) -> dict[str, object]:
        """What the fetched set depends on (the mirror's state is not known beforehand)."""
        return {
            "format": FORMAT,
            "suite": self.suite,
            "arch": self.arch,
            "component": self.component,
            "packages": list(self.packages),
            "sources": [[source.name, source.suite] for source in self.sources],
        }


def wanted(board: Board) -> Wanted:
    """What ``--source debian`` fetches for a board. Raises RequestError when it can do nothing."""
    if board.debian is None:
        raise RequestError(
            f"Debian has no parts for {board.name}", hint="build it with --source upstream"
        )
    return Wanted(board.debian.suite, board.arch, board.debian.packages, board.sources)


def wanted_loader(board: Board) -> Wanted | None:
    """What starts the real board and is not part of Debian proper; None when there is no such."""
    if board.debian is None or board.card is None:
        return None
    return Wanted(
        board.debian.suite,
        board.arch,
        (board.card.loader_package,),
        component=board.card.loader_component,
        attempts=1,
    )


def mmdebstrap_argv(want: Wanted, destination: Path, *, alone: bool = False) -> list[str]:
    """The command that fetches everything below ``destination``.

    ``alone``: from the release alone, without its updates, whose lists a mirror may lag behind on.
    """
    binaries = shlex.quote(str(destination / BINARIES))
    argv = [
        "mmdebstrap",
        "--mode=" + ("root" if os.geteuid() == 0 else "chrootless"),
        "--variant=extract",
        f"--architectures={want.arch}",
        f"--include={','.join(want.packages)}",
    ]
    if want.component:
        argv.append(f"--components=main,{want.component}")
    if alone:
        argv.append(f"--setup-hook=sed -i '/ {want.suite} /!d' \"$1\"/etc/apt/sources.list")
    if want.sources:
        argv += _source_hooks(want, shlex.quote(str(destination / SOURCES)))
    argv += [
        f'--extract-hook=cp "$1"/var/cache/apt/archives/*.deb {binaries}/',
        want.suite,
        "/dev/null",
    ]
    return argv


def _source_hooks(want: Wanted, folder: str) -> list[str]:
    """mmdebstrap's own hooks, shell lines: list the sources' suites, download from them."""
    others = sorted({s.suite for s in want.sources if s.suite not in (None, want.suite)})
    edits = ["s/^deb /deb-src /p"]
    for suite in others:
        edits += _other_suite(want.suite, suite)
    listing = "; ".join(f'sed -n {shlex.quote(e)} "$1"/etc/apt/sources.list' for e in edits)
    names = [s.name + (f"/{s.suite or want.suite}" if others else "") for s in want.sources]
    return [
        f'--setup-hook={{ {listing}; }} > "$1"/etc/apt/sources.list.d/source.list',
        f'--extract-hook=cd {folder} && APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" '
        f"apt-get -q source --download-only {shlex.join(names)}",
    ]


def _other_suite(listed: str, other: str) -> tuple[str, str]:
    """What sed adds for the sources of another suite, from the mirrors that list the first.

    A mirror that stands still serves an old list, which is authentic all the same: lists of moving
    suites expire within days, those of releases do not.
    """
    fresh = "check-valid-until=no"
    return (
        rf"s/^deb \[\([^]]*\)\] \([^ ]*\) {listed} /deb-src [{fresh} \1] \2 {other} /p",
        rf"s/^deb \([^[ ][^ ]*\) {listed} /deb-src [{fresh}] \1 {other} /p",
    )


def fetch(want: Wanted, cache: Path, runner: Runner, log: Path, step: Step) -> tuple[Parts, bool]:
    """The verified parts, and whether they were in the cache already, whole.

    Raises EnvironmentFailed with what failed and what to do; nothing half-fetched is kept.
    """
    store = Store(cache / "debian", KEPT_SETS)

    def make(destination: Path) -> None:
        _download(want, destination, runner, log, step)

    entry = store.get("parts", want.inputs(), make)
    if entry.cached:
        step.update("checking hashes")
        damage = _damage(entry.path)
        if damage:
            step.update(f"{damage}: fetching again")
            store.drop(entry)
            entry = store.get("parts", want.inputs(), make)
    return _read(entry), entry.cached


def _download(want: Wanted, destination: Path, runner: Runner, log: Path, step: Step) -> None:
    alone = False
    for attempt in range(1, want.attempts + 1):
        for folder in (BINARIES, SOURCES):
            shutil.rmtree(destination / folder, ignore_errors=True)
            (destination / folder).mkdir(parents=True)
        argv = mmdebstrap_argv(want, destination, alone=alone)
        what = f"{_origin(want, alone)}, {len(want.packages)} packages"
        step.update(f"{what}, try {attempt}")
        log.unlink(missing_ok=True)
        try:
            runner.run(argv, what="fetching Debian packages", log=log, timeout=DEADLINE_SECONDS)
            break
        except EnvironmentFailed as error:
            if attempt == want.attempts or not log.exists() or no_room(error.advice):
                raise
            alone = attempt + 1 == want.attempts and INCONSISTENT in log.read_text(errors="replace")
            step.update(f"try {attempt} failed, again in {PAUSE_SECONDS:.0f} s")
            time.sleep(PAUSE_SECONDS)
    parts = _describe(want, destination, _origin(want, alone))
    write_whole(destination / MANIFEST, json.dumps([asdict(part) for part in parts], indent=1))


def _origin(want: Wanted, alone: bool) -> str:
    return f"Debian {want.suite}" + (" without updates" if alone else "")


def _describe(want: Wanted, destination: Path, origin: str) -> list[Part]:
    parts = []
    for path in sorted((destination / BINARIES).glob("*.deb")):
        name, version, _ = unquote(path.stem).split("_")
        parts.append(Part(name, version, file_sha256(path), origin, f"{BINARIES}/{path.name}"))
    for path in sorted(p for p in (destination / SOURCES).iterdir() if p.is_file()):
        name, rest = path.name.split("_", 1)
        version = re.sub(r"(\.dsc|\.(orig|debian)[^/]*|\.tar\.\w+)$", "", rest)
        suite = next((s.suite for s in want.sources if s.name == name and s.suite), want.suite)
        described = f"Debian {suite}, source"
        parts.append(Part(name, version, file_sha256(path), described, f"{SOURCES}/{path.name}"))
    missing = set(want.packages) - {part.name for part in parts}
    names = {source.name for source in want.sources}
    missing |= {s for s in names if not (list((destination / SOURCES).glob(f"{s}_*.dsc")))}
    if missing:
        raise EnvironmentFailed(
            f"Debian {want.suite} gave no {', '.join(sorted(missing))}",
            hint="the mirror may be incomplete; try again later",
        )
    return parts


def _damage(path: Path) -> str | None:
    """What is wrong with a fetched set in the cache, or None."""
    try:
        parts = [Part(**item) for item in json.loads((path / MANIFEST).read_text())]
        with ThreadPoolExecutor() as pool:  # hashing is most of an unchanged build
            hashes = pool.map(lambda part: file_sha256(path / part.file), parts)
            for part, found in zip(parts, hashes, strict=True):
                if found != part.sha256:
                    return f"{part.file} in the cache is damaged"
    except (OSError, ValueError, TypeError) as error:
        return f"the cache is damaged ({error})"
    return None


def _read(entry: Entry) -> Parts:
    content = json.loads((entry.path / MANIFEST).read_text())
    return Parts(entry.path, entry.key, tuple(Part(**item) for item in content))
