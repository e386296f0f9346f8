# SPDX-License-Identifier: MIT
"""Parts from Debian: the command, the advice, and a cache that is not trusted blindly."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from pathlib import Path

import pytest

from tzkit.boardfile import Source
from tzkit.errors import EnvironmentFailed
from tzkit.parts import debian
from tzkit.process import Runner
from tzkit.ui import Step, Ui

SOURCE = Source(name="src")
WANTED = debian.Wanted("trixie", "arm64", ("one", "two"), (SOURCE,))

# Stands in for mmdebstrap, which needs a network: keeps its contract as far as we use it, that is
# it leaves the packages where the last hook puts them, or fails with a mirror's message.
STAND_IN = """#!/bin/sh
echo run >>"$0.runs"
for word; do
    case $word in
    --extract-hook=cd*) sources=${word#--extract-hook=cd }; sources=${sources%% *} ;;
    --extract-hook=cp*) binaries=${word##* } ;;
    esac
done
if [ -e "$0.fails" ]; then
    cat "$0.fails"
    rm "$0.fails"
    echo half >"${binaries}one_1.0_arm64.deb"
    exit 1
fi
echo one >"${binaries}one_1.0_arm64.deb"
echo two >"${binaries}two_1%3a2.0-3_all.deb"
echo dsc >"$sources/src_1.5-1.dsc"
echo tar >"$sources/src_1.5.orig.tar.xz"
"""


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "bin" / "mmdebstrap"
    path.parent.mkdir()
    path.write_text(STAND_IN)
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(path.parent), prepend=":")
    monkeypatch.setattr(debian, "PAUSE_SECONDS", 0.0)
    return path


def fetch(tmp_path: Path) -> tuple[debian.Parts, bool]:
    step = Step(Ui(0), "fetch")
    return debian.fetch(WANTED, tmp_path / "cache", Runner(), tmp_path / "log", step)


def runs(tool: Path) -> int:
    return len(tool.with_name("mmdebstrap.runs").read_text().splitlines())


def test_parts_carry_version_origin_and_hash(tool: Path, tmp_path: Path) -> None:
    parts, cached = fetch(tmp_path)
    assert not cached
    by_file = {part.file: part for part in parts.parts}
    two = by_file["binary/two_1%3a2.0-3_all.deb"]
    assert (two.name, two.version, two.origin) == ("two", "1:2.0-3", "Debian trixie")
    assert len(two.sha256) == 64
    assert by_file["source/src_1.5-1.dsc"].version == "1.5-1"
    assert parts.source(SOURCE).name == "src_1.5-1.dsc"


def test_second_fetch_comes_from_the_cache(tool: Path, tmp_path: Path) -> None:
    fetch(tmp_path)
    assert fetch(tmp_path)[1]
    assert runs(tool) == 1


def test_damaged_cache_is_fetched_again(tool: Path, tmp_path: Path) -> None:
    parts, _ = fetch(tmp_path)
    parts.binaries()[0].write_text("damaged")
    again, cached = fetch(tmp_path)
    assert not cached
    assert again.binaries()[0].read_text() == "one\n"
    (again.path / "manifest.json").write_text("{")
    assert not fetch(tmp_path)[1]


def test_inconsistent_mirror_is_tried_again(tool: Path, tmp_path: Path) -> None:
    tool.with_name("mmdebstrap.fails").write_text("E: Mirror sync in progress?\n")
    parts, _ = fetch(tmp_path)
    assert runs(tool) == 2
    assert parts.binaries()[0].read_text() == "one\n"


def test_lagging_updates_are_left_out_at_last(tool: Path, tmp_path: Path) -> None:
    """The stand-in fails for as long as the updates are asked for."""
    lagging = 'case "$*" in *"/!d"*) ;; *) echo "E: Mirror sync in progress?"; exit 25 ;; esac\n'
    tool.write_text(STAND_IN.replace("for word; do\n", f"{lagging}for word; do\n", 1))
    parts, _ = fetch(tmp_path)
    assert runs(tool) == debian.ATTEMPTS
    assert {part.origin for part in parts.parts} == {
        "Debian trixie without updates",
        "Debian trixie, source",
    }


def test_release_alone_keeps_only_its_own_line(tmp_path: Path) -> None:
    apt = tmp_path / "etc/apt"
    apt.mkdir(parents=True)
    lines = [
        f"deb mirror {suite} main" for suite in ("trixie", "trixie-updates", "trixie-security")
    ]
    (apt / "sources.list").write_text("".join(f"{line}\n" for line in lines))
    argv = debian.mmdebstrap_argv(WANTED, Path("x"), alone=True)
    hook = next(word for word in argv if "/!d" in word).removeprefix("--setup-hook=")
    subprocess.run(["sh", "-c", hook, "exec", str(tmp_path)], check=True)
    assert (apt / "sources.list").read_text().splitlines() == lines[:1]


def test_mirror_that_stays_away_is_an_environment_error(tool: Path, tmp_path: Path) -> None:
    tool.write_text("#!/bin/sh\necho run >>$0.runs\necho Temporary failure resolving x\nexit 25\n")
    with pytest.raises(EnvironmentFailed, match="status 25") as failed:
        fetch(tmp_path)
    assert [known.id for known in failed.value.advice] == ["no-network"]
    assert "check network and proxy settings" in str(failed.value)
    assert runs(tool) == debian.ATTEMPTS
    assert list((tmp_path / "cache" / "debian").glob("parts-*")) == []


def test_full_disk_is_not_tried_again(tool: Path, tmp_path: Path) -> None:
    tool.write_text("#!/bin/sh\necho run >>$0.runs\necho x: No space left on device\nexit 25\n")
    with pytest.raises(EnvironmentFailed, match="status 25"):
        fetch(tmp_path)
    assert runs(tool) == 1


def test_missing_package_is_named(tool: Path, tmp_path: Path) -> None:
    tool.write_text(STAND_IN.replace('echo two >"${binaries}two_1%3a2.0-3_all.deb"', ""))
    with pytest.raises(EnvironmentFailed, match="gave no two"):
        fetch(tmp_path)


def test_command_names_no_host_and_quotes_paths() -> None:
    argv = debian.mmdebstrap_argv(WANTED, Path("/a b/c"))
    assert not any("://" in word for word in argv)
    assert any("'/a b/c/binary'" in word for word in argv)
    assert shutil.which("mmdebstrap") is None or argv[0] == "mmdebstrap"


@pytest.mark.parametrize(
    ("listed", "added"),
    [
        (
            "deb mirror/debian trixie main",
            "deb-src [check-valid-until=no] mirror/debian sid main",
        ),
        (
            'deb [signed-by="/keys"] mirror/debian trixie main',
            'deb-src [check-valid-until=no signed-by="/keys"] mirror/debian sid main',
        ),
        ("deb mirror/debian trixie-updates main", None),
    ],
)
def test_sources_of_another_suite_come_from_the_same_mirrors(
    listed: str, added: str | None, tmp_path: Path
) -> None:
    """The hook is run as mmdebstrap runs it."""
    want = dataclasses.replace(WANTED, sources=(SOURCE, Source(name="other", suite="sid")))
    apt = tmp_path / "etc/apt"
    (apt / "sources.list.d").mkdir(parents=True)
    (apt / "sources.list").write_text(f"{listed}\n")
    hooks = [word for word in debian.mmdebstrap_argv(want, Path("x")) if "-hook=" in word]
    hook = next(word for word in hooks if word.startswith("--setup-hook="))
    script = hook.removeprefix("--setup-hook=")
    subprocess.run(["sh", "-c", script, "exec", str(tmp_path)], check=True)
    wanted = [listed.replace("deb ", "deb-src ", 1), *([added] if added else [])]
    assert (apt / "sources.list.d/source.list").read_text().splitlines() == wanted
    assert any("download-only src/trixie other/sid" in word for word in hooks)
