# SPDX-License-Identifier: MIT
"""Every partition is exact, and secure memory is what was planned: on real OP-TEE."""

from __future__ import annotations

import contextlib
import itertools
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from checkout import SOURCE, Checkout
from PIL import Image

from tzkit.boardfile import PAGE
from tzkit.build.application import CODE_ALLOWANCE
from tzkit.console import Shell
from tzkit.datasets import layer_names
from tzkit.job import Job
from tzkit.pipeline import Build, BuildOptions, build
from tzkit.planner import Question, heap_for
from tzkit.session import Session, open_session
from tzkit.suites.darknetp import Partition
from tzkit.suites.darknetp_stream import Stream, read_stream

CONFIGURATIONS = SOURCE / "tests" / "cfg"
VGG = "vgg-7_cifar100.cfg"
LENET = "cfg/mnist_lenet.cfg"
ALL = [
    Partition(start, end) for start, end in itertools.combinations_with_replacement(range(11), 2)
]
SOFTMAX = 9
# Whole, first and last layers, one in the middle; dropout, softmax and cost alone; cut after each.
TRAINED = ("0:10", "0:0", "0:5", "2:6", "3:3", "4:9", "4:10", "5:5", "7:8", "9:9", "9:10", "10:10")
TIMEOUT = 300.0
STREAM, OUTPUT = "/tmp/stream.json", "/tmp/output"
MIB = 1 << 20


def darknetp(shell: Shell, words: str, partition: Partition | None) -> Stream:
    """What one command line said to programs; it must end well."""
    flags = " ".join(partition.flags) if partition else ""
    command = f"cd /root && darknetp {words} {flags} -json {STREAM}"
    done = shell.run(f"{command} >{OUTPUT} 2>&1 && cat {STREAM} || cat {OUTPUT}", timeout=TIMEOUT)
    assert '{"event":"end","status":0,' in done.output, f"{partition}: {done.output}"
    return read_stream(done.output.splitlines())


def shares(shell: Shell, built: Build, partition: Partition | None) -> dict[str, float]:
    """Exactly the floats that came out of the network, by class."""
    data = built.dataset
    words = f"classifier predict {data.data_cfg} {data.network_cfg} {data.weights} -t 10 "
    said = darknetp(shell, words + str(data.examples[3].image), partition)
    return {share.name: share.share for share in said.predictions[0].top}


def trained(shell: Shell, partition: Partition | None, words: str = "-batch 10") -> str:
    """The hash of the weights after two seeded iterations."""
    said = darknetp(
        shell,
        f"classifier train -seed 5 -iterations 2 {words} cfg/digits.dataset {LENET}",
        partition,
    )
    done = shell.run(f"cd /root && sha256sum {said.saved[-1].path}", timeout=60)
    assert done.status == 0, done.output
    return done.output.split()[0]


def test_all_partitions_predict_the_same_bits(session: Session, warm: Build) -> None:
    """All 66; of those that hide the confidences the class is told, and nothing else."""
    expected = shares(session.shell, warm, None)
    best = max(expected, key=lambda name: expected[name])
    assert best == warm.dataset.examples[3].label and 0 < expected[best] <= 1
    assert len(ALL) == 66
    for partition in ALL:
        hidden = partition.start <= SOFTMAX <= partition.end
        said = shares(session.shell, warm, partition)
        assert said == ({best: 1.0} if hidden else expected), partition


def test_partitions_train_the_same_weights(session: Session) -> None:
    expected = trained(session.shell, None)
    for text in TRAINED:
        assert trained(session.shell, Partition.parse(text)) == expected, text
    assert trained(session.shell, None, "-batch 11") != expected


# ---- Memory ----


@contextlib.contextmanager
def sized(build_job: Job, job: Job, heap: int, dataset: str = "digits") -> Iterator[Shell]:
    """A session with a TA of this heap."""
    built = build(build_job, BuildOptions(ta_heap=heap, dataset=dataset))
    with open_session(job, built, cold=False, name=f"heap{heap}") as session:
        yield session.shell


def micro_batch(shell: Shell, batch: int) -> int:
    words = f"classifier train -seed 5 -iterations 1 -batch {batch} cfg/digits.dataset {LENET}"
    start = darknetp(shell, words, Partition(0, 10)).start
    assert start is not None
    return start.micro_batch


