# SPDX-License-Identifier: MIT
"""What each task does, without invoke: the bodies of the verbs."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import shlex
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from tzkit import bench as benchmark
from tzkit import datasets, doctor, dryrun, flashing, pipeline, planner
from tzkit.advice import advice_for
from tzkit.board import Board, load_board, with_secure_memory
from tzkit.boardtable import board_details, boards_table
from tzkit.build.application import DARKNETP
from tzkit.console import Line
from tzkit.consoles import hand_over
from tzkit.errors import CheckFailed, RequestError
from tzkit.foreign import OWN, pinned
from tzkit.job import Job, log_folder, new_run_folder
from tzkit.origin import DEBIAN, Origin, Product
from tzkit.parts import git
from tzkit.pipeline import BuildOptions
from tzkit.process import Runner, quoted
from tzkit.session import Session
from tzkit.testrun import TestOptions, run_tests
from tzkit.transfer import get_file
from tzkit.ui import NORMAL, QUIET, VERBOSE, Ui
from tzkit.units import parse_size, show_size
from tzkit.upstream.origin import NAME as UPSTREAM
from tzkit.upstream.origin import UpstreamOrigin
from tzkit.upstream.releases import NEWEST
from tzkit.workspace import Workspace

DARKNETP_SECONDS = 3600.0
CORE_DEBUG = "D/"  # OP-TEE's debug lines: in the log, and shown with --verbose
REQUEST_STATUS = 2  # darknetp's exit status for a wrong command line


@dataclass(frozen=True)
class Common:
    """Flags with one meaning everywhere."""

    board: str = "qemu_v8"
    source: str = "debian"
    app: str = OWN
    dataset: str = "digits"
    ta_heap: str | None = None
    ta_stack: str | None = None
    cfg: str | None = None
    pp: str | None = None
    mode: str | None = None
    batch: str | None = None
    secure_memory: str | None = None
    ssh_key: str | None = None
    release: str | None = None
    reference: str | None = None
    dry_run: bool = False
    install: bool = False
    timeout: str | None = None
    verbose: bool = False
    quiet: bool = False

    @functools.cached_property
    def ui(self) -> Ui:
        return Ui(QUIET if self.quiet else VERBOSE if self.verbose else NORMAL)

    @property
    def seconds(self) -> float | None:
        """--timeout as a number. Raises RequestError."""
        if self.timeout is None:
            return None
        try:
            seconds = float(self.timeout)
        except ValueError:
            seconds = 0.0
        if not 0 < seconds < math.inf:
            raise RequestError(f"--timeout {self.timeout}: give a number of seconds above 0")
        return seconds

    @property
    def origin(self) -> Origin:
        """What --source chooses. Raises RequestError."""
        if self.source == UPSTREAM:
            reference = Path(self.reference).resolve() if self.reference else None
            return UpstreamOrigin(self.release or NEWEST, reference)
        if self.source != DEBIAN.name:
            raise RequestError(f"--source {self.source}: choose {DEBIAN.name} or {UPSTREAM}")
        for flag, value in (("release", self.release), ("reference", self.reference)):
            if value is not None:
                raise RequestError(f"--{flag} {value} is for --source {UPSTREAM}")
        return DEBIAN

    @property
    def network(self) -> Path | None:
        """--cfg. Raises RequestError when there is no such file."""
        if self.cfg is None or Path(self.cfg).is_file():
            return Path(self.cfg) if self.cfg else None
        raise RequestError(f"--cfg {self.cfg}: there is no such file")

    @property
    def images(self) -> int | None:
        """--batch as a number. Raises RequestError."""
        if self.batch is None or (self.batch.isdecimal() and int(self.batch) > 0):
            return int(self.batch) if self.batch else None
        raise RequestError(f"--batch {self.batch}: give a number of images above 0")

    def build_options(self) -> BuildOptions:
        return BuildOptions(
            dataset=pinned.dataset(self.dataset, Workspace.of_checkout().cache),
            ta_heap=_size("ta-heap", self.ta_heap),
            ta_stack=_size("ta-stack", self.ta_stack),
            ssh_key=_public_keys(self.ssh_key),
            app=pinned.application(self.app),
        )


def boards(common: Common, name: str | None) -> None:
    """The table of boards, or one board whole."""
    workspace = Workspace.of_checkout()
    if name is not None:
        common.ui.show(board_details(load_board(workspace.boards, name)))
        return
    common.ui.show(boards_table(workspace.boards))


def doctor_report(common: Common) -> None:
    """What this machine has and lacks for a board; with ``install`` installs it."""
    workspace, board = _checked(common)
    ui = common.ui
    needed = common.origin.tools(board, common.build_options(), emulate=True)
    tools = [*needed, *doctor.DEVELOPMENT]
    for tool in tools:
        mark = "✓" if tool.present() else "✗ missing"
        ui.show(f"{mark} {tool.probe}  ({tool.package}: {tool.purpose})")
    for tool in doctor.OPTIONAL:
        mark = "✓" if tool.present() else "- not there, optional:"
        ui.show(f"{mark} {tool.probe}  ({tool.package}: {tool.purpose})")
    by_hand = common.origin.missing_by_hand()
    if by_hand is not None:
        ui.show(f"✗ {by_hand}")
    lacking = doctor.missing(tools)
    if not lacking and by_hand is None:
        ui.show(f"nothing is missing for {board.name}")
        return
    if not lacking:
        return
    if common.dry_run or not common.install:
        ui.show("what is missing is installed by --install, or by:")
        _print_commands(ui, [quoted(doctor.install_argv(lacking))])
        return
    job = Job(workspace, board, ui, log_folder(workspace, board, "doctor"), common.install)
    doctor.ensure(lacking, job.runner, ui, job.log("install"), common.install)


def plan(common: Common) -> None:
    """Secure memory that a network takes on the board; raises RequestError if it has too little."""
    questions = [
        _question(common, mode)
        for mode in ([planner.parse_mode(common.mode)] if common.mode else planner.MODES)
    ]
    workspace, board = _checked(common)
    if common.dry_run:
        _print_questions(common, workspace, board, questions)
        return
    job = Job(workspace, board, common.ui, log_folder(workspace, board, "plan"), common.install)
    doctor.ensure(doctor.COMMON, job.runner, common.ui, job.log("install"), common.install)
    lacking = []
    for question in questions:
        planned = planner.ask(job, question)
        if planned.plan is not None:
            common.ui.show(planner.table(planned.plan))
            common.ui.show(planner.verdict(board, planned.plan))
        if planned.fitting is None:
            lacking.append(planner.misfit(board, question, planned))
            continue
        for note in planned.notes:
            common.ui.warn(note)
    if lacking:
        raise lacking[0]


def _question(common: Common, mode: planner.Mode) -> planner.Question:
    """What the flags ask of the planner; without --cfg about the data set's network."""
    options = common.build_options()
    cfg = common.network
    if cfg is None:
        dataset = pipeline.load_dataset(Workspace.of_checkout(), options.dataset)
        cfg = dataset.folder / dataset.descriptor.network_cfg
    return planner.Question(
        cfg.resolve(),
        planner.parse_partition(common.pp or planner.AUTO),
        mode,
        batch=common.images,
        stack=options.ta_stack,
        heap=options.ta_heap,
    )


