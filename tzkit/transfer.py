# SPDX-License-Identifier: MIT
"""Files from the board through its console, for boards without a network."""

from __future__ import annotations

import base64
import binascii
import hashlib
import shlex
from pathlib import Path, PurePosixPath

from tzkit.console import Shell
from tzkit.errors import RequestError, TargetDied
from tzkit.store import write_whole

GET_SECONDS = 600.0
HASH_SECONDS = 60.0


def get_file(shell: Shell, path: PurePosixPath, folder: Path) -> Path:
    """Copy a file of the board into ``folder`` and return where it is.

    Raises RequestError when the board has no such file, TargetDied when it did not arrive whole.
    """
    quoted = shlex.quote(str(path))
    told = shell.run(f"sha256sum {quoted}", timeout=HASH_SECONDS)
    if told.status:
        raise RequestError(f"--get {path}: {told.output.strip()}")
    sent = shell.run(f"base64 {quoted}", timeout=GET_SECONDS)
    try:
        content = base64.b64decode("".join(sent.output.split()), validate=True)
    except binascii.Error:
        content = b""
    if hashlib.sha256(content).hexdigest() != told.output.split()[0]:
        raise TargetDied(
            f"{path} did not arrive whole",
            kind="transfer",
            hint="run the same command again",
            log=shell.target.logs["normal"],
        )
    write_whole(folder / path.name, content)
    return folder / path.name
