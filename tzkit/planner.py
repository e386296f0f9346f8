# SPDX-License-Identifier: MIT
"""Secure memory before anything is built: what a network takes for a partition on a board.

The numbers come from ``darknetp-plan``, a program for this machine made of the very code that lays
a model out in the trusted application (``nn/``, ``host/planner``).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from rich.table import Table

from tzkit.board import Board
from tzkit.boardfile import PAGE
from tzkit.build.application import CODE_ALLOWANCE
from tzkit.build.toolchain import NATIVE, native_compiler_version
from tzkit.errors import EnvironmentFailed, RequestError
from tzkit.job import Job
from tzkit.store import Entry, digest_of_tree
from tzkit.suites.darknetp import Partition
from tzkit.units import show_size
from tzkit.workspace import Workspace

PROGRAM = "darknetp-plan"
AUTO = "auto"
DEFAULT = ": Using default"
REFUSED = 2  # the program's status for a network that cannot be computed

Mode = Literal["train", "predict"]
MODES: tuple[Mode, ...] = get_args(Mode)


@dataclass(frozen=True)
class Question:
    """What to plan for.

    ``partition`` is None for the largest that fits; ``batch`` replaces the network's own; ``heap``
    is that of a TA that exists, else all that the board has may be used.
    """

    cfg: Path
    partition: Partition | None
    mode: Mode
    batch: int | None = None
    stack: int | None = None
    heap: int | None = None


class _Table(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class LayerPlan(_Table):
    """Bytes of a layer in the TEE; zeros for one in the normal world."""

    index: int
    kind: str
    world: Literal["normal", "secure"]
    weights: int
    gradients: int
    activations: int
    deltas: int
    workspace: int


class Footprint(_Table):
    """The trusted application on the board, in bytes; ``tables`` map it."""

    stack: int
    code: int
    total: int
    tables: int
    budget: int
    fits_budget: bool
    fits_tables: bool


class Plan(_Table):
    """What a partition takes, in bytes; layers share activations, deltas and workspace.

    ``micro_batch`` of ``samples`` images are computed at a time, 0 if not even one fits. ``heap``
    is the TA_DATA_SIZE for it.
    """

    event: Literal["plan"]
    mode: Mode
    partition: Partition
    samples: int
    micro_batch: int
    layers: tuple[LayerPlan, ...]
    weights: int
    gradients: int
    activations: int
    deltas: int
    workspace: int
    bookkeeping: int
    model: int
    heap: int
    room: int
    platform: Footprint
    fits: bool


@dataclass(frozen=True)
class Planned:
    """A plan and what the program had to say about it; no plan when nothing could be planned."""

    plan: Plan | None
    said: tuple[str, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """Without the defaults that the network goes with: they are no news."""
        return tuple(text for text in self.said if DEFAULT not in text)

    @property
    def fitting(self) -> Plan | None:
        """The plan if it fits."""
        return self.plan if self.plan is not None and self.plan.fits else None


class _Message(_Table):
    event: Literal["note", "error"]
    text: str


_LINE: TypeAdapter[Plan | _Message] = TypeAdapter(Plan | _Message)


def parse_partition(text: str) -> Partition | None:
    """``START:END``, or None for ``auto``. Raises RequestError."""
    return None if text == AUTO else Partition.parse(text)


def parse_mode(text: str) -> Mode:
    """Raises RequestError for another one."""
    for mode in MODES:
        if mode == text:
            return mode
    raise RequestError(f"--mode {text}: choose from {', '.join(MODES)}")


def planner_argv(workspace: Workspace, output: str) -> list[str]:
    """The make command of the planner."""
    make = ["make", "-C", str(workspace.root / "host"), f"-j{os.cpu_count() or 1}"]
    return [*make, f"CC={NATIVE}", f"O={output}", f"{output}/{PROGRAM}"]


def question_argv(program: str, board: Board, question: Question) -> list[str]:
    """The planner's command line for a question."""
    stack = board.ta.stack if question.stack is None else question.stack
    words = [program, str(question.cfg), "-json", "-mode", question.mode]
    if question.partition is None:
        words.append("-auto")
    else:
        words += question.partition.flags
    numbers = {
        "-batch": question.batch,
        "-heap": question.heap,
        "-budget": board.ta_budget,
        "-stack": stack,
        "-code": CODE_ALLOWANCE,
        "-page": PAGE,
        "-table_span": board.ta.page_table_span,
        "-tables": board.ta.page_table_entries,
    }
    for flag, number in numbers.items():
        words += [flag, str(number)] if number is not None else []
    return words


