# SPDX-License-Identifier: MIT
"""DarkneTZ itself and its data, by name: the commits that this project knows."""

from __future__ import annotations

from pathlib import Path

from tzkit.parts import Part, git
from tzkit.parts.git import Repository

APPLICATIONS = {
    "darknetz": "https://github.com/mofanv/darknetz#8c0274b8d764d020db43cbbe0cff910f68b5714d",
}
DATASETS = {
    "tz_datasets": "https://github.com/mofanv/tz_datasets#b6e4f3c6bb4e3792b0bceaaa5fed6fffb7d433ec",
}


def application(name: str) -> str:
    """What ``--app`` means: the URL of a known name, else the text itself."""
    return APPLICATIONS.get(name, name)


def dataset_repository(name: str) -> Repository | None:
    """Where a data set of a known name is; None for any other."""
    return git.parse(DATASETS[name]) if name in DATASETS else None


def dataset(name: str, cache: Path) -> str:
    """What ``--dataset`` means: the folder that a known name is fetched into, else the text."""
    repository = dataset_repository(name)
    return name if repository is None else str(git.place_of(repository, cache))


def dataset_parts(folder: str, cache: Path) -> tuple[Part, ...]:
    """The data set as a line of the report, when it is one of these."""
    repositories = [git.parse(url) for url in DATASETS.values()]
    return tuple(
        Part(repository.name, repository.revision or "", None, repository.url, "")
        for repository in repositories
        if folder == str(git.place_of(repository, cache))
    )
