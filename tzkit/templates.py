# SPDX-License-Identifier: MIT
"""Text files from ``templates/``, rendered strictly: a missing value is an error, never a blank."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def render(folder: Path, name: str, **values: object) -> str:
    """The text of template ``name`` with these values, which must be all it uses."""
    environment = Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        autoescape=False,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name).render(values)
