# SPDX-License-Identifier: MIT
"""What users wait for, measured: medians of several repetitions, table and JSON."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.table import Table

from tzkit import pipeline
from tzkit.console import Shell
from tzkit.datasets import DatasetSummary
from tzkit.errors import CheckFailed
from tzkit.job import Job
from tzkit.pipeline import Build, BuildOptions
from tzkit.session import open_session, saved_system
from tzkit.store import write_whole
from tzkit.suites import darknetp
from tzkit.suites.darknetp import DarknetpRun, Partition
from tzkit.suites.darknetp_judge import judge_predict
from tzkit.ui import QUIET, Ui
from tzkit.workspace import Workspace

RESULT = "bench.json"
PARTITION = Partition(4, 10)
# The secure world computes in one thread: that is what it is compared with.
PLACES = (
    ("nothing, all threads,", None, None),
    ("nothing", None, 1),
    ("4:10", PARTITION, 1),
    ("0:10", Partition(0, 10), 1),
)
ITERATIONS = 5
TRAINING_BATCH = 100  # images per iteration, as DarkneTZ's own example
LIMIT_SECONDS = 900.0
FRESH_SECONDS = 3600.0
COPIED = ("boards", "datasets", "host", "nn", "ta", "templates")
CHANGED_FILE = "ta/src/entry.c"


@dataclass(frozen=True)
class Measurement:
    """One thing measured, in seconds, calls or bytes; ``median`` is what counts."""

    name: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)


class Bench:
    """Measures for one board; everything is built before the clock starts."""

    def __init__(self, job: Job, options: BuildOptions, repeat: int) -> None:
        self._job = job
        self._options = options
        self._repeat = repeat
        self._found: list[Measurement] = []

    def measure(self, *, fresh: bool) -> tuple[Measurement, ...]:
        """All measurements; ``fresh`` adds the long one, from a clone without any cache."""
        job = self._job
        pipeline.prepare_host(job, emulate=True)
        built = pipeline.build(job, self._options)
        saved = saved_system(job, built)
        self._time("build, nothing changed", lambda: self._command("build"))
        self._time("boot to shell, from reset", lambda: self._boot(built, cold=True))
        if saved is not None:
            self._time("boot to shell, saved system", lambda: self._boot(built, cold=False))
        self._time("one changed line in ta/ to a prediction by the new TA", self._changed_ta)
        self._time(
            "qemu-test --xtest none, nothing changed",
            lambda: self._command("qemu-test", "--xtest", "none"),
        )
        self._darknetp(built)
        if fresh:
            self._repeat = 1
            self._time("fresh clone and empty cache to the verdict of qemu-test", self._fresh)
        return tuple(self._found)

    def _time(self, name: str, work: Callable[[], None]) -> None:
        values = []
        with self._job.ui.step(f"bench: {name}") as step:
            for number in range(self._repeat):
                step.update(f"{number + 1}/{self._repeat}")
                began = time.monotonic()
                work()
                values.append(round(time.monotonic() - began, 3))
            step.result = f"{statistics.median(values):.2f} s"
        self._found.append(Measurement(name, "s", tuple(values)))

    def _command(self, task: str, *flags: str, cwd: Path | None = None, **env: str) -> None:
        """One tzkit command as a process of its own, as users run it."""
        argv = [sys.executable, "-m", "invoke", task, "--board", self._job.board.name, "--quiet"]
        self._job.runner.run(
            [*argv, "--dataset", self._options.dataset, *flags],
            what=f"./inv {task}",
            cwd=cwd or self._job.workspace.root,
            env=env,
            log=self._job.log(f"bench-{task}"),
            timeout=LIMIT_SECONDS,
        )

    def _boot(self, built: Build, *, cold: bool) -> None:
        with open_session(self._job, built, cold=cold, name="bench"):
            pass

    def _changed_ta(self) -> None:
        """Change a line of a copy of the sources, build, restore, predict with the new TA."""
        with self._copied_sources() as job:
            with (job.workspace.root / CHANGED_FILE).open("a") as source:
                source.write(f"/* changed at {time.time_ns()} */\n")
            built = pipeline.build(job, self._options)
            example = built.dataset.examples[0]
            with open_session(job, built, cold=False, name="bench") as session:
                run = darknetp.run_predict(
                    session.shell, built.dataset, example, PARTITION, timeout=LIMIT_SECONDS
                )
            reasons = judge_predict(run, PARTITION, example).reasons
        if reasons:
            raise CheckFailed(f"the prediction by the new TA is wrong: {'; '.join(reasons)}")

    @contextmanager
    def _copied_sources(self) -> Iterator[Job]:
        """A job on a copy of the sources that shares what is built, as a changed checkout does."""
        here = self._job.workspace
        with tempfile.TemporaryDirectory(prefix="tzkit-bench-") as name:
            root = Path(name)
            for folder in COPIED:
                shutil.copytree(here.root / folder, root / folder)
            workspace = Workspace(root, here.out, here.cache)
            yield replace(self._job, workspace=workspace, ui=Ui(QUIET))

    def _darknetp(self, built: Build) -> None:
        """Training and prediction with more and more of the layers in the TEE, in one session."""
        with open_session(self._job, built, cold=False, name="bench") as session:
            for label, partition, threads in PLACES:
                with self._job.ui.step(f"bench: darknetp with {label} in the TEE") as step:
                    self._train(session.shell, built.dataset, label, partition, threads)
                    step.result = f"{self._found[-1].median:.2f} s per iteration"
                    if threads is not None:
                        self._predict(session.shell, built.dataset, label, partition)

    def _train(
        self,
        shell: Shell,
        dataset: DatasetSummary,
        label: str,
        partition: Partition | None,
        threads: int | None,
    ) -> None:
        run = darknetp.run_train(
            shell,
            dataset,
            partition,
            timeout=LIMIT_SECONDS,
            iterations=ITERATIONS,
            batch=TRAINING_BATCH,
            threads=threads,
        )
        seconds = tuple(said.seconds for said in run.said.iterations)
        if run.status or len(seconds) != ITERATIONS:
            raise CheckFailed(
                f"training with {label} in the TEE ended with status {run.status} after "
                f"{len(seconds)} of {ITERATIONS} iterations"
            )
        what = f"training iteration of {TRAINING_BATCH} images, {label} in the TEE"
        self._note_crossed(what, run, ITERATIONS)
        self._found.append(Measurement(what, "s", seconds))

    def _predict(
        self, shell: Shell, dataset: DatasetSummary, label: str, partition: Partition | None
    ) -> None:
        runs = [
            darknetp.run_predict(shell, dataset, example, partition, timeout=LIMIT_SECONDS)
            for example in dataset.examples[: self._repeat]
        ]
        if any(run.status for run in runs):
            raise CheckFailed(f"a prediction with {label} in the TEE failed")
        seconds = tuple(run.said.predicted_seconds or 0.0 for run in runs)
        self._note_crossed(f"one image predicted, {label} in the TEE", runs[0], 1)
        self._found.append(Measurement(f"one image predicted, {label} in the TEE", "s", seconds))
        whole = tuple(run.seconds for run in runs)
        self._found.append(
            Measurement(f"darknetp predict from start to end, {label} in the TEE", "s", whole)
        )

    def _note_crossed(self, what: str, run: DarknetpRun, times: int) -> None:
        """Calls of the secure world and bytes that crossed, for each of ``times``."""
        crossed = run.stream.crossed if run.stream else None
        if crossed is None or not crossed.calls:
            return
        moved = crossed.bytes_to_secure + crossed.bytes_from_secure
        self._found.append(Measurement(what, "calls", (crossed.calls / times,)))
        self._found.append(Measurement(what, "bytes", (moved / times,)))

    def _fresh(self) -> None:
        """What a newcomer waits for: clone, empty cache, ./inv qemu-test."""
        with tempfile.TemporaryDirectory(prefix="tzkit-bench-") as name:
            clone = Path(name) / "tzkit"
            log = self._job.log("bench-fresh")
            self._job.runner.run(
                ["git", "clone", "--quiet", self._job.workspace.root, clone], what="cloning"
            )
            self._job.runner.run(
                [clone / "inv", "qemu-test", "--board", self._job.board.name],
                what="./inv qemu-test in a fresh clone",
                cwd=clone,
                env={"XDG_CACHE_HOME": str(Path(name) / "cache")},
                log=log,
                timeout=FRESH_SECONDS,
            )


def write(measurements: tuple[Measurement, ...], path: Path) -> None:
    """The measurements as JSON, whole or not at all."""
    found = [{**asdict(item), "median": item.median} for item in measurements]
    document = {"version": 1, "processors": os.cpu_count(), "measurements": found}
    write_whole(path, json.dumps(document, indent=1) + "\n")


def table(measurements: tuple[Measurement, ...]) -> Table:
    """The measurements for people."""
    shown = Table(title=f"bench, {os.cpu_count()} processors", title_justify="left")
    shown.add_column("what")
    for column in ("median", "from", "to"):
        shown.add_column(column, justify="right")
    for item in measurements:
        numbers = (item.median, min(item.values), max(item.values))
        shown.add_row(item.name, *(_with_unit(number, item.unit) for number in numbers))
    return shown


def _with_unit(number: float, unit: str) -> str:
    return f"{number:.3f} s" if unit == "s" else f"{number:,.0f} {unit}"
