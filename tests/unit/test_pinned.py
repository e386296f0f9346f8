# SPDX-License-Identifier: MIT
"""DarkneTZ and its data by name: always the same commit, wherever it is asked for."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tzkit.commands import Common
from tzkit.foreign import pinned
from tzkit.parts import git
from tzkit.process import Runner


def test_names_stand_for_commits() -> None:
    for url in (*pinned.APPLICATIONS.values(), *pinned.DATASETS.values()):
        assert re.fullmatch("[0-9a-f]{40}", git.parse(url).revision or ""), url


def test_application_by_name_by_url_and_by_folder() -> None:
    assert git.parse(pinned.application("darknetz")).name == "darknetz"
    for other in ("own", "/some/folder", "https://example.org/x"):
        assert pinned.application(other) == other
    assert Common(app="darknetz").build_options().app == pinned.APPLICATIONS["darknetz"]


def test_data_set_is_where_it_was_fetched_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = ["git", "-C", str(tmp_path / "there")]
    subprocess.run(["git", "init", "--quiet", str(tmp_path / "there")], check=True)
    identity = ["-c", "user.name=n", "-c", "user.email=e"]
    subprocess.run([*made, *identity, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    commit = subprocess.run([*made, "rev-parse", "HEAD"], check=True, capture_output=True)
    url = f"file://{tmp_path / 'there'}#{commit.stdout.decode().strip()}"
    monkeypatch.setattr(pinned, "DATASETS", {"tz_datasets": url})
    cache, log = tmp_path / "cache", tmp_path / "log"
    repository = pinned.dataset_repository("tz_datasets")
    assert repository is not None
    cloned = git.clone(repository, cache, Runner(), log)
    assert pinned.dataset("tz_datasets", cache) == str(cloned.path)
    (part,) = pinned.dataset_parts(str(cloned.path), cache)
    assert (part.version, part.origin) == (cloned.commit, repository.url)
    assert pinned.dataset_parts("digits", cache) == ()
    assert pinned.dataset("digits", cache) == "digits"
