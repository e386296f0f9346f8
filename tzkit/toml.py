# SPDX-License-Identifier: MIT
"""TOML files that people write, read strictly: the model is the format.

Unknown keys are refused, all mistakes of a file are told at once, each with file and key.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import tomli
from pydantic import BaseModel, ConfigDict, ValidationError

from tzkit.errors import RequestError


class Table(BaseModel):
    """A table of such a file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


_T = TypeVar("_T", bound=Table)


def read_toml(path: Path, model: type[_T], **more: str) -> _T:
    """Read a file as ``model``; ``more`` are keys that do not stand in it, such as its name.

    Raises RequestError with every mistake, each with its key.
    """
    try:
        content = tomli.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomli.TOMLDecodeError) as error:
        raise RequestError(f"{path}: {error}", hint="mend the file") from error
    try:
        return model.model_validate({**more, **content})
    except ValidationError as error:
        raise RequestError(_explained(path, error), hint="mend the file") from error


def _explained(path: Path, error: ValidationError) -> str:
    """All mistakes pydantic found, one line each."""
    lines = []
    for mistake in error.errors():
        key = ".".join(str(part) for part in mistake["loc"]) or "(file)"
        text = {"extra_forbidden": "unknown key", "missing": "this key is missing"}.get(
            mistake["type"], mistake["msg"].removeprefix("Value error, ")
        )
        lines.append(f"{path}: {key}: {text}")
    return "\n".join(lines)
