# SPDX-License-Identifier: MIT
"""The darknetp suite: usage, training, prediction and validation, with layers in the TEE.

The runner records what both worlds say during one command; the judges, in ``darknetp_judge``,
look at nothing else. Our own program writes its results as a stream of JSON beside what it prints;
of others there is only the latter.
"""

from __future__ import annotations

import functools
import re
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from tzkit.console import Line, Shell
from tzkit.console.console import Tap
from tzkit.datasets import DatasetSummary, Example
from tzkit.errors import CheckFailed, RequestError
from tzkit.suites.darknetp_output import NormalOutput, is_iteration, read_normal, read_secure
from tzkit.suites.darknetp_stream import Spoiled, Stream, as_output, read_stream
from tzkit.transfer import read_file

PROGRAM = "darknetp"
TRAIN_ITERATIONS = 20
PREDICTIONS = 3  # held-out images of a run
OPEN_PREDICTIONS = 1  # and those whose confidences must show
SEED = 1
TOP = 5
STREAM = PurePosixPath("/tmp/darknetp.json")
SOFTMAX = ("softmax", "soft")

# How long lines of the secure world may come later than the end of the command (slow UARTs).
LATE_SECONDS = 1.0
REMOVE_SECONDS = 20.0


@dataclass(frozen=True)
class Partition:
    """The layers in the TEE, from ``start`` to ``end``, both included."""

    start: int
    end: int

    @classmethod
    def parse(cls, text: str) -> Partition:
        """Read ``START:END``. Raises RequestError when it is anything else."""
        match = re.fullmatch(r"(\d{1,4}):(\d{1,4})", text.strip())
        if match is None or int(match[1]) > int(match[2]):
            raise RequestError(
                f"--pp {text}: not a partition", hint="write START:END, such as --pp 4:10"
            )
        return cls(int(match[1]), int(match[2]))

    def check(self, layers: int) -> None:
        """Raises RequestError when a network of that many layers cannot be cut so."""
        if self.end >= layers:
            raise RequestError(
                f"--pp {self}: outside the network, whose layers are 0 to {layers - 1}",
                hint=f"write START:END within 0:{layers - 1}",
            )

    def before_softmax(self, layers: Sequence[str]) -> Partition | None:
        """The same without a softmax and what follows it; None where nothing would be left.

        ``layers`` are the network's, by the names of their sections.
        """
        inside = range(self.start, self.end + 1)
        first = next((index for index in inside if layers[index] in SOFTMAX), self.end + 1)
        return Partition(self.start, first - 1) if first > self.start else None

    def __str__(self) -> str:
        return f"{self.start}:{self.end}"

    @property
    def flags(self) -> tuple[str, ...]:
        return ("-pp_start", str(self.start), "-pp_end", str(self.end))


@dataclass(frozen=True)
class DarknetpRun:
    """One command: what both worlds said from its start to its end, its status and duration.

    ``stream`` is what the program wrote for programs, if it is one that does.
    """

    command: str
    normal: tuple[Line, ...]
    secure: tuple[Line, ...]
    status: int
    seconds: float
    stream: Stream | None = None

    @functools.cached_property
    def said(self) -> NormalOutput:
        """What was said in the normal world."""
        return as_output(self.stream) if self.stream is not None else read_normal(self.normal)


def run_usage(shell: Shell, *, timeout: float) -> DarknetpRun:
    """darknetp without arguments, which still opens a session with the TA."""
    return _run(shell, PROGRAM, timeout)


def run_train(
    shell: Shell,
    dataset: DatasetSummary,
    partition: Partition | None,
    *,
    timeout: float,
    iterations: int = TRAIN_ITERATIONS,
    seed: int = SEED,
    batch: int | None = None,
    threads: int | None = None,
    tune: bool = False,
    on_iteration: Callable[[int], None] = lambda number: None,
) -> DarknetpRun:
    """Train from scratch, or ``tune``: go on with the data set's weights and their schedule.

    ``batch`` replaces the data set's own for short trainings, ``threads`` are those of the normal
    world (all there are); ``on_iteration`` is told how many iterations have ended. With the data
    set's ``short_cfg`` nothing is asked for that upstream does not know: iterations and batch are
    those of that file, and the seed is the program's own.
    """
    words = ["classifier", "train", *_flags(partition)]
    if dataset.short_cfg is None:
        batch = batch or dataset.training_batch
        words += ["-iterations", str(iterations), "-seed", str(seed)]
        words += ["-batch", str(batch)] if batch else []
        words += ["-threads", str(threads)] if threads else []
    words += [str(dataset.data_cfg), str(dataset.short_cfg or dataset.network_cfg)]
    words += [str(dataset.weights)] if tune else []
    ended = 0

    def count(line: Line) -> None:
        nonlocal ended
        if is_iteration(line.text):
            ended += 1
            on_iteration(ended)

    return _run_words(shell, dataset, words, timeout, count, iterations if partition else 0)


