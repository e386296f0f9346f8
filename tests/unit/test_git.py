# SPDX-License-Identifier: MIT
"""Sources from git repositories, pinned; the repositories are local ones."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tzkit.errors import EnvironmentFailed, RequestError
from tzkit.parts import git
from tzkit.parts.git import Cloned, Repository
from tzkit.process import Runner

WHO = ("-c", "user.name=t", "-c", "user.email=t@example.org")


def commit(repository: Path, text: str) -> str:
    (repository / "file").write_text(text)
    for words in (("add", "file"), (*WHO, "commit", "-q", "-m", text)):
        subprocess.run(["git", *words], cwd=repository, check=True)
    said = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=repository, check=True, capture_output=True, text=True
    )
    return said.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True)
    return folder


def clone(tmp_path: Path, text: str) -> Cloned:
    return git.clone(git.parse(text), tmp_path / "cache", Runner(), tmp_path / "log")


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://example.org/a/b", True),
        ("file:///a/b#12", True),
        ("git@example.org:a/b.git", True),
        ("own", False),
        ("./a/b", False),
        ("/a/b", False),
        ("--upload-pack=x", False),
        ("ext::sh -c x", False),
    ],
)
def test_urls_are_told_from_paths(text: str, url: bool) -> None:
    assert git.is_url(text) is url


def test_reading_a_url() -> None:
    assert git.parse("https://h/a") == Repository("https://h/a", None)
    assert git.parse("https://h/a#v1.0") == Repository("https://h/a", "v1.0")
    assert git.parse("https://h/a/app.git#x").name == "app"
    assert git.parse("git@h:app").name == "app"


@pytest.mark.parametrize("text", ["https://h/a#", "https://h/a#-x", "https://h/a#a b"])
def test_no_commit(text: str) -> None:
    with pytest.raises(RequestError, match="is no commit"):
        git.parse(text)


def test_the_newest_commit_is_taken_and_kept(tmp_path: Path, repository: Path) -> None:
    first = commit(repository, "one")
    cloned = clone(tmp_path, f"file://{repository}")
    assert (cloned.commit, cloned.cached) == (first, False)
    assert [path.name for path in cloned.path.iterdir()] == ["file"]
    commit(repository, "two")
    again = clone(tmp_path, f"file://{repository}")
    assert (again.commit, again.cached) == (first, True)
    assert (again.path / "file").read_text() == "one"


def test_a_commit_tag_or_branch_can_be_asked_for(tmp_path: Path, repository: Path) -> None:
    first = commit(repository, "one")
    subprocess.run(["git", "branch", "old"], cwd=repository, check=True)
    second = commit(repository, "two")
    subprocess.run(["git", "tag", "v2"], cwd=repository, check=True)
    for revision, wanted in ((first, first), (first[:9], first), ("old", first), ("v2", second)):
        assert clone(tmp_path, f"file://{repository}#{revision}").commit == wanted, revision


def test_unknown_commit(tmp_path: Path, repository: Path) -> None:
    commit(repository, "one")
    with pytest.raises(RequestError, match="has no commit 'nothing'"):
        clone(tmp_path, f"file://{repository}#nothing")
    assert list((tmp_path / "cache" / "git").glob("app-*")) == []


def test_no_repository(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailed, match=r"fetching file://.*/nowhere failed") as failed:
        clone(tmp_path, f"file://{tmp_path}/nowhere")
    assert failed.value.hint == "check the URL and the network, then run the same command again"
    assert failed.value.log is not None and failed.value.log.exists()
