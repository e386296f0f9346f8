# SPDX-License-Identifier: MIT
"""The shipped weights mean something: a forward pass of NumPy alone over the held-out images."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image

from tzkit import datasets

DATASETS = Path(__file__).resolve().parents[2] / "datasets"
HEADER = struct.Struct("<iiiQ")  # major, minor, revision, images seen
PARAMETERS = 47_776
BATCHES = 2000
BATCH = 100

Floats: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class Layer:
    """Parameters as the file has them: biases first, then weights of this shape."""

    biases: Floats  # (outputs)
    weights: Floats  # convolutional (filters, channels, 5, 5); connected (outputs, inputs)


SHAPES = [(6, 3, 5, 5), (6, 6, 5, 5), (120, 294), (84, 120), (10, 84)]


def read_layers(path: Path) -> list[Layer]:
    floats = np.frombuffer(path.read_bytes(), dtype="<f4", offset=HEADER.size)
    layers = []
    for shape in SHAPES:
        biases, floats = np.split(floats, [shape[0]])
        weights, floats = np.split(floats, [int(np.prod(shape))])
        layers.append(Layer(biases, weights.reshape(shape)))
    assert floats.size == 0
    return layers


def convolve(images: Floats, layer: Layer) -> Floats:
    """(n, channels, h, w) to (n, filters, h, w): 5 x 5, zeros around, relu."""
    padded = np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2)))
    windows = sliding_window_view(padded, (5, 5), axis=(2, 3))
    sums = np.einsum("nchwij,fcij->nfhw", windows, layer.weights, optimize=True)
    activated: Floats = np.maximum(sums + layer.biases[:, None, None], 0)
    return activated


def pool(images: Floats) -> Floats:
    """Maximum of each 2 x 2 pixels."""
    n, channels, height, width = images.shape
    pooled: Floats = images.reshape(n, channels, height // 2, 2, width // 2, 2).max(axis=(3, 5))
    return pooled


def classify(images: Floats, layers: list[Layer]) -> NDArray[np.intp]:
    """The class of each image; softmax would not change which output is the largest."""
    first, second, wide, narrow, last = layers
    values = pool(convolve(pool(convolve(images, first)), second)).reshape(len(images), -1)
    for layer in (wide, narrow):
        values = np.maximum(values @ layer.weights.T + layer.biases, 0)
    classes: NDArray[np.intp] = (values @ last.weights.T + last.biases).argmax(axis=1)
    return classes


def read_images(paths: list[Path]) -> Floats:
    """(n, 3, 28, 28), 0 to 1: as darknetp reads them."""
    pixels = [np.asarray(Image.open(path).convert("RGB"), dtype=np.float32) for path in paths]
    images: Floats = np.stack(pixels).transpose(0, 3, 1, 2) / 255
    return images


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    datasets.write_dataset(datasets.load_dataset(DATASETS, "digits"), folder)
    return folder


@pytest.fixture(scope="module")
def weights(tree: Path) -> Path:
    return tree / "models/digits/mnist_lenet.weights"


def test_weights_file_has_darknets_form(weights: Path) -> None:
    content = weights.read_bytes()
    assert len(content) == HEADER.size + 4 * PARAMETERS
    assert HEADER.unpack_from(content) == (0, 2, 0, BATCHES * BATCH)
    assert np.isfinite(np.frombuffer(content, dtype="<f4", offset=HEADER.size)).all()


def test_network_cfg_says_how_long_the_weights_were_trained(tree: Path) -> None:
    lines = (tree / "cfg/mnist_lenet.cfg").read_text().splitlines()
    assert {f"batch={BATCH}", f"max_batches={BATCHES}"} <= set(lines)


def test_nine_of_ten_held_out_digits_are_recognised(tree: Path, weights: Path) -> None:
    listed = (tree / "data/digits/digits.valid.list").read_text().splitlines()
    paths = [tree / Path(line).relative_to("/root") for line in listed]
    truth = [int(path.stem[-1]) for path in paths]
    right = classify(read_images(paths), read_layers(weights)) == truth
    assert right.size == 364
    assert right.mean() >= 0.9


def test_every_example_is_recognised(tree: Path, weights: Path) -> None:
    examples = datasets.load_dataset(DATASETS, "digits").descriptor.examples
    images = read_images([tree / example.image for example in examples])
    predicted = classify(images, read_layers(weights))
    assert [str(label) for label in predicted] == [example.label for example in examples]
