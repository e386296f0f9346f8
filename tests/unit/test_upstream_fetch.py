# SPDX-License-Identifier: MIT
"""OP-TEE's tree by repo, a stand-in: whole or not recorded, continued, explained."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from upstream_tree import Work, worker

from tzkit.errors import EnvironmentFailed, RequestError
from tzkit.upstream import fetch, host
from tzkit.upstream.origin import UpstreamOrigin
from tzkit.upstream.releases import NEWEST, RELEASES, since

MANIFEST = """<manifest>
<remote name="github" fetch="https://github.com"/><remote name="tfo" fetch="https://tf.org/"/>
<default remote="github"/>
<project name="OP-TEE/optee_os.git" path="optee_os" revision="ab"/>
<project name="TF-A/tf-a" path="trusted-firmware-a" remote="tfo" revision="cd"/>
</manifest>"""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    return worker(tmp_path, monkeypatch)("qemu_v8")


def commands(work: Work) -> list[str]:
    """What was started, words only."""
    lines = (work.job.folder / "commands.log").read_text().splitlines()
    return [line.split(" $ ")[1] for line in lines if " $ " in line]


def test_a_fetched_tree_is_not_fetched_again(work: Work) -> None:
    assert not work.fetch().cached
    assert commands(work) == [
        f"repo init -u {fetch.MANIFESTS} -m qemu_v8.xml -b 4.10.0",
        "repo sync -j4 -c --no-clone-bundle",
        "repo manifest -r",
    ]
    assert work.fetch().cached
    assert len(commands(work)) == 3
    assert (work.tree.build / "Makefile").exists()


def test_a_sync_cut_short_is_tried_once_more_and_gently(work: Work) -> None:
    (work.control / "sync-fails").write_text("fatal: early EOF\n")
    work.fetch()
    assert [words for words in commands(work) if "sync" in words] == [
        "repo sync -j4 -c --no-clone-bundle",
        "repo sync -j1 -c --no-clone-bundle",
    ]


def test_failure_is_told_and_nothing_recorded(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "JOBS", (4,))
    (work.control / "sync-fails").write_text("fatal: unable to access 'https://...'\n")
    with pytest.raises(EnvironmentFailed, match="unable to access") as failed:
        work.fetch()
    assert failed.value.hint is not None and "continues where it stopped" in failed.value.hint
    assert work.tree.note(fetch.NOTE) is None
    work.fetch()
    fetched = json.loads((work.tree.root / ".repo/state.json").read_text())["fetched"]
    assert sorted(fetched) == sorted(set(fetched)), "something was fetched twice"


def test_unreachable_manifest(work: Work) -> None:
    (work.control / "init-fails").write_text("fatal: Could not resolve host\n")
    with pytest.raises(EnvironmentFailed, match="Could not resolve host"):
        work.fetch()


def test_reference_is_handed_on(work: Work, tmp_path: Path) -> None:
    argv = fetch.init_argv(work.tree, tmp_path)
    assert argv[-2:] == ["--reference", str(tmp_path)]


def test_no_repo(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    with pytest.raises(EnvironmentFailed, match="'repo'") as failed:
        work.fetch()
    assert failed.value.hint == fetch.HOW_TO_GET_REPO


def test_no_room(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    huge = host.HostList(disk="4000 GiB", tools={})
    monkeypatch.setattr(host, "host_list", lambda: huge)
    with pytest.raises(EnvironmentFailed, match=r"needs 4000 GiB, .* free"):
        work.fetch()
    assert not work.tree.root.exists()


def test_manifest_is_read() -> None:
    first, second = fetch.read_manifest(MANIFEST)
    assert (first.name, first.version, first.sha256) == ("optee_os", "ab", None)
    assert first.origin == "https://github.com/OP-TEE/optee_os.git"
    assert (second.name, second.origin) == ("trusted-firmware-a", "https://tf.org/TF-A/tf-a")


# ---- What is asked for ----


def test_trees_are_never_mixed(work: Work) -> None:
    roots = {work.tree.root}
    for release in RELEASES:
        for board in ("qemu_v8", "rpi3"):
            other = type(work.tree)(work.tree.root.parents[1] / release / board, release, board)
            roots.add(other.root)
    assert len(roots) == 2 * len(RELEASES)


@pytest.mark.parametrize(("asked", "nearest"), [
    ("4.11.0", "4.10.0"), ("4.5", "4.5.0"), ("3.4.0", "3.22.0"),
])  # fmt: skip
def test_unknown_release_is_refused_with_the_nearest(asked: str, nearest: str) -> None:
    with pytest.raises(RequestError, match=f"nearest is {nearest}") as refused:
        UpstreamOrigin(asked)
    assert refused.value.hint is not None and NEWEST in refused.value.hint


def test_releases_compare_as_numbers() -> None:
    assert since("4.10.0", (4, 3)) and since("4.3.0", (4, 3))
    assert not since("4.2.0", (4, 3)) and not since("3.22.0", (4, 2))


def test_reference_must_be_a_mirror(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no mirror that repo has made"):
        UpstreamOrigin(reference=tmp_path)
    (tmp_path / ".repo").mkdir()
    UpstreamOrigin(reference=tmp_path)


def test_path_with_blanks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:/mnt/c/Program Files")
    with pytest.raises(EnvironmentFailed, match="/mnt/c/Program Files"):
        host.check_path()
