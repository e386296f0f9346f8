# SPDX-License-Identifier: MIT
"""darknetp's JSON stream (``-json FILE``) read into records: our own program parses no prose.

The format is described in ``host/json.h``. Events and keys that are not known here are left alone:
a newer program may say more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from tzkit.suites.darknetp_output import Layer, NormalIteration, NormalOutput, World


class Spoiled(ValueError):
    """The stream is not what the format says."""


def _number(value: object) -> object:
    """JSON knows neither nan nor infinities: they are texts in the stream."""
    return float(value) if value in ("nan", "inf", "-inf") else value


Number = Annotated[float, BeforeValidator(_number)]


class _Event(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class StreamLayer(_Event):
    index: int
    kind: str
    world: World
    outputs: int


class Start(_Event):
    """The network stands in both worlds; ``micro_batch`` images are computed at a time."""

    event: Literal["start"]
    format: Literal[1]
    micro_batch: int
    layers: tuple[StreamLayer, ...]


class Iteration(_Event):
    """``loss`` and ``average`` are None when no layer of the normal world owns a loss."""

    event: Literal["iteration"]
    n: int
    loss: Number | None
    average: Number | None
    rate: Number
    seconds: float
    images: int


class Share(_Event):
    """``share`` is from 0 to 1."""

    name: str
    share: Number


class Prediction(_Event):
    event: Literal["prediction"]
    image: str
    seconds: float
    top: tuple[Share, ...]


class Validated(_Event):
    """An image of a validation: its class, the one that came first, and whether in the best."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)

    event: Literal["validated"]
    image: str
    true_class: int = Field(alias="class")
    best: int
    in_top: bool


class Saved(_Event):
    """A model is on the disk, whole; relative paths are those of darknetp's folder."""

    event: Literal["saved"]
    path: str


class Accuracy(_Event):
    """``top1`` and ``topk`` are shares of the images, ``top`` is k."""

    event: Literal["accuracy"]
    images: int
    top: int
    top1: float
    topk: float


class Crossed(_Event):
    """What crossed between the worlds: calls of the secure world, bytes each way."""

    calls: int
    bytes_to_secure: int
    bytes_from_secure: int


class End(_Event):
    """How the program ended, and what crossed between the worlds for which commands."""

    event: Literal["end"]
    status: int
    seconds: float
    commands: dict[str, Crossed] = Field(default_factory=dict)


STEPS = ("forward", "backward", "train")  # the commands that compute


Known = Start | Iteration | Saved | Prediction | Validated | Accuracy | End
_KNOWN: TypeAdapter[Known] = TypeAdapter(Annotated[Known, Field(discriminator="event")])
_KINDS = frozenset(get_args(kind.model_fields["event"].annotation)[0] for kind in get_args(Known))
_Kind = TypeVar("_Kind", bound=_Event)


class _Named(_Event):
    event: str


@dataclass(frozen=True)
class Stream:
    """All that one run said, in order."""

    events: tuple[Known, ...]

    @property
    def start(self) -> Start | None:
        return self._first(Start)

    @property
    def end(self) -> End | None:
        return self._first(End)

    @property
    def accuracy(self) -> Accuracy | None:
        return self._first(Accuracy)

    @property
    def iterations(self) -> list[Iteration]:
        return self._all(Iteration)

    @property
    def saved(self) -> list[Saved]:
        return self._all(Saved)

    @property
    def predictions(self) -> list[Prediction]:
        return self._all(Prediction)

    @property
    def validated(self) -> list[Validated]:
        return self._all(Validated)

    @property
    def crossed(self) -> Crossed:
        """What crossed while computing, without what building the network and loading it took."""
        commands = self.end.commands if self.end else {}
        steps = [commands[name] for name in STEPS if name in commands]
        return Crossed(
            calls=sum(step.calls for step in steps),
            bytes_to_secure=sum(step.bytes_to_secure for step in steps),
            bytes_from_secure=sum(step.bytes_from_secure for step in steps),
        )

    def _all(self, kind: type[_Kind]) -> list[_Kind]:
        return [event for event in self.events if isinstance(event, kind)]

    def _first(self, kind: type[_Kind]) -> _Kind | None:
        return next(iter(self._all(kind)), None)


def read_stream(lines: Iterable[str]) -> Stream:
    """Read the lines of the file. Raises Spoiled, naming the first line that is wrong."""
    events = []
    for number, line in enumerate(lines, start=1):
        try:
            if _Named.model_validate_json(line).event in _KINDS:
                events.append(_KNOWN.validate_json(line))
        except ValidationError as error:
            what = error.errors()[0]
            place = ".".join(str(part) for part in what["loc"])
            raise Spoiled(f"line {number}: {place}: {what['msg']}".replace(": : ", ": ")) from error
    return Stream(tuple(events))


def as_output(stream: Stream) -> NormalOutput:
    """What the judges look at, as if it had been read from the console."""
    first = next(iter(stream.predictions), None)
    return NormalOutput(
        layers=tuple(
            Layer(layer.index, layer.kind, layer.world)
            for layer in (stream.start.layers if stream.start else ())
        ),
        iterations=tuple(_iteration(said) for said in stream.iterations),
        top=_percentages(first.top if first else ()),
        predicted_seconds=first.seconds if first else None,
        usage=False,
    )


def _iteration(said: Iteration) -> NormalIteration:
    """Without a loss in this world the console shows 0, and so do we."""
    loss, average = (0.0 if number is None else number for number in (said.loss, said.average))
    return NormalIteration(said.n, loss, average, said.rate, said.seconds, said.images)


def _percentages(top: Sequence[Share]) -> tuple[tuple[str, float], ...]:
    return tuple((share.name, 100 * share.share) for share in top)
