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


@dataclass
class Stack:
    """How deep calls get."""

    functions: dict[str, Function]
    hidden: set[str] = field(init=False)
    known: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        called = set().union(*(function.callees for function in self.functions.values()))
        # Static, so named with their file, and never called by name.
        self.hidden = {name for name in self.functions if ":" in name and name not in called}

    def behind_pointers(self, caller: str) -> set[str]:
        if caller == "command_invoke":
            return {name for name in self.hidden if "/command.c:" in name}
        if self.functions[caller].folder != "nn":
            return set()
        of_layers = {name for name in self.hidden if OF_A_LAYER.search(name)}
        if caller in ENGINE or "/nn_plan.c:" in caller:
            return of_layers
        return {name for name in self.hidden - of_layers if self.functions[name].folder == "nn"}

    def depth(self, name: str, above: frozenset[str] = frozenset()) -> int:
        """Bytes of ``name``'s frame and the deepest below it."""
        if name in self.known:
            return self.known[name]
        function = self.functions[name]
        callees = function.callees & self.functions.keys()
        assert not callees & above, f"recursion: {callees & above}"
        if INDIRECT in function.callees:
            callees |= self.behind_pointers(name) - above - {name}
        below = (self.depth(callee, above | {name}) for callee in callees)
        self.known[name] = function.frame + max(below, default=0)
        return self.known[name]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
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
    return Stack(found)


def test_no_frame_depends_on_a_request(stack: Stack) -> None:
    """No arrays of variable length: DarkneTZ had one as long as the caller liked."""
    assert {function.kind for function in stack.functions.values()} <= {"static", "dynamic,bounded"}
    assert len(stack.functions) > 100


def test_the_deepest_call_leaves_a_third_of_the_stack(stack: Stack) -> None:
    assert 20 << 10 < stack.depth("command_invoke") < LIMIT


@pytest.mark.parametrize("name", ["nn_forward", "nn_backward", "nn_update"])
def test_computing_takes_little(stack: Stack, name: str) -> None:
    assert stack.depth(name) < 4 << 10
