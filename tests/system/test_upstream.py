# SPDX-License-Identifier: MIT
"""``--source upstream`` from ``repo init`` to a prediction in the TEE.

The tree is a stand-in, see tests/standin/README.md; QEMU and everything that boots in it is real.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from checkout import BOARD, SOURCE, Checkout, Ended, Task, gone, read_report

from tzkit.pipeline import Build

STANDIN = SOURCE / "tests" / "standin"
UPSTREAM = ("--source", "upstream", "--board", BOARD)
PREDICT = ("qemu-test", *UPSTREAM, "--only", "predict")
OLD_TA = "11111111-2222-3333-4444-555555555555.ta"
# What the stand-in needs of a machine; a real tree needs more, and more room.
HOST = """disk = "200 MiB"
[tools]
cmake = "cmake"
nc = "netcat-openbsd"
rsync = "rsync"
cpio = "cpio"
"/usr/include/stb/stb_image.h" = "libstb-dev"
"""


class Standin:
    """Tasks of a checkout whose ``repo`` is the stand-in's, with a cache of their own."""

    def __init__(self, checkout: Checkout, built: Build, folder: Path) -> None:
        self.checkout = checkout
        self.control = folder / "control"
        self.control.mkdir()
        self.cache = folder / "cache"
        files = built.bootable_image.files
        (sysroot,) = (checkout.out() / "build").glob("sysroot-*[!k]")
        self.env = {
            "PATH": f"{STANDIN}:{os.environ['PATH']}",
            "XDG_CACHE_HOME": str(self.cache),
            "STANDIN": str(STANDIN),
            "STANDIN_CONTROL": str(self.control),
            "STANDIN_SYSROOT": str(sysroot),
            "STANDIN_FIRMWARE": str(files["firmware"]),
            "STANDIN_KERNEL": str(files["kernel"]),
            "STANDIN_INITRAMFS": str(files["initramfs"]),
            "STANDIN_PYTHON": sys.executable,
        }

    @property
    def tree(self) -> Path:
        return self.cache / "tzkit" / "upstream" / "4.10.0" / "qemu_v8"

    @property
    def target(self) -> Path:
        return self.tree / "out-br" / "target"

    def start(self, *arguments: str) -> Task:
        return self.checkout.start(*arguments, env=self.env)

    def run(self, *arguments: str) -> Ended:
        return self.checkout.run(*arguments, env=self.env)

    def fetched(self) -> list[str]:
        """The projects that repo has brought, each as often as it did."""
        loaded: dict[str, Any] = json.loads((self.tree / ".repo/state.json").read_text())
        return list(loaded["fetched"])


@pytest.fixture(scope="module")
def standin(checkout: Checkout, built: Build, tmp_path_factory: pytest.TempPathFactory) -> Standin:
    (checkout.root / "tzkit/upstream/host.toml").write_text(HOST)
    return Standin(checkout, built, tmp_path_factory.mktemp("upstream"))


@pytest.fixture(scope="module")
def fetched(standin: Standin) -> Ended:
    """The fetch, interrupted in the middle and called again."""
    waits = standin.control / "sync-waits"
    waits.touch()
    task = standin.start("fetch", *UPSTREAM)
    task.wait_for_program("sleep")
    below = task.descendants()
    task.signal(signal.SIGINT)
    interrupted = task.end()
    assert interrupted.status == 130, interrupted.text
    assert gone(below)
    assert standin.fetched() == ["build"]
    waits.unlink()
    return standin.run("fetch", *UPSTREAM)


def test_interrupted_fetch_continues(standin: Standin, fetched: Ended) -> None:
    assert fetched.status == 0, fetched.text
    assert "4 gits" in fetched.text
    assert sorted(standin.fetched()) == ["build", "linux", "optee_examples", "optee_os"]
    again = standin.run("fetch", *UPSTREAM)
    assert again.status == 0 and "cached" in again.text, again.text


