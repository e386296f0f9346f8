# SPDX-License-Identifier: MIT
"""OP-TEE's own tree behind the protocol that tasks and test runs use."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tzkit import doctor, dryrun, pipeline
from tzkit.board import Board
from tzkit.build.application import DARKNETP, check_memory
from tzkit.datasets import DataFiles, Dataset, DatasetSummary
from tzkit.doctor import Tool
from tzkit.foreign import OWN
from tzkit.foreign.shape import ForeignApp
from tzkit.job import Job
from tzkit.parts import Part
from tzkit.pipeline import BuildOptions
from tzkit.process import quoted
from tzkit.session import Session
from tzkit.upstream import fetch, host, run
from tzkit.upstream.application import Application, foreign_application, own_application
from tzkit.upstream.build import (
    PROGRAM_FOLDER,
    Built,
    build,
    make_argv,
    shown,
    toolchains_argv,
)
from tzkit.upstream.flash import flash_argv
from tzkit.upstream.memory import check_medium, with_page_tables
from tzkit.upstream.releases import NEWEST, STRICT_COMPILER, check_release, since
from tzkit.upstream.tree import Tree, tree_of, upstream_of
from tzkit.workspace import Workspace

NAME = "upstream"


@dataclass(frozen=True)
class UpstreamProduct:
    """What OP-TEE's tree made for a board."""

    tree: Tree
    built: Built
    records: tuple[Part, ...]
    dataset: DatasetSummary
    folders: tuple[PurePosixPath, ...]  # made on the board

    @property
    def program(self) -> str:
        return self.built.program.name

    @property
    def disk_image(self) -> Path | None:
        return self.built.image

    def artifacts(self) -> Mapping[str, Path]:
        return {
            "trusted application": self.built.ta,
            self.program: self.built.program,
            "image": self.built.image,
        }

    def open_session(
        self, job: Job, *, cold: bool, name: str = ""
    ) -> AbstractContextManager[Session]:
        """Always from reset: nothing is saved of such a system."""
        commands = [f"mkdir -p {shlex.quote(str(folder))}" for folder in self.folders]
        if self.program != DARKNETP:
            commands.append(f"ln -sf {shlex.quote(self.program)} /{PROGRAM_FOLDER}/{DARKNETP}")
        return run.open_session(job, self.tree, commands, name)


