# SPDX-License-Identifier: MIT
"""The ``flash`` verb: what was built gets onto the real board, by the board's own way.

``disk``: the image is written to a card that the user names. ``make``: OP-TEE's own tree does it,
asking for what has to be done by hand.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from tzkit.board import Board
from tzkit.errors import RequestError
from tzkit.flash import check_device, flash_commands, write_image
from tzkit.job import Job
from tzkit.origin import DEBIAN, Origin, Product
from tzkit.pipeline import BuildOptions
from tzkit.process import Runner
from tzkit.ui import Ui
from tzkit.upstream.flash import Ask, check_flash
from tzkit.upstream.flash import flash as flash_by_make
from tzkit.upstream.origin import UpstreamOrigin, UpstreamProduct
from tzkit.workspace import Workspace


@dataclass(frozen=True)
class Order:
    """What the user asked for; ``force`` allows a disk that is built in."""

    device: str | None
    yes: bool
    force: bool


def check_way(board: Board, origin: Origin, order: Order) -> None:
    """Raises RequestError when the board is not flashed so."""
    if board.flash.kind == "none":
        raise RequestError(f"{board.name} is not flashed: {board.flash.how}")
    if board.flash.kind == "make":
        _check_make(board, origin, order)
    elif origin is DEBIAN and board.card is None:
        raise RequestError(
            f"--source debian makes no image for {board.name}",
            hint="--source upstream makes one",
        )


def check_device_of(board: Board, order: Order) -> None:
    """Raises RequestError for a device that cannot be written, before anything is built."""
    if board.flash.kind == "make":
        check_flash(board, yes=order.yes, person=sys.stdin.isatty())
        return
    if order.device is None:
        raise RequestError(
            "name the device to write to",
            hint=f"./inv flash --board {board.name} --device /dev/sdX; lsblk shows what there is",
        )
    check_device(order.device, order.force, Runner())


def flash(job: Job, origin: Origin, options: BuildOptions, order: Order) -> None:
    """Build what is to be flashed, and flash it. Call from the main thread."""
    product = origin.build(job, options)
    if job.board.flash.kind == "make" and isinstance(product, UpstreamProduct):
        flash_by_make(job, product.tree, _asker(job.ui, order.yes))
        return
    write_image(
        _disk_image(product),
        order.device or "",
        force=order.force,
        yes=order.yes,
        runner=job.runner,
        ui=job.ui,
        log=job.log("flash"),
    )


def commands(workspace: Workspace, board: Board, origin: Origin, order: Order) -> list[str]:
    """What ``--dry-run`` shows for the flashing itself."""
    if isinstance(origin, UpstreamOrigin) and board.flash.kind == "make":
        return origin.flash_commands(workspace, board)
    image = workspace.board_out(board.name) / "sdcard.img"
    if isinstance(origin, UpstreamOrigin):
        image = origin.image_of(workspace, board)
    return flash_commands(image, order.device or "DEVICE")


def _check_make(board: Board, origin: Origin, order: Order) -> None:
    if not isinstance(origin, UpstreamOrigin):
        raise RequestError(
            f"{board.name} is flashed by OP-TEE's own tree: {board.flash.how}",
            hint=f"./inv flash --board {board.name} --source upstream",
        )
    if order.device is not None:
        raise RequestError(f"--device {order.device}: {board.name} is not a disk on this machine")


def _disk_image(product: Product) -> Path:
    image = product.disk_image
    if image is None:
        raise RequestError("there is no image to write", hint="./inv build says what it made")
    return image


def _asker(ui: Ui, yes: bool) -> Ask:
    """Shows a question of ``make flash`` and waits for Enter; with ``yes`` it is taken as done."""

    def ask(question: str) -> None:
        ui.say(question)
        if not yes:
            ui.console.input("press Enter when done ")

    return ask
