# SPDX-License-Identifier: MIT
"""Checkpoints of darknetp: training that was stopped goes on as if it had not been."""

from __future__ import annotations

import contextlib
import random
import re
import resource
import shutil
import signal
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from darknetp_workspace import (
    HEADER_BYTES,
    LAYERS,
    NET,
    PARAMETERS,
    Result,
    Workspace,
    partition,
    refused,
)

BATCHES = 6
SAVED_AT = 4
GOING_ON = "going on from the checkpoint, with momentum and average loss of "
STATE_BYTES = 104 + 4 * PARAMETERS + 8


def backup_of(work: Workspace) -> Path:
    return work.weights.with_suffix(".backup")


def state_of(work: Workspace) -> Path:
    return work.weights.with_suffix(".backup.state")


def saved(work: Workspace) -> bytes:
    """The weights that a run has left, in one file or in two."""
    paths = sorted(work.weights.parent.glob(f"{work.weights.name}*"))
    assert paths
    content = b"".join(path.read_bytes() for path in paths)
    for path in paths:
        path.unlink()
    return content


def ending_at(work: Workspace, batches: int, net: str = NET, layers: str = LAYERS) -> None:
    """Let training end by itself, so that a resumed one knows when."""
    work.write("cfg/tiny.cfg", net.replace("max_batches=100", f"max_batches={batches}") + layers)


def straight(work: Workspace, *flags: str) -> bytes:
    """The weights of a training that nothing stops."""
    result = work.train("-seed", "11", *flags)
    assert result.status == 0, result.err
    return saved(work)


def checkpoint(work: Workspace, *flags: str) -> None:
    """Train for SAVED_AT batches and leave only the checkpoint."""
    count = str(SAVED_AT)
    result = work.train("-seed", "11", "-iterations", count, "-checkpoint", count, *flags)
    assert result.status == 0, result.err
    saved(work)


def resume(work: Workspace, *flags: str) -> Result:
    return work.train(backup_of(work), *flags)


# ---- Identical continuation ----


@pytest.mark.parametrize(
    "flags",
    [
        [],
        partition(4, 10),
        partition(2, 6),
        partition(0, 10),
        partition(10, 10),
        ["-pp_start_f", "4", "-pp_end", "10"],
        ["-ss", "1", *partition(4, 10)],
    ],
)
def test_a_resumed_training_ends_in_the_same_weights(work: Workspace, flags: list[str]) -> None:
    ending_at(work, BATCHES)
    expected = straight(work, *flags)
    checkpoint(work, *flags)
    result = resume(work, *flags)
    assert result.status == 0, result.err
    assert f"{GOING_ON}{state_of(work)}" in result.err
    assert f"current_batch={SAVED_AT} \n" in result.out
    assert saved(work) == expected


def test_the_continuation_may_have_another_partition(work: Workspace) -> None:
    """The momentum of secure layers passes to the normal world and back."""
    ending_at(work, BATCHES)
    expected = straight(work)
    for before, after in [((4, 10), (0, 3)), ((0, 10), (5, 5)), ((2, 6), (4, 10))]:
        checkpoint(work, *partition(*before))
        assert resume(work, *partition(*after)).status == 0
        assert saved(work) == expected, (before, after)


def test_batch_normalisation_and_micro_batches_go_on_too(work: Workspace) -> None:
    layers = LAYERS.replace("pad=1", "pad=1\nbatch_normalize=1")
    ending_at(work, BATCHES, layers=layers)
    expected = straight(work)
    checkpoint(work, *partition(0, 4))
    assert resume(work, *partition(4, 10)).status == 0
    assert saved(work) == expected

    ending_at(work, BATCHES, net=NET.replace("subdivisions=1", "subdivisions=4"))
    expected = straight(work, *partition(0, 10))
    checkpoint(work, *partition(0, 10))
    result = work.train(backup_of(work), *partition(0, 10), INPROCESS_TEE_HEAP="36000")
    assert result.status == 0, result.err
    assert saved(work) == expected


def test_a_batchnorm_layer_has_statistics_but_no_momentum(work: Workspace) -> None:
    layers = LAYERS.replace("[maxpool]", "[batchnorm]\n\n[maxpool]", 1)
    ending_at(work, BATCHES, layers=layers)
    expected = straight(work)
    checkpoint(work, *partition(1, 1))
    assert resume(work, *partition(0, 11)).status == 0
    assert saved(work) == expected


