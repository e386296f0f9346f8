# SPDX-License-Identifier: MIT
"""A darknetp built for this machine with a stand-in for the TEE, and a directory to use it in.

The program runs under AddressSanitizer and UBSan, with the trusted application's own command
layer in its process (tests/c/inprocess_tee.c). The fixtures are in conftest.py.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, ImageDraw

TESTS_C = Path(__file__).parents[1] / "c"
SANITIZE = "-O1 -fsanitize=address,undefined -fno-sanitize-recover=all"
HEADER_BYTES = 20
EDGE = 12
CLASSES = 4

NET = f"""[net]
batch=8
subdivisions=1
height={EDGE}
width={EDGE}
channels=3
max_crop={EDGE + 2}
angle=5
hue=.1
saturation=1.5
exposure=1.5
learning_rate=.05
policy=poly
power=4
max_batches=100
momentum=.9
decay=.0005
"""

# As mnist_lenet: eleven layers, 0 to 10.
LAYERS = """
[convolutional]
filters=4
size=3
stride=1
pad=1
activation=relu

[maxpool]
size=2
stride=2

[convolutional]
filters=4
size=3
stride=1
activation=relu

[maxpool]
size=2
stride=2

[connected]
output=12
activation=relu

[dropout]
probability=.5

[connected]
output=10
activation=relu

[dropout]
probability=.5

[connected]
output=4
activation=linear

[softmax]
groups=1

[cost]
type=sse
"""
LAST_LAYER = 10
PARAMETERS = 638


@dataclass
class Result:
    status: int
    out: str
    err: str
    secure: str

    @property
    def losses(self) -> list[float]:
        """Loss of every iteration line of the normal world."""
        return [float(m) for m in re.findall(r"^\d+, [\d.]+: (\S+), \S+ avg, ", self.out, re.M)]

    @property
    def secure_losses(self) -> list[float]:
        return [float(m) for m in re.findall(r"loss = (\S+), avg loss", self.secure)]

    @property
    def top(self) -> list[tuple[float, str]]:
        rows = re.findall(r"^(?:Enter Image Path: )* *(-?[\d.]+)%: (.*)$", self.out, re.M)
        return [(float(value), name) for value, name in rows]


@dataclass
class Workspace:
    """A directory with images, lists and configurations, and the program to use them."""

    program: Path
    root: Path
    images: list[Path] = field(default_factory=list)

    @property
    def data(self) -> Path:
        return self.root / "tiny.data"

    @property
    def cfg(self) -> Path:
        """As users give it, from the directory that they are in."""
        return Path("cfg/tiny.cfg")

    @property
    def weights(self) -> Path:
        return self.root / "deep" / "backup" / "tiny.weights"

    def environment(self, **settings: str) -> dict[str, str]:
        return os.environ | {"INPROCESS_TEE_LOG": str(self.root / "secure.log")} | settings

    def command(self, *words: str | Path) -> list[str]:
        return [str(self.program), *map(str, words), "-results", str(self.root / "results")]

    def run(self, *words: str | Path, stdin: str = "", **settings: str) -> Result:
        (self.root / "secure.log").unlink(missing_ok=True)
        done = subprocess.run(
            self.command(*words) if words else [str(self.program)],
            input=stdin,
            env=self.environment(**settings),
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=120,
        )
        log = self.root / "secure.log"
        secure = log.read_text() if log.exists() else ""
        assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr
        return Result(done.returncode, done.stdout, done.stderr, secure)

    def train(self, *words: str | Path, cfg: Path | None = None, **settings: str) -> Result:
        flags = [str(word) for word in words]
        return self.run("classifier", "train", self.data, cfg or self.cfg, *flags, **settings)

    def trained(
        self, *words: str | Path, cfg: Path | None = None, seed: int = 11, **settings: str
    ) -> bytes:
        """The weights that a run of three batches saves."""
        flags = ["-seed", str(seed), "-iterations", "3"]
        result = self.train(*flags, *words, cfg=cfg, **settings)
        assert result.status == 0, result.err
        path = self.weights if cfg is None else self.weights.with_name(f"{cfg.stem}.weights")
        saved = path.read_bytes()
        path.unlink()
        return saved

    def predict(self, *words: str | Path, stdin: str = "", **settings: str) -> Result:
        flags = [str(word) for word in words]
        return self.run(
            "classifier", "predict", self.data, self.cfg, *flags, stdin=stdin, **settings
        )

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


def partition(start: int, end: int) -> list[str]:
    return ["-pp_start", str(start), "-pp_end", str(end)]


def refused(result: Result, text: str, status: int = 2) -> None:
    assert text in result.err
    assert result.status == status


def build_program(build: Path, flags: str = SANITIZE) -> Path:
    """The program, built into ``build`` with further compiler ``flags``."""
    make = ["make", "-C", str(TESTS_C), "-j2", "native", f"BUILD={build}", f"NATIVE_CFLAGS={flags}"]
    done = subprocess.run(make, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return build / "native" / "darknetp"


def draw_image(path: Path, number: int) -> None:
    """One bright bar per class, in another place and colour for each."""
    image = Image.new("RGB", (EDGE, EDGE), (20, 20, 20))
    place = 1 + 3 * (number % CLASSES)
    colour = (255, 60 * (number % CLASSES), 128)
    ImageDraw.Draw(image).rectangle([place, 1, place + 1, EDGE - 2], fill=colour)
    image.save(path)


def make_workspace(program: Path, root: Path) -> Workspace:
    """Images of four classes in ``root``, their lists, and a network for them."""
    work = Workspace(program, root)
    (root / "images").mkdir()
    for number in range(16):
        path = root / "images" / f"t_{number:05d}_c{number % CLASSES}.png"
        draw_image(path, number)
        work.images.append(path)
    work.write("train.list", "".join(f"{path}\n" for path in work.images))
    work.write("test.list", "".join(f"{path}\n" for path in work.images[:4]))
    work.write("labels.list", "".join(f"c{i}\n" for i in range(CLASSES)))
    work.write("names.list", "".join(f"name {i}\n" for i in range(CLASSES)))
    work.write(
        "tiny.data",
        f"classes = {CLASSES}\ntrain = {root}/train.list\n"
        f"valid = {root}/train.list\ntest = {root}/test.list\nlabels = {root}/labels.list\n"
        f"names = {root}/names.list\nbackup = {root}/deep/backup/\ntop = 3\n",
    )
    work.write("cfg/tiny.cfg", NET + LAYERS)
    return work
