# SPDX-License-Identifier: MIT
"""Files that root seems to own, for whoever builds: fakeroot's library and its daemon.

The ``fakeroot`` script starts the daemon in the background, where it outlives a build that is
interrupted. Here it runs in the foreground, as a child that ends with us.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tzkit.errors import EnvironmentFailed
from tzkit.parts.sysroot import find
from tzkit.process import Child, Runner

DAEMON = "faked-sysv"
LIBRARY = "usr/lib/*/libfakeroot/libfakeroot-sysv.so"
START_SECONDS = 10.0
POLL_SECONDS = 0.01


@contextlib.contextmanager
def fake_root(runner: Runner, log: Path) -> Iterator[Mapping[str, str]]:
    """The environment in which programs see files as root's; ``log`` takes the daemon's words.

    Call from the main thread. Raises EnvironmentFailed when the daemon does not start.
    """
    library = find(Path("/"), LIBRARY)
    with log.open("wb") as output:
        daemon = runner.start([DAEMON, "--foreground"], output=output)
    try:
        yield {"LD_PRELOAD": str(library), "FAKEROOTKEY": _key(daemon, log)}
    finally:
        daemon.stop()


def _key(daemon: Child, log: Path) -> str:
    """The number of the daemon's message queue, its first word."""
    deadline = time.monotonic() + START_SECONDS
    while daemon.ended() is None and time.monotonic() < deadline:
        said = re.match(r"(\d+):", log.read_text(errors="replace"))
        if said is not None:
            return said[1]
        time.sleep(POLL_SECONDS)
    raise EnvironmentFailed(f"{DAEMON} did not start", hint="./inv doctor --install", log=log)
