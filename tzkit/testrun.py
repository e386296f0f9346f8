# SPDX-License-Identifier: MIT
"""One test run: build, boot, suites in sessions side by side, report."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace

from tzkit import report
from tzkit.board import Board
from tzkit.console import Event, Shell
from tzkit.consoles import hand_over
from tzkit.datasets import DatasetSummary, Example
from tzkit.errors import RequestError, TzkitError
from tzkit.foreign import OWN, pinned
from tzkit.job import Job, point_latest
from tzkit.origin import DEBIAN, Origin, Product
from tzkit.pipeline import BuildOptions
from tzkit.report import Boot, RunRecord, Suite
from tzkit.session import Session
from tzkit.store import disk_error
from tzkit.suites import darknetp, xtest
from tzkit.suites.darknetp import DarknetpRun, Partition
from tzkit.suites.darknetp_judge import (
    judge_predict,
    judge_train,
    judge_tune,
    judge_usage,
    judge_valid,
)

XTEST_SECONDS = 1800.0
DARKNETP_SECONDS = 600.0
WATCH_SECONDS = 0.2
ONLY = tuple(suite for suite in report.SUITES if suite != "boot")
OWN_ONLY: tuple[Suite, ...] = ("tune", "valid")  # upstream's cannot do these with layers in the TEE
LEVELS = ("full", "smoke", "none")
ONLY_XTEST = ("boot", "xtest")


@dataclass(frozen=True)
class TestOptions:
    """What a test run is asked to do."""

    __test__ = False  # not a test class of pytest's

    partition: Partition
    xtest: str | None  # None: what the board file says
    suites: tuple[Suite, ...]
    keep: bool = False
    cold: bool = False

    @classmethod
    def parse(
        cls, *, pp: str, xtest: str | None, only: str | None, keep: bool, cold: bool
    ) -> TestOptions:
        """From the flags. Raises RequestError for what they cannot mean."""
        if xtest is not None and xtest not in LEVELS:
            raise RequestError(f"--xtest {xtest}: choose from {', '.join(LEVELS)}")
        if only is not None and only not in ONLY:
            raise RequestError(f"--only {only}: choose from {', '.join(ONLY)}")
        if only == "xtest" and xtest == "none":
            raise RequestError("--only xtest and --xtest none contradict each other")
        chosen = [suite for suite in report.SUITES if only in (None, suite) or suite == "boot"]
        suites = tuple(suite for suite in chosen if suite != "xtest" or xtest != "none")
        return cls(Partition.parse(pp), xtest, suites, keep, cold)

    def for_board(self, board: Board) -> TestOptions:
        """The same with the board's own level of xtest where none was asked for.

        Raises RequestError when xtest was asked for and the board has none.
        """
        if board.xtest is None and (self.xtest not in (None, "none") or self.suites == ONLY_XTEST):
            raise RequestError(
                f"{board.name} has no xtest: Debian has none for {board.arch}",
                hint="leave --xtest away, or say --xtest none",
            )
        level = self.xtest or (board.xtest.level if board.xtest else "none")
        suites = tuple(suite for suite in self.suites if suite != "xtest" or level != "none")
        return replace(self, xtest=level, suites=suites)

    def for_app(self, app: str) -> TestOptions:
        """The same without what other applications cannot do. Raises RequestError if it is all."""
        if app == OWN:
            return self
        return self._without(OWN_ONLY, f"is for --app {OWN}")

    def for_dataset(self, held_out: int) -> TestOptions:
        """The same without validation where there is nothing to validate with.

        Raises RequestError if that is all that was asked for.
        """
        if held_out:
            return self
        return self._without(("valid",), "needs images that were held out, the data set has none")

    def _without(self, left_out: Sequence[Suite], why: str) -> TestOptions:
        suites = tuple(suite for suite in self.suites if suite not in left_out)
        if suites == ("boot",) and suites != self.suites:
            raise RequestError(f"--only {self.suites[1]} {why}")
        return replace(self, suites=suites)

    def check_network(self, layers: int) -> None:
        """Raises RequestError when the partition will be used and lies outside the network."""
        if {"train", "tune", "predict", "valid"} & set(self.suites):
            self.partition.check(layers)


@dataclass
class Findings:
    """What the workers of a run have found so far."""

    record: RunRecord
    sessions: list[Session] = field(default_factory=list)
    progress: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, **found: object) -> None:
        with self.lock:
            self.record = replace(self.record, **found)  # type: ignore[arg-type]

    def note_darknetp(self, **found: object) -> None:
        with self.lock:
            said = replace(self.record.darknetp, **found)  # type: ignore[arg-type]
            self.record = replace(self.record, darknetp=said)


def run_tests(
    job: Job,
    build: BuildOptions,
    options: TestOptions,
    timeout: float | None,
    origin: Origin = DEBIAN,
) -> int:
    """The whole run with its report, in every ending; returns the exit code."""
    point_latest(job.folder)
    findings = Findings(
        RunRecord(
            board=job.board.name,
            source=origin.name,
            app=build.app,
            reproduce=reproduce_line(),
            wanted=options.suites,
            notes=(job.board.caveat,) if job.board.caveat else (),
        )
    )
    try:
        _run(job, build, options, timeout, findings, origin)
    except TzkitError as error:
        findings.note(error=error)
    except OSError as error:
        failure = disk_error(error)
        if failure is None:
            raise
        findings.note(error=failure)
    except KeyboardInterrupt:
        findings.note(interrupted=True)
    return _report(job, findings)


def reproduce_line() -> str:
    """The command line of this run, for the report."""
    return shlex.join(["./inv", *sys.argv[1:]])


def _run(
    job: Job,
    build: BuildOptions,
    options: TestOptions,
    timeout: float | None,
    findings: Findings,
    origin: Origin,
) -> None:
    origin.prepare(job, build, emulate=True)
    built = origin.build(job, build)
    data = pinned.dataset_parts(build.dataset, job.workspace.cache)
    options = options.for_dataset(built.dataset.held_out_images)
    findings.note(parts=(*built.records, *data), wanted=options.suites)
    with contextlib.ExitStack() as stack:
        shards = _shards(job.board, options, origin)
        with job.stage(
            "boot", f"boot: {job.board.name}, {max(len(shards), 1)} session(s)"
        ) as stage:
            for number in range(max(len(shards), 1)):
                name = str(number + 1) if number else ""
                session = built.open_session(job, cold=options.cold, name=name)
                findings.sessions.append(stack.enter_context(session))
            first = findings.sessions[0]
            stage.result = f"OP-TEE {first.tee} in {first.boot_seconds:.1f} s"
            findings.note(boot=Boot(first.boot_seconds, first.tee, first.warm))
        with job.stage("suites", f"suites: {', '.join(options.suites[1:])}") as stage:
            _run_suites(job, built, options, timeout, shards, findings, stage.update)
        if options.keep:
            hand_over(findings.sessions[0], job.ui, built.dataset.root)


def _shards(board: Board, options: TestOptions, origin: Origin) -> tuple[xtest.Shard, ...]:
    """A full xtest is split over two emulators where there are processors for them."""
    if "xtest" not in options.suites or board.xtest is None:
        return ()
    if options.xtest == "smoke":
        return xtest.plan("smoke", without=board.xtest.without)
    shards = min(2, os.cpu_count() or 1, origin.most_sessions or 2)
    return xtest.plan("full", shards, board.xtest.without)


def _run_suites(
    job: Job,
    built: Product,
    options: TestOptions,
    timeout: float | None,
    shards: tuple[xtest.Shard, ...],
    findings: Findings,
    update: Callable[[str], None],
) -> None:
    """darknetp in the first session, then xtest's shards, one in each."""
    runs: list[xtest.ShardRun] = []

    def work(session: Session, shard: xtest.Shard | None, first: bool) -> None:
        if first:
            _run_darknetp(session, built, options, timeout or DARKNETP_SECONDS, findings)
        if shard is not None:
            progress = _counter(findings, f"xtest {shard.name}")
            limit = timeout or XTEST_SECONDS
            runs.append(xtest.run_shard(session.shell, shard, timeout=limit, on_case=progress))

    with ThreadPoolExecutor(len(findings.sessions)) as pool:
        futures = [
            pool.submit(work, session, shard, session is findings.sessions[0])
            for session, shard in zip(findings.sessions, shards or (None,), strict=True)
        ]
        try:
            _watch(futures, findings, update)
        finally:
            if not all(future.done() and not future.exception() for future in futures):
                job.abort.set()
    if shards:
        runs.sort(key=lambda run: run.shard.name)
        level: xtest.Level = "smoke" if options.xtest == "smoke" else "full"
        without = job.board.xtest.without if job.board.xtest else {}
        findings.note(xtest=xtest.judge(runs, level, without))