def test_without_its_state_a_checkpoint_is_weights(work: Workspace) -> None:
    ending_at(work, BATCHES)
    expected = straight(work)
    checkpoint(work)
    state_of(work).unlink()
    result = resume(work, "-seed", "11")
    assert result.status == 0
    assert GOING_ON not in result.err
    assert f"current_batch={SAVED_AT} \n" in result.out
    assert saved(work) != expected  # the momentum is missing


def test_clear_drops_the_state(work: Workspace) -> None:
    checkpoint(work)
    result = resume(work, "-clear", "-iterations", "1")
    assert result.status == 0
    assert GOING_ON not in result.err
    assert "current_batch=0 \n" in result.out


def test_the_average_loss_goes_on(work: Workspace) -> None:
    average = re.compile(r", (\S+) avg,")
    ending_at(work, BATCHES)
    expected = average.findall(work.train("-seed", "11").out)
    checkpoint(work)
    assert average.findall(resume(work).out) == expected[SAVED_AT:]


def test_another_seed_is_taken_and_told(work: Workspace) -> None:
    ending_at(work, BATCHES)
    expected = straight(work)
    checkpoint(work)
    result = resume(work, "-seed", "12")
    assert "-seed 12 replaces 11 of the checkpoint: it does not go on identically" in result.err
    assert saved(work) != expected
    checkpoint(work)
    assert "replaces" not in resume(work, "-seed", "11").err
    assert saved(work) == expected


def test_another_batch_is_told(work: Workspace) -> None:
    checkpoint(work)
    result = resume(work, "-batch", "4", "-iterations", "1")
    assert result.status == 0
    assert "trained with batches of 8 images, now there are 4" in result.err


def test_a_prolonged_training_ends_where_it_would_have(work: Workspace) -> None:
    """Policies such as poly depend on where that is."""
    ending_at(work, 3)
    assert work.train("-seed", "11").status == 0
    first = work.weights.with_name("first.weights")
    first.write_bytes(saved(work))
    assert work.train(first, "-seed", "11").status == 0
    expected = saved(work)
    result = work.train(first, "-seed", "11", "-iterations", "1", "-checkpoint", "4")
    assert result.status == 0
    saved(work)
    result = resume(work)
    assert len(result.losses) == 2
    assert saved(work) == expected


def test_a_checkpoint_of_the_last_batch_is_complete(work: Workspace) -> None:
    ending_at(work, SAVED_AT)
    expected = straight(work)
    checkpoint(work)
    result = resume(work)
    assert result.status == 0
    assert result.losses == []
    assert "from the end of its training: only the weights are saved" in result.err
    assert saved(work) == expected


# ---- Where checkpoints come from ----


def test_checkpoints_are_saved_every_so_many_batches(work: Workspace) -> None:
    result = work.train("-seed", "1", "-iterations", "7", "-checkpoint", "3")
    assert result.err.count("tiny.backup\n") == 2
    assert struct.unpack_from("<Q", backup_of(work).read_bytes(), 12) == (6 * 8,)
    assert state_of(work).stat().st_size == STATE_BYTES


def test_no_checkpoints_are_saved_if_none_are_wanted(work: Workspace) -> None:
    assert work.train("-iterations", "2", "-checkpoint", "0").status == 0
    assert [path.name for path in work.weights.parent.iterdir()] == ["tiny.weights"]