def build_planner(job: Job) -> Entry:
    """The planner for this machine, ``PROGRAM`` in the entry."""
    root, log = job.workspace.root, job.log("planner")
    inputs = {
        "sources": digest_of_tree(root / "host", root / "nn", root / "ta" / "include"),
        "compiler": native_compiler_version(job.runner),
    }

    def make(destination: Path) -> None:
        log.unlink(missing_ok=True)
        argv = planner_argv(job.workspace, str(destination))
        job.runner.run(argv, what="building the planner", log=log)

    return job.store.get("planner", inputs, make)


def ask(job: Job, question: Question) -> Planned:
    """What the network takes.

    Raises RequestError for a network that cannot be computed, or a partition that is none of it.
    """
    program = build_planner(job).path / PROGRAM
    argv = question_argv(str(program), job.board, question)
    answer = job.runner.ask(argv, what="planning secure memory")
    try:
        events = [_LINE.validate_json(line) for line in answer.output.splitlines()]
    except ValidationError as error:
        raise EnvironmentFailed(f"{PROGRAM} answered what nobody expects: {error}") from error
    said = tuple(event.text for event in events if isinstance(event, _Message))
    planned = Planned(next((event for event in events if isinstance(event, Plan)), None), said)
    if answer.status == REFUSED:
        raise RequestError("\n".join(planned.notes) or f"{question.cfg} cannot be planned")
    return planned


def heap_for(job: Job, question: Question) -> int:
    """The TA_DATA_SIZE for a question. Raises RequestError when it does not fit the board."""
    planned = ask(job, question)
    if planned.fitting is None:
        raise misfit(job.board, question, planned)
    for note in planned.notes:
        job.ui.warn(f"{question.cfg.name}: {note}")
    return planned.fitting.heap


def misfit(board: Board, question: Question, planned: Planned) -> RequestError:
    """The refusal of what the board has no memory for."""
    where = f"layers {question.partition}" if question.partition else "any of its layers"
    short = (
        f"{board.name} has not enough secure memory"
        if question.heap is None
        else f"a TA heap of {show_size(question.heap)} is not enough"
    )
    return RequestError(
        f"{question.cfg}: {short} to {question.mode} {where} in the TEE",
        hint="\n".join(planned.notes),
    )


# ---- For people ----

COLUMNS = ("weights", "gradients", "activations", "deltas", "workspace")


def table(plan: Plan) -> Table:
    """The plan layer by layer."""
    shown = Table(
        title=f"{plan.mode} with layers {plan.partition} in the TEE: bytes of secure memory",
        title_justify="left",
    )
    shown.add_column("layer", justify="right")
    shown.add_column("kind")
    for column in COLUMNS:
        shown.add_column(column, justify="right")
    for layer in plan.layers:
        shown.add_row(str(layer.index), layer.kind, *_numbers(layer))
    shown.add_section()
    shown.add_row("", "all, memory shared", *_numbers(plan))
    return shown


def _numbers(source: LayerPlan | Plan) -> list[str]:
    if isinstance(source, LayerPlan) and source.world == "normal":
        return ["-"] * len(COLUMNS)
    return [f"{getattr(source, column):,}" for column in COLUMNS]


def verdict(board: Board, plan: Plan) -> str:
    """How much it is altogether, of what the board has, and whether it fits."""
    foot = plan.platform
    at_a_time = (
        f"{plan.micro_batch} of {plan.samples} images at a time"
        if plan.micro_batch
        else "not even one image at a time"
    )
    room = "" if plan.model <= plan.room else f", but a model may only take {plan.room:,}"
    whole = f"{show_size(foot.total)} of the {show_size(foot.budget)} that {board.name} has"
    tables = f"{foot.tables} of {board.ta.page_table_entries} translation tables"
    return (
        f"{at_a_time}: {plan.model:,} bytes for the model{room}\n"
        f"TA_DATA_SIZE {plan.heap:,}, with stack {show_size(foot.stack)} and code "
        f"{show_size(foot.code)} it is {whole}; {tables}: "
        f"{'fits' if plan.fits else 'DOES NOT FIT'}"
    )
