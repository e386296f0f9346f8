# SPDX-License-Identifier: MIT
"""What this machine must have before OP-TEE's build is worth starting."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tzkit.board import Board
from tzkit.boardfile import Size
from tzkit.doctor import COMMON, Tool
from tzkit.errors import EnvironmentFailed
from tzkit.toml import Table, read_toml
from tzkit.units import show_size
from tzkit.upstream.tree import upstream_of

LIST = Path(__file__).with_name("host.toml")


class HostList(Table):
    """The format of ``host.toml``."""

    disk: Size
    tools: dict[str, str]


def host_list() -> HostList:
    return read_toml(LIST, HostList)


def tools_for(board: Board) -> list[Tool]:
    """Programs and files that the build of a board needs, with their packages."""
    wanted = host_list().tools | upstream_of(board).tools
    tools = [Tool(probe, package, "OP-TEE's own build") for probe, package in wanted.items()]
    known = {tool.probe for tool in tools}
    return [*(tool for tool in COMMON if tool.probe not in known), *tools]


def check_path() -> None:
    """Raises EnvironmentFailed for a PATH that Buildroot refuses."""
    path = os.environ.get("PATH", "")
    spoilt = [folder for folder in path.split(os.pathsep) if any(c.isspace() for c in folder)]
    if spoilt:
        raise EnvironmentFailed(
            f"PATH has folders with blanks in their names, which Buildroot refuses: {spoilt[0]}",
            hint="start again with a PATH without them",
        )


def check_disk(place: Path) -> None:
    """Raises EnvironmentFailed when a whole tree does not fit where ``place`` is or will be."""
    needed = host_list().disk
    there = next(folder for folder in (place, *place.parents) if folder.is_dir())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise EnvironmentFailed(
            f"OP-TEE's tree needs {show_size(needed)}, {there} has {show_size(free)} free",
            hint="free some space, or put the cache elsewhere with XDG_CACHE_HOME",
        )


def environment() -> dict[str, str]:
    """Variables for configure scripts, which a make command line does not reach."""
    return {"FORCE_UNSAFE_CONFIGURE": "1"} if os.geteuid() == 0 else {}