@contextlib.contextmanager
def training(work: Workspace, *flags: str | Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        work.command("classifier", "train", work.data, work.cfg, *flags),
        env=work.environment(),
        cwd=work.root,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def interrupt(process: subprocess.Popen[str], number: int) -> str:
    """Send signal ``number`` in the third batch, and what the program says then."""
    assert process.stdout
    while "3, " not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    return err


def test_an_average_that_nobody_knew_starts_anew(work: Workspace) -> None:
    """The loss was in the TEE, now it is here: its first value is the average."""
    ending_at(work, BATCHES)
    checkpoint(work, *partition(4, 10))
    result = resume(work, "-iterations", "1")
    loss, average = re.search(r": (\d\.\d+), (\d\.\d+) avg", result.out).groups()
    assert loss == average


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_training_goes_on_identically(work: Workspace, number: int) -> None:
    ending_at(work, 2000)
    expected = straight(work, *partition(4, 10))
    flags = ["-seed", "11", "-checkpoint", "0", *partition(4, 10)]
    with training(work, *flags) as process:
        err = interrupt(process, number)
    assert process.returncode == 130
    backup = f"{work.root}/deep/backup//tiny.backup"
    assert re.search(rf"interrupted after batch \d+; to go on, give {backup} as weights\n", err)
    assert not work.weights.exists()
    assert resume(work, *partition(4, 10)).status == 0
    assert saved(work) == expected


def test_a_split_checkpoint_says_how_to_go_on(work: Workspace) -> None:
    ending_at(work, 100000)
    with training(work, "-ss", "2", *partition(4, 10)) as process:
        err = interrupt(process, signal.SIGTERM)
    assert "tiny.backup as weights and -ss 1" in err
    result = resume(work, "-ss", "1", "-iterations", "1", *partition(4, 10))
    assert GOING_ON in result.err


def train_through_kills(work: Workspace, flags: Sequence[str], chance: random.Random) -> int:
    """Train, be killed at any moment, go on, until the end; how many kills it took."""
    kills = 0
    while True:
        start: list[str | Path] = [backup_of(work)] if state_of(work).exists() else ["-seed", "11"]
        with training(work, *start, *flags) as process:
            time.sleep(chance.uniform(0.02, 0.15))
            done = process.poll() is not None
            process.kill()
            _, err = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), err
        if done:
            return kills
        kills += 1
        assert kills < 300


@pytest.mark.parametrize("split", [[], ["-ss", "1"]])
def test_kills_at_any_moment_cost_no_more_than_the_last_batches(
    work: Workspace, split: list[str]
) -> None:
    """Every batch is saved, so that most kills hit a checkpoint that is being written.

    How often a training is killed before it ends is up to the machine: there are as many
    trainings as it takes.
    """
    flags = [*split, "-checkpoint", "1", *partition(4, 10)]
    ending_at(work, 240)
    expected = straight(work, *split, *partition(4, 10))
    chance = random.Random(4)
    kills = 0
    for _ in range(20):
        shutil.rmtree(work.weights.parent)
        kills += train_through_kills(work, flags, chance)
        assert saved(work) == expected
        assert not list(work.weights.parent.glob("*.part"))
        if kills > 5:
            return
    pytest.fail(f"only {kills} kills in 20 trainings")


# ---- What belongs together ----


def test_the_state_of_other_weights_is_not_used(work: Workspace) -> None:
    assert work.train("-seed", "5", "-iterations", str(SAVED_AT)).status == 0
    others = saved(work)
    checkpoint(work)
    backup_of(work).write_bytes(others)  # as long, and has seen as many images
    result = resume(work, "-iterations", "1")
    assert result.status == 0
    assert f"{state_of(work)} belongs to other weights" in result.err
    assert GOING_ON not in result.err


def test_a_checkpoint_that_was_not_put_in_place_is(work: Workspace) -> None:
    """As after a kill between the state and the weights."""
    ending_at(work, BATCHES)
    expected = straight(work)
    checkpoint(work)
    new = backup_of(work).with_suffix(".backup.new")
    backup_of(work).rename(new)
    result = resume(work)
    assert "tiny.backup was saved but not in place yet: it is now" in result.err
    assert saved(work) == expected
    assert not new.exists()


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (0, "not the state of a checkpoint"),
        (111, "not the state of a checkpoint"),
        (112, "damaged: its length is wrong"),
        (STATE_BYTES - 1, "damaged: its length is wrong"),
        (STATE_BYTES + 1, "damaged: its length is wrong"),
    ],
)
def test_a_damaged_state_is_refused(work: Workspace, length: int, text: str) -> None:
    checkpoint(work)
    whole = state_of(work).read_bytes()
    assert len(whole) == STATE_BYTES
    state_of(work).write_bytes((whole + b"\0")[:length])
    refused(resume(work), f"{state_of(work)}: {text}", status=1)
    assert "remove it or give -clear" in resume(work).err


@pytest.mark.parametrize("at", [0, 8, 12, 16, 24, 56, 64, 96, 104, STATE_BYTES - 1])
def test_a_changed_byte_of_the_state_is_found(work: Workspace, at: int) -> None:
    checkpoint(work)
    data = bytearray(state_of(work).read_bytes())
    data[at] ^= 4
    state_of(work).write_bytes(data)
    refused(resume(work), f"{state_of(work)}: ", status=1)


