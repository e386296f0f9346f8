# SPDX-License-Identifier: MIT
"""The data set `digits`: images and lists in Darknet's layout from the UCI handwritten digits."""

from __future__ import annotations

import gzip
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from PIL import Image

from tzkit.errors import RequestError

# The digits as published: counts of set pixels, and what is made of them.
COUNTS_EDGE = 8  # 8 x 8 counts,
COUNT_MAX = 16  # each of a block of 4 x 4 pixels
CLASSES = 10
WHITE = 255
DIGIT_EDGE = 20  # MNIST's measures: a digit of 20 x 20 pixels
IMAGE_EDGE = 28  # in the middle of 28 x 28
TRAIN_PERCENT = 80  # of the images of each class, the first ones; the rest is held out


@dataclass(frozen=True)
class Digit:
    """One row of the published data: its place, 64 counts row by row, its class."""

    index: int
    counts: tuple[int, ...]
    label: int

    @property
    def file_name(self) -> str:
        """DarkneTZ's pattern: the class is part of the name."""
        return f"t_{self.index:05}_c{self.label}.png"


def write_digits(csv: Path, destination: Path, target: PurePosixPath) -> None:
    """Make ``images/``, ``digits.train.list`` and ``digits.valid.list`` from the UCI digits.

    ``csv`` is gzip-compressed: 64 counts from 0 to 16 and the class per line. ``target`` is where
    ``destination`` will be on the target; the lists hold absolute paths below it. Raises
    RequestError for a file of another form.
    """
    digits = read_digits(csv)
    images = destination / "images"
    images.mkdir(parents=True, exist_ok=True)
    for digit in digits:
        # Stored rather than compressed: the bytes do not depend on a version of zlib.
        render_digit(digit.counts).save(images / digit.file_name, compress_level=0)
    for name, part in zip(("train", "valid"), split_digits(digits), strict=True):
        lines = "".join(f"{target}/images/{digit.file_name}\n" for digit in part)
        (destination / f"digits.{name}.list").write_text(lines, encoding="utf-8")


def read_digits(csv: Path) -> list[Digit]:
    """Read the published data. Raises RequestError with file and line."""
    try:
        with gzip.open(csv, "rt", encoding="ascii") as stream:
            lines = stream.read().splitlines()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise RequestError(f"{csv}: {error}", hint="restore the file") from error
    return [_parse_digit(csv, index, line) for index, line in enumerate(lines)]


def _parse_digit(csv: Path, index: int, line: str) -> Digit:
    fields = line.split(",")
    numbers = [int(field) for field in fields if field.isdecimal()]
    well_formed = len(numbers) == len(fields) == COUNTS_EDGE**2 + 1
    if not well_formed or max(numbers[:-1]) > COUNT_MAX or numbers[-1] >= CLASSES:
        raise RequestError(
            f"{csv}, line {index + 1}: expected {COUNTS_EDGE**2} counts from 0 to {COUNT_MAX} "
            f"and a digit, separated by commas",
            hint="restore the file",
        )
    return Digit(index, tuple(numbers[:-1]), numbers[-1])


def split_digits(digits: list[Digit]) -> tuple[list[Digit], list[Digit]]:
    """Training and held-out part, both in the published order: of each class the last fifth."""
    classes: dict[int, list[Digit]] = defaultdict(list)
    for digit in digits:
        classes[digit.label].append(digit)
    training = {
        digit for part in classes.values() for digit in part[: len(part) * TRAIN_PERCENT // 100]
    }
    return (
        [digit for digit in digits if digit in training],
        [digit for digit in digits if digit not in training],
    )


def render_digit(counts: tuple[int, ...]) -> Image.Image:
    """The 8 x 8 counts as a grey image that looks like MNIST's: white on black, 28 x 28."""
    pixels = bytes(count * WHITE // COUNT_MAX for count in counts)
    small = Image.frombytes("L", (COUNTS_EDGE, COUNTS_EDGE), pixels)
    digit = small.resize((DIGIT_EDGE, DIGIT_EDGE), Image.Resampling.BICUBIC)
    image = Image.new("L", (IMAGE_EDGE, IMAGE_EDGE))
    margin = (IMAGE_EDGE - DIGIT_EDGE) // 2
    image.paste(digit, (margin, margin))
    return image
