# SPDX-License-Identifier: MIT
"""Folders in the shape of tz_datasets, and network files whose training ends soon."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from tzkit import datasets
from tzkit.board import load_board
from tzkit.errors import RequestError
from tzkit.foreign import dataset as foreign_dataset
from tzkit.foreign import training
from tzkit.pipeline import BuildOptions, check_request
from tzkit.workspace import Workspace

WORKSPACE = Workspace.of_checkout()

# tz_datasets in small: one set that is whole, one without weights, images that are not shipped.
ROOT = "/root/data/shapes/images"
FILES = {
    "cfg/shapes.dataset": "train = data/shapes/train.list\nvalid = data/shapes/valid.list\n"
    "labels = data/shapes/labels.list\nnames = data/shapes/names.list\nbackup = tmp/backup/\n",
    "cfg/shapes_net.cfg": "[net]\nbatch=100\nmax_batches=10000\n[softmax]\n",
    "cfg/other.data": "train = data/other/train.list\n",
    "cfg/other_net.cfg": "[net]\n",
    "data/shapes/train.list": f"{ROOT}/t_0_c0.png\n{ROOT}/t_1_c1.png\n",
    "data/shapes/valid.list": f"{ROOT}/v_0_c0.png\n{ROOT}/v_1_c1.png\n",
    "data/shapes/labels.list": "c0\nc1\nc2",
    "data/shapes/names.list": "ring\nstar\nmoon",
    "data/shapes/images/t_0_c0.png": "",
    "data/shapes/images/t_1_c1.png": "",
    "data/shapes/images/v_1_c1.png": "",
    "data/other/huge.png": "",
    "models/shapes/shapes_net.weights": "",
    "models/shapes/older.weights": "",
    ".git/HEAD": "ref",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / "sets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "sets"


def test_what_belongs_together_is_found(folder: Path) -> None:
    descriptor = foreign_dataset.derive(folder).descriptor
    assert str(descriptor.data_cfg) == "cfg/shapes.dataset"
    assert str(descriptor.network_cfg) == "cfg/shapes_net.cfg"
    assert str(descriptor.weights) == "models/shapes/shapes_net.weights"
    assert descriptor.root == PurePosixPath("/root")


def test_examples_are_images_that_are_there(folder: Path) -> None:
    """Held out where possible; none for a class without any."""
    examples = foreign_dataset.derive(folder).descriptor.examples
    assert [(str(example.image), example.label) for example in examples] == [
        ("data/shapes/images/t_0_c0.png", "ring"),
        ("data/shapes/images/v_1_c1.png", "star"),
    ]


def test_only_what_is_needed_is_copied(folder: Path, tmp_path: Path) -> None:
    summary = datasets.write_dataset(foreign_dataset.derive(folder), tmp_path / "tree")
    copied = {str(path.relative_to(tmp_path / "tree")) for path in (tmp_path / "tree").rglob("*.*")}
    needed = {
        name for name in FILES if not name.startswith((".git", "data/other", "models/shapes/older"))
    }
    assert copied == needed
    assert (summary.train_images, summary.held_out_images) == (2, 1)
    assert summary.backup == PurePosixPath("/root/tmp/backup")


def test_another_place_on_the_target(folder: Path) -> None:
    for name in ("train", "valid"):
        path = folder / f"data/shapes/{name}.list"
        path.write_text(path.read_text().replace("/root/", "/home/user/"))
    assert foreign_dataset.derive(folder).descriptor.root == PurePosixPath("/home/user")


def test_lists_of_relative_paths(folder: Path) -> None:
    for name in ("train", "valid"):
        path = folder / f"data/shapes/{name}.list"
        path.write_text(path.read_text().replace("/root/", ""))
    descriptor = foreign_dataset.derive(folder).descriptor
    assert descriptor.root == PurePosixPath("/root")
    assert len(descriptor.examples) == 2


def test_names_may_be_the_labels(folder: Path) -> None:
    path = folder / "cfg/shapes.dataset"
    path.write_text(path.read_text().replace("names =", "no-names ="))
    assert [e.label for e in foreign_dataset.derive(folder).descriptor.examples] == ["c0", "c1"]


def test_a_label_in_every_path_is_none(folder: Path) -> None:
    (folder / "data/shapes/labels.list").write_text("c0\nc1\nshapes\n")
    with pytest.raises(RequestError, match="no image of its lists is there with a label"):
        foreign_dataset.derive(folder)


def test_weights_without_their_network(folder: Path) -> None:
    (folder / "cfg/shapes_net.cfg").unlink()
    with pytest.raises(RequestError, match=r"nothing in models/ has its network") as refused:
        foreign_dataset.derive(folder)
    text = "shapes_net.weights: cfg/shapes_net.cfg and cfg/shapes.dataset or cfg/shapes.data"
    assert text in refused.value.message


def test_the_flag_takes_such_a_folder(folder: Path) -> None:
    board = load_board(WORKSPACE.boards, "qemu_v8")
    dataset, _ = check_request(WORKSPACE, board, BuildOptions(dataset=str(folder)))
    assert datasets.layer_count(dataset) == 1


def test_a_descriptor_goes_first(folder: Path) -> None:
    assert foreign_dataset.has_shape(folder)
    (folder / datasets.DESCRIPTOR).touch()
    assert not foreign_dataset.has_shape(folder)


def test_source_files_are_those_that_matter(folder: Path) -> None:
    dataset = foreign_dataset.derive(folder)
    before = datasets.source_files(dataset)
    (folder / "data/other/more.png").touch()
    assert datasets.source_files(dataset) == before
    (folder / "data/shapes/images/t_2_c2.png").touch()
    assert len(datasets.source_files(dataset)) == len(before) + 1


# ---- Short trainings ----

NETWORK = "# comment\n[net]\nbatch = 100\nmax_batches=10000\nangle=1\n[cost]\nbatch=7\n"


def test_keys_of_net_are_replaced_and_no_others() -> None:
    changed = training.with_net_keys(NETWORK, {"max_batches": "20", "batch": "32"})
    assert changed == "# comment\n[net]\nmax_batches=20\nbatch=32\nangle=1\n[cost]\nbatch=7\n"


def test_missing_keys_are_added() -> None:
    assert training.with_net_keys("[net]\n", {"max_batches": "20"}) == "[net]\nmax_batches=20\n"
    assert training.with_net_keys("no network\n", {"max_batches": "20"}) == "no network\n"


def test_short_training_keeps_its_rate_and_batch() -> None:
    assert training.short_keys(20, None) == {"max_batches": "20", "policy": "constant"}
    assert training.short_keys(20, 32)["batch"] == "32"


def test_the_copy_is_beside_its_original(tmp_path: Path) -> None:
    (tmp_path / "cfg").mkdir()
    (tmp_path / "cfg/net.cfg").write_text(NETWORK)
    training.write_short(tmp_path, PurePosixPath("cfg/net.cfg"), {"max_batches": "20"})
    assert "max_batches=20\n" in (tmp_path / "cfg/net_short.cfg").read_text()
    assert (tmp_path / "cfg/net.cfg").read_text() == NETWORK
