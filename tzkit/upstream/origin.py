# SPDX-License-Identifier: MIT
"""OP-TEE's own tree behind the protocol that tasks and test runs use."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from tzkit import doctor, pipeline
from tzkit.board import Board
from tzkit.build.application import TaMemory
from tzkit.datasets import Dataset, DatasetSummary
from tzkit.doctor import Tool
from tzkit.job import Job
from tzkit.parts import Part
from tzkit.pipeline import BuildOptions
from tzkit.process import quoted
from tzkit.session import Session
from tzkit.upstream import fetch, host, run
from tzkit.upstream.application import own_application
from tzkit.upstream.build import Built, DataFiles, build, make_argv, shown, toolchains_argv
from tzkit.upstream.flash import flash_argv
from tzkit.upstream.memory import check_medium, with_page_tables
from tzkit.upstream.releases import NEWEST, check_release
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

    @property
    def disk_image(self) -> Path | None:
        return self.built.image

    def artifacts(self) -> Mapping[str, Path]:
        return {
            "trusted application": self.built.ta,
            "darknetp": self.built.program,
            "image": self.built.image,
        }

    def open_session(
        self, job: Job, *, cold: bool, name: str = ""
    ) -> AbstractContextManager[Session]:
        """Always from reset: nothing is saved of such a system."""
        return run.open_session(job, self.tree, name)


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
        return with_page_tables(board, pipeline.ta_memory(board, options))

    def check_emulated(self, board: Board) -> None:
        run.run_of(board)

    def tools(self, board: Board, *, emulate: bool) -> list[Tool]:
        return host.tools_for(board)

    def prepare(self, job: Job, *, emulate: bool) -> None:
        host.check_path()
        tools = self.tools(job.board, emulate=emulate)
        doctor.ensure(tools, job.runner, job.ui, job.log("install"), job.install)

    def fetch(self, job: Job) -> None:
        tree = self._tree(job)
        with tree.locked(job.ui):
            self._fetch(job, tree)

    def build(self, job: Job, options: BuildOptions) -> UpstreamProduct:
        dataset, memory = pipeline.check_request(job.workspace, job.board, options)
        tree = self._tree(job)
        data, summary = self._data(job, dataset)
        with tree.locked(job.ui):
            parts = self._fetch(job, tree)
            built = self._build(job, tree, memory, data)
        return UpstreamProduct(tree, built, parts, summary)

    def _fetch(self, job: Job, tree: Tree) -> tuple[Part, ...]:
        with job.stage("fetch", f"fetch: OP-TEE {tree.release}, {tree.manifest}") as stage:
            parts = fetch.fetch(job, tree, self.reference, stage)
            stage.result = f"{len(parts)} gits{', cached' if stage.cached else ''}"
        return parts

    def _build(self, job: Job, tree: Tree, memory: TaMemory, data: DataFiles) -> Built:
        application = own_application(job.workspace, memory)
        with job.stage("build", f"build: OP-TEE {tree.release} for {job.board.name}") as stage:
            return build(job, tree, application, data, stage)

    @staticmethod
    def _data(job: Job, dataset: Dataset) -> tuple[DataFiles, DatasetSummary]:
        entry, summary = pipeline.write_dataset(job, dataset)
        data = DataFiles(entry.path / pipeline.DATASET_FILES, summary.root, entry.key)
        check_medium(job.board, data.folder)
        return data, summary

    def _tree(self, job: Job) -> Tree:
        return tree_of(job.workspace, job.board, self.release)

    def fetch_commands(self, workspace: Workspace, board: Board) -> list[str]:
        tree = tree_of(workspace, board, self.release)
        argvs = (fetch.init_argv(tree, self.reference), fetch.sync_argv(fetch.JOBS[0]))
        return [f"cd {shlex.quote(str(tree.root))} && {quoted(argv)}" for argv in argvs]

    def build_commands(self, workspace: Workspace, board: Board) -> list[str]:
        tree = tree_of(workspace, board, self.release)
        goals = upstream_of(board).goals
        return [
            shown(tree, toolchains_argv(board)),
            f"# darknetp and its trusted application are copied to {tree.application}",
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
