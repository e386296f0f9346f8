# SPDX-License-Identifier: MIT
"""Files of root's for whoever builds, and a daemon that does not outlive the build."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tzkit.build import fakeroot
from tzkit.build.fakeroot import fake_root
from tzkit.errors import EnvironmentFailed
from tzkit.process import Runner


def daemons() -> set[int]:
    """Fakeroot daemons that run now."""
    found = subprocess.run(["pgrep", "-x", "faked-sysv"], capture_output=True, text=True)
    return {int(pid) for pid in found.stdout.split()}


def test_files_seem_to_be_roots(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    if os.geteuid() == 0:
        os.chown(tmp_path / "file", 65534, 65534)
    with fake_root(Runner(), tmp_path / "log") as environment:
        owner = Runner().run(
            ["stat", "-c", "%u:%g", tmp_path / "file"], what="looking", env=environment
        )
    assert owner.strip() == "0:0"


def test_daemon_ends_with_the_block_however_it_ends(tmp_path: Path) -> None:
    before = daemons()
    with pytest.raises(KeyboardInterrupt), fake_root(Runner(), tmp_path / "log"):
        assert len(daemons() - before) == 1
        raise KeyboardInterrupt
    assert daemons() == before


def test_daemon_that_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fakeroot, "DAEMON", "false")
    with (
        pytest.raises(EnvironmentFailed, match="did not start"),
        fake_root(Runner(), tmp_path / "log"),
    ):
        pass