def test_fetch_without_repo_says_how_to_get_it(standin: Standin, fetched: Ended) -> None:
    env = {**standin.env, "PATH": os.environ["PATH"]}
    ended = standin.checkout.run("fetch", *UPSTREAM, "--release", "4.8.0", env=env)
    assert ended.status == 3, ended.text
    assert "'repo'" in ended.text and "git-repo-downloads" in ended.text


@pytest.fixture(scope="module")
def killed(standin: Standin, fetched: Ended) -> bool:
    """A build whose tzkit is killed in the middle; whether all of it was gone then."""
    waits = standin.control / "build-waits"
    waits.touch()
    task = standin.start("build", *UPSTREAM)
    task.wait_for_program("sleep")
    below = task.descendants()
    os.kill(task.pid, signal.SIGKILL)
    task.end()
    waits.unlink()
    return gone(below)


@pytest.fixture(scope="module")
def whole(standin: Standin, killed: bool) -> Ended:
    """Fetch, build, boot and prediction, after all that went wrong before."""
    return standin.run(*PREDICT)


def test_killed_build_leaves_nothing(killed: bool) -> None:
    assert killed


def test_prediction_in_a_system_of_the_tree(standin: Standin, whole: Ended) -> None:
    assert whole.status == 0, whole.text
    folder = standin.checkout.latest()
    report = read_report(folder)
    assert (report["source"], report["verdict"]) == ("upstream", "pass")
    assert report["darknetp"]["predict"]["verdict"] == "pass"
    assert report["darknetp"]["predict"]["pp"] == "4:10"
    assert [stage["name"] for stage in report["stages"]] == ["fetch", "build", "boot", "suites"]
    parts = {part["name"]: part for part in report["parts"]}
    assert {"build", "optee_os", "optee_examples"} <= set(parts)
    assert len(parts["optee_os"]["version"]) == 40 and parts["optee_os"]["sha256"] is None


def test_consoles_came_through_the_probes(standin: Standin, whole: Ended) -> None:
    folder = standin.checkout.latest()
    assert "(qemu) c" in (folder / "qemu.log").read_text()
    assert "buildroot login: root" in (folder / "normal.log").read_text()
    assert "I/TC: OP-TEE version" in (folder / "secure.log").read_text()


def test_page_tables_fit_the_application(standin: Standin, whole: Ended) -> None:
    conf = (standin.tree / "optee_os/out/conf").read_text()
    assert conf == "CFG_PGT_CACHE_ENTRIES=11\n"


def test_unchanged_build_is_immediate(standin: Standin, whole: Ended) -> None:
    ended = standin.run("build", *UPSTREAM)
    assert ended.status == 0 and "unchanged" in ended.text, ended.text
    assert ended.seconds < 10


def test_changed_application_leaves_nothing_of_the_old(standin: Standin, whole: Ended) -> None:
    """Another heap; a TA, a source and data of earlier times; a version control's folder."""
    example = standin.tree / "out-br/build/optee_examples_ext-1.0/darknetz"
    old_tas = [
        folder / OLD_TA for folder in (example / "ta/out", standin.target / "lib/optee_armtz")
    ]
    for path in (*old_tas, example / "host/old.c"):
        path.write_text("old")
    hidden = standin.checkout.root / "ta/.git/config"
    hidden.parent.mkdir()
    hidden.touch()
    header = standin.tree / "optee_examples/darknetz/ta/include/user_ta_header_defines.h"
    before = header.stat().st_mtime
    ended = standin.run("build", *UPSTREAM, "--ta-heap", "6M")
    hidden.unlink()
    hidden.parent.rmdir()
    assert ended.status == 0, ended.text
    assert not [path for path in (*old_tas, example / "host/old.c") if path.exists()]
    assert header.stat().st_mtime > before and str(6 << 20) in header.read_text()
    assert not list(standin.tree.glob("optee_examples/**/.git"))
    assert "CFG_PGT_CACHE_ENTRIES=12" in (standin.tree / "optee_os/out/conf").read_text()
    (ta,) = standin.target.glob("lib/optee_armtz/*.ta")
    assert ta.stat().st_mtime > before