@dataclass(frozen=True)
class UpstreamOrigin:
    """``--source upstream``."""

    release: str = NEWEST
    reference: Path | None = None
    name: str = NAME
    most_sessions: int | None = 1  # QEMU's port for debuggers is one for the whole machine

    def __post_init__(self) -> None:
        """Raises RequestError for a release or mirror that is none."""
        check_release(self.release)
        fetch.check_reference(self.reference)

    def adapt(self, board: Board, options: BuildOptions) -> Board:
        upstream_of(board)
        app = pipeline.local_app(options)
        return with_page_tables(board, pipeline.ta_memory(board, options, app))

    def check_emulated(self, board: Board) -> None:
        run.run_of(board)

    def tools(self, board: Board, options: BuildOptions, *, emulate: bool) -> list[Tool]:
        return host.tools_for(board)

    def missing_by_hand(self) -> str | None:
        return fetch.missing_repo()

    def prepare(self, job: Job, options: BuildOptions, *, emulate: bool) -> None:
        host.check_path()
        fetch.check_repo(self._tree(job))
        tools = self.tools(job.board, options, emulate=emulate)
        doctor.ensure(tools, job.runner, job.ui, job.log("install"), job.install)

    def fetch(self, job: Job, options: BuildOptions) -> None:
        tree = self._tree(job)
        with tree.locked(job.ui):
            self._fetch(job, tree)
        pipeline.fetch_app(job, options)

    def build(self, job: Job, options: BuildOptions) -> UpstreamProduct:
        dataset, _ = pipeline.check_request(job.workspace, job.board, options)
        tree = self._tree(job)
        data, summary = self._data(job, dataset, short=options.app != OWN)
        with tree.locked(job.ui):
            parts = self._fetch(job, tree)
            app = pipeline.fetch_app(job, options)
            application = self._application(job, options, app)
            built = self._build(job, tree, application, data)
        folders = pipeline.folders_of(app, summary)
        records = parts if app is None else (*parts, pipeline.part_of(app))
        return UpstreamProduct(tree, built, records, summary, folders)

    def _application(self, job: Job, options: BuildOptions, app: ForeignApp | None) -> Application:
        """What is put into the tree; from here on the board's core can map it."""
        memory = pipeline.ta_memory(job.board, options, app)
        job.board = with_page_tables(job.board, memory)
        check_memory(job.board, memory)
        if app is None:
            return own_application(job.workspace, memory)
        if since(self.release, STRICT_COMPILER):
            job.ui.say(
                f"OP-TEE {self.release} compiles with gcc 14, which refuses much that old C takes "
                f"for granted: should {app.origin} not compile, use --release 4.8.0"
            )
        return foreign_application(job.workspace, app, memory)

    def _fetch(self, job: Job, tree: Tree) -> tuple[Part, ...]:
        with job.stage("fetch", f"fetch: OP-TEE {tree.release}, {tree.manifest}") as stage:
            parts = fetch.fetch(job, tree, self.reference, stage)
            stage.result = f"{len(parts)} gits{', cached' if stage.cached else ''}"
        return parts

    @staticmethod
    def _build(job: Job, tree: Tree, application: Application, data: DataFiles) -> Built:
        with job.stage("build", f"build: OP-TEE {tree.release} for {job.board.name}") as stage:
            return build(job, tree, application, data, stage)

    @staticmethod
    def _data(job: Job, dataset: Dataset, *, short: bool) -> tuple[DataFiles, DatasetSummary]:
        entry, summary = pipeline.write_dataset(job, dataset, short=short)
        data = DataFiles(entry.path / pipeline.DATASET_FILES, summary.root, entry.key)
        check_medium(job.board, data.folder)
        return data, summary

    def _tree(self, job: Job) -> Tree:
        return tree_of(job.workspace, job.board, self.release)

    def fetch_commands(
        self, workspace: Workspace, board: Board, options: BuildOptions
    ) -> list[str]:
        tree = tree_of(workspace, board, self.release)
        argvs = (fetch.init_argv(tree, self.reference), fetch.sync_argv(fetch.JOBS[0]))
        lines = [f"cd {shlex.quote(str(tree.root))} && {quoted(argv)}" for argv in argvs]
        return [*lines, *dryrun.app_commands(workspace, options.app)]

    def build_commands(
        self, workspace: Workspace, board: Board, options: BuildOptions
    ) -> list[str]:
        tree = tree_of(workspace, board, self.release)
        goals = upstream_of(board).goals
        return [
            shown(tree, toolchains_argv(board)),
            f"# the application ({options.app}) is copied to {tree.application}",
            f"# the data set is copied into {tree.target}",
            shown(tree, make_argv(board, self.release, *goals)),
        ]

    def boot_commands(self, workspace: Workspace, board: Board) -> list[str]:
        tree = tree_of(workspace, board, self.release)
        if upstream_of(board).run is None:
            return []
        ports = {name: f"PORT-{name}" for name in board.consoles}
        return [shown(tree, run.run_argv(board, self.release, ports))]

    def flash_commands(self, workspace: Workspace, board: Board) -> list[str]:
        """What ``make flash`` is; nothing where the board is flashed another way, or not."""
        tree = tree_of(workspace, board, self.release)
        return [shown(tree, flash_argv(board, self.release))] if board.flash.goal else []

    def image_of(self, workspace: Workspace, board: Board) -> Path:
        """Where the tree puts what is written to a disk."""
        return tree_of(workspace, board, self.release).root / upstream_of(board).image