def run_predict(
    shell: Shell,
    dataset: DatasetSummary,
    example: Example,
    partition: Partition | None,
    *,
    timeout: float,
) -> DarknetpRun:
    """Classify one image that was not trained on with the data set's weights."""
    words = [
        *("classifier", "predict", *_flags(partition), "-t", str(TOP)),
        *(str(dataset.data_cfg), str(dataset.network_cfg), str(dataset.weights)),
        str(example.image),
    ]
    return _run_words(shell, dataset, words, timeout)


def run_valid(
    shell: Shell, dataset: DatasetSummary, partition: Partition | None, *, timeout: float
) -> DarknetpRun:
    """Classify all held-out images with the data set's weights."""
    words = [
        *("classifier", "valid", *_flags(partition), "-t", str(TOP)),
        *(str(dataset.data_cfg), str(dataset.network_cfg), str(dataset.weights)),
    ]
    return _run_words(shell, dataset, words, timeout)


def _flags(partition: Partition | None) -> Sequence[str]:
    return partition.flags if partition else ()


def _run_words(
    shell: Shell,
    dataset: DatasetSummary,
    words: Sequence[str],
    timeout: float,
    on_line: Callable[[Line], None] = lambda line: None,
    losses: int = 0,
) -> DarknetpRun:
    """Run darknetp in the data set's folder; of our own the stream is read, too."""
    own = dataset.short_cfg is None
    argv = [PROGRAM, *words, *(("-json", str(STREAM)) if own else ())]
    command = f"cd {shlex.quote(str(dataset.root))} && {shlex.join(argv)}"
    run = _run(shell, command, timeout, on_line, losses)
    return replace(run, stream=_fetch_stream(shell)) if own else run


def _fetch_stream(shell: Shell) -> Stream:
    """What the program has written; nothing if it did not come so far.

    Raises CheckFailed when it is not in the format that was agreed on.
    """
    try:
        content = read_file(shell, STREAM)
    except FileNotFoundError:
        return Stream(())
    shell.run(f"rm -f {STREAM}", timeout=REMOVE_SECONDS)
    try:
        return read_stream(content.decode(errors="replace").splitlines())
    except Spoiled as error:
        raise CheckFailed(
            f"{STREAM}, as {PROGRAM} wrote it, is not in its format: {error}",
            log=shell.target.logs["normal"],
        ) from error


def _run(
    shell: Shell,
    command: str,
    timeout: float,
    on_line: Callable[[Line], None] = lambda line: None,
    losses: int = 0,
) -> DarknetpRun:
    """Run with an ear on the secure console, where ``losses`` lines may be expected."""
    normal: list[Line] = []

    def note(line: Line) -> None:
        normal.append(line)
        on_line(line)

    with shell.target.console("secure").tap() as tap:
        ended = shell.run(command, timeout=timeout, on_line=note)
        secure = tap.waiting()
        if not ended.status:
            secure += _late_lines(tap, losses - len(read_secure(secure).losses))
    return DarknetpRun(command, tuple(normal), tuple(secure), ended.status, ended.seconds)


def _late_lines(tap: Tap, wanted: int) -> list[Line]:
    """Wait for ``wanted`` more loss lines, but not long."""
    lines: list[Line] = []
    deadline = time.monotonic() + LATE_SECONDS
    while len(read_secure(lines).losses) < wanted and time.monotonic() < deadline:
        line = tap.next(deadline - time.monotonic())
        if line is not None:
            lines.append(line)
    return lines
