# SPDX-License-Identifier: MIT
"""Writes the hand-made inputs of fuzz_image: one small picture of each kind that is accepted.

python seed_images.py FOLDER
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

EDGE = 9
HEADERS = {"RGB": b"\x00\x0b\x07\x01", "L": b"\x01\x03\x13\x02"}
"""Channels, width and height of the network's input, variation: see fuzz_image.c."""

FILES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "png-rgb": ("PNG", "RGB", {}),
    "png-rgba": ("PNG", "RGBA", {}),
    "png-grey": ("PNG", "L", {}),
    "png-grey-alpha": ("PNG", "LA", {}),
    "png-palette": ("PNG", "P", {}),
    "png-bits": ("PNG", "1", {}),
    "png-16-bits": ("PNG", "I;16", {}),
    "jpeg-rgb": ("JPEG", "RGB", {"quality": 50}),
    "jpeg-progressive": ("JPEG", "RGB", {"progressive": True, "quality": 50}),
    "jpeg-subsampled": ("JPEG", "RGB", {"subsampling": 2, "quality": 50}),
    "jpeg-restart": ("JPEG", "RGB", {"restart_marker_blocks": 1, "quality": 50}),
    "jpeg-grey": ("JPEG", "L", {"quality": 50}),
    "jpeg-cmyk": ("JPEG", "CMYK", {"quality": 50}),
    "bmp-rgb": ("BMP", "RGB", {}),
    "bmp-rgba": ("BMP", "RGBA", {}),
    "bmp-grey": ("BMP", "L", {}),
    "bmp-bits": ("BMP", "1", {}),
}


def picture(mode: str) -> Image.Image:
    grey = Image.new("L", (EDGE, EDGE))
    grey.putdata([(23 * i) % 256 for i in range(EDGE * EDGE)])
    return grey.convert("I").convert(mode) if mode == "I;16" else grey.convert(mode)


def main(folder: Path) -> None:
    for name, (kind, mode, options) in FILES.items():
        file = BytesIO()
        picture(mode).save(file, kind, **options)
        header = HEADERS["L" if mode in ("L", "1") else "RGB"]
        (folder / name).write_bytes(header + file.getvalue())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