def _sizing_question(common: Common) -> planner.Question:
    """What the TA of a build with --cfg must have memory for: training, unless told otherwise."""
    return _question(common, planner.parse_mode(common.mode or "train"))


def _print_questions(
    common: Common, workspace: Workspace, board: Board, questions: Sequence[planner.Question]
) -> None:
    """The commands that plan, for a dry run."""
    made = workspace.board_out(board.name) / "build" / "planner"
    commands = [planner.planner_argv(workspace, str(made))]
    program = str(made / planner.PROGRAM)
    commands += [planner.question_argv(program, board, question) for question in questions]
    _print_commands(common.ui, map(quoted, commands))


def _sized(common: Common, job: Job) -> BuildOptions:
    """The build options with the TA's heap as the network of --cfg needs it, if there is one."""
    options = common.build_options()
    if common.cfg is None:
        return options
    question = _sizing_question(common)
    heap = planner.heap_for(job, question)
    where = f"layers {common.pp}" if common.pp else "the largest partition"
    job.ui.say(f"  {common.cfg}: TA_DATA_SIZE {heap:,}, to {question.mode} {where}")
    return replace(options, ta_heap=heap)


def _check_sizing(common: Common) -> None:
    """Raises RequestError for flags that size the TA and cannot."""
    if common.cfg is None:
        for name, value in (("pp", common.pp), ("mode", common.mode), ("batch", common.batch)):
            if value is not None:
                raise RequestError(
                    f"--{name} {value}: sizes the TA for a network, which --cfg must name"
                )
        return
    if common.ta_heap is not None:
        raise RequestError(f"--cfg {common.cfg} and --ta-heap {common.ta_heap} exclude each other")
    if common.app != OWN:
        raise RequestError(f"--cfg {common.cfg}: the plan is that of --app {OWN}")
    _sizing_question(common)


