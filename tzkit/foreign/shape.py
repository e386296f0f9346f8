# SPDX-License-Identifier: MIT
"""The shape of darknetz: what a folder must have to be built and put on a board.

``CMakeLists.txt`` and ``host/`` for the normal world; for the secure one ``ta/Makefile`` with
``BINARY``, ``ta/sub.mk`` and a ``user_ta_header_defines.h`` somewhere below ``ta/``. Nothing here
runs anything of the application's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tzkit.boardfile import PAGE
from tzkit.build.application import HEADER, TaMemory
from tzkit.errors import RequestError
from tzkit.foreign.header import HEAP, NEEDED, STACK, Header, read_header
from tzkit.foreign.makefile import make_variable

HOST_MAKEFILE = "host/Makefile"
FILES = {
    "CMakeLists.txt": "CMakeLists.txt",
    "host": "host/",
    "ta/Makefile": "ta/Makefile",
    "ta/sub.mk": "ta/sub.mk",
}
BINARY = "BINARY"
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_PROGRAM = re.compile(r"[\w.+-]+")


@dataclass(frozen=True)
class ForeignApp:
    """An application's folder, and what was read in it.

    ``origin`` is what the user named; ``program`` what ``host/Makefile`` calls the host program,
    if there is one that says so. ``revision`` is the commit it was fetched at, None for a folder.
    """

    folder: Path
    origin: str
    uuid: str
    header: Header
    header_path: PurePosixPath
    program: str | None
    revision: str | None = None

    @property
    def ta_file(self) -> str:
        return f"{self.uuid}.ta"

    def memory(self, stack: int | None, heap: int | None) -> TaMemory:
        """Stack and heap in bytes: those given, else what its header asks for, in whole pages.

        Raises RequestError for a size that cannot be read and is not given.
        """
        return TaMemory(
            self._asked(STACK, "--ta-stack") if stack is None else stack,
            self._asked(HEAP, "--ta-heap") if heap is None else heap,
        )

    def _asked(self, macro: str, flag: str) -> int:
        size = self.header.number(macro)
        if size is None:
            raise RequestError(
                f"{self.header_path} of {self.origin}: {macro} is "
                f"'{self.header.macros[macro]}', which is no plain arithmetic",
                hint=f"say it: {flag} SIZE",
            )
        return -(-size // PAGE) * PAGE


def recognise(folder: Path, origin: str, revision: str | None = None) -> ForeignApp:
    """Read an application's folder. Raises RequestError with everything it lacks."""
    if not folder.is_dir():
        raise RequestError(
            f"--app {origin}: there is no such folder",
            hint="give the folder of an application in darknetz's shape, or its URL",
        )
    lacking = [f"{shown} is missing" for name, shown in FILES.items() if not _has(folder, name)]
    uuid = _read_uuid(folder, lacking)
    path, header = _read_header(folder, lacking)
    if lacking:
        raise RequestError(
            f"--app {origin}: not an application in darknetz's shape"
            + "".join(f"\n    {text}" for text in lacking),
            hint="the README's section 'Other applications' says what such a folder holds",
        )
    return ForeignApp(
        folder=folder.resolve(),
        origin=origin,
        uuid=uuid,
        header=header,
        header_path=path,
        program=_read_program(folder),
        revision=revision,
    )


def _has(folder: Path, name: str) -> bool:
    path = folder / name
    return path.is_dir() if name == "host" else path.is_file()


def _read_uuid(folder: Path, lacking: list[str]) -> str:
    """What ta/Makefile calls its binary: the UUID the TA is found by."""
    makefile = folder / "ta" / "Makefile"
    if not makefile.is_file():
        return ""
    binary = make_variable(_text(makefile), BINARY)
    if binary is None:
        lacking.append(f"ta/Makefile does not set {BINARY}, the UUID of the trusted application")
    elif not _UUID.fullmatch(binary):
        lacking.append(f"ta/Makefile: {BINARY} is '{binary}', which is no UUID")
    return binary or ""


def _read_header(folder: Path, lacking: list[str]) -> tuple[PurePosixPath, Header]:
    """The one header with the TA's properties, and where it is below ``folder``."""
    paths = sorted((folder / "ta").rglob(HEADER))
    names = [PurePosixPath(path.relative_to(folder)) for path in paths]
    if len(paths) != 1:
        there = f"is there {len(paths)} times: {', '.join(map(str, names))}"
        lacking.append(f"{HEADER} " + (there if paths else "is missing below ta/"))
        return PurePosixPath(), Header((), {})
    header = read_header(_text(paths[0]))
    undefined = [name for name in NEEDED if name not in header.macros]
    lacking += [f"{names[0]} does not define {name}" for name in undefined]
    return names[0], header


def _read_program(folder: Path) -> str | None:
    """What host/Makefile calls its binary; a second name of the program."""
    makefile = folder / HOST_MAKEFILE
    name = make_variable(_text(makefile), BINARY) if makefile.is_file() else None
    return name if name is not None and _PROGRAM.fullmatch(name) else None


def _text(path: Path) -> str:
    # Comments in any encoding do not matter.
    return path.read_text(encoding="utf-8", errors="surrogateescape")
