# SPDX-License-Identifier: MIT
"""Variables of a simple makefile, read without running it."""

from __future__ import annotations

import re

_ASSIGNMENT = re.compile(
    r"^(?:override\s+|export\s+)*(?P<name>[\w.-]+)\s*(?P<kind>\?=|\+=|:{0,3}=)\s*(?P<value>.*)$"
)
_REFERENCE = re.compile(r"\$(?:\((?P<round>[\w.-]+)\)|\{(?P<curly>[\w.-]+)\})")
DEEPEST = 10  # variables within variables; more is a circle


def make_variable(makefile: str, name: str) -> str | None:
    """The value of a variable with others expanded, or None when it is not set.

    Functions, such as ``$(shell …)``, stay as they are, and so do variables that are not set here.
    Conditionals are not looked at: all their branches count.
    """
    values = _assignments(makefile)
    value = values.get(name)
    for _ in range(DEEPEST):
        if value is None:
            break
        value = _REFERENCE.sub(lambda found: _value_of(found, values), value)
    return value


def _assignments(makefile: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for line in makefile.replace("\\\n", " ").splitlines():
        found = _ASSIGNMENT.match(line.partition("#")[0].strip())
        # A line that begins with a tab belongs to a recipe.
        if found is None or line.startswith("\t"):
            continue
        name, kind, value = found["name"], found["kind"], found["value"].strip()
        if kind == "+=" and name in values:
            values[name] = f"{values[name]} {value}"
        elif kind != "?=" or name not in values:
            values[name] = value
    return values


def _value_of(found: re.Match[str], values: dict[str, str]) -> str:
    return values.get(found["round"] or found["curly"], found[0])
