# SPDX-License-Identifier: MIT
"""Parts from git repositories, pinned to a commit.

``URL#COMMIT`` asks for a commit, tag or branch. Without it the newest commit is taken the first
time and kept from then on: the same request gives the same sources until the cache is cleaned.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from tzkit.errors import EnvironmentFailed, RequestError
from tzkit.process import Runner
from tzkit.store import Store, write_whole

TREE = "tree"
COMMIT = "commit"
DEADLINE_SECONDS = 600.0
_URL = re.compile(r"[a-z][a-z0-9+.-]*://\S+|[\w.-]+@[\w.-]+:\S+")
_REVISION = re.compile(r"\w[\w./-]*")
# Where a password would be asked for, the repository does not exist or is private.
_ENVIRONMENT = {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -o BatchMode=yes"}


@dataclass(frozen=True)
class Repository:
    """Where a repository is, and what of it is wanted; None: what is newest."""

    url: str
    revision: str | None

    @property
    def name(self) -> str:
        return name_of(self.url)


@dataclass(frozen=True)
class Cloned:
    """The files of a commit, without git's own."""

    path: Path
    commit: str
    cached: bool


def is_url(text: str) -> bool:
    """Whether this names a repository rather than a folder."""
    return _URL.fullmatch(text) is not None


def name_of(origin: str) -> str:
    """The last word of a URL or path, fit for a file name."""
    last = re.split(r"[/:]", origin.partition("#")[0].rstrip("/"))[-1].removesuffix(".git")
    return re.sub(r"[^\w.-]", "_", last) or "repository"


def parse(text: str) -> Repository:
    """Read ``URL`` or ``URL#COMMIT``. Raises RequestError."""
    url, mark, revision = text.partition("#")
    if mark and not _REVISION.fullmatch(revision):
        raise RequestError(
            f"{text}: '{revision}' is no commit", hint="write URL#COMMIT, or leave '#' away"
        )
    return Repository(url, revision if mark else None)


def clone_argv(repository: Repository, destination: Path) -> list[str]:
    """The command that fetches the repository with its history."""
    return ["git", "clone", "--quiet", "--no-checkout", repository.url, str(destination)]


def clone(repository: Repository, cache: Path, runner: Runner, log: Path) -> Cloned:
    """The files asked for, from the cache when they are there.

    Raises EnvironmentFailed when the repository cannot be had, RequestError for an unknown commit.
    """

    def make(destination: Path) -> None:
        log.unlink(missing_ok=True)
        tree = destination / TREE
        runner.run(
            clone_argv(repository, tree),
            what=f"fetching {repository.url}",
            env=_ENVIRONMENT,
            log=log,
            timeout=DEADLINE_SECONDS,
            hint="check the URL and the network, then run the same command again",
        )
        write_whole(destination / COMMIT, _check_out(repository, tree, runner, log))
        shutil.rmtree(tree / ".git")

    entry = Store(cache / "git").get(repository.name, _inputs(repository), make)
    return Cloned(entry.path / TREE, (entry.path / COMMIT).read_text(), entry.cached)


def place_of(repository: Repository, cache: Path) -> Path:
    """Where :func:`clone` puts the files."""
    return Store(cache / "git").path(repository.name, _inputs(repository)) / TREE


def _inputs(repository: Repository) -> dict[str, str | None]:
    return {"url": repository.url, "revision": repository.revision}


def _check_out(repository: Repository, tree: Path, runner: Runner, log: Path) -> str:
    """Put the files of the revision into the tree; returns its commit."""
    git = ["git", "-C", str(tree)]
    commit = _commit(repository, git, runner)
    runner.run(
        [*git, "checkout", "--quiet", "--detach", commit],
        what=f"unpacking {commit} of {repository.url}",
        log=log,
    )
    return commit


def _commit(repository: Repository, git: list[str], runner: Runner) -> str:
    """The commit that is wanted: by its hash, tag or branch. Raises RequestError."""
    revision = repository.revision or "HEAD"
    for name in (revision, f"origin/{revision}"):
        argv = [*git, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"]
        with contextlib.suppress(EnvironmentFailed):
            return runner.run(argv, what=f"looking for {name} in {repository.url}").strip()
    raise RequestError(
        f"{repository.url} has no commit '{revision}'",
        hint="give a commit, tag or branch of it, or leave '#' away",
    )