def question(cfg: Path, **given: Any) -> Question:
    return Question(cfg, Partition(0, len(layer_names(cfg)) - 1), "train", **given)


def test_heap_that_was_planned_is_enough_and_no_page_too_much(
    build_job: Job, warm: Build, job: Job
) -> None:
    heap = heap_for(build_job, question(CONFIGURATIONS / "mnist_lenet.cfg", batch=10))
    with sized(build_job, job, heap) as shell:
        assert micro_batch(shell, 10) == 10
    with sized(build_job, job, heap - PAGE) as shell:
        assert micro_batch(shell, 10) == 5


def test_lenet_whole_trains_in_two_mebibytes(
    build_job: Job, warm: Build, job: Job, session: Session
) -> None:
    """Stack and code included; the weights are those of a training in the normal world."""
    room = 2 * MIB - build_job.board.ta.stack - CODE_ALLOWANCE
    heap = heap_for(build_job, question(CONFIGURATIONS / "mnist_lenet.cfg", heap=room))
    assert heap <= room
    with sized(build_job, job, heap) as shell:
        assert trained(shell, Partition(0, 10), "-batch 100") == trained(
            session.shell, None, "-batch 100"
        )


def test_request_that_does_not_fit_leaves_the_ta_alive(
    build_job: Job, warm: Build, job: Job
) -> None:
    """Refused before anything is allocated, with what would fit."""
    train = f"cd /root && darknetp classifier train -iterations 1 cfg/digits.dataset {LENET}"
    with sized(build_job, job, 400 << 10) as shell:
        refused = shell.run(f"{train} -pp_start 0 -pp_end 10", timeout=TIMEOUT)
        assert refused.status == 1
        assert "the largest partition that fits and ends alike: 3:10" in refused.output
        assert shell.run(f"{train} -pp_start 3 -pp_end 10", timeout=TIMEOUT).status == 0


def write_cifar100(folder: Path) -> None:
    """A data set of vgg-7's shape: 100 classes, as many images of noise, no weights."""
    (folder / "data").mkdir(parents=True)
    (folder / "cfg").mkdir()
    names = [f"class{number:02d}" for number in range(100)]
    paths = [f"data/{number}_{name}.png" for number, name in enumerate(names)]
    for number, path in enumerate(paths):
        noise = random.Random(number).randbytes(3 * 32 * 32)
        Image.frombytes("RGB", (32, 32), noise).save(folder / path)
    (folder / "data" / "labels").write_text("\n".join(names) + "\n")
    (folder / "data" / "list").write_text("\n".join(paths) + "\n")
    (folder / "data" / "none.weights").write_bytes(b"")
    keys = "train=data/list\nvalid=data/list\nlabels=data/labels\nbackup=backup\n"
    (folder / "cfg" / "noise.data").write_text(f"classes=100\n{keys}")
    shutil.copy(CONFIGURATIONS / VGG, folder / "cfg")
    (folder / "dataset.toml").write_text(
        f"""root = "/root"
data_cfg = "cfg/noise.data"
network_cfg = "cfg/{VGG}"
weights = "data/none.weights"
copy = ["cfg", "data"]
examples = [{{ image = "{paths[0]}", label = "{names[0]}" }}]
"""
    )


def test_vgg_trains_whole_on_the_default_board(
    checkout: Checkout, build_job: Job, warm: Build, job: Job, tmp_path: Path
) -> None:
    """Batch 50, three iterations; upstream's TA needs 26 MiB of the 13 that there are."""
    folder = tmp_path / "noise"
    write_cifar100(folder)
    heap = heap_for(build_job, question(CONFIGURATIONS / VGG))
    assert heap + build_job.board.ta.stack + CODE_ALLOWANCE <= build_job.board.ta_budget
    with sized(build_job, job, heap, str(folder)) as shell:
        said = darknetp(
            shell, f"classifier train -iterations 3 cfg/noise.data cfg/{VGG}", Partition(0, 13)
        )
        assert [iteration.images for iteration in said.iterations] == [50, 100, 150]
        assert said.start is not None and said.start.micro_batch == 8