def test_the_state_of_another_network_is_refused(work: Workspace) -> None:
    """One whose sum is right but that has a value less."""
    checkpoint(work)
    data = bytearray(state_of(work).read_bytes())
    shorter = data[: 104 + 4 * (PARAMETERS - 1)]
    struct.pack_into("<Q", shorter, 96, PARAMETERS - 1)
    total = 0xCBF29CE484222325
    for byte in shorter:
        total = (total ^ byte) * 0x100000001B3 % 2**64
    state_of(work).write_bytes(shorter + struct.pack("<Q", total))
    refused(resume(work), f"{state_of(work)}: belongs to another network", status=1)


# ---- Disks ----


def small_files(limit: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


def test_a_save_that_fails_leaves_what_was_there(work: Workspace) -> None:
    """Files may not grow as large as the weights; the old ones must stay."""
    checkpoint(work)
    before = {path: path.read_bytes() for path in work.weights.parent.iterdir()}
    limit = HEADER_BYTES + 4 * PARAMETERS - 1
    words = ["train", work.data, work.cfg, backup_of(work), "-iterations", "1", "-checkpoint", "1"]
    done = subprocess.run(
        work.command("classifier", *words),
        env=work.environment(),
        cwd=work.root,
        preexec_fn=lambda: small_files(limit),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "tiny.backup.new: File too large" in done.stderr
    assert "tiny.weights: File too large" in done.stderr
    assert {path: path.read_bytes() for path in work.weights.parent.iterdir()} == before


@contextlib.contextmanager
def mounted(point: Path, options: str) -> Iterator[None]:
    point.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", options, "none", str(point)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(point)], check=True)


def test_a_full_disk_costs_no_checkpoint(work: Workspace) -> None:
    """There is room for one checkpoint, and nearly none for the next."""
    ending_at(work, BATCHES)
    expected = straight(work)
    with mounted(work.weights.parent, "size=20k"):
        checkpoint(work)
        filler = work.weights.parent / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1024))
        result = resume(work, "-checkpoint", "1", "-iterations", "1")
        refused(result, "tiny.backup.new: No space left on device", status=1)
        filler.unlink()
        assert not list(work.weights.parent.glob("*.part"))
        result = resume(work)
        assert result.status == 0, result.err
        assert saved(work) == expected


def test_a_missed_checkpoint_does_not_end_training(work: Workspace) -> None:
    in_the_way = backup_of(work).with_suffix(".backup.new")
    in_the_way.mkdir(parents=True)
    result = work.train("-seed", "1", "-iterations", "2", "-checkpoint", "1")
    assert result.status == 1
    assert len(result.losses) == 2
    assert result.err.count("cannot write") == 2
    assert work.weights.exists()


def test_a_directory_that_cannot_be_written_is_told_first(work: Workspace) -> None:
    with mounted(work.weights.parent, "ro"):
        result = work.train("-iterations", "1")
    refused(result, "cannot write into the backup directory", status=1)
    assert "Read-only file system" in result.err
    assert "Loaded:" not in result.out


def test_results_that_cannot_be_written_fail_the_run(work: Workspace) -> None:
    with mounted(work.root / "results", "size=4k"):
        result = work.train("-iterations", "40")
    refused(result, "cannot write all results to", status=1)
    assert len(result.losses) == 40
    assert work.weights.exists()


def test_what_killed_writers_left_is_removed(work: Workspace) -> None:
    directory = work.weights.parent
    directory.mkdir(parents=True)
    for name in ("tiny.weights.99.part", "tiny.backup.new_ree.7.part"):
        (directory / name).write_text("half")
    for name in ("other.weights.99.part", "tiny.part", "tiny.notes"):
        (directory / name).write_text("not ours")
    assert work.train("-iterations", "1").status == 0
    names = sorted(path.name for path in directory.iterdir())
    assert names == ["other.weights.99.part", "tiny.notes", "tiny.part", "tiny.weights"]


def test_backup_directories_are_made(work: Workspace) -> None:
    assert not work.weights.parent.exists()
    checkpoint(work)
    assert state_of(work).exists()
