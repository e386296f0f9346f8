# SPDX-License-Identifier: MIT
"""This machine lets us down: exit 3, the cause and the cure in words, and a rerun that works."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from checkout import Checkout, Ended, gone

from tzkit.pipeline import Build

USAGE = ("qemu-test", "--xtest", "none", "--only", "usage")
ROOT = os.geteuid() == 0
NO_NETWORK = ("unshare", "--net") if ROOT else ("unshare", "--map-root-user", "--net")
OWN_MOUNTS = ("unshare", "--mount") if ROOT else ("unshare", "--map-root-user", "--mount")
# What we are told to be in a user namespace without a mapping: nobody, with our own files.
NOBODY = ("unshare", "--user")


def allowed(*words: str) -> bool:
    return subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0


isolated = pytest.mark.skipif(
    not (allowed(*NO_NETWORK) and allowed(*OWN_MOUNTS) and allowed(*NOBODY)),
    reason="this machine allows no namespaces",
)


def on_small_disk(folder: Path, size: str) -> Sequence[str]:
    """Words before a command: it sees ``folder``, with its content, on a disk of this size."""
    folder.mkdir(parents=True, exist_ok=True)
    script = (
        'set -e; size=$1 folder=$2; shift 2; saved=$(mktemp -d); cp -a "$folder/." "$saved";'
        'mount -t tmpfs -o "size=$size" tmpfs "$folder"; cp -a "$saved/." "$folder";'
        'rm -r "$saved"; exec "$@"'
    )
    return (*OWN_MOUNTS, "sh", "-c", script, "sh", size, str(folder))


def assert_environment_failed(ended: Ended, *texts: str) -> None:
    assert ended.status == 3, ended.text
    assert "environment: " in ended.text
    assert "Traceback" not in ended.text, ended.text
    assert [text for text in texts if text not in ended.text] == [], ended.text


@pytest.fixture
def few_tools(tmp_path: Path) -> dict[str, str]:
    """A PATH with everything of ours but QEMU and mmdebstrap."""
    folder = tmp_path / "bin"
    folder.mkdir()
    places = [Path(place) for place in os.environ["PATH"].split(":")]
    programs = {path.name: path for place in reversed(places) for path in place.glob("*")}
    for name, path in programs.items():
        if not name.startswith(("qemu-system", "mmdebstrap")):
            (folder / name).symlink_to(path)
    return {"PATH": str(folder), "CI": ""}


@isolated
def test_missing_tools_are_named_with_one_command(
    checkout: Checkout, built: Build, few_tools: dict[str, str]
) -> None:
    ended = checkout.run(*USAGE, env=few_tools, before=NOBODY)
    command = "sudo apt-get install --yes --no-install-recommends mmdebstrap qemu-system-arm"
    assert_environment_failed(ended, "host tools are missing", command, "--install")
    assert checkout.report()["error"].startswith("environment: host tools are missing")


@isolated
def test_build_does_without_an_emulator(
    checkout: Checkout, built: Build, few_tools: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "bin" / "mmdebstrap").symlink_to("/usr/bin/mmdebstrap")
    ended = checkout.run("build", env=few_tools, before=NOBODY)
    assert ended.status == 0, ended.text


@isolated
def test_mirror_unreachable_then_back(checkout: Checkout, tmp_path: Path) -> None:
    empty = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "TMPDIR": str(tmp_path)}
    ended = checkout.run("fetch", env=empty, before=NO_NETWORK)
    assert_environment_failed(
        ended, "fetching Debian packages failed", "check network", "fetch.log"
    )
    assert "Temporary failure resolving" in (checkout.out() / "logs/fetch/fetch.log").read_text()
    assert list(tmp_path.rglob("*.deb")) == []
    ended = checkout.run("fetch", env=empty)
    assert ended.status == 0, ended.text
    assert "files verified (" in ended.text
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]
    shutil.rmtree(tmp_path / "cache")


@isolated
def test_cache_on_a_full_disk(checkout: Checkout, tmp_path: Path) -> None:
    small = on_small_disk(tmp_path / "cache", "4M")
    env = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    ended = checkout.run("fetch", env=env, before=small)
    assert_environment_failed(ended, "the disk is full; free some space", "fetch.log")
    assert (checkout.out() / "logs/fetch/fetch.log").read_text().count("$ mmdebstrap") == 1


@isolated
def test_disk_full_while_packing(checkout: Checkout, built: Build) -> None:
    board = checkout.derive_board("full_build")
    checkout.lend_build(board, "sysroot", "firmware", "ta", "host")
    small = on_small_disk(checkout.out(board) / "build", "4M")
    ended = checkout.run("build", "--board", board, before=small)
    assert_environment_failed(ended, "No space left on device", "the disk is full; free some space")
    ended = checkout.run("build", "--board", board)
    assert ended.status == 0, ended.text


@isolated
def test_disk_full_while_saving_the_system(checkout: Checkout, built: Build) -> None:
    """Only the quick start is lost."""
    board = checkout.derive_board("full_snapshot")
    checkout.lend_build(board, "sysroot", "firmware", "ta", "host", "base", "dataset", "payload")
    small = on_small_disk(checkout.out(board) / "build", "4M")
    ended = checkout.run(*USAGE, "--board", board, before=small)
    assert ended.status == 0, ended.text
    assert "no warm start: saving the booted system failed" in ended.text
    assert "the disk is full" in ended.text
    assert checkout.report(board)["boot"]["warm"] is False


@isolated
def test_disk_full_while_the_suites_run(checkout: Checkout, warm: Build) -> None:
    """The logs of both consoles do not fit; nobody waits for the deadline."""
    board = checkout.derive_board("full_logs")
    checkout.lend_build(board)
    small = on_small_disk(checkout.out(board), "512K")
    suite = ("--only", "xtest", "--xtest", "smoke", "--timeout", "60")
    task = checkout.start("qemu-test", *suite, "--board", board, before=small)
    emulator = task.wait_for_emulator()
    ended = task.end()
    assert_environment_failed(ended, "No space left on device", "the disk is full; free some space")
    assert ended.seconds < 60
    assert gone({emulator: "QEMU"})


def test_emulator_that_refuses_its_options(checkout: Checkout, built: Build) -> None:
    board = checkout.derive_board("nonsense", ("gic-version=3", "gic-version=3,nonsense=on"))
    checkout.lend_build(board)
    ended = checkout.run(*USAGE, "--board", board)
    assert_environment_failed(ended, "did not start", "nonsense", "not found", "[emulator]")
    report = checkout.report(board)
    assert (report["verdict"], report["exit_code"]) == ("error", 3)
    assert "nonsense" in report["error"]