def _watch(futures: list[Future[None]], findings: Findings, update: Callable[[str], None]) -> None:
    """Show progress until all workers are done; raise the first one's error at once."""
    shown = ""
    while True:
        done, waiting = wait(futures, WATCH_SECONDS, return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()
        if not waiting:
            return
        with findings.lock:
            text = " | ".join(f"{name} {what}" for name, what in findings.progress.items())
        if text != shown:
            update(text)
            shown = text


def _counter(findings: Findings, name: str) -> Callable[[str], None]:
    count = 0

    def progress(case: str) -> None:
        nonlocal count
        count += 1
        with findings.lock:
            findings.progress[name] = f"{case} ({count})"

    return progress


def _run_darknetp(
    session: Session, built: Product, options: TestOptions, limit: float, findings: Findings
) -> None:
    shell, dataset, partition = session.shell, built.dataset, options.partition

    def progress(what: str) -> None:
        with findings.lock:
            findings.progress["darknetp"] = what

    if "usage" in options.suites:
        progress("usage")
        findings.note_darknetp(usage=judge_usage(darknetp.run_usage(shell, timeout=limit)))
    if "predict" in options.suites:
        predictions = []
        for place, example in _asked_predictions(dataset, partition):
            progress(f"predict {example.label}")
            run = darknetp.run_predict(shell, dataset, example, place, timeout=limit)
            predictions.append(judge_predict(run, place, example))
        findings.note_darknetp(predictions=tuple(predictions))
    if "valid" in options.suites:
        progress(f"valid, {dataset.held_out_images} images")
        run = darknetp.run_valid(shell, dataset, partition, timeout=limit)
        findings.note_darknetp(valid=judge_valid(run, partition, dataset))
    for name, judge in (("train", judge_train), ("tune", judge_tune)):
        if name in options.suites:
            run = _run_training(shell, dataset, partition, limit, name, progress)
            findings.note_darknetp(**{name: judge(run, partition, darknetp.TRAIN_ITERATIONS)})
    with findings.lock:
        findings.progress.pop("darknetp", None)


def _asked_predictions(
    dataset: DatasetSummary, partition: Partition
) -> list[tuple[Partition, Example]]:
    """Images with the partition asked for, and again with the softmax outside of it.

    Upstream's program, which is told less, gets the first ones only.
    """
    asked = [(partition, example) for example in dataset.examples[: darknetp.PREDICTIONS]]
    outside = partition.before_softmax(dataset.layers)
    if dataset.short_cfg is None and outside not in (None, partition):
        asked += [(outside, example) for example in dataset.examples[: darknetp.OPEN_PREDICTIONS]]
    return asked


def _run_training(
    shell: Shell,
    dataset: DatasetSummary,
    partition: Partition,
    limit: float,
    name: str,
    progress: Callable[[str], None],
) -> DarknetpRun:
    """The short training of a test run, from scratch or (``tune``) from the data set's weights."""
    asked = darknetp.TRAIN_ITERATIONS
    return darknetp.run_train(
        shell,
        dataset,
        partition,
        timeout=limit,
        iterations=asked,
        tune=name == "tune",
        on_iteration=lambda number: progress(f"{name} {number}/{asked}"),
    )


def _report(job: Job, findings: Findings) -> int:
    """Write and show the report; returns the exit code."""
    events: tuple[Event, ...] = ()
    for session in findings.sessions:
        events += session.target.events
    logs = {path.stem: path for path in sorted(job.folder.glob("*.log"))}
    findings.note(stages=tuple(job.stages), events=events, logs=logs)
    record = findings.record
    report.write(record, job.folder)
    job.ui.show(report.table(record))
    if record.error is not None:
        job.ui.say(str(record.error), style="bold red")
    job.ui.say(f"report: {job.folder / report.REPORT}\nreproduce: {record.reproduce}")
    return record.exit_code
