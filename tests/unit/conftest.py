# SPDX-License-Identifier: MIT
"""What several test files share."""

from __future__ import annotations

from pathlib import Path

import pytest
from darknetp_workspace import Workspace, build_program, make_workspace


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_program(tmp_path_factory.mktemp("native"))


@pytest.fixture
def work(program: Path, tmp_path: Path) -> Workspace:
    return make_workspace(program, tmp_path)


@pytest.fixture
def weights(work: Workspace) -> Path:
    assert work.train("-seed", "3", "-iterations", "2").status == 0
    return work.weights
