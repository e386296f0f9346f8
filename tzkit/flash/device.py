# SPDX-License-Identifier: MIT
"""The target of an image: what lsblk and the kernel know about it, and why it is refused.

Overwriting the wrong disk cannot be undone, so every doubt ends here. A plain file or a loop
device is a target like a card of its size: that is how all this is tried without one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from tzkit.errors import EnvironmentFailed, RequestError
from tzkit.process import Runner, quoted
from tzkit.units import show_size

# With NAME the answer is a tree; without it partitions would stand beside their disk.
COLUMNS = (
    "NAME", "PATH", "PKNAME", "TYPE", "SIZE", "VENDOR", "MODEL", "SERIAL", "TRAN", "RM", "HOTPLUG",
    "RO", "PTTYPE", "FSTYPE", "LABEL", "PARTLABEL", "MOUNTPOINTS",
)  # fmt: skip
LSBLK_SECONDS = 30.0
LOCK_SECONDS = 10.0
LOCK_PAUSE_SECONDS = 0.1

FILE, LOOP, DISK, PARTITION = "file", "loop", "disk", "part"
# Mount points of the running system; lsblk's word for that of swap space is the last one.
SYSTEM = frozenset(
    {"/", "/boot", "/boot/efi", "/boot/firmware", "/efi", "/home", "/usr", "/var", "[SWAP]"}
)
SOLDERED = "MMC"  # the kernel's word for eMMC, which lsblk does not tell from a card
LIST_DEVICES = "'lsblk' lists the devices of this machine"


class Device(BaseModel):
    """A disk, or something on or above one, in lsblk's words; sizes in bytes."""

    model_config = ConfigDict(frozen=True, str_strip_whitespace=True)

    path: Path
    pkname: str | None = None
    type: str
    size: int
    vendor: str | None = None
    model: str | None = None
    serial: str | None = None
    tran: str | None = None
    rm: bool = False
    hotplug: bool = False
    ro: bool = False
    pttype: str | None = None
    fstype: str | None = None
    label: str | None = None
    partlabel: str | None = None
    mountpoints: tuple[str | None, ...] = ()
    children: tuple[Device, ...] = ()
    card: str = ""  # of an mmc host: MMC or SD
    sequence: str = ""  # another number for every medium that was put in

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def is_block(self) -> bool:
        return self.type != FILE

    @property
    def removable(self) -> bool:
        """Whether a person put it in. Of mmc hosts lsblk says hotplug, even for eMMC."""
        return self.type in {FILE, LOOP} or (self.card != SOLDERED and (self.rm or self.hotplug))

    @property
    def title(self) -> str:
        """What is printed on it, more or less: vendor, model and size."""
        names = [name for name in (self.vendor, self.model) if name]
        return f"{' '.join(names) or self.type}, {show_size(self.size)}"

    @property
    def identity(self) -> tuple[str, ...]:
        """Equal for the same medium in the same drive."""
        return (str(self.path), self.title, self.serial or "", self.sequence)

    def below(self) -> Iterator[Device]:
        """Everything on or above it: partitions, and what is made of them."""
        for child in self.children:
            yield child
            yield from child.below()

    def mounts(self) -> list[str]:
        """Where it, or anything on or above it, is mounted."""
        return [point for device in (self, *self.below()) for point in device.mountpoints if point]


class _Answer(BaseModel):
    blockdevices: tuple[Device]  # just the one that was asked for, its tree below it


def lsblk_argv(path: Path) -> list[str]:
    """The command that describes a block device, even an empty one, and all on or above it."""
    return ["lsblk", "--all", "--json", "--bytes", "--output", ",".join(COLUMNS), str(path)]


def parse_lsblk(answer: str, **more: str) -> Device:
    """The device lsblk was asked about; ``more`` are fields that it does not know."""
    return _Answer.model_validate_json(answer).blockdevices[0].model_copy(update=more)


def find_device(name: str, runner: Runner) -> Device:
    """What the user named, links followed. Raises RequestError when it cannot be a target."""
    path = Path(name).resolve()
    try:
        status = path.stat()
    except OSError as error:
        raise RequestError(f"device {name}: {error.strerror}", hint=LIST_DEVICES) from error
    if stat.S_ISREG(status.st_mode):
        return Device(path=path, type=FILE, size=status.st_size)
    if not stat.S_ISBLK(status.st_mode):
        raise RequestError(f"{name} is neither a block device nor a file", hint=LIST_DEVICES)
    what = f"asking lsblk about {path}"
    answer = runner.run(lsblk_argv(path), what=what, timeout=LSBLK_SECONDS)
    return parse_lsblk(
        answer, card=_attribute(path, "device/type"), sequence=_attribute(path, "diskseq")
    )


