# SPDX-License-Identifier: MIT
"""Images and their block maps."""

from __future__ import annotations

from pathlib import Path

import pytest

from tzkit.errors import RequestError
from tzkit.flash.image import Extent, find_bmap, read_bmap, read_image

BMAP = """<?xml version="1.0" ?>
<bmap version="2.0">
    <ImageSize> {size} </ImageSize>
    <BlockSize> 4096 </BlockSize>
    <BlockMap>{ranges}</BlockMap>
</bmap>
"""


def bmap(folder: Path, *ranges: str, size: int = 10000) -> Path:
    path = folder / "sd.img.bmap"
    elements = "".join(f'<Range chksum="0"> {text} </Range>' for text in ranges)
    path.write_text(BMAP.format(size=size, ranges=elements))
    return path


def test_image_without_block_map_is_written_whole(tmp_path: Path) -> None:
    (tmp_path / "sd.img").write_bytes(b"x" * 10000)
    image = read_image(tmp_path / "sd.img")
    assert image.bmap is None
    assert image.mapped == image.whole == (Extent(0, 10000),)


@pytest.mark.parametrize("name", ["sd.img.bmap", "sd.bmap"])
def test_block_map_beside_the_image_is_found(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert find_bmap(tmp_path / "sd.img") == tmp_path / name


def test_ranges_are_blocks_and_the_last_one_is_short(tmp_path: Path) -> None:
    path = bmap(tmp_path, "0", "1-2")
    assert read_bmap(path, 10000) == (Extent(0, 4096), Extent(4096, 10000))


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ([], "lists nothing"),
        (["a-b"], "invalid literal"),
        (["2-1"], "range 2 to 1 is not in the image"),
        (["9-10"], "range 9 to 10 is not in the image"),
    ],
)
def test_broken_ranges(tmp_path: Path, ranges: list[str], message: str) -> None:
    with pytest.raises(RequestError, match=f"no block map: .*{message}(.|\n)*remove it"):
        read_bmap(bmap(tmp_path, *ranges), 10000)


@pytest.mark.parametrize("text", ["", "no XML", "<bmap/>"])
def test_broken_files(tmp_path: Path, text: str) -> None:
    (tmp_path / "sd.bmap").write_text(text)
    with pytest.raises(RequestError, match="is no block map"):
        read_bmap(tmp_path / "sd.bmap", 10000)


def test_block_map_of_another_image(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="of another image: 10000 bytes, this one has 9999"):
        read_bmap(bmap(tmp_path, "0"), 9999)


def test_no_image(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"there is no image(.|\n)*inv build"):
        read_image(tmp_path / "sd.img")


def test_empty_image(tmp_path: Path) -> None:
    (tmp_path / "sd.img").touch()
    with pytest.raises(RequestError, match="is empty"):
        read_image(tmp_path / "sd.img")
