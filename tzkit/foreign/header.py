# SPDX-License-Identifier: MIT
"""A ``user_ta_header_defines.h``, read for what must be kept of it when ours is rendered."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass

UUID, FLAGS, STACK, HEAP = "TA_UUID", "TA_FLAGS", "TA_STACK_SIZE", "TA_DATA_SIZE"
NEEDED = (UUID, FLAGS, STACK, HEAP)

_STRING_OR_COMMENT = re.compile(r'"(?:\\.|[^"\\\n])*"|/\*.*?\*/|//[^\n]*', re.DOTALL)
_INCLUDE = re.compile(r'^\s*#\s*include\s+(<[^>\n]+>|"[^"\n]+")', re.MULTILINE)
_DEFINE = re.compile(r"^\s*#\s*define[ \t]+(\w+(?:\([^)\n]*\))?)[ \t]+(\S.*?)\s*$", re.MULTILINE)
_WORD = re.compile(r"\b[A-Za-z_]\w*\b")
_SUFFIX = re.compile(r"\b(0[xX][0-9a-fA-F]+|\d+)[uUlL]+\b")
_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.floordiv,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
}
DEEPEST = 10  # macros within macros; more is a circle
LONGEST = 10_000  # characters of an expanded macro
WIDEST_SHIFT = 63


@dataclass(frozen=True)
class Header:
    """Operands of its ``#include``s, and its macros with their texts, both in its order."""

    includes: tuple[str, ...]
    macros: Mapping[str, str]

    @property
    def others(self) -> dict[str, str]:
        """The macros that no rendered header has a place of its own for."""
        return {name: text for name, text in self.macros.items() if name not in NEEDED}

    def number(self, name: str) -> int | None:
        """The value of a macro, or None when it is no arithmetic over this header's macros."""
        return _number(self.macros.get(name, ""), self.macros)


def read_header(text: str) -> Header:
    """Read such a header. Its include guard, which has no text, is left out.

    Conditionals are not looked at; of two equal names the last counts.
    """
    plain = _STRING_OR_COMMENT.sub(_without_comments, text.replace("\\\n", " "))
    return Header(tuple(_INCLUDE.findall(plain)), dict(_DEFINE.findall(plain)))


def _without_comments(found: re.Match[str]) -> str:
    return found[0] if found[0].startswith('"') else " "


def _number(text: str, macros: Mapping[str, str]) -> int | None:
    for _ in range(DEEPEST):
        text = _WORD.sub(lambda found: f"({macros.get(found[0], found[0])})", text)
        text = _SUFFIX.sub(r"\1", text)
        if len(text) > LONGEST:
            return None
    try:
        return _evaluated(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, MemoryError, RecursionError):
        return None


def _evaluated(node: ast.expr) -> int:
    """The value of integer arithmetic. Raises ValueError for anything else."""
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = _evaluated(node.left), _evaluated(node.right)
        if isinstance(node.op, (ast.LShift, ast.RShift)) and not 0 <= right <= WIDEST_SHIFT:
            raise ValueError("shifted too far")
        result: int = _OPERATORS[type(node.op)](left, right)
        return result
    raise ValueError("no integer arithmetic")
