# SPDX-License-Identifier: MIT
"""Files from the board through its console, for boards without a network."""

from __future__ import annotations

import base64
import binascii
import gzip
import hashlib
import shlex
import zlib
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
    try:
        content = read_file(shell, path)
    except FileNotFoundError as error:
        raise RequestError(f"--get {path}: {error}") from error
    write_whole(folder / path.name, content)
    return folder / path.name


def read_file(shell: Shell, path: PurePosixPath) -> bytes:
    """The content of a file of the board.

    Raises FileNotFoundError when it cannot be read there, TargetDied when it did not arrive whole.
    """
    quoted = shlex.quote(str(path))
    told = shell.run(f"sha256sum {quoted}", timeout=HASH_SECONDS)
    if told.status:
        raise FileNotFoundError(told.output.strip())
    sent = shell.run(f"gzip -c {quoted} | base64", timeout=GET_SECONDS)
    try:
        content = gzip.decompress(base64.b64decode("".join(sent.output.split()), validate=True))
    except (binascii.Error, OSError, EOFError, zlib.error):
        content = b""
    if hashlib.sha256(content).hexdigest() != told.output.split()[0]:
        raise TargetDied(
            f"{path} did not arrive whole",
            kind="transfer",
            hint="run the same command again",
            log=shell.target.logs["normal"],
        )
    return content
