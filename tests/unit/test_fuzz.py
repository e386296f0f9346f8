# SPDX-License-Identifier: MIT
"""The fuzzing harnesses of tests/fuzz: their corpus again, and a few seconds of new inputs.

Claim: the application's command layer, the model builder and the host's parsers touch no memory
but their own and keep their promises, whatever they are given. Long runs: tests/fuzz/README.md.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[1] / "fuzz"
HARNESSES = sorted(path.stem for path in FUZZ.glob("fuzz_*.c"))
SECONDS = 3
DEADLINE_SECONDS = 300.0


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--silent", "-C", str(FUZZ), *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        errors="replace",
    )


@pytest.fixture(scope="module")
def harnesses(tmp_path_factory: pytest.TempPathFactory) -> None:
    """All harnesses, built."""
    if shutil.which("clang") is None:
        pytest.skip("there is no clang: ./inv test installs it")
    program = tmp_path_factory.mktemp("probe") / "probe"
    source = "int LLVMFuzzerTestOneInput(void *data, long size) { return data && size < 0; }"
    probe = subprocess.run(
        ["clang", "-fsanitize=fuzzer,address,undefined", "-xc", "-", "-o", str(program)],
        input=source,
        capture_output=True,
        text=True,
    )
    if probe.returncode:
        pytest.skip(f"clang cannot link fuzzers here (libclang-rt-dev): {probe.stderr[-300:]}")
    built = make("-j2", "all")
    assert built.returncode == 0, built.stderr[-3000:]


def passed(result: subprocess.CompletedProcess[str]) -> None:
    """What broke a claim is at the end, with the file that holds the input."""
    assert result.returncode == 0, result.stderr[-6000:]


def test_every_harness_is_built_and_has_a_corpus() -> None:
    listed = (FUZZ / "Makefile").read_text().split("FUZZERS := ")[1].splitlines()[0].split()
    assert sorted(listed) == HARNESSES
    for harness in HARNESSES:
        assert list((FUZZ / "corpus" / harness).iterdir()), harness


@pytest.mark.usefixtures("harnesses")
@pytest.mark.parametrize("harness", HARNESSES)
def test_the_corpus_passes(harness: str) -> None:
    passed(make(f"replay-{harness}"))


@pytest.mark.usefixtures("harnesses")
@pytest.mark.parametrize("harness", HARNESSES)
def test_nothing_is_found_in_seconds(harness: str) -> None:
    passed(make(f"run-{harness}", f"SECONDS={SECONDS}"))
