# SPDX-License-Identifier: MIT
"""darknetp and Debian's ``darknet`` (pjreddie's, September 2018) with the same files."""

from __future__ import annotations

import re
import struct
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats: TypeAlias = NDArray[np.float32]
Pixels: TypeAlias = NDArray[np.uint8]  # (height, width, 3)

HEADER = struct.Struct("<iiiQ")  # major, minor, revision, images seen
TIMEOUT_SECONDS = 120
CLASSES = 4
EDGE = 12
SEED = 7
LABEL = "_c{}."  # Darknet looks for it in the whole path: a folder must not have it

# Augmentation that changes nothing: only Darknet's mirroring stays, see mirrored().
NET = """[net]
batch={batch}
subdivisions={subdivisions}
width={edge}
height={edge}
channels=3
max_crop={edge}
min_crop={edge}
momentum={momentum}
decay={decay}
learning_rate={rate}
max_batches={max_batches}
{more}
"""


def net(
    layers: str,
    *,
    batch: int = 4,
    subdivisions: int = 1,
    edge: int = EDGE,
    momentum: float = 0.9,
    decay: float = 0.005,
    rate: float = 0.02,
    max_batches: int = 4,
    more: str = "policy=constant",
) -> str:
    """A network's cfg."""
    head = NET.format(
        batch=batch,
        subdivisions=subdivisions,
        edge=edge,
        momentum=momentum,
        decay=decay,
        rate=rate,
        max_batches=max_batches,
        more=more,
    )
    return head + layers


def section(kind: str, **values: str | float) -> str:
    """One layer's part of a cfg."""
    return f"\n[{kind}]\n" + "".join(f"{key}={value}\n" for key, value in values.items())


@dataclass(frozen=True)
class Iteration:
    batch: int
    loss: float
    average: float
    rate: float


@dataclass(frozen=True)
class Said:
    """What a run printed."""

    out: str

    @property
    def iterations(self) -> list[Iteration]:
        rows = re.findall(r"^(\d+), [\d.]+: (\S+), (\S+) avg, (\S+) rate, ", self.out, re.M)
        return [Iteration(int(row[0]), *map(float, row[1:])) for row in rows]

    @property
    def losses(self) -> Floats:
        return np.array([iteration.loss for iteration in self.iterations], dtype=np.float32)

    @property
    def rates(self) -> Floats:
        return np.array([iteration.rate for iteration in self.iterations], dtype=np.float32)

    @property
    def tops(self) -> list[list[tuple[str, float]]]:
        """Per predicted image: names and percentages, best first."""
        parts = re.split(r"^Enter Image Path: |(?<=\n)Enter Image Path: ", self.out)[1:-1]
        rows = [re.findall(r"^ *(\S+)%: (.*)$", part, re.M) for part in parts]
        return [[(name, float(percent)) for percent, name in top] for top in rows]

    @property
    def valid(self) -> Floats:
        """Per image of the list: probabilities of the classes 0 and 1, to 6 places."""
        rows = re.findall(r"^\S+, \d+, (\S+), (\S+), $", self.out, re.M)
        return np.array(rows, dtype=np.float32)


@dataclass
class Files:
    """A folder with a data set, and a program to use it."""

    root: Path
    program: list[str]
    images: list[Path] = field(default_factory=list)

    @property
    def weights(self) -> Path:
        """Where training leaves them."""
        return self.root / "backup" / "a.weights"

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.write_text(text)
        return path

    def add_image(self, pixels: Pixels, label: int) -> None:
        path = self.root / f"{len(self.images)}{LABEL.format(label)}png"
        Image.fromarray(pixels).save(path)
        self.images.append(path)
        self.write("list", "".join(f"{image}\n" for image in self.images))

    def classifier(self, verb: str, cfg: str, *words: str | Path, stdin: str = "") -> Said:
        """Run ``classifier VERB``; a program that fails is a test that fails."""
        self.write("a.cfg", cfg)
        argv = [*self.program, "classifier", verb, "data", "a.cfg", *map(str, words)]
        done = subprocess.run(
            argv,
            cwd=self.root,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
        )
        assert done.returncode == 0, f"{argv}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return Said(done.stdout)

    def train(self, cfg: str, start: Path | None = None, *flags: str) -> tuple[Said, Floats]:
        """Train from ``start``; what was said and all parameters, in the file's order."""
        words = [start] if start else []
        self.weights.unlink(missing_ok=True)
        said = self.classifier("train", cfg, *words, *flags)
        return said, read_floats(self.weights)

    def fresh(self, layers: str) -> Floats:
        """Parameters as they are before training."""
        return self.train(net(layers, rate=0, max_batches=1))[1]


def files_of(root: Path, program: list[str]) -> Files:
    root.mkdir()
    (root / "backup").mkdir()
    files = Files(root, program)
    files.write("labels", "".join(f"{LABEL.format(label)}\n" for label in range(CLASSES)))
    files.write(
        "data",
        f"classes={CLASSES}\ntrain=list\nvalid=list\nlabels=labels\nnames=labels\n"
        f"backup=backup\ntop={CLASSES}\n",
    )
    return files


def our_files(root: Path, darknetp: Path) -> Files:
    results = str(root / "results")
    return files_of(root / "ours", [str(darknetp), "-results", results, "-seed", str(SEED)])


def reference_files(root: Path, darknet: str) -> Files:
    return files_of(root / "reference", [darknet])


@dataclass(frozen=True)
class Pair:
    """The same data set for both programs."""

    ours: Files
    reference: Files

    def add_image(self, pixels: Pixels, label: int) -> None:
        self.ours.add_image(pixels, label)
        self.reference.add_image(pixels, label)


def noise(seed: int, height: int = EDGE, width: int = EDGE) -> Pixels:
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (height, width, 3), dtype=np.uint8)


def mirrored(seed: int) -> Pixels:
    """Noise that Darknet's mirroring, which cannot be switched off, leaves as it is."""
    half = noise(seed, EDGE, EDGE // 2)
    return np.concatenate([half, half[:, ::-1]], axis=1)


def read_floats(path: Path) -> Floats:
    return np.frombuffer(path.read_bytes(), dtype="<f4", offset=HEADER.size)


def seen(path: Path) -> int:
    """Images that were trained with, from the weights file's header."""
    return int(HEADER.unpack_from(path.read_bytes())[3])


def write_floats(path: Path, floats: Floats, seen: int = 0) -> Path:
    path.write_bytes(HEADER.pack(0, 2, 0, seen) + floats.astype("<f4").tobytes())
    return path


def distance(got: Floats, wanted: Floats) -> float:
    """The largest difference, as a part of the largest value."""
    assert got.shape == wanted.shape
    return float(np.abs(got - wanted).max() / np.abs(wanted).max())