def refuse(device: Device, size: int, force: bool) -> None:
    """Raise RequestError unless an image of ``size`` bytes may be written to this device."""
    _refuse_kind(device)
    _refuse_system_disk(device)
    _refuse_used(device)
    _refuse_unwritable(device)
    _refuse_small(device, size)
    if not (device.removable or force):
        raise RequestError(
            f"{device.path} ({device.title}) is built in, not removable",
            hint=f"{LIST_DEVICES}; --force if you do mean this one",
        )


def refuse_claimed(device: Device) -> None:
    """Ask the kernel, which also knows the users that lsblk does not show.

    Those are mounts in other namespaces and file systems of several disks. Raises RequestError
    when it is in use, EnvironmentFailed when this user may not write it.
    """
    if not os.access(device.path, os.R_OK | os.W_OK):
        raise EnvironmentFailed(
            f"no permission to write {device.path}",
            hint="run it with sudo, or as a member of the group that owns it (often 'disk')",
        )
    if not device.is_block:
        return
    try:
        os.close(os.open(device.path, os.O_RDONLY | os.O_EXCL))
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise _unusable(device, error) from error
        raise RequestError(
            f"{device.path} is in use by the kernel or by another program",
            hint="end what uses it (a mount in a container, RAID, another writer)",
        ) from error


@contextlib.contextmanager
def locked(device: Device) -> Iterator[None]:
    """Keep others off: while this lock is held, udev does not look at the device.

    So no desktop mounts a new partition before it has been read back. Raises RequestError when
    another program keeps the lock.
    """
    try:
        handle = os.open(device.path, os.O_RDONLY)
    except OSError as error:
        raise _unusable(device, error) from error
    try:
        _lock(handle, device)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, device: Device) -> None:
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise RequestError(
                    f"another program is working on {device.path}; nothing was written",
                    hint="wait until it is done, then run the same command again",
                ) from error
        time.sleep(LOCK_PAUSE_SECONDS)


def _refuse_kind(device: Device) -> None:
    if device.type == PARTITION:
        raise RequestError(
            f"{device.path} is a partition; the image has partitions of its own",
            hint=f"name the whole device: /dev/{device.pkname}",
        )
    if device.type not in {FILE, LOOP, DISK}:
        raise RequestError(
            f"{device.path} is no disk: lsblk calls it '{device.type}'", hint=LIST_DEVICES
        )


def _refuse_system_disk(device: Device) -> None:
    points = [point for point in device.mounts() if point in SYSTEM]
    if points:
        raise RequestError(
            f"{device.path} ({device.title}) holds the running system: {', '.join(points)}",
            hint=f"such a disk is never written; {LIST_DEVICES}",
        )


def _refuse_used(device: Device) -> None:
    points = device.mounts()
    if points:
        raise RequestError(
            f"{device.path} is mounted on {', '.join(points)}",
            hint=f"if it is the right one: {quoted(['sudo', 'umount', *points])}",
        )
    holders = [f"{it.path} ({it.type})" for it in device.below() if it.type != PARTITION]
    if holders:
        raise RequestError(
            f"{device.path} is part of {', '.join(holders)}",
            hint="end what uses it (vgchange, cryptsetup, dmsetup, mdadm), then run this again",
        )


def _refuse_unwritable(device: Device) -> None:
    if device.ro:
        raise RequestError(
            f"{device.path} is read-only", hint="look at the card's write-protect switch"
        )


def _refuse_small(device: Device, size: int) -> None:
    if device.size == 0 and device.is_block:
        raise RequestError(f"{device.path} is empty: no medium in it", hint="put in the card")
    if device.size < size:
        raise RequestError(
            f"the image does not fit: {size} bytes, {device.path} has {device.size}",
            hint=f"take one of at least {show_size(size)}",
        )


def _attribute(path: Path, name: str) -> str:
    """What the kernel says of a block device; empty when it does not."""
    try:
        return Path("/sys/class/block", path.name, name).read_text().strip()
    except OSError:
        return ""


def _unusable(device: Device, error: OSError) -> EnvironmentFailed:
    return EnvironmentFailed(
        f"cannot open {device.path}: {error.strerror}", hint="take it out and put it in again"
    )