def fetch(common: Common) -> None:
    """Fetch and verify the parts."""
    workspace, board = _checked(common)
    ui, options = common.ui, common.build_options()
    if common.dry_run:
        _print_commands(ui, common.origin.fetch_commands(workspace, board, options))
        return
    job = Job(workspace, board, ui, log_folder(workspace, board, "fetch"), common.install)
    common.origin.prepare(job, options, emulate=False)
    common.origin.fetch(job, options)


def build(common: Common) -> None:
    """Everything up to what can be booted; with --cfg the TA is as large as its network needs."""
    _check_sizing(common)
    workspace, board = _checked(common)
    ui, origin, options = common.ui, common.origin, common.build_options()
    if common.dry_run:
        _print_commands(ui, origin.fetch_commands(workspace, board, options))
        if common.cfg is not None:
            _print_questions(common, workspace, board, [_sizing_question(common)])
        _print_commands(ui, origin.build_commands(workspace, board, options))
        return
    job = Job(workspace, board, ui, log_folder(workspace, board, "build"), common.install)
    origin.prepare(job, options, emulate=False)
    built = origin.build(job, _sized(common, job))
    _show_artifacts(ui, built)
    if built.disk_image is not None and board.flash.kind == "disk":
        link = job.out / built.disk_image.name
        image = link if link.exists() else built.disk_image
        ui.say(
            f"  {os.path.relpath(image)}: './inv flash --board {board.name}' writes it to a card"
        )


def run(common: Common, cold: bool) -> None:
    """Boot and hand both consoles to the user."""
    _check_sizing(common)
    workspace, board = _checked(common, emulated=True)
    ui = common.ui
    if common.dry_run:
        _print_all_commands(common, workspace, board)
        return
    job = _booting_job(common)
    built = common.origin.build(job, _sized(common, job))
    with _booted(job, built, cold) as session:
        ui.say(f"{board.name} is up: OP-TEE {session.tee}, {session.boot_seconds:.1f} s")
        hand_over(session, ui, built.dataset.root)


def qemu_test(common: Common, options: TestOptions) -> int:
    """Fetch, build, boot, run the suites, report; returns the exit code."""
    workspace, board = _checked(common, emulated=True)
    dataset, _ = pipeline.check_request(workspace, board, common.build_options())
    options = options.for_board(board).for_app(common.app)
    options.check_network(datasets.layer_count(dataset))
    ui = common.ui
    if common.dry_run:
        _print_all_commands(common, workspace, board)
        return 0
    job = Job(workspace, board, ui, new_run_folder(workspace, board), common.install)
    return run_tests(job, common.build_options(), options, common.seconds, common.origin)


