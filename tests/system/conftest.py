# SPDX-License-Identifier: MIT
"""Fixtures of the tests that boot OP-TEE: one copy of the checkout, built once, for all of them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkout import Checkout

from tzkit.job import Job
from tzkit.pipeline import Build, BuildOptions, build
from tzkit.session import Session, open_session, saved_system
from tzkit.ui import QUIET, Ui


@pytest.fixture(scope="session")
def checkout(request: pytest.FixtureRequest) -> Iterator[Checkout]:
    """A copy with nothing built; it stays for inspection when a test failed."""
    root = Path(tempfile.mkdtemp(prefix="tzkit-system-"))
    yield Checkout(root)
    if not request.session.testsfailed:
        shutil.rmtree(root)


@pytest.fixture(autouse=True)
def no_task_left(checkout: Checkout) -> Iterator[None]:
    """Tests end the tasks they start; those that fail may not."""
    yield
    checkout.kill_tasks()


@pytest.fixture(scope="session")
def build_job(checkout: Checkout) -> Job:
    return Job(checkout.workspace, checkout.board, Ui(QUIET), checkout.out() / "logs" / "build")


@pytest.fixture(scope="session")
def built(build_job: Job) -> Build:
    """Everything built from nothing but the download cache."""
    return build(build_job, BuildOptions())


@pytest.fixture(scope="session")
def warm(build_job: Job, built: Build) -> Build:
    """Built, and the booted system saved."""
    assert saved_system(build_job, built) is not None
    return built


@pytest.fixture
def job(checkout: Checkout, tmp_path: Path) -> Job:
    """Work whose logs are the test's own."""
    return Job(checkout.workspace, checkout.board, Ui(QUIET), tmp_path / "run")


@pytest.fixture(scope="module")
def session(
    checkout: Checkout, built: Build, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Session]:
    """A warm session that the tests of a module share, and leave as they found it."""
    folder = tmp_path_factory.mktemp("session")
    job = Job(checkout.workspace, checkout.board, Ui(QUIET), folder)
    with open_session(job, built, cold=False) as session:
        yield session
