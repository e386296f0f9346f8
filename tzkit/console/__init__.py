# SPDX-License-Identifier: MIT
"""The consoles of one booted target and the shell on one of them.

Role in the pipeline: a session (emulator or board) hands over its connected serial lines; suites
get a :class:`Shell`. In layers, each usable without the one above it:

* ``transcript``: bytes become clean lines with times, kept in ``normal.log`` / ``secure.log``
* ``death``: the lines that say that a target crashed or was reset
* ``target``: drains all lines all the time, and ends every wait when the target has died
* ``shell``: commands with an exit status, without trusting prompts or echoes
"""

from tzkit.console.console import Pacing, fd_line, socket_line
from tzkit.console.death import Event
from tzkit.console.shell import Completed, Shell
from tzkit.console.target import Target
from tzkit.console.transcript import Line

__all__ = [
    "Completed",
    "Event",
    "Line",
    "Pacing",
    "Shell",
    "Target",
    "fd_line",
    "socket_line",
]
