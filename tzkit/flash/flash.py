# SPDX-License-Identifier: MIT
"""An image on a card, in order: look, refuse, show, ask, write, read back."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.text import Text

from tzkit.errors import RequestError
from tzkit.flash.device import Device, find_device, locked, lsblk_argv, refuse, refuse_claimed
from tzkit.flash.image import Image, find_bmap, read_image
from tzkit.flash.write import usable_bmap, verify, write, write_argv
from tzkit.process import Runner, quoted
from tzkit.ui import Ui
from tzkit.units import show_size

UNTOUCHED = "nothing was written"


def write_image(
    image: Path, device: str, *, force: bool, yes: bool, runner: Runner, ui: Ui, log: Path
) -> None:
    """Write ``image`` to ``device`` and read it back; return only when both are equal.

    ``force`` allows a disk that is built in, ``yes`` does not ask. Raises RequestError when
    image or device are wrong or the user does not agree, EnvironmentFailed when writing or
    reading back fails, KeyboardInterrupt with a text for the user when interrupted half-way.
    """
    source = read_image(image)
    target = _checked(source, device, force, runner)
    ui.say(summary(source, target))
    if not yes:
        _confirm(target, ui)
    with locked(target):
        # People change cards while they are asked, and desktops mount them.
        if _checked(source, device, force, runner).identity != target.identity:
            raise RequestError(
                f"{target.path} is another medium than before; {UNTOUCHED}",
                hint="look at it again, then run the same command again",
            )
        with ui.step(f"writing {image.name} to {target.path}") as step:
            write(source, target, runner, step, log)
        with ui.step(f"reading {target.path} back") as step:
            verify(source, target, step)
            step.result = "equal to the image"


def check_device(device: str, force: bool, runner: Runner) -> None:
    """Raises RequestError for a device that will be refused whatever the image is."""
    target = find_device(device, runner)
    refuse(target, 0, force)
    refuse_claimed(target)


def flash_commands(image: Path, device: str) -> list[str]:
    """What :func:`write_image` would run, for ``--dry-run``; neither image nor device need exist.

    With the writer this machine has. A missing image counts as one without a block map, a
    missing device as a block device.
    """
    target = Path(device)
    is_block = not target.is_file()
    argv = write_argv(image, usable_bmap(find_bmap(image), is_block), target, is_block)
    return [quoted(command) for command in (lsblk_argv(target), argv)]


def summary(image: Image, device: Device) -> str:
    """What the user has to see before saying yes."""
    serial = f", serial {device.serial}" if device.serial else ""
    bus = f", {device.tran}" if device.tran else ""
    lines = [
        f"  device  {device.path}: {device.title}{bus}{serial}",
        f"  holds   {_content(device)}",
        *(f"          {child.name}: {_content(child)}" for child in device.below()),
        f"  image   {image.path}: {show_size(image.size)}",
    ]
    return "\n".join(lines)


def _content(device: Device) -> str:
    table = f"{device.pttype} partition table" if device.pttype and device.children else ""
    labels = [f"'{label}'" for label in (device.label, device.partlabel) if label]
    known = [word for word in (table, device.fstype, *labels) if word]
    return f"{' '.join(known) or 'nothing known'}, {show_size(device.size)}"


def _checked(image: Image, device: str, force: bool, runner: Runner) -> Device:
    target = find_device(device, runner)
    if image.path.samefile(target.path):
        raise RequestError(f"{device} is the image itself", hint="name the device to write to")
    refuse(target, image.size, force)
    refuse_claimed(target)
    return target


def _confirm(device: Device, ui: Ui) -> None:
    """Ask for the device's name. Raises RequestError unless that is the answer."""
    if not sys.stdin.isatty():
        raise RequestError(
            f"nobody can be asked here whether to overwrite {device.path}; {UNTOUCHED}",
            hint="add --yes if it is the right one",
        )
    question = f"overwrite {device.path} ({device.title})? type {device.name} to confirm: "
    try:
        answer = ui.console.input(Text(question)).strip()
    except EOFError:
        answer = ""
    if answer not in {device.name, str(device.path)}:
        raise RequestError(f"not confirmed; {UNTOUCHED}")
