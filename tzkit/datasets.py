# SPDX-License-Identifier: MIT
"""Data sets: a network, its weights and images, laid out as darknetp finds them on the target.

A data set is a folder with a ``dataset.toml``; those in ``datasets/`` are known by name. The image
stage asks for its files as one folder, the suites for the summary of what is in it.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, Field

from tzkit.digits import write_digits
from tzkit.errors import RequestError
from tzkit.toml import Table, read_toml

DESCRIPTOR = "dataset.toml"
BACKUP = PurePosixPath("/backup")  # Darknet's default


# ---- The descriptor ----


def _inside(path: PurePosixPath) -> PurePosixPath:
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError(f"'{path}' must be a path below the folder, without '..'")
    return path


def _absolute(path: PurePosixPath) -> PurePosixPath:
    if not path.is_absolute() or ".." in path.parts:
        raise ValueError(f"'{path}' must be an absolute path, without '..'")
    return path


RelativePath = Annotated[PurePosixPath, AfterValidator(_inside)]
AbsolutePath = Annotated[PurePosixPath, AfterValidator(_absolute)]


class Example(Table):
    """An image that was not trained on, and the name a prediction must print for it."""

    image: RelativePath
    label: str = Field(min_length=1)


class Digits(Table):
    """Images and lists made from the UCI digits by :func:`~tzkit.digits.write_digits`."""

    csv: RelativePath
    folder: RelativePath


class Descriptor(Table):
    """The format of ``dataset.toml``; paths are relative to ``root`` on the target."""

    root: AbsolutePath = Field(description="where darknetp is started")
    data_cfg: RelativePath
    network_cfg: RelativePath
    weights: RelativePath
    training_batch: int | None = Field(
        default=None, gt=0, description="images per update in the short training of a test run"
    )
    accuracy: float = Field(
        default=0.0, ge=0, le=1, description="share of the held-out images that must be recognised"
    )
    copy_paths: tuple[RelativePath, ...] = Field(min_length=1, alias="copy")
    digits: Digits | None = None
    examples: tuple[Example, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Dataset:
    """A descriptor and the folder it describes."""

    folder: Path
    descriptor: Descriptor


@dataclass(frozen=True)
class DatasetSummary:
    """What a written data set holds; paths are relative to ``root`` on the target.

    ``layers`` are the names of the network's sections, without ``[net]``. ``backup`` is where
    trained weights go, absolute. ``short_cfg`` is the network with a training that ends soon, for
    programs that cannot be told on their command line.
    """

    root: PurePosixPath
    data_cfg: PurePosixPath
    network_cfg: PurePosixPath
    weights: PurePosixPath
    training_batch: int | None
    examples: tuple[Example, ...]
    train_images: int
    held_out_images: int
    layers: tuple[str, ...] = ()
    accuracy: float = 0.0
    backup: PurePosixPath = BACKUP
    short_cfg: PurePosixPath | None = None


@dataclass(frozen=True)
class DataFiles:
    """A written data set: its folder, where it goes on the target, a key over its content."""

    folder: Path
    root: PurePosixPath
    key: str


def dataset_names(folder: Path) -> list[str]:
    """The names of the data sets that come with the project, sorted."""
    return sorted(path.parent.name for path in folder.glob(f"*/{DESCRIPTOR}"))


def load_dataset(folder: Path, name: str) -> Dataset:
    """Find a data set by its name below ``folder`` or as the path of its own folder.

    Raises RequestError: no such data set, or every mistake in its descriptor.
    """
    known = dataset_names(folder)
    own = folder / name if name in known else Path(name)
    if not (own / DESCRIPTOR).is_file():
        raise RequestError(
            f"there is no data set '{name}'",
            hint=f"data sets known: {', '.join(known)}; or give a folder with a {DESCRIPTOR}",
        )
    return Dataset(own, read_descriptor(own / DESCRIPTOR))


def layer_count(dataset: Dataset) -> int:
    """How many layers the network has. Raises RequestError when its file is missing."""
    path = dataset.folder / dataset.descriptor.network_cfg
    if not path.is_file():
        raise RequestError(
            f"{path} is missing, the data set's {DESCRIPTOR} names it as its network",
            hint=f"add it, or mend the {DESCRIPTOR}",
        )
    return len(layer_names(path))


def layer_names(network_cfg: Path) -> tuple[str, ...]:
    """The names of the sections of a network file but the first, ``[net]``."""
    lines = (line.strip() for line in _lines(network_cfg))
    names = [line[1:].partition("]")[0].strip() for line in lines if line.startswith("[")]
    return tuple(names[1:])


def read_descriptor(path: Path) -> Descriptor:
    """Read one ``dataset.toml``. Raises RequestError with every mistake, each with its key."""
    return read_toml(path, Descriptor)


# ---- The files on the target ----


def write_dataset(
    dataset: Dataset, destination: Path, *, root: PurePosixPath | None = None
) -> DatasetSummary:
    """Write what belongs below ``root`` on the target into ``destination``, an empty folder.

    ``root`` replaces the descriptor's; lists that are copied must hold relative paths then. The
    same inputs give the same bytes. Raises RequestError when the folder lacks what it promises.
    """
    if root is not None:
        dataset = replace(dataset, descriptor=dataset.descriptor.model_copy(update={"root": root}))
    descriptor = dataset.descriptor
    for path in descriptor.copy_paths:
        _copy(dataset.folder / path, destination / path)
    if descriptor.digits:
        made = descriptor.root / descriptor.digits.folder
        csv = dataset.folder / descriptor.digits.csv
        write_digits(csv, destination / descriptor.digits.folder, made)
    return summarise(dataset, destination)


def _copy(source: Path, destination: Path) -> None:
    """Copy a file or a folder, following links; times and modes stay behind."""
    if not source.exists():
        raise RequestError(
            f"{source} is missing, the data set's {DESCRIPTOR} lists it under copy",
            hint=f"add it, or mend the {DESCRIPTOR}",
        )
    for path in [source] if source.is_file() else _files_below(source):
        copy = destination / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def _files_below(folder: Path) -> list[Path]:
    walk = os.walk(folder, followlinks=True)
    paths = [Path(parent, name) for parent, _, names in walk for name in names]
    return [path for path in paths if path.is_file()]


def source_files(dataset: Dataset) -> list[Path]:
    """The files of the folder that a written data set depends on, those that are there."""
    descriptor = dataset.descriptor
    named = [*descriptor.copy_paths, *([descriptor.digits.csv] if descriptor.digits else [])]
    paths = [dataset.folder / path for path in named]
    files = {file for path in paths for file in ([path] if path.is_file() else _files_below(path))}
    return sorted(files)


def summarise(dataset: Dataset, tree: Path) -> DatasetSummary:
    """What a data set written to ``tree`` holds. Raises RequestError for missing files."""
    descriptor, source = dataset.descriptor, dataset.folder / DESCRIPTOR
    promised = [descriptor.data_cfg, descriptor.network_cfg, descriptor.weights]
    promised += [example.image for example in descriptor.examples]
    missing = [str(path) for path in promised if not (tree / path).is_file()]
    if missing:
        raise RequestError(
            f"{source}: names files that the data set does not have: {', '.join(missing)}",
            hint="mend the file, or add what is missing to one of the folders it copies",
        )
    lists = read_data_cfg(tree / descriptor.data_cfg)
    train, valid = (_count_images(descriptor.root, tree, lists.get(k)) for k in ("train", "valid"))
    if not train:
        raise RequestError(
            f"{source}: the training list of {descriptor.data_cfg} names no image that is there",
            hint=f"lists hold paths below {descriptor.root}, one per line",
        )
    return DatasetSummary(
        root=descriptor.root,
        data_cfg=descriptor.data_cfg,
        network_cfg=descriptor.network_cfg,
        weights=descriptor.weights,
        training_batch=descriptor.training_batch,
        examples=descriptor.examples,
        train_images=train,
        held_out_images=valid,
        layers=layer_names(tree / descriptor.network_cfg),
        accuracy=descriptor.accuracy,
        backup=descriptor.root / lists.get("backup", BACKUP),
    )


def read_data_cfg(path: Path) -> dict[str, str]:
    """The keys of a Darknet data file: blanks do not count, the first of two equal keys wins."""
    values: dict[str, str] = {}
    for line in _lines(path):
        text = "".join(line.split())
        if text and text[0] not in "#;":
            key, _, value = text.partition("=")
            values.setdefault(key, value)
    return values


def _count_images(root: PurePosixPath, tree: Path, listed_in: str | None) -> int:
    """How many images of a list are there; some sets list images that they do not ship."""
    path = locate(root, tree, listed_in) if listed_in else None
    images = _lines(path) if path else []
    return sum(locate(root, tree, image) is not None for image in images)


def locate(root: PurePosixPath, tree: Path, path: str) -> Path | None:
    """The file of the tree that darknetp, started in ``root``, finds under ``path``."""
    target = root / path
    if not target.is_relative_to(root) or ".." in target.parts:
        return None
    found = tree / target.relative_to(root)
    return found if found.is_file() else None


def _lines(path: Path) -> list[str]:
    # File names of any encoding survive.
    return path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
