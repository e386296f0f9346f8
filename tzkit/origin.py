# SPDX-License-Identifier: MIT
"""Where a system comes from, behind one protocol: Debian's parts, or OP-TEE's own build tree.

What tasks and test runs need of either: fetch, build, open sessions, say the commands. Debian's
side is here and hands on to :mod:`tzkit.pipeline`; the other is :mod:`tzkit.upstream`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tzkit import doctor, dryrun, pipeline
from tzkit.board import Board
from tzkit.datasets import DatasetSummary
from tzkit.doctor import Tool
from tzkit.foreign import OWN
from tzkit.job import Job, machine_of
from tzkit.parts import Part, debian
from tzkit.pipeline import Build, BuildOptions
from tzkit.session import Session, open_session
from tzkit.workspace import Workspace


class Product(Protocol):
    """What was built for a board."""

    @property
    def records(self) -> tuple[Part, ...]:
        """What it was made of, for the report."""

    @property
    def dataset(self) -> DatasetSummary:
        """The data set on it."""

    @property
    def disk_image(self) -> Path | None:
        """What is written to a card or disk of the real board, if it boots from one."""

    @property
    def program(self) -> str:
        """What the program of the normal world is called on it."""

    def artifacts(self) -> Mapping[str, Path]:
        """The files, by names for people."""

    def open_session(
        self, job: Job, *, cold: bool, name: str = ""
    ) -> AbstractContextManager[Session]:
        """A session on it that ends with the block; ``name`` tells the logs of several apart."""


class Origin(Protocol):
    """What ``--source`` chooses."""

    @property
    def name(self) -> str:
        """As ``--source`` calls it."""

    @property
    def most_sessions(self) -> int | None:
        """How many sessions may be open at once; None: any number."""

    def adapt(self, board: Board, options: BuildOptions) -> Board:
        """The board as it is when it is made from here. Raises RequestError when it cannot be."""

    def check_emulated(self, board: Board) -> None:
        """Raises RequestError when a system from here cannot be booted on this machine."""

    def tools(self, board: Board, options: BuildOptions, *, emulate: bool) -> list[Tool]:
        """What this machine needs."""

    def missing_by_hand(self) -> str | None:
        """What this machine lacks that no package of it brings, and how to get it."""

    def prepare(self, job: Job, options: BuildOptions, *, emulate: bool) -> None:
        """Install or name missing host tools. Raises EnvironmentFailed."""

    def fetch(self, job: Job, options: BuildOptions) -> None:
        """Fetch what a build needs."""

    def build(self, job: Job, options: BuildOptions) -> Product:
        """Fetch and build."""

    def fetch_commands(
        self, workspace: Workspace, board: Board, options: BuildOptions
    ) -> list[str]:
        """What ``--dry-run`` shows for the fetch."""

    def build_commands(
        self, workspace: Workspace, board: Board, options: BuildOptions
    ) -> list[str]:
        """What it shows for the build."""

    def boot_commands(self, workspace: Workspace, board: Board) -> list[str]:
        """What it shows for starting the board, if that is done here."""


@dataclass(frozen=True)
class DebianProduct:
    """A :class:`~tzkit.pipeline.Build` as a product."""

    built: Build

    @property
    def records(self) -> tuple[Part, ...]:
        return self.built.parts.parts

    @property
    def dataset(self) -> DatasetSummary:
        return self.built.dataset

    @property
    def disk_image(self) -> Path | None:
        return self.built.image.files.get("sdcard") if self.built.image else None

    @property
    def program(self) -> str:
        return self.built.program

    def artifacts(self) -> Mapping[str, Path]:
        files = {"trusted application": self.built.ta, self.program: self.built.darknetp}
        if self.built.core is not None:
            files |= {f"OP-TEE {path.name}": path for path in sorted(self.built.core.glob("*.bin"))}
        if self.built.image is not None:
            files |= self.built.image.files
        return files

    def open_session(
        self, job: Job, *, cold: bool, name: str = ""
    ) -> AbstractContextManager[Session]:
        return open_session(job, self.built, cold=cold, name=name)


@dataclass(frozen=True)
class DebianOrigin:
    """``--source debian``."""

    name: str = "debian"
    most_sessions: int | None = None

    def adapt(self, board: Board, options: BuildOptions) -> Board:
        return board

    def check_emulated(self, board: Board) -> None:
        debian.wanted(board)
        machine_of(board)

    def tools(self, board: Board, options: BuildOptions, *, emulate: bool) -> list[Tool]:
        return doctor.tools_for(board, emulate=emulate, foreign=options.app != OWN)

    def missing_by_hand(self) -> str | None:
        return None

    def prepare(self, job: Job, options: BuildOptions, *, emulate: bool) -> None:
        pipeline.prepare_host(job, emulate=emulate, app=options.app)

    def fetch(self, job: Job, options: BuildOptions) -> None:
        pipeline.fetch(job)
        pipeline.fetch_app(job, options)

    def build(self, job: Job, options: BuildOptions) -> DebianProduct:
        return DebianProduct(pipeline.build(job, options))

    def fetch_commands(
        self, workspace: Workspace, board: Board, options: BuildOptions
    ) -> list[str]:
        return dryrun.fetch_commands(workspace, board, options.app)

    def build_commands(
        self, workspace: Workspace, board: Board, options: BuildOptions
    ) -> list[str]:
        return dryrun.build_commands(workspace, board, options.app)

    def boot_commands(self, workspace: Workspace, board: Board) -> list[str]:
        return dryrun.boot_commands(workspace, board)


DEBIAN = DebianOrigin()