def darknetp(common: Common, words: Sequence[str], cold: bool, get: str | None) -> None:
    """Run one darknetp command line on the board; print what both worlds say.

    ``get`` names a file on the board that is copied into the folder of the run afterwards. Raises
    CheckFailed or RequestError when darknetp says so by its exit status.
    """
    _check_sizing(common)
    workspace, board = _checked(common, emulated=True)
    ui = common.ui
    if common.dry_run:
        _print_all_commands(common, workspace, board)
        ui.show_line(quoted([DARKNETP, *words]))
        return
    job = _booting_job(common)
    built = common.origin.build(job, _sized(common, job))
    command = quoted([built.program, *words])
    root = built.dataset.root
    with (
        _booted(job, built, cold) as session,
        session.target.console("secure").tap() as secure,
    ):
        heard: list[str] = []

        def show_secure() -> None:
            for line in secure.waiting():
                heard.append(line.text)
                if common.verbose or not line.text.startswith(CORE_DEBUG):
                    ui.show_line(f"secure| {line.text}")

        def show(line: Line) -> None:
            show_secure()
            ui.show_line(line.text)

        try:
            done = session.shell.run(
                f"cd {shlex.quote(str(root))} && {command}",
                timeout=common.seconds or DARKNETP_SECONDS,
                on_line=show,
            )
        finally:
            show_secure()
        if get is not None:
            _bring_back(session, root / get, job, failed=done.status != 0)
    if done.status:
        ours = common.app == OWN and done.status == REQUEST_STATUS
        raise (RequestError if ours else CheckFailed)(
            f"{built.program} ended with status {done.status}; its last words are above",
            log=session.target.logs["normal"],
            advice=advice_for("\n".join([*heard, done.output]), "darknetp"),
        )


def _bring_back(session: Session, path: PurePosixPath, job: Job, *, failed: bool) -> None:
    """Copy a file of the board into the folder of the run.

    Raises RequestError when there is none, unless darknetp ``failed``: that is worse to know.
    """
    try:
        copied = get_file(session.shell, path, job.folder)
    except RequestError as error:
        if not failed:
            raise
        job.ui.warn(str(error))
        return
    job.ui.say(f"copied {path} to {copied}")


def flash(common: Common, order: flashing.Order) -> None:
    """Build what a real board boots from and put it there; asks before it overwrites."""
    _check_sizing(common)
    workspace, board = _checked(common)
    origin = common.origin
    flashing.check_way(board, origin, order)
    if common.dry_run:
        options = common.build_options()
        _print_commands(common.ui, origin.fetch_commands(workspace, board, options))
        _print_commands(common.ui, origin.build_commands(workspace, board, options))
        _print_commands(common.ui, flashing.commands(workspace, board, origin, order))
        return
    flashing.check_device_of(board, order)
    if board.card is not None and common.ssh_key is None:
        common.ui.warn("no --ssh-key: nobody can log in over SSH, root on the serial line only")
    job = Job(workspace, board, common.ui, log_folder(workspace, board, "flash"), common.install)
    options = common.build_options()
    origin.prepare(job, options, emulate=False)
    flashing.flash(job, origin, _sized(common, job), order)


def bench(common: Common, repeat: int, fresh: bool) -> None:
    """Measure what users wait for; table, and JSON beside it."""
    if repeat < 1:
        raise RequestError(f"--repeat {repeat}: at least once")
    if common.source != DEBIAN.name or common.app != OWN:
        raise RequestError(
            f"--source {common.source}, --app {common.app}: bench measures the application of "
            f"this project with --source {DEBIAN.name}",
            hint="leave both away, or read the seconds in the report of qemu-test",
        )
    if common.dry_run:
        workspace, board = _checked(common, emulated=True)
        _print_all_commands(common, workspace, board)
        return
    job = _booting_job(common)
    found = benchmark.Bench(job, common.build_options(), repeat).measure(fresh=fresh)
    benchmark.write(found, job.folder / benchmark.RESULT)
    common.ui.show(benchmark.table(found))
    common.ui.say(f"numbers: {job.folder / benchmark.RESULT}")


def clean(common: Common, everything: bool) -> None:
    """Remove what was built for a board, not its runs; with ``everything`` all output and cache."""
    workspace = Workspace.of_checkout()
    load_board(workspace.boards, common.board)
    out = workspace.board_out(common.board)
    doomed = [out / "build", out / "logs"]
    if everything:
        doomed = [workspace.out, workspace.cache]
    for path in doomed:
        if path.exists() and common.dry_run:
            common.ui.show_line(f"would be removed: {path}")
        elif path.exists():
            shutil.rmtree(path)
            common.ui.say(f"removed {path}")
    for link in out.glob("*"):
        if link.is_symlink() and not link.exists():
            link.unlink()


