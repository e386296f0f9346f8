# SPDX-License-Identifier: MIT
"""The stages from a board to what can be booted, in order; each takes what came before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from tzkit import datasets, digits, doctor
from tzkit.board import Board
from tzkit.build import application, firmware, kernel, optee, packing
from tzkit.build.application import TaMemory
from tzkit.build.packing import Extras, Made, pack
from tzkit.datasets import DataFiles, Dataset, DatasetSummary
from tzkit.emulator import Image
from tzkit.errors import EnvironmentFailed, RequestError
from tzkit.foreign import OWN, training
from tzkit.foreign import build as foreign
from tzkit.foreign import dataset as foreign_dataset
from tzkit.foreign.shape import ForeignApp, recognise
from tzkit.job import Job, StageStep
from tzkit.parts import Part, debian, git, sysroot
from tzkit.parts.debian import Parts
from tzkit.store import Entry, digest_of_files, digest_of_tree, file_sha256
from tzkit.suites.darknetp import TRAIN_ITERATIONS
from tzkit.workspace import Workspace

DATASET_FILES = "files"
RESULTS = PurePosixPath("/media/results")  # upstream writes there and makes no parents


@dataclass(frozen=True)
class BuildOptions:
    """What the user can choose about a build."""

    dataset: str = "digits"
    ta_stack: int | None = None  # bytes; None: the board's default, or what a foreign app asks for
    ta_heap: int | None = None
    app: str = OWN
    ssh_key: Path | None = None  # public keys that may log in, for systems with an SSH server


@dataclass(frozen=True)
class Build:
    """What was made for a board, with an application in it.

    ``program`` is its own name on the board, where it is always found as darknetp too; ``folders``
    are made there.
    """

    parts: Parts
    image: Image | None  # None where Debian gives no whole system
    system_key: str  # names firmware, kernel and base system, not the payload
    core: Path | None  # folder with OP-TEE's images, where it was built
    ta: Path
    darknetp: Path
    dataset: DatasetSummary
    program: str = application.DARKNETP
    folders: tuple[PurePosixPath, ...] = ()

    @property
    def bootable_image(self) -> Image:
        """Raises RequestError when there is none."""
        if self.image is None:
            raise RequestError(
                "--source debian makes no whole system for this board",
                hint="'./inv boards --board B' says what it makes; --source upstream makes one",
            )
        return self.image


def prepare_host(job: Job, *, emulate: bool, app: str = OWN) -> None:
    """Install or name missing host tools. Raises EnvironmentFailed."""
    tools = doctor.tools_for(job.board, emulate=emulate, foreign=app != OWN)
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


def fetch_loader(job: Job) -> Parts | None:
    """What starts the real board, if it can be had: an image is made without it all the same."""
    want, table = debian.wanted_loader(job.board), job.board.card
    if want is None or table is None:
        return None
    with job.stage("loader", f"fetch: {table.loader_package}") as stage:
        try:
            parts, stage.cached = debian.fetch(
                want, job.workspace.cache, job.runner, job.log("loader"), stage.step
            )
        except EnvironmentFailed as error:
            names = ", ".join(Path(pattern).name for pattern in table.loader)
            stage.result = "not to be had"
            job.ui.say(
                f"{table.loader_package} could not be fetched ({error.message.splitlines()[0]}): "
                f"the card will not start a real board until you copy {names} to its first "
                "partition"
            )
            return None
    return parts


def fetch_app(job: Job, options: BuildOptions) -> ForeignApp | None:
    """The application asked for, None for our own. Raises RequestError for another shape."""
    if not git.is_url(options.app):
        return local_app(options)
    with job.stage("app", f"fetch: {options.app}") as stage:
        wanted = git.parse(options.app)
        cloned = git.clone(wanted, job.workspace.cache, job.runner, job.log("git"))
        stage.cached = cloned.cached
        stage.result = f"commit {cloned.commit}{', cached' if cloned.cached else ''}"
    return recognise(cloned.path, options.app, cloned.commit)


def check_request(
    workspace: Workspace, board: Board, options: BuildOptions
) -> tuple[Dataset, TaMemory]:
    """The data set and the TA's memory asked for. Raises RequestError for what cannot be.

    What an application that is still to be fetched asks for is checked when it is there.
    """
    if git.is_url(options.app):
        git.parse(options.app)
    dataset = load_dataset(workspace, options.dataset)
    memory = ta_memory(board, options, local_app(options))
    application.check_memory(board, memory)
    return dataset, memory


def local_app(options: BuildOptions) -> ForeignApp | None:
    """The application, when it is a folder here. Raises RequestError for another shape."""
    if options.app == OWN or git.is_url(options.app):
        return None
    return recognise(Path(options.app), options.app)


def load_dataset(workspace: Workspace, name: str) -> Dataset:
    """One of the project's data sets, or a folder of either shape. Raises RequestError."""
    known = workspace.root / "datasets"
    if name not in datasets.dataset_names(known) and foreign_dataset.has_shape(Path(name)):
        return foreign_dataset.derive(Path(name))
    return datasets.load_dataset(known, name)


