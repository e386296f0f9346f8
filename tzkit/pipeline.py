# SPDX-License-Identifier: MIT
"""The stages from a board to what can be booted, in order; each takes what came before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tzkit import datasets, digits, doctor
from tzkit.board import Board
from tzkit.build import application, firmware, image, kernel, optee
from tzkit.build.application import TaMemory
from tzkit.datasets import Dataset, DatasetSummary
from tzkit.emulator import Image
from tzkit.errors import RequestError
from tzkit.job import Job, StageStep
from tzkit.parts import debian, sysroot
from tzkit.parts.debian import Parts
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
    """What was made for a board, with our application in it."""

    parts: Parts
    image: Image | None  # None where Debian gives no whole system
    system_key: str  # names firmware, kernel and base system, not the payload
    core: Path | None  # folder with OP-TEE's images, where it was built
    ta: Path
    darknetp: Path
    dataset: DatasetSummary

    @property
    def bootable_image(self) -> Image:
        """Raises RequestError when there is none."""
        if self.image is None:
            raise RequestError(
                "--source debian makes no whole system for this board",
                hint="'./inv boards --board B' says what it makes; --source upstream makes one",
            )
        return self.image


def prepare_host(job: Job, *, emulate: bool) -> None:
    """Install or name missing host tools. Raises EnvironmentFailed."""
    tools = doctor.tools_for(job.board, emulate=emulate)
    doctor.ensure(tools, job.runner, job.ui, job.log("install"), job.install)


def fetch(job: Job) -> Parts:
    """Fetch and verify the parts."""
    board = job.board
    with job.stage("fetch", f"fetch: parts for {board.name}") as stage:
        parts, stage.cached = debian.fetch(
            debian.wanted(board), job.workspace.cache, job.runner, job.log("fetch"), stage.step
        )
        stage.result = f"{len(parts.parts)} files verified{', cached' if stage.cached else ''}"
    return parts


def check_request(
    workspace: Workspace, board: Board, options: BuildOptions
) -> tuple[Dataset, TaMemory]:
    """The data set and the TA's memory asked for. Raises RequestError for what cannot be."""
    dataset = datasets.load_dataset(workspace.root / "datasets", options.dataset)
    memory = ta_memory(board, options)
    application.check_memory(board, memory)
    return dataset, memory


def ta_memory(board: Board, options: BuildOptions) -> TaMemory:
    """What the user chose, else the board's defaults."""
    return TaMemory(
        board.ta.stack if options.ta_stack is None else options.ta_stack,
        board.ta.heap if options.ta_heap is None else options.ta_heap,
    )


def build(job: Job, options: BuildOptions) -> Build:
    """Fetch, build and pack."""
    dataset, memory = check_request(job.workspace, job.board, options)
    parts = fetch(job)
    with job.stage("build", f"build: {_built(job.board)}") as stage:
        made = _build(job, parts, memory, stage)
    with job.stage("image", "image: base system, payload") as stage:
        data, summary = write_dataset(job, dataset)
        packed = _pack(job, made, data)
        stage.cached = packed is None or packed.cached
    return Build(
        parts=parts,
        image=packed.image if packed else None,
        system_key=packed.system_key if packed else "",
        core=made.optee.path / "core" if made.optee else None,
        ta=made.ta.path / application.TA_FILE,
        darknetp=made.host.path / application.DARKNETP,
        dataset=summary,
    )


def _built(board: Board) -> str:
    """The names of what the build stage makes, for people."""
    parts = {
        "OP-TEE": board.optee,
        "firmware": board.firmware,
        "kernel": board.kernel and board.kernel.build,
    }
    names = [name for name, table in parts.items() if table is not None]
    return ", ".join([*names, "trusted application", "darknetp"])


@dataclass(frozen=True)
class _Made:
    """The entries of the build stage; None for what a board's tables do not ask for."""

    sysroot: Entry
    optee: Entry | None
    firmware: Entry | None
    kernel: Entry | None
    ta: Entry
    host: Entry


def _build(job: Job, parts: Parts, memory: TaMemory, stage: StageStep) -> _Made:
    board = job.board
    root = sysroot.unpack(parts, job.store, job.runner, stage.step)
    core = boot = None
    if board.optee is not None:
        stage.update("OP-TEE OS")
        core = optee.build_optee(job, board.optee, parts, root.path)
    if board.firmware is not None:
        stage.update("firmware")
        tee = core.path if core else None
        boot = firmware.build_firmware(job, board.firmware, parts, root.path, tee)
    linux = None
    if board.kernel is not None:
        stage.update("kernel")
        linux = kernel.build_kernel(job, board.kernel, root)
    stage.update("trusted application")
    ta = application.build_ta(job, memory, application.devkit_of(board, root, core))
    stage.update("darknetp")
    host = application.build_host(job, root)
    entries = (root, core, boot, linux, ta, host)
    stage.cached = all(entry.cached for entry in entries if entry is not None)
    return _Made(root, core, boot, linux, ta, host)


@dataclass(frozen=True)
class _Packed:
    """What the image stage made."""

    image: Image
    system_key: str
    cached: bool


def _pack(job: Job, made: _Made, data: Entry) -> _Packed | None:
    """The files the board boots from; None when Debian gives no whole system."""
    board, boot, linux = job.board, made.firmware, made.kernel
    if board.rootfs is None or board.kernel is None or boot is None or linux is None:
        return None
    modules = {image.BOOT: board.kernel.load}
    if board.emulator is not None:
        modules[image.PAYLOAD_GROUP] = board.emulator.payload.modules
    base = image.build_base(job, board.rootfs, modules, made.sysroot, made.host)
    payload = image.build_payload(
        job,
        made.ta.path / application.TA_FILE,
        made.host.path / application.DARKNETP,
        data.path / DATASET_FILES,
        data.key,
    )
    files = {
        "firmware": boot.path / firmware.IMAGE,
        "kernel": linux.path / kernel.IMAGE,
        "initramfs": base.path / image.BASE,
        "payload": payload.path / image.PAYLOAD,
    }
    system = {"firmware": boot.key, "kernel": linux.key, "base": base.key}
    return _Packed(Image(files), digest_of(system), base.cached and payload.cached)


def write_dataset(job: Job, dataset: Dataset) -> tuple[Entry, DatasetSummary]:
    """The files of a data set, below ``DATASET_FILES`` of the entry, and what they are."""
    inputs = {
        "folder": digest_of_tree(dataset.folder),
        "code": [file_sha256(Path(module.__file__ or "")) for module in (datasets, digits)],
    }

    def make(destination: Path) -> None:
        datasets.write_dataset(dataset, destination / DATASET_FILES)

    entry = job.store.get("dataset", inputs, make)
    return entry, datasets.summarise(dataset, entry.path / DATASET_FILES)
