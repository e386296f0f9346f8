# SPDX-License-Identifier: MIT
"""The trusted application's stack: how deep it gets in the 64 KiB that the boards give it.

GCC tells the frame and the callees of each function. Calls through pointers are taken to go to
any handler of a command, any function of a layer's table, or any piece of work that a layer hands
out; what is behind ``struct model_host`` and ``snprintf`` is OP-TEE's: it has the rest.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TA = ["command", "loss_report", "model", "model_build", "request"]
LIMIT = 40 << 10
INDIRECT = "__indirect_call"
ENGINE = {"nn_forward", "nn_backward", "nn_randomize"}  # what calls a layer's functions
OF_A_LAYER = re.compile(r"_(layout|forward|backward|randomize)$")


@dataclass
class Function:
    folder: str
    frame: int
    kind: str  # static, or bounded: known when compiled
    callees: set[str] = field(default_factory=set)


@pytest.fixture(scope="module")
def functions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Function]:
    build = tmp_path_factory.mktemp("stack")
    sources = [*(ROOT / "nn").glob("*.c"), *(ROOT / "ta" / "src" / f"{name}.c" for name in TA)]
    flags = ["-std=gnu11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fcallgraph-info=su"]
    folders = [f"-I{ROOT / name}" for name in ("nn", "ta/include", "ta/src")]
    done = subprocess.run(
        ["gcc", *flags, *folders, "-c", *map(str, sources)],
        cwd=build, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Function] = {}
    for graph in build.glob("*.ci"):
        read_graph(graph.read_text(), found)
    return found


def read_graph(text: str, found: dict[str, Function]) -> None:
    folder = "nn" if "/nn/nn" in text.splitlines()[0] else "ta"
    for name, size, kind in re.findall(
        r'^node: .*title: "(.*?)".*\\n(\d+) bytes \((.*?)\)', text, re.M
    ):
        found[name] = Function(folder, int(size), kind)
    for caller, callee in re.findall(
        r'^edge: .*sourcename: "(.*?)" targetname: "(.*?)"', text, re.M
    ):
        found[caller].callees.add(callee)


def behind_pointers(functions: dict[str, Function], caller: str) -> set[str]:
    """Of the functions that are static, so named with their file, and never called by name."""
    called = set().union(*(function.callees for function in functions.values()))
    hidden = {name for name in functions if ":" in name and name not in called}
    if caller == "command_invoke":
        return {name for name in hidden if "/command.c:" in name}
    if functions[caller].folder != "nn":
        return set()
    of_layers = {name for name in hidden if OF_A_LAYER.search(name)}
    if caller in ENGINE or "/nn_plan.c:" in caller:
        return of_layers
    return {name for name in hidden - of_layers if functions[name].folder == "nn"}


def depth(functions: dict[str, Function], name: str, above: frozenset[str] = frozenset()) -> int:
    """Bytes of ``name``'s frame and the deepest below it."""
    function = functions[name]
    callees = function.callees & functions.keys()
    assert not callees & above, f"recursion: {callees & above}"
    if INDIRECT in function.callees:
        callees |= behind_pointers(functions, name) - above
    below = (depth(functions, callee, above | {name}) for callee in callees)
    return function.frame + max(below, default=0)


def test_no_frame_depends_on_a_request(functions: dict[str, Function]) -> None:
    """No arrays of variable length: DarkneTZ had one as long as the caller liked."""
    assert {function.kind for function in functions.values()} <= {"static", "dynamic,bounded"}
    assert len(functions) > 100


def test_the_deepest_call_leaves_a_third_of_the_stack(functions: dict[str, Function]) -> None:
    assert 20 << 10 < depth(functions, "command_invoke") < LIMIT


@pytest.mark.parametrize("name", ["nn_forward", "nn_backward", "nn_update"])
def test_computing_takes_little(functions: dict[str, Function], name: str) -> None:
    assert depth(functions, name) < 4 << 10
