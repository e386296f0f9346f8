# SPDX-License-Identifier: MIT
"""Data sets: the descriptor's rules, the tree on the target, the digits made from the UCI data."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest
from PIL import Image

from tzkit import datasets
from tzkit.datasets import Dataset, DatasetSummary
from tzkit.digits import read_digits
from tzkit.errors import RequestError
from tzkit.store import digest_of_tree

DATASETS = Path(__file__).resolve().parents[2] / "datasets"
DIGITS_CSV = DATASETS / "digits" / "digits.csv.gz"
PIXELS_SHA256 = "01b53cad29b576dd1ef1afc853b8921774760ea92def952126b71ca3105c5cb3"


def load_digits() -> Dataset:
    return datasets.load_dataset(DATASETS, "digits")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    datasets.write_dataset(load_digits(), folder)
    return folder


def listed(tree: Path, name: str) -> list[str]:
    return (tree / f"data/digits/digits.{name}.list").read_text().splitlines()


# ---- The digits ----


def test_same_input_same_bytes(tree: Path, tmp_path: Path) -> None:
    again = tmp_path / tree.name
    datasets.write_dataset(load_digits(), again)
    assert digest_of_tree(again) == digest_of_tree(tree)


def test_the_data_is_what_was_published() -> None:
    rows = read_digits(DIGITS_CSV)
    per_class = [sum(digit.label == label for digit in rows) for label in range(10)]
    assert per_class == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_pixels_are_those_the_weights_were_trained_on(tree: Path) -> None:
    total = hashlib.sha256()
    for path in sorted((tree / "data/digits/images").iterdir()):
        total.update(Image.open(path).tobytes())
    assert total.hexdigest() == PIXELS_SHA256


def test_images_are_grey_28_by_28_white_on_black(tree: Path) -> None:
    image = Image.open(tree / "data/digits/images/t_00000_c0.png")
    assert (image.size, image.mode) == ((28, 28), "L")
    assert max(image.tobytes()) > 200
    image.paste(0, (4, 4, 24, 24))
    assert max(image.tobytes()) == 0


def test_lists_are_disjoint_and_complete(tree: Path) -> None:
    train, valid = listed(tree, "train"), listed(tree, "valid")
    images = {f"/root/data/digits/images/{path.name}" for path in tree.rglob("*.png")}
    assert (len(train), len(valid)) == (1433, 364)
    assert not set(train) & set(valid)
    assert set(train) | set(valid) == images


def test_held_out_is_the_last_fifth_of_each_class(tree: Path) -> None:
    for label in range(10):
        train = [path for path in listed(tree, "train") if path.endswith(f"_c{label}.png")]
        valid = [path for path in listed(tree, "valid") if path.endswith(f"_c{label}.png")]
        assert max(train) < min(valid)
        assert len(train) == (len(train) + len(valid)) * 4 // 5


def test_every_path_carries_exactly_its_own_label(tree: Path) -> None:
    labels = (tree / "data/digits/labels.list").read_text().splitlines()
    classes = {digit.file_name: digit.label for digit in read_digits(DIGITS_CSV)}
    for path in listed(tree, "train") + listed(tree, "valid"):
        matching = [index for index, label in enumerate(labels) if label in path]
        assert matching == [classes[PurePosixPath(path).name]], path


def test_summary_and_examples(tree: Path, tmp_path: Path) -> None:
    summary = datasets.write_dataset(load_digits(), tmp_path)
    names = (tree / "data/digits/names.list").read_text().splitlines()
    held_out = listed(tree, "valid")
    assert (summary.train_images, summary.held_out_images) == (1433, 364)
    assert summary.root == PurePosixPath("/root")
    assert [example.label for example in summary.examples] == names
    for example in summary.examples:
        own = [path for path in held_out if path.endswith(f"_c{example.label}.png")]
        assert str(summary.root / example.image) == own[0]
    assert datasets.summarise(load_digits(), tmp_path) == summary


def test_another_root_moves_the_lists(tmp_path: Path) -> None:
    summary = datasets.write_dataset(load_digits(), tmp_path, root=PurePosixPath(tmp_path))
    assert summary.root == PurePosixPath(tmp_path)
    assert summary.train_images == 1433
    assert all(Path(path).is_file() for path in listed(tmp_path, "train"))


def csv_line(*, counts: str = "0," * 64, label: str = "3") -> str:
    return f"{counts}{label}"


@pytest.mark.parametrize(
    "line",
    [
        csv_line(label="10"),
        csv_line(label=""),
        csv_line(counts="0," * 63),
        csv_line(counts="0," * 65),
        csv_line(counts="17," + "0," * 63),
        csv_line(counts="-1," + "0," * 63),
        csv_line(counts="x," + "0," * 63),
        "",
    ],
)
def test_a_malformed_row_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    csv = tmp_path / "digits.csv.gz"
    csv.write_bytes(gzip.compress(f"{csv_line()}\n{line}\n{csv_line()}\n".encode()))
    with pytest.raises(RequestError, match=r"digits\.csv\.gz, line 2: expected 64 counts"):
        read_digits(csv)


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-400], lambda data: b"no gzip", lambda data: data[:50000]]
)
def test_a_damaged_file_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    csv = tmp_path / "digits.csv.gz"
    csv.write_bytes(damage(DIGITS_CSV.read_bytes()))
    with pytest.raises(RequestError, match=r"digits\.csv\.gz"):
        read_digits(csv)


# ---- A data set of one's own ----

DESCRIPTOR = {
    "root": '"/root"',
    "data_cfg": '"cfg/shapes.data"',
    "network_cfg": '"cfg/shapes.cfg"',
    "weights": '"shapes.weights"',
    "copy": '["cfg", "images", "shapes.weights"]',
    "examples": '[{ image = "images/ring_1.png", label = "ring" }]',
}
FILES = {
    "cfg/shapes.data": "# comment\ntrain = cfg/train.list\nvalid=/root/cfg/valid.list\ntrain=x\n",
    "cfg/shapes.cfg": "[net]\n",
    "cfg/train.list": "/root/images/ring_0.png\nimages/star_0.png\n",
    "cfg/valid.list": "images/ring_1.png\nimages/not_shipped.png\n/home/star_9.png\n../up.png\n",
    "images/ring_0.png": "",
    "images/ring_1.png": "",
    "images/star_0.png": "",
    "shapes.weights": "",
    "notes.txt": "stays behind",
}


def own_dataset(folder: Path, **changes: str) -> Dataset:
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    lines = [f"{key} = {value}" for key, value in {**DESCRIPTOR, **changes}.items() if value]
    (folder / datasets.DESCRIPTOR).write_text("\n".join(lines))
    return datasets.load_dataset(DATASETS, str(folder))


def written(tmp_path: Path, **changes: str) -> DatasetSummary:
    return datasets.write_dataset(own_dataset(tmp_path / "own", **changes), tmp_path / "tree")


def test_a_folder_of_ones_own_works_as_path(tmp_path: Path) -> None:
    (tmp_path / "up.png").touch()  # listed as ../up.png, which is no file of the data set
    summary = written(tmp_path)
    copied = {str(path.relative_to(tmp_path / "tree")) for path in (tmp_path / "tree").rglob("*.*")}
    assert copied == set(FILES) - {"notes.txt"}
    assert (summary.train_images, summary.held_out_images) == (2, 1)
    assert summary.weights == PurePosixPath("shapes.weights")


def test_layers_are_counted_without_net(tmp_path: Path) -> None:
    assert datasets.layer_count(load_digits()) == 11
    assert datasets.layer_count(own_dataset(tmp_path)) == 0


def test_layers_of_a_missing_network_are_refused(tmp_path: Path) -> None:
    dataset = own_dataset(tmp_path, network_cfg='"cfg/other.cfg"')
    with pytest.raises(RequestError, match=r"other\.cfg is missing"):
        datasets.layer_count(dataset)


def test_linked_folders_are_followed_and_dangling_links_left_out(tmp_path: Path) -> None:
    dataset = own_dataset(tmp_path / "own")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "extra.png").touch()
    (tmp_path / "elsewhere" / "gone.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "own" / "images" / "more").symlink_to(tmp_path / "elsewhere")
    datasets.write_dataset(dataset, tmp_path / "tree")
    more = tmp_path / "tree" / "images" / "more"
    assert not more.is_symlink()
    assert [path.name for path in more.iterdir()] == ["extra.png"]


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(RequestError) as caught:
        datasets.load_dataset(DATASETS, "no-such-set")
    assert "there is no data set 'no-such-set'" in str(caught.value)
    assert "digits" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": '"red"'}, "colour: unknown key"),
        ({"copy_paths": '["cfg"]'}, "copy_paths: unknown key"),
        ({"weights": ""}, "weights: this key is missing"),
        ({"weights": '"/root/w"'}, "weights: '/root/w' must be a path below the folder"),
        ({"weights": '"../w"'}, r"weights: '\.\./w' must be a path below the folder"),
        ({"weights": '""'}, r"weights: '\.' must be a path below the folder"),
        ({"root": '"root"'}, "root: 'root' must be an absolute path"),
        ({"root": '"/root/../etc"'}, r"root: '/root/\.\./etc' must be an absolute path"),
        ({"copy": "[]"}, "copy: "),
        ({"examples": "[]"}, "examples: "),
        ({"examples": '[{ image = "a.png" }]'}, r"examples\.0\.label: this key is missing"),
        ({"examples": '[{ image = "a.png", label = "" }]'}, r"examples\.0\.label: "),
        ({"digits": '{ csv = "d.csv.gz" }'}, r"digits\.folder: this key is missing"),
        ({"root": '"/root'}, "."),
    ],
)
def test_a_mistake_in_the_descriptor_is_told(
    tmp_path: Path, changes: dict[str, str], message: str
) -> None:
    with pytest.raises(RequestError, match=rf"dataset\.toml: {message}"):
        own_dataset(tmp_path, **changes)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(RequestError) as caught:
        own_dataset(tmp_path, colour='"red"', weights="", root='"root"')
    for key in ("colour", "weights", "root"):
        assert f"dataset.toml: {key}: " in caught.value.message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"copy": '["cfg", "images", "models"]'}, "models is missing"),
        ({"weights": '"other.weights"'}, "does not have: other.weights"),
        ({"examples": '[{ image = "images/x.png", label = "x" }]'}, "does not have: images/x.png"),
        ({"data_cfg": '"cfg/shapes.cfg"'}, "names no image that is there"),
        (
            {"root": '"/media"', "copy": '["cfg", "shapes.weights", "images/ring_1.png"]'},
            "names no image that is there",
        ),
    ],
)
def test_a_broken_promise_is_refused(tmp_path: Path, changes: dict[str, str], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        written(tmp_path, **changes)
