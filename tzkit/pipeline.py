# SPDX-License-Identifier: MIT
"""The stages from a board to what can be booted, in order; each takes what came before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tzkit import datasets, digits, doctor
from tzkit.board import Board
from tzkit.build import application, firmware, image
from tzkit.build.application import TaMemory
from tzkit.datasets import Dataset, DatasetSummary
from tzkit.emulator import Image
from tzkit.job import Job
from tzkit.parts import debian, sysroot
from tzkit.parts.debian import Parts
from tzkit.parts.sysroot import find
from tzkit.store import Entry, digest_of, digest_of_tree, file_sha256
from tzkit.workspace import Workspace

DATASET_FILES = "files"


@dataclass(frozen=True)
class BuildOptions:
    """What the user can choose about a build."""

    dataset: str = "digits"
    ta_stack: int | None = None  # bytes; None: the board's default
    ta_heap: int | None = None


@dataclass(frozen=True)
class Build:
    """Everything needed to boot the board with our application on it."""

    parts: Parts
    image: Image
    system_key: str  # names firmware, kernel and base system, not the payload
    ta: Path
    darknetp: Path
    dataset: DatasetSummary


def prepare_host(job: Job, *, emulate: bool) -> None:
    """Install or name missing host tools. Raises EnvironmentFailed."""
    emulator = job.board.emulator.program if emulate else None
    tools = doctor.tools_for(job.board.arch, emulator)
    doctor.ensure(tools, job.runner, job.ui, job.log("install"), job.install)


def fetch(job: Job) -> Parts:
    """Fetch and verify the parts."""
    board = job.board
    with job.stage("fetch", f"fetch: parts for {board.name}") as stage:
        parts, stage.cached = debian.fetch(
            board.debian, board.arch, job.workspace.cache, job.runner, job.log("fetch"), stage.step
        )
        stage.result = f"{len(parts.parts)} files verified{', cached' if stage.cached else ''}"
    return parts


def check_request(
    workspace: Workspace, board: Board, options: BuildOptions
) -> tuple[Dataset, TaMemory]:
    """The data set and the TA's memory asked for. Raises RequestError for what cannot be."""
    dataset = datasets.load_dataset(workspace.root / "datasets", options.dataset)
    memory = TaMemory(
        board.ta.stack if options.ta_stack is None else options.ta_stack,
        board.ta.heap if options.ta_heap is None else options.ta_heap,
    )
    application.check_memory(board, memory)
    return dataset, memory


def build(job: Job, options: BuildOptions) -> Build:
    """Fetch, build and pack."""
    dataset, memory = check_request(job.workspace, job.board, options)
    parts = fetch(job)
    with job.stage("build", "build: firmware, trusted application, darknetp") as stage:
        root = sysroot.unpack(parts, job.store, job.runner, stage.step)
        stage.update("firmware")
        boot = firmware.build_firmware(job, parts, root.path)
        stage.update("trusted application")
        ta = application.build_ta(job, memory, root)
        stage.update("darknetp")
        host = application.build_host(job, root)
        stage.cached = all(entry.cached for entry in (root, boot, ta, host))
    with job.stage("image", "image: base system, payload") as stage:
        base = image.build_base(job, root, host)
        data, summary = _write_dataset(job, dataset)
        payload = image.build_payload(
            job,
            ta.path / application.TA_FILE,
            host.path / application.DARKNETP,
            data.path / DATASET_FILES,
            data.key,
        )
        stage.cached = base.cached and payload.cached
    kernel = find(root.path, job.board.kernel.image)
    system = {"firmware": boot.key, "base": base.key, "kernel": [kernel.name, root.key]}
    return Build(
        parts=parts,
        image=Image(
            boot.path / firmware.IMAGE,
            kernel,
            base.path / image.BASE,
            payload.path / image.PAYLOAD,
        ),
        system_key=digest_of(system),
        ta=ta.path / application.TA_FILE,
        darknetp=host.path / application.DARKNETP,
        dataset=summary,
    )


def _write_dataset(job: Job, dataset: Dataset) -> tuple[Entry, DatasetSummary]:
    inputs = {
        "folder": digest_of_tree(dataset.folder),
        "code": [file_sha256(Path(module.__file__ or "")) for module in (datasets, digits)],
    }

    def make(destination: Path) -> None:
        datasets.write_dataset(dataset, destination / DATASET_FILES)

    entry = job.store.get("dataset", inputs, make)
    return entry, datasets.summarise(dataset, entry.path / DATASET_FILES)
