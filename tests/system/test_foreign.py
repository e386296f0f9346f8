# SPDX-License-Identifier: MIT
"""``--app``: an application in darknetz's shape, from its folder to what it prints on the board."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from checkout import SOURCE, Checkout, Ended

from tzkit.pipeline import Build
from tzkit.report import ReportDocument
from tzkit.store import digest_of_tree

UUID = "5ba9ed00-57a4-4d1e-8f07-000000000001"
WHO = ("-c", "user.name=t", "-c", "user.email=t@example.org")
PANIC = ("classifier", "panic", "cfg/digits.dataset", "cfg/mnist_lenet.cfg")


@pytest.fixture(scope="module")
def app(checkout: Checkout) -> Path:
    """The stand-in, in a git repository of its own."""
    folder = checkout.root / "shaped"
    subprocess.run(
        ["cp", "-R", SOURCE / "tests" / "unit" / "data" / "shaped_app", folder], check=True
    )
    for words in (("init", "-q"), ("add", "."), (*WHO, "commit", "-q", "-m", "x")):
        subprocess.run(["git", "-C", folder, *words], check=True)
    return folder


@pytest.fixture(scope="module")
def tested(checkout: Checkout, warm: Build, app: Path) -> Ended:
    return checkout.run("qemu-test", "--xtest", "none", "--app", str(app))


def test_wrong_numbers_are_a_failure_and_no_error(checkout: Checkout, tested: Ended) -> None:
    assert tested.status == 1, tested.text
    assert "qemu_v8: FAIL" in tested.text and "Traceback" not in tested.text
    report = checkout.report()
    ReportDocument.model_validate(report)
    assert (report["verdict"], report["error"]) == ("fail", None)
    assert len(report["darknetp"]["predictions"]) == 3
    for said in report["darknetp"]["predictions"]:
        assert said["verdict"] == "fail"
        assert said["top"] == [["3", 1001840967680.0], ["1", "nan"]]
        assert any("3 1001840967680.00%, 1 nan%" in reason for reason in said["reasons"])


def test_its_own_command_line_is_enough(checkout: Checkout, tested: Ended) -> None:
    """Twenty iterations without flags of this project's, and the folders it writes to."""
    darknetp = checkout.report()["darknetp"]
    assert darknetp["usage"]["verdict"] == "pass"
    assert darknetp["train"]["verdict"] == "pass", darknetp["train"]["reasons"]
    assert [said["n"] for said in darknetp["train"]["iterations"]] == list(range(1, 21))


def test_the_report_names_it(checkout: Checkout, tested: Ended, app: Path) -> None:
    report = checkout.report()
    assert report["app"] == str(app)
    part = next(part for part in report["parts"] if part["name"] == "shaped")
    assert (part["sha256"], part["origin"]) == (digest_of_tree(app), str(app))


def test_old_c_is_told_in_the_log(checkout: Checkout, tested: Ended) -> None:
    log = (checkout.latest() / "app-host.log").read_text()
    assert "tzkit: again with -fcommon: variables defined in headers" in log


def test_the_folder_is_left_alone(tested: Ended, app: Path) -> None:
    argv = ["git", "-C", str(app), "status", "--porcelain", "--ignored"]
    assert subprocess.run(argv, check=True, capture_output=True).stdout == b""


def test_any_command_line_of_it(checkout: Checkout, tested: Ended, app: Path) -> None:
    ended = checkout.run("darknetp", "--app", str(app), "--get", "/usr/bin/darknetp", "--", "usage")
    assert ended.status == 0, ended.text
    assert "usage: shaped <function>" in ended.text
    assert "secure| I/TA: secure world opened!" in ended.text
    (built,) = (checkout.out() / "build").glob("app-host-*/shaped")
    (copied,) = (checkout.out() / "runs").glob("*/darknetp")
    assert copied.read_bytes() == built.read_bytes()


def test_its_panic_is_told(checkout: Checkout, tested: Ended, app: Path) -> None:
    ended = checkout.run("darknetp", "--app", str(app), "--", *PANIC, "x")
    assert ended.status == 4, ended.text
    assert "a trusted application panicked" in ended.text
    assert "on the secure console" in ended.text and "TA panicked with code 0x1" in ended.text


def test_by_url(checkout: Checkout, tested: Ended, app: Path, tmp_path: Path) -> None:
    """The same sources, from a repository."""
    cache = {"XDG_CACHE_HOME": str(tmp_path)}
    (tmp_path / "tzkit").mkdir()
    (tmp_path / "tzkit" / "debian").symlink_to(checkout.workspace.cache / "debian")
    ended = checkout.run("build", "--app", f"file://{app}#HEAD", env=cache)
    assert ended.status == 0, ended.text
    assert f"{UUID}.ta" in ended.text and "shaped " in ended.text
    facts = [json.loads(path.read_text()) for path in checkout.out().rglob("app-host-*/facts.json")]
    assert all(said["flags"] == ["-fcommon"] for said in facts)
