# SPDX-License-Identifier: MIT
"""The image to be written, and its block map: the parts that carry data, made by bmaptool."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tzkit.errors import RequestError


@dataclass(frozen=True)
class Extent:
    """Bytes ``start`` to ``end`` of an image, the end excluded."""

    start: int
    end: int


@dataclass(frozen=True)
class Image:
    """A raw image. ``mapped`` is what its block map lists; without one, all of it."""

    path: Path
    size: int
    bmap: Path | None
    mapped: tuple[Extent, ...]

    @property
    def whole(self) -> tuple[Extent, ...]:
        return (Extent(0, self.size),)


def read_image(path: Path) -> Image:
    """The image with what is beside it. Raises RequestError when it cannot be written anywhere."""
    if not path.is_file():
        raise RequestError(f"there is no image {path}", hint="build it first: ./inv build")
    size = path.stat().st_size
    if size == 0:
        raise RequestError(f"the image {path} is empty", hint="build it again: ./inv build")
    bmap = find_bmap(path)
    mapped = (Extent(0, size),) if bmap is None else read_bmap(bmap, size)
    return Image(path, size, bmap, mapped)


def find_bmap(image: Path) -> Path | None:
    """The block map beside an image, under either of the names bmaptool looks for."""
    names = (image.with_name(f"{image.name}.bmap"), image.with_suffix(".bmap"))
    return next((name for name in names if name.is_file()), None)


def read_bmap(bmap: Path, image_size: int) -> tuple[Extent, ...]:
    """The extents a block map lists. Raises RequestError unless it is one of this image."""
    hint = "make it again with 'bmaptool create', or remove it to write the whole image"
    try:
        root = ElementTree.parse(bmap).getroot()
        size = int(root.findtext("ImageSize", ""))
        mapped = tuple(_extents(root, size))
        if not mapped:
            raise ValueError("it lists nothing")
    except (ElementTree.ParseError, ValueError) as error:
        raise RequestError(f"{bmap} is no block map: {error}", hint=hint) from error
    if size != image_size:
        raise RequestError(
            f"{bmap} is of another image: {size} bytes, this one has {image_size}", hint=hint
        )
    return mapped


def _extents(root: ElementTree.Element, size: int) -> Iterator[Extent]:
    """A range is ``FIRST-LAST`` or ``ONLY``, counted in blocks; the last block may be short."""
    block = int(root.findtext("BlockSize", ""))
    for element in root.iterfind("BlockMap/Range"):
        first, _, last = (element.text or "").strip().partition("-")
        extent = Extent(int(first) * block, min((int(last or first) + 1) * block, size))
        if not 0 <= extent.start < extent.end:
            raise ValueError(f"the range {first} to {last} is not in the image")
        yield extent
