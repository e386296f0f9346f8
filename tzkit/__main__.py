# SPDX-License-Identifier: MIT
"""``python -m tzkit``: invoke on this project's tasks, from any folder, with our exit codes."""

from __future__ import annotations

import difflib
import os
import re
import sys

from invoke.exceptions import Exit, ParseError
from invoke.program import Program

from tzkit.errors import RequestError
from tzkit.workspace import Workspace


class TzkitProgram(Program):
    """invoke, but a misspelt task or flag is a wrong request, with the nearest right one."""

    def parse_tasks(self) -> None:
        try:
            super().parse_tasks()
        except ParseError as error:
            raise Exit(f"{error}{self._guess(str(error))}", code=RequestError.exit_code) from error

    def _guess(self, message: str) -> str:
        wrong = re.search(r"'([^']+)'", message)
        contexts = self.collection.to_contexts()
        known = [name for context in contexts for name in (context.name, *context.flags) if name]
        others = [name for name in known if wrong and name != wrong[1]]  # known, but not here
        close = difflib.get_close_matches(wrong[1], others, n=1) if wrong else []
        if wrong and wrong[1] in known:
            return f" Another task has '{wrong[1]}'; './inv --help TASK' shows what this one has."
        return f" Did you mean '{close[0]}'?" if close else " './inv --list' shows the tasks."


def main() -> None:
    root = str(Workspace.of_checkout().root)
    words = sys.argv[1:] or ["--list"]
    try:
        TzkitProgram(name="inv").run(["inv", "--search-root", root, *words])
    except BrokenPipeError:  # "| head" has seen enough; nothing must be written at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
