# SPDX-License-Identifier: MIT
"""Building other applications: old C, CMake or make, copies; make and CMake are stand-ins."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tzkit.board import load_board
from tzkit.build.application import Application, Devkit, TaMemory
from tzkit.errors import EnvironmentFailed
from tzkit.foreign import build as foreign
from tzkit.foreign.oldc import ALLOWANCES, build_old_c, refused
from tzkit.foreign.shape import recognise
from tzkit.job import Job
from tzkit.store import Entry, file_sha256
from tzkit.ui import QUIET, Ui
from tzkit.workspace import Workspace

CHECKOUT = Workspace.of_checkout()
SHAPED = Path(__file__).parent / "data" / "shaped_app"
UUID = "5ba9ed00-57a4-4d1e-8f07-000000000001"

# A line of a build log for each of the table's habits, as GCC 12 or 14 and ld print them.
COMPLAINTS = {
    "-fcommon": "ld: data.o:(.bss+0x0): multiple definition of `shaped_rows'; main.o: first here",
    "-Wno-error=implicit-function-declaration": "main.c:9:5: error: implicit declaration of "
    "function 'work' [-Wimplicit-function-declaration]",
    "-Wno-error=implicit-int": "a.c:4:8: error: type defaults to 'int' in declaration of 'n' "
    "[-Wimplicit-int]",
    "-Wno-error=incompatible-pointer-types": "a.c:1:2: error: passing argument 1 of 'strcat' from "
    "incompatible pointer type [-Wincompatible-pointer-types]",
    "-Wno-error=int-conversion": "a.c:1:2: error: initialization of 'char *' from 'int' makes "
    "pointer from integer without a cast [-Wint-conversion]",
    "-Wno-error=return-mismatch": "a.c:1:2: error: 'return' with a value, in function returning "
    "void [-Wreturn-mismatch]",
    "-Wno-error=declaration-missing-parameter-type": "a.c:1:2: error: type of 'x' defaults to "
    "'int' [-Wdeclaration-missing-parameter-type]",
    "-Wno-error=strict-prototypes": "a.c:1:2: error: function declaration isn't a prototype "
    "[-Werror=strict-prototypes]",
}


def fail(log: Path, text: str) -> None:
    with log.open("a") as stream:
        stream.write(f"{text}\n")
    raise EnvironmentFailed(text)


# ---- Old C ----


def test_every_habit_is_known_by_its_complaint() -> None:
    assert set(COMPLAINTS) == {one.flag for one in ALLOWANCES}
    for flag, text in COMPLAINTS.items():
        assert [one.flag for one in refused(text)] == [flag]


def test_warnings_are_no_refusal() -> None:
    warnings = "\n".join(text.replace("error:", "warning:") for text in COMPLAINTS.values())
    assert [one.flag for one in refused(warnings)] == ["-fcommon"]  # ld knows no warning of it


def test_flags_are_added_until_it_builds_and_the_log_says_which(tmp_path: Path) -> None:
    log = tmp_path / "log"
    wanted = ["-Wno-error=implicit-int", "-fcommon"]  # the linker speaks after the compiler

    def build(flags: tuple[str, ...]) -> None:
        missing = next((flag for flag in wanted if flag not in flags), None)
        if missing:
            fail(log, COMPLAINTS[missing])

    assert build_old_c(build, log) == tuple(wanted)
    assert "tzkit: again with -fcommon: variables defined in headers" in log.read_text()


def test_modern_c_needs_no_flags(tmp_path: Path) -> None:
    assert build_old_c(lambda flags: None, tmp_path / "log") == ()


def test_what_no_flag_helps_is_told(tmp_path: Path) -> None:
    log = tmp_path / "log"
    tried: list[tuple[str, ...]] = []

    def build(flags: tuple[str, ...]) -> None:
        tried.append(flags)
        fail(log, "a.c:1:2: error: 'x' undeclared" if flags else COMPLAINTS["-fcommon"])

    with pytest.raises(EnvironmentFailed, match="'x' undeclared"):
        build_old_c(build, log)
    assert tried == [(), ("-fcommon",)]


# ---- Both halves ----


@dataclass
class Tools:
    """A runner whose make, CMake and compilers pretend; ``commands`` are those that built."""

    fails: Callable[[list[str]], str | None] = lambda words: None
    targets: tuple[Mapping[str, object], ...] = (
        {"name": "shaped", "type": "EXECUTABLE", "install": {}, "artifacts": [{"path": "shaped"}]},
    )
    commands: list[list[str]] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)
    cflags: list[str] = field(default_factory=list)

    def run(
        self,
        argv: list[str],
        *,
        what: str,
        log: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> str:
        words = [str(word) for word in argv]
        if log is None:
            return "gcc (stand-in) 14\n"
        self.commands.append(words)
        self.cflags += [env["CFLAGS"]] if env else []
        failure = self.fails(words)
        if failure is not None:
            fail(log, failure)
        self._build(words)
        return ""

    def _build(self, words: list[str]) -> None:
        if words[:2] == ["cmake", "-S"]:
            output = Path(words[words.index("-B") + 1])
            assert (output / foreign.QUERY).exists()
            (output / foreign.REPLY).mkdir(parents=True, exist_ok=True)
            for number, target in enumerate(self.targets):
                (output / foreign.REPLY / f"target-{number}.json").write_text(json.dumps(target))
        elif words[:2] == ["cmake", "--build"]:
            (Path(words[2]) / "shaped").write_text("program")
        elif words[2].endswith("/ta"):
            output = Path(next(word[2:] for word in words if word.startswith("O=")))
            output.mkdir()
            (output / f"{UUID}.ta").write_text("signed")
            header = Path(words[2]) / "include/user_ta_header_defines.h"
            self.headers.append(header.read_text())
        else:
            (Path(words[2]) / "optee_example_shaped").write_text("by make")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    shutil.copytree(SHAPED, folder)
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").write_text("ref")
    return folder


def build(tmp_path: Path, source: Path, tools: Tools, heap: int = 1 << 20) -> Application:
    workspace = Workspace(CHECKOUT.root, tmp_path / "out", tmp_path / "cache")
    job = Job(workspace, load_board(CHECKOUT.boards, "qemu_v8"), Ui(QUIET), tmp_path / "logs")
    job.runner = tools  # type: ignore[assignment]
    return foreign.build(
        job,
        recognise(source, "app"),
        TaMemory(stack=4096, heap=heap),
        Devkit(Path("/kit"), "kit-key"),
        Entry(Path("/sysroot"), "sysroot-key", cached=True),
    )


def snapshot(folder: Path) -> dict[str, tuple[str, int]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): (file_sha256(path), path.stat().st_mtime_ns) for path in files}


def test_both_halves_are_built_and_all_names_known(tmp_path: Path, source: Path) -> None:
    built = build(tmp_path, source, Tools())
    assert (built.ta.name, built.ta.read_text()) == (f"{UUID}.ta", "signed")
    assert built.program.read_text() == "program"
    assert built.names == ("shaped", "optee_example_shaped", "darknetp")
    assert not built.cached
    kept = {path.name for path in built.program.parent.iterdir()}
    assert kept == {"shaped", foreign.FACTS}


def test_nothing_is_built_twice(tmp_path: Path, source: Path) -> None:
    build(tmp_path, source, Tools())
    tools = Tools()
    assert build(tmp_path, source, tools).cached
    assert tools.commands == []
    (source / "host/main.c").write_text("int main(void) { return 0; }")
    assert not build(tmp_path, source, tools).cached


def test_another_heap_builds_the_ta_alone(tmp_path: Path, source: Path) -> None:
    build(tmp_path, source, Tools())
    tools = Tools()
    build(tmp_path, source, tools, heap=2 << 20)
    assert [words[0] for words in tools.commands] == ["make"]
    assert "TA_DATA_SIZE\t\t(2097152)" in tools.headers[0]


def test_the_folder_is_only_read(tmp_path: Path, source: Path) -> None:
    before = snapshot(source)
    seen: list[Path] = []

    def look(words: list[str]) -> None:
        seen.extend(Path(word) for word in words if word.endswith("/source"))

    build(tmp_path, source, Tools(fails=look))
    assert snapshot(source) == before
    assert seen and all(not path.is_relative_to(source) for path in seen)


def test_version_control_stays_behind(tmp_path: Path, source: Path) -> None:
    copied: set[str] = set()

    def look(words: list[str]) -> None:
        for word in words:
            if word.endswith("/source"):
                copied.update(path.name for path in Path(word).iterdir())

    build(tmp_path, source, Tools(fails=look))
    assert {"CMakeLists.txt", "host", "ta"} <= copied
    assert ".git" not in copied


def test_flags_for_old_c_reach_the_compiler(tmp_path: Path, source: Path) -> None:
    tools = Tools()

    def old(words: list[str]) -> str | None:
        """Refuses the first try of each half, as each compiler would."""
        tries = [known for known in tools.commands if known[0:3] == words[0:3]]
        halfway = words[:2] == ["cmake", "-S"]
        return None if halfway or len(tries) > 1 else COMPLAINTS["-fcommon"]

    tools.fails = old
    built = build(tmp_path, source, tools)
    configured = [words[-1] for words in tools.commands if words[:2] == ["cmake", "-S"]]
    assert configured == ["-DCMAKE_C_FLAGS=-O2", "-DCMAKE_C_FLAGS=-O2 -fcommon"]
    assert tools.cflags == ["", "-fcommon"]
    assert json.loads((built.program.parent / foreign.FACTS).read_text())["flags"] == ["-fcommon"]


def by_cmake(words: list[str]) -> str | None:
    return "no CMake here" if words[0] == "cmake" else None


def test_make_helps_where_cmake_cannot(tmp_path: Path, source: Path) -> None:
    built = build(tmp_path, source, Tools(fails=by_cmake))
    assert built.program.read_text() == "by make"
    assert built.names == ("optee_example_shaped", "darknetp")


def test_without_a_makefile_cmake_has_the_last_word(tmp_path: Path, source: Path) -> None:
    (source / "host/Makefile").unlink()
    with pytest.raises(EnvironmentFailed, match="no CMake here"):
        build(tmp_path, source, Tools(fails=by_cmake))


def test_when_both_fail_both_are_told(tmp_path: Path, source: Path) -> None:
    def neither(words: list[str]) -> str | None:
        return by_cmake(words) or ("no make either" if words[2].endswith("/host") else None)

    with pytest.raises(EnvironmentFailed, match=r"no CMake here\nno make either"):
        build(tmp_path, source, Tools(fails=neither))


def program(name: str, **more: object) -> dict[str, object]:
    return {"name": name, "type": "EXECUTABLE", "artifacts": [{"path": name}], **more}


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        ((), "builds: none"),
        (({"name": "lib", "type": "STATIC_LIBRARY"},), "builds: none"),
        ((program("a"), program("b")), "builds: a, b"),
        ((program("a", install={}), program("b", install={})), "builds: a, b"),
    ],
)
def test_it_must_be_clear_which_program(
    tmp_path: Path, source: Path, targets: tuple[dict[str, object], ...], said: str
) -> None:
    (source / "host/Makefile").unlink()
    with pytest.raises(EnvironmentFailed, match=said):
        build(tmp_path, source, Tools(targets=targets))


@pytest.mark.parametrize("install", [{}, None])
def test_the_program_is_the_one_that_is_installed(
    tmp_path: Path, source: Path, install: object
) -> None:
    others = (program("helper"),) if install is not None else ()
    shaped = program("shaped", **({} if install is None else {"install": install}))
    assert build(tmp_path, source, Tools(targets=(*others, shaped))).program.name == "shaped"
