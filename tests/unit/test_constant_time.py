# SPDX-License-Identifier: MIT
"""Claim: how long nn/'s elementary functions take does not depend on the value.

Shown in the machine code that each board's compiler makes: no function has a conditional jump,
none calls another whose code is not here.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

NN = Path(__file__).parents[2] / "nn"
# x86-64: jcc; ARM: b.cond, bcond, cbz, tbz and their opposites
CONDITIONAL_JUMP = re.compile(
    r"\tj(?!mp)[a-z]+\s"
    r"|\tb\.?(?:eq|ne|cs|hs|cc|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le)(?:\.[nw])?\s"
    r"|\t[ct]bn?z\s"
)


def nn_flags() -> list[str]:
    match = re.search(r"^NN_CFLAGS := (.*)$", (NN / "nn.mk").read_text(), re.M)
    assert match
    return match[1].split()


def run(argv: list[str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def machine_code(prefix: str, source: Path, folder: Path) -> str:
    compiled = str(folder / "code.o")
    flags = ["-std=gnu11", "-ffreestanding", *nn_flags()]
    run([f"{prefix}gcc", *flags, "-c", str(source), "-o", compiled])
    return run([f"{prefix}objdump", "-dr", compiled])


@pytest.mark.parametrize("prefix", ["", "aarch64-linux-gnu-", "arm-linux-gnueabihf-"])
def test_elementary_functions_do_not_jump(prefix: str, tmp_path: Path) -> None:
    code = machine_code(prefix, NN / "nn_math.c", tmp_path)
    assert all(f"<nn_{name}>:" in code for name in ("exp", "log", "tanh", "sqrt", "floor"))
    assert CONDITIONAL_JUMP.findall(code) == []
    assert re.findall(r"R_\w+(?:CALL|PLT|JUMP)\w*\s+(\w+)", code) == []


@pytest.mark.parametrize("prefix", ["", "aarch64-linux-gnu-", "arm-linux-gnueabihf-"])
def test_a_jump_would_be_found(prefix: str, tmp_path: Path) -> None:
    source = tmp_path / "jump.c"
    source.write_text("int g(void); int f(int x);\nint f(int x) { return x > 3 ? g() + 1 : x; }\n")
    code = machine_code(prefix, source, tmp_path)
    assert CONDITIONAL_JUMP.search(code)
    assert re.search(r"R_\w+(?:CALL|PLT|JUMP)\w*\s+g\b", code)
