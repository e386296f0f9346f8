# SPDX-License-Identifier: MIT
"""A descriptor for a folder in the shape of tz_datasets, which has none.

``models/NAME/NETWORK.weights`` with ``cfg/NETWORK.cfg`` and ``cfg/NAME.dataset`` (or ``.data``)
belong together; of several such sets the first is taken. Only what it needs is copied.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tzkit.datasets import DESCRIPTOR, Dataset, Descriptor, Example, locate, read_data_cfg
from tzkit.errors import RequestError

FOLDERS = ("cfg", "data", "models")
DATA_SUFFIXES = (".dataset", ".data")
LISTS = ("train", "valid", "test", "labels", "names")
TRAINING_BATCH = 32  # images: enough to see learning, few enough for an emulator
DEFAULT_ROOT = PurePosixPath("/root")


@dataclass(frozen=True)
class Found:
    """Files that belong together, relative to the folder."""

    data_cfg: PurePosixPath
    network_cfg: PurePosixPath
    weights: PurePosixPath


def has_shape(folder: Path) -> bool:
    """Whether this is such a folder: the three folders, and no descriptor."""
    whole = all((folder / name).is_dir() for name in FOLDERS)
    return whole and not (folder / DESCRIPTOR).exists()


def derive(folder: Path) -> Dataset:
    """The folder's data set. Raises RequestError with what does not fit together."""
    found = _find(folder)
    values = read_data_cfg(folder / found.data_cfg)
    root = _root(folder, values)
    lists = {key: path for key in LISTS if (path := locate(root, folder, values.get(key, "")))}
    examples = tuple(_examples(folder, root, lists))
    if not examples:
        raise RequestError(
            f"{folder / found.data_cfg}: no image of its lists is there with a label in its path",
            hint=f"lists name files below {root}, whose paths hold a line of the labels' list",
        )
    folders = {PurePosixPath(path.parent.relative_to(folder)) for path in lists.values()}
    return Dataset(
        folder,
        Descriptor(
            root=root,
            data_cfg=found.data_cfg,
            network_cfg=found.network_cfg,
            weights=found.weights,
            training_batch=TRAINING_BATCH,
            copy=(PurePosixPath("cfg"), *sorted(folders), found.weights),
            examples=examples,
        ),
    )


def _find(folder: Path) -> Found:
    lacking = []
    for weights in sorted((folder / "models").glob("*/*.weights")):
        network = PurePosixPath("cfg", f"{weights.stem}.cfg")
        data = [PurePosixPath("cfg", weights.parent.name + suffix) for suffix in DATA_SUFFIXES]
        there = [path for path in data if (folder / path).is_file()]
        if there and (folder / network).is_file():
            return Found(there[0], network, PurePosixPath(weights.relative_to(folder)))
        lacking.append(f"{weights.name}: {network} and {' or '.join(map(str, data))}")
    raise RequestError(
        f"{folder}: nothing in models/ has its network and data file in cfg/"
        + "".join(f"\n    {text}" for text in lacking),
        hint="what belongs together is called models/NAME/NETWORK.weights, cfg/NETWORK.cfg and "
        f"cfg/NAME.dataset; or add a {DESCRIPTOR}",
    )


def _root(folder: Path, values: Mapping[str, str]) -> PurePosixPath:
    """Where the folder is to be on the target: what its absolute paths have before its files."""
    for path in [values.get("train", ""), *_lines(_find_file(folder, values.get("train", "")))]:
        parts = PurePosixPath(path).parts
        if path.startswith("/") and (found := _find_file(folder, path)):
            return PurePosixPath(*parts[: len(parts) - len(found.relative_to(folder).parts)])
    return DEFAULT_ROOT


def _find_file(folder: Path, path: str) -> Path | None:
    """The file of the folder that a path ends in, the longest ending first."""
    parts = [part for part in PurePosixPath(path).parts if part not in ("/", "..")]
    endings = (folder.joinpath(*parts[start:]) for start in range(len(parts)))
    return next((ending for ending in endings if ending.is_file()), None)


def _examples(folder: Path, root: PurePosixPath, lists: Mapping[str, Path]) -> Iterator[Example]:
    """An image for each label, one that was not trained on where such are there."""
    labels = _lines(lists.get("labels"))
    names = _lines(lists.get("names")) or labels
    images = [image for key in ("valid", "test", "train") for image in _lines(lists.get(key))]
    for label, name in zip(labels, names, strict=False):
        # Darknet's rule: a label is any text of the path. More than one would be no label.
        own = (image for image in images if [one for one in labels if one in image] == [label])
        path = next(filter(None, (locate(root, folder, image) for image in own)), None)
        if path is not None:
            yield Example(image=PurePosixPath(path.relative_to(folder)), label=name)


def _lines(path: Path | None) -> list[str]:
    """The lines of a file that say something; none of no file."""
    if path is None:
        return []
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    return [line.strip() for line in text.splitlines() if line.strip()]