def _checked(common: Common, *, emulated: bool = False) -> tuple[Workspace, Board]:
    """The board asked for, to be booted here if ``emulated``.

    Raises RequestError for what this version cannot do.
    """
    workspace = Workspace.of_checkout()
    board = load_board(workspace.boards, common.board)
    origin, memory = common.origin, _size("secure-memory", common.secure_memory)
    if memory is None and board.simulated_memory is not None and origin is DEBIAN:
        memory = board.simulated_memory.size
    if memory is not None:
        if origin is not DEBIAN:
            raise RequestError(
                f"--secure-memory {common.secure_memory} is for --source {DEBIAN.name}"
            )
        board = with_secure_memory(board, memory)
    _fetch_dataset(common, workspace, board)
    if common.ssh_key is not None and board.card is None:
        raise RequestError(f"--ssh-key {common.ssh_key}: {board.name} has no SSH server from here")
    if board.caveat is not None:
        common.ui.warn(f"{board.name}: {board.caveat}")
    board = origin.adapt(board, common.build_options())
    if emulated:
        origin.check_emulated(board)
    pipeline.check_request(workspace, board, common.build_options())
    common.seconds  # noqa: B018 - refuses a wrong one before any work
    return workspace, board


def _fetch_dataset(common: Common, workspace: Workspace, board: Board) -> None:
    """Fetch a data set that is known by name, before it is looked into."""
    repository = pinned.dataset_repository(common.dataset)
    if repository is None or git.place_of(repository, workspace.cache).is_dir():
        return
    if common.dry_run:
        raise RequestError(
            f"--dataset {common.dataset} is not here yet, and --dry-run fetches nothing",
            hint="run the same command without --dry-run once",
        )
    folder = log_folder(workspace, board, "dataset")
    with common.ui.step(f"fetch: {repository.url}"):
        git.clone(repository, workspace.cache, Runner(folder / "commands.log"), folder / "git.log")


def _booting_job(common: Common) -> Job:
    workspace, board = _checked(common, emulated=True)
    job = Job(workspace, board, common.ui, new_run_folder(workspace, board), common.install)
    common.origin.prepare(job, common.build_options(), emulate=True)
    return job


@contextlib.contextmanager
def _booted(job: Job, built: Product, cold: bool) -> Iterator[Session]:
    """A session on what was built, whose start is shown."""
    with contextlib.ExitStack() as stack:
        with job.ui.step(f"boot: {job.board.name}"):
            session = stack.enter_context(built.open_session(job, cold=cold))
        yield session


def _show_artifacts(ui: Ui, built: Product) -> None:
    for name, path in built.artifacts().items():
        ui.say(f"  {name:28} {os.path.relpath(path)}  {show_size(path.stat().st_size)}")


def _print_all_commands(common: Common, workspace: Workspace, board: Board) -> None:
    origin, options = common.origin, common.build_options()
    for commands in (
        dryrun.install_commands(origin.tools(board, options, emulate=True)),
        origin.fetch_commands(workspace, board, options),
        origin.build_commands(workspace, board, options),
        origin.boot_commands(workspace, board),
    ):
        _print_commands(common.ui, commands)


def _print_commands(ui: Ui, commands: Iterable[str]) -> None:
    for command in commands:
        ui.show_line(command)


def _size(flag: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return parse_size(text)
    except ValueError as error:
        raise RequestError(f"--{flag}: {error}") from error


def _public_keys(path: str | None) -> Path | None:
    """The file of --ssh-key. Raises RequestError for one that is not of public keys."""
    if path is None:
        return None
    try:
        lines = Path(path).read_text(errors="replace").splitlines()
    except OSError as error:
        raise RequestError(
            f"--ssh-key {path}: {error.strerror}", hint="give the file with your public key"
        ) from error
    if not any(line.startswith(("ssh-", "ecdsa-")) for line in lines):
        raise RequestError(
            f"--ssh-key {path}: holds no public key",
            hint="give the file whose name ends in .pub, such as ~/.ssh/id_ed25519.pub",
        )
    return Path(path)