def ta_memory(board: Board, options: BuildOptions, app: ForeignApp | None) -> TaMemory:
    """What the TA is built with: what the user chose, else what the application or board says."""
    if app is not None:
        return app.memory(options.ta_stack, options.ta_heap)
    return TaMemory(
        board.ta.stack if options.ta_stack is None else options.ta_stack,
        board.ta.heap if options.ta_heap is None else options.ta_heap,
    )


def build(job: Job, options: BuildOptions) -> Build:
    """Fetch, build and pack."""
    dataset, _ = check_request(job.workspace, job.board, options)
    parts = fetch(job)
    app = fetch_app(job, options)
    loader = fetch_loader(job)
    memory = ta_memory(job.board, options, app)
    application.check_memory(job.board, memory)
    with job.stage("build", f"build: {_built(job.board, options)}") as stage:
        made = _build(job, parts, memory, app, stage)
    with job.stage("image", f"image: {packing.title(job.board)}") as stage:
        data, summary = write_dataset(job, dataset, short=app is not None)
        folders = folders_of(app, summary)
        files = DataFiles(data.path / DATASET_FILES, summary.root, data.key)
        packed = pack(job, made, files, Extras(loader, options.ssh_key, folders))
        stage.cached = packed is None or packed.cached
    others = (*loader_parts(job.board, loader), *([part_of(app)] if app else []))
    return Build(
        parts=replace(parts, parts=(*parts.parts, *others)),
        image=packed.image if packed else None,
        system_key=packed.system_key if packed else "",
        core=made.optee.path / "core" if made.optee else None,
        ta=made.app.ta,
        darknetp=made.app.program,
        dataset=summary,
        program=made.app.names[0],
        folders=folders,
    )


def folders_of(app: ForeignApp | None, summary: DatasetSummary) -> tuple[PurePosixPath, ...]:
    """What must be made on the board for an application: upstream's makes no folders."""
    return () if app is None else (RESULTS, summary.backup)


def loader_parts(board: Board, loader: Parts | None) -> tuple[Part, ...]:
    """What of the fetched loader is on the card: its package without those it depends on."""
    name = board.card.loader_package if board.card else None
    return tuple(part for part in (loader.parts if loader else ()) if part.name == name)


def part_of(app: ForeignApp) -> Part:
    """The application as a line of the report; its hash is that of its files."""
    sha256 = digest_of_tree(app.folder)
    return Part(git.name_of(app.origin), app.revision or sha256[:12], sha256, app.origin, "")


def _built(board: Board, options: BuildOptions) -> str:
    """The names of what the build stage makes, for people."""
    parts = {
        "OP-TEE": board.optee,
        "firmware": board.firmware,
        "kernel": board.kernel and board.kernel.build,
    }
    names = [name for name, table in parts.items() if table is not None]
    ours = ("trusted application", "darknetp") if options.app == OWN else (options.app,)
    return ", ".join([*names, *ours])


def _build(
    job: Job, parts: Parts, memory: TaMemory, app: ForeignApp | None, stage: StageStep
) -> Made:
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
        linux = kernel.build_kernel(job, board.kernel, parts, root)
    stage.update("darknetp")
    host = application.build_host(job, root)
    devkit = application.devkit_of(board, root, core)
    stage.update("trusted application" if app is None else app.origin)
    if app is None:
        built = application.own(application.build_ta(job, memory, devkit), host)
    else:
        built = foreign.build(job, app, memory, devkit, root)
    entries = (root, core, boot, linux, host, built)
    stage.cached = all(entry.cached for entry in entries if entry is not None)
    return Made(root, core, boot, linux, built, host)


def write_dataset(job: Job, dataset: Dataset, *, short: bool) -> tuple[Entry, DatasetSummary]:
    """The files of a data set, below ``DATASET_FILES`` of the entry, and what they are.

    ``short``: and a network file for programs that know no ``-iterations``.
    """
    descriptor = dataset.descriptor
    keys = training.short_keys(TRAIN_ITERATIONS, descriptor.training_batch) if short else {}
    modules = (datasets, digits, training)
    inputs = {
        "descriptor": descriptor.model_dump(mode="json"),
        "files": digest_of_files(dataset.folder, datasets.source_files(dataset)),
        "short": keys,
        "code": [file_sha256(Path(module.__file__ or "")) for module in modules],
    }

    def make(destination: Path) -> None:
        tree = destination / DATASET_FILES
        datasets.write_dataset(dataset, tree)
        if short:
            training.write_short(tree, descriptor.network_cfg, keys)

    entry = job.store.get("dataset", inputs, make)
    summary = datasets.summarise(dataset, entry.path / DATASET_FILES)
    if short:
        copy = training.short_name(descriptor.network_cfg)
        changes = ", ".join(f"{key}={value}" for key, value in keys.items())
        job.ui.say(f"  {copy} is for short trainings: {descriptor.network_cfg} with {changes}")
        summary = replace(summary, short_cfg=copy)
    return entry, summary
