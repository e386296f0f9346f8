# SPDX-License-Identifier: MIT
"""Programs and folders that several test files share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from darknet_pair import Pair, our_files, reference_files
from darknetp_workspace import Workspace, build_program, make_workspace


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """darknetp under the sanitizers."""
    return build_program(tmp_path_factory.mktemp("native"))


@pytest.fixture
def work(program: Path, tmp_path: Path) -> Workspace:
    return make_workspace(program, tmp_path)


@pytest.fixture
def weights(work: Workspace) -> Path:
    assert work.train("-seed", "3", "-iterations", "2").status == 0
    return work.weights


@pytest.fixture(scope="session")
def darknetp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """darknetp as it is shipped, optimised, with the trusted application in its process."""
    return build_program(tmp_path_factory.mktemp("darknetp"), flags="")


@pytest.fixture(scope="session")
def darknet() -> str:
    """Darknet itself; a test that gets it fails when it does not work."""
    program = shutil.which("darknet")
    if program is None:
        pytest.skip("darknet is not installed (a package of Debian and Ubuntu, not everywhere)")
    return program


@pytest.fixture
def pair(darknetp: Path, darknet: str, tmp_path: Path) -> Pair:
    return Pair(our_files(tmp_path, darknetp), reference_files(tmp_path, darknet))
