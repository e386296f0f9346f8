# SPDX-License-Identifier: MIT
"""Writing an image with bmaptool or dd, and reading it back from the medium.

bmaptool writes only what the block map lists and checks its sums on the way. dd writes
everything, needs no block map and keeps the size of a plain file.
"""

from __future__ import annotations

import errno
import mmap
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from tzkit.errors import EnvironmentFailed
from tzkit.flash.device import Device
from tzkit.flash.image import Extent, Image
from tzkit.process import LAST_LINES, Child, Runner
from tzkit.ui import Step
from tzkit.units import show_size

BMAPTOOL = "bmaptool"
CHUNK = 4 << 20  # bytes read back at once
POLL_SECONDS = 0.2
SLOWEST = 256 << 10  # bytes per second: below it the medium is taken for broken
PATIENCE_SECONDS = 300.0  # for the last flush


def usable_bmap(bmap: Path | None, is_block: bool) -> Path | None:
    """The block map if bmaptool is to write. Never a plain file, which it would cut short."""
    return bmap if is_block and shutil.which(BMAPTOOL) else None


def write_argv(image: Path, bmap: Path | None, device: Path, is_block: bool) -> list[str]:
    """The command that writes an image and flushes: bmaptool if there is a block map, else dd.

    ``nocreat``: when the card is pulled out, no file of its name appears in /dev. ``direct``:
    progress is what the medium has, not what memory holds; plain files do not always know it.
    """
    if bmap is not None:
        return [BMAPTOOL, "copy", "--bmap", str(bmap), str(image), str(device)]
    argv = ["dd", f"if={image}", f"of={device}", "bs=4M", "iflag=fullblock"]
    return [*argv, *(["oflag=direct"] if is_block else []), "conv=fsync,nocreat,notrunc"]


def write(image: Image, device: Device, runner: Runner, step: Step, log: Path) -> None:
    """Write the image. Raises EnvironmentFailed, or KeyboardInterrupt with what is left behind.

    However it ends, the writing program has ended too; its output is in ``log``.
    """
    bmap = usable_bmap(image.bmap, device.is_block)
    argv = write_argv(image.path, bmap, device.path, device.is_block)
    progress = _Progress(step, _written(image, device))
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        child = runner.start(argv, output=output)
        try:
            _follow(child, device, progress, log)
        except KeyboardInterrupt as error:
            raise KeyboardInterrupt(f"interrupted: {_half_written(device)}") from error
        finally:
            child.stop()


def verify(image: Image, device: Device, step: Step) -> None:
    """Read back everything that was written. Raises EnvironmentFailed at the first difference."""
    extents = _written(image, device)
    progress = _Progress(step, extents)
    done = 0
    with image.path.open("rb") as source, _Medium(device) as medium:
        for chunk in _chunks(extents):
            _compare(chunk, source, medium, device)
            done += chunk.end - chunk.start
            progress.show(done)


class _Progress:
    """Tells a step how much of the extents is done, once per cent."""

    def __init__(self, step: Step, extents: Iterable[Extent]) -> None:
        self._step = step
        self._shown = -1
        self.total = sum(extent.end - extent.start for extent in extents)

    @property
    def seconds(self) -> float:
        return self._step.seconds

    def show(self, done: int) -> None:
        percent = min(done, self.total) * 100 // self.total
        if percent > self._shown:
            self._shown = percent
            self._step.update(f"{percent} % of {show_size(self.total)}, {self._speed(done)}")

    def finish(self) -> None:
        self._step.result = f"{show_size(self.total)}, {self._speed(self.total)}"

    def _speed(self, count: int) -> str:
        return f"{show_size(int(count / max(self.seconds, POLL_SECONDS)))}/s"


class _Medium:
    """Reads a device past the page cache, so that the medium itself answers."""

    def __init__(self, device: Device) -> None:
        try:
            self._handle = _open_direct(device.path)
        except OSError as error:
            raise _broken(device, f"cannot be opened: {error.strerror}") from error
        self._device = device
        self._buffer = mmap.mmap(-1, CHUNK)  # direct access wants whole pages of memory

    def __enter__(self) -> _Medium:
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._handle)
        self._buffer.close()

    def read(self, chunk: Extent) -> bytes:
        """The bytes of a chunk; fewer where the device ends."""
        try:
            got = os.preadv(self._handle, [self._buffer], chunk.start)
        except OSError as error:
            raise _broken(self._device, f"cannot be read back: {error.strerror}") from error
        return self._buffer[: min(got, chunk.end - chunk.start)]


def _open_direct(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECT)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return os.open(path, os.O_RDONLY)  # a plain file where files have no direct access


def _compare(chunk: Extent, source: BinaryIO, medium: _Medium, device: Device) -> None:
    source.seek(chunk.start)
    wanted = source.read(chunk.end - chunk.start)
    found = medium.read(chunk)
    if found != wanted:
        pairs = enumerate(zip(wanted, found, strict=False))
        first = next((at for at, (a, b) in pairs if a != b), len(found))
        raise _broken(device, f"differs from the image at byte {chunk.start + first}")


def _broken(device: Device, what: str) -> EnvironmentFailed:
    return EnvironmentFailed(
        f"{device.path} was written but {what}",
        hint="do not boot from it; write it again, and if that fails take another card or reader",
    )


def _written(image: Image, device: Device) -> tuple[Extent, ...]:
    """What :func:`write` writes: bmaptool leaves out what holds no data."""
    return image.mapped if usable_bmap(image.bmap, device.is_block) else image.whole


def _chunks(extents: Iterable[Extent]) -> Iterator[Extent]:
    for extent in extents:
        for start in range(extent.start, extent.end, CHUNK):
            yield Extent(start, min(start + CHUNK, extent.end))


def _follow(child: Child, device: Device, progress: _Progress, log: Path) -> None:
    """Show how far the writing program is until it ends. Raises EnvironmentFailed if badly."""
    limit = PATIENCE_SECONDS + progress.total / SLOWEST
    while child.ended(POLL_SECONDS) is None:
        progress.show(_bytes_written(child.pid))
        if progress.seconds > limit:
            raise _failed(device, f"no end after {limit:.0f} s", log)
    if child.wait():
        raise _failed(device, f"{child.argv[0]}: {child.ended()}{_last_lines(log)}", log)
    progress.finish()


def _failed(device: Device, why: str, log: Path) -> EnvironmentFailed:
    return EnvironmentFailed(
        f"writing {device.path}: {why}",
        hint=f"{_half_written(device)}; if it fails again, take another card or reader",
        log=log,
    )


def _half_written(device: Device) -> str:
    return f"{device.path} now holds a half-written image; run the same command again"


def _last_lines(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return "".join(f"\n    {line}" for line in lines[-LAST_LINES:] if line.strip())


def _bytes_written(pid: int) -> int:
    """What a process has written so far, as the kernel counts it; 0 where it does not tell."""
    try:
        lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    except OSError:
        return 0
    counts = dict(line.split(": ") for line in lines)
    return int(counts.get("wchar", 0))
