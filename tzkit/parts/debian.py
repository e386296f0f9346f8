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
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import unquote

from tzkit.advice import no_room
from tzkit.board import Debian
from tzkit.errors import EnvironmentFailed
from tzkit.process import Runner
from tzkit.store import Entry, Store, digest_of, file_sha256, write_whole
from tzkit.ui import Step

MANIFEST = "manifest.json"
BINARIES = "binary"
SOURCES = "source"
ATTEMPTS = 3
PAUSE_SECONDS = 5.0
DEADLINE_SECONDS = 1800.0
FORMAT = 1


@dataclass(frozen=True)
class Part:
    """One file that was fetched."""

    name: str
    version: str
    sha256: str
    origin: str
    file: str


@dataclass(frozen=True)
class Parts:
    """Everything fetched for a board; files are below ``path``."""

    path: Path
    key: str
    parts: tuple[Part, ...]

    def binaries(self) -> list[Path]:
        return [self.path / part.file for part in self.parts if part.file.endswith(".deb")]

    def source(self, package: str) -> Path:
        """The .dsc of a source package."""
        for part in self.parts:
            if part.file.endswith(".dsc") and part.name == package:
                return self.path / part.file
        raise EnvironmentFailed(f"the source package '{package}' was not fetched")

    def subset_key(self) -> str:
        """Hash over all contents: what later stages depend on."""
        return digest_of({"parts": [[part.file, part.sha256] for part in self.parts]})


def inputs(debian: Debian, arch: str) -> dict[str, object]:
    """What the fetched set depends on (the mirror's state is not known beforehand)."""
    return {
        "format": FORMAT,
        "suite": debian.suite,
        "arch": arch,
        "packages": list(debian.packages),
        "sources": list(debian.sources),
    }


def mmdebstrap_argv(debian: Debian, arch: str, destination: Path) -> list[str]:
    """The command that fetches everything below ``destination``."""
    binaries = shlex.quote(str(destination / BINARIES))
    sources = shlex.quote(str(destination / SOURCES))
    sources_list = 'sed -n "s/^deb /deb-src /p" "$1"/etc/apt/sources.list'
    argv = [
        "mmdebstrap",
        "--mode=" + ("root" if os.geteuid() == 0 else "chrootless"),
        "--variant=extract",
        f"--architectures={arch}",
        f"--include={','.join(debian.packages)}",
    ]
    if debian.sources:
        names = shlex.join(debian.sources)
        argv += [
            f'--setup-hook={sources_list} > "$1"/etc/apt/sources.list.d/source.list',
            f'--extract-hook=cd {sources} && APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" '
            f"apt-get -q source --download-only {names}",
        ]
    argv += [
        f'--extract-hook=cp "$1"/var/cache/apt/archives/*.deb {binaries}/',
        debian.suite,
        "/dev/null",
    ]
    return argv


def fetch(
    debian: Debian, arch: str, cache: Path, runner: Runner, log: Path, step: Step
) -> tuple[Parts, bool]:
    """The verified parts, and whether they were in the cache already, whole.

    Raises EnvironmentFailed with what failed and what to do; nothing half-fetched is kept.
    """
    store = Store(cache / "debian")

    def make(destination: Path) -> None:
        _download(debian, arch, destination, runner, log, step)

    entry = store.get("parts", inputs(debian, arch), make)
    if entry.cached:
        step.update("checking hashes")
        damage = _damage(entry.path)
        if damage:
            step.update(f"{damage}: fetching again")
            store.drop(entry)
            entry = store.get("parts", inputs(debian, arch), make)
    return _read(entry), entry.cached


def _download(
    debian: Debian, arch: str, destination: Path, runner: Runner, log: Path, step: Step
) -> None:
    argv = mmdebstrap_argv(debian, arch, destination)
    for attempt in range(1, ATTEMPTS + 1):
        for folder in (BINARIES, SOURCES):
            shutil.rmtree(destination / folder, ignore_errors=True)
            (destination / folder).mkdir(parents=True)
        step.update(f"Debian {debian.suite}, {len(debian.packages)} packages, try {attempt}")
        log.unlink(missing_ok=True)
        try:
            runner.run(argv, what="fetching Debian packages", log=log, timeout=DEADLINE_SECONDS)
            break
        except EnvironmentFailed as error:
            if attempt == ATTEMPTS or not log.exists() or no_room(error.advice):
                raise
            step.update(f"try {attempt} failed, again in {PAUSE_SECONDS:.0f} s")
            time.sleep(PAUSE_SECONDS)
    parts = _describe(debian, destination)
    write_whole(destination / MANIFEST, json.dumps([asdict(part) for part in parts], indent=1))


def _describe(debian: Debian, destination: Path) -> list[Part]:
    origin = f"Debian {debian.suite}"
    parts = []
    for path in sorted((destination / BINARIES).glob("*.deb")):
        name, version, _ = unquote(path.stem).split("_")
        parts.append(Part(name, version, file_sha256(path), origin, f"{BINARIES}/{path.name}"))
    for path in sorted(p for p in (destination / SOURCES).iterdir() if p.is_file()):
        name, rest = path.name.split("_", 1)
        version = re.sub(r"(\.dsc|\.(orig|debian)[^/]*|\.tar\.\w+)$", "", rest)
        origin_source = f"{origin}, source"
        parts.append(
            Part(name, version, file_sha256(path), origin_source, f"{SOURCES}/{path.name}")
        )
    missing = set(debian.packages) - {part.name for part in parts}
    missing |= {s for s in debian.sources if not (list((destination / SOURCES).glob(f"{s}_*.dsc")))}
    if missing:
        raise EnvironmentFailed(
            f"Debian {debian.suite} gave no {', '.join(sorted(missing))}",
            hint="the mirror may be incomplete; try again later",
        )
    return parts


def _damage(path: Path) -> str | None:
    """What is wrong with a fetched set in the cache, or None."""
    try:
        content = json.loads((path / MANIFEST).read_text())
        for part in (Part(**item) for item in content):
            if file_sha256(path / part.file) != part.sha256:
                return f"{part.file} in the cache is damaged"
    except (OSError, ValueError, TypeError) as error:
        return f"the cache is damaged ({error})"
    return None


def _read(entry: Entry) -> Parts:
    content = json.loads((entry.path / MANIFEST).read_text())
    return Parts(entry.path, entry.key, tuple(Part(**item) for item in content))
