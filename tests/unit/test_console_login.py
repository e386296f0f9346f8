# SPDX-License-Identifier: MIT
"""Login at a prompt that ends no line, as getty and login have it; scripts stand in for both."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tzkit.console import Shell, Target, fd_line
from tzkit.errors import TargetDied

GETTY = """
printf '[    1.000000] booting\\r\\n'
while :; do
    {before}
    printf 'buildroot login: '
    read -r user || exit
    [ "$user" ] || continue
    {after}
    break
done
export PS1='# '
exec sh -i
"""
TORN = "printf 'buildroot login: [    2.000000] a driver\\r\\n'"
PASSWORD = "printf 'Password: '; read -r word; printf 'Login incorrect\\r\\n'; continue"


@contextmanager
def guest(folder: Path, *, before: str = ":", after: str = ":") -> Iterator[Shell]:
    folder.mkdir(exist_ok=True)
    script = GETTY.format(before=before, after=after)
    master, slave = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", "sh", "-c", script], stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    try:
        with Target({"normal": fd_line(master)}, folder) as target:
            yield Shell(target)
    finally:
        process.kill()
        process.wait()
        os.close(master)


def test_login(tmp_path: Path) -> None:
    with guest(tmp_path, before="sleep 0.5") as shell:
        assert 0.4 < shell.login("login:", "root", timeout=20) < 10
        assert shell.run("echo up", timeout=5).output == "up\n"
    assert "buildroot login: root" in (tmp_path / "normal.log").read_text()


def test_prompt_that_the_kernel_printed_into(tmp_path: Path) -> None:
    """The first prompt is half of a finished line; Enter brings another."""
    once = f"{tmp_path}/once"
    torn = f"[ -e {once} ] || {{ touch {once}; {TORN}; read -r user; continue; }}"
    with guest(tmp_path, before=torn) as shell:
        shell.login("login:", "root", timeout=20)
        assert shell.run("echo up", timeout=5).output == "up\n"


def test_password_is_a_refusal(tmp_path: Path) -> None:
    with (
        guest(tmp_path, after=PASSWORD) as shell,
        pytest.raises(TargetDied, match="the login was refused") as died,
    ):
        shell.login("login:", "root", timeout=20)
    assert died.value.kind == "login"


def test_password_that_is_waited_for_is_a_refusal(tmp_path: Path) -> None:
    """Whatever is typed, nothing more comes."""
    with (
        guest(tmp_path, after="printf 'Password: '; sleep 100") as shell,
        pytest.raises(TargetDied, match=r"the login was refused: .*assword:"),
    ):
        shell.login("login:", "root", timeout=20)


def test_no_prompt_is_silence(tmp_path: Path) -> None:
    with (
        guest(tmp_path, before="sleep 100") as shell,
        pytest.raises(TargetDied, match=r"no login prompt 'login:' within 1 s") as died,
    ):
        shell.login("login:", "root", timeout=1)
    assert died.value.kind == "silence"
