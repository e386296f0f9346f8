# SPDX-License-Identifier: MIT
"""The other boards: built from nothing, booted in their emulators, predicting in the TEE.

A real Raspberry Pi is not here; the card that it would boot from is taken apart instead.
"""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest
from checkout import Checkout, Ended, read_report

from tzkit.board import Board, load_board
from tzkit.build.application import TA_FILE
from tzkit.pipeline import Build

BUILD_SECONDS = 1500.0  # OP-TEE, and for one board a kernel
SECTOR = 512
FAT, LINUX = 0x0C, 0x83


def qemu_test(checkout: Checkout, *flags: str) -> Ended:
    """Skips when the mirror lacks the parts of a board just now, as it does at times."""
    ended = checkout.start("qemu-test", *flags).end(BUILD_SECONDS)
    if ended.status == 3 and "fetching Debian packages failed" in ended.text:
        pytest.skip(f"the mirror does not have what {' '.join(flags)} needs")
    return ended


# ---- Raspberry Pi 3 ----


@pytest.fixture(scope="module")
def pi(checkout: Checkout) -> Ended:
    return qemu_test(checkout, "--board", "rpi3", "--only", "predict")


@pytest.fixture(scope="module")
def pi_board(checkout: Checkout) -> Board:
    return load_board(checkout.workspace.boards, "rpi3")


@pytest.fixture(scope="module")
def image(checkout: Checkout, pi: Ended) -> Path:
    assert pi.status == 0, pi.text
    return checkout.out("rpi3") / "sdcard.img"


@pytest.fixture(scope="module")
def partitions(image: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The partitions of the card by their type, each as a file."""
    folder = tmp_path_factory.mktemp("card")
    found = {}
    with image.open("rb") as card:
        for kind, start, size in partition_table(card.read(SECTOR)):
            card.seek(start * SECTOR)
            (folder / f"{kind:#x}").write_bytes(card.read(size * SECTOR))
            found[kind] = folder / f"{kind:#x}"
    return found


def partition_table(sector: bytes) -> list[tuple[int, int, int]]:
    """Type, first sector and sectors of each partition of an MBR."""
    assert sector[-2:] == b"\x55\xaa"
    entries = [struct.unpack("<4xB3xII", sector[at : at + 16]) for at in range(446, 510, 16)]
    return [entry for entry in entries if entry[0]]


def on_fat(partitions: dict[int, Path], name: str) -> bytes:
    argv = ["mtype", "-i", partitions[FAT], f"::{name}"]
    return subprocess.run(argv, capture_output=True, check=True).stdout


def on_root(partitions: dict[int, Path], request: str) -> bytes:
    argv = ["/sbin/debugfs", "-R", request, partitions[LINUX]]
    return subprocess.run(argv, capture_output=True, check=True).stdout


def built_file(checkout: Checkout, pattern: str) -> bytes:
    (path,) = (checkout.out("rpi3") / "build").glob(pattern)
    return path.read_bytes()


def test_emulated_pi_predicts_in_the_tee(checkout: Checkout, pi: Ended) -> None:
    assert pi.status == 0, pi.text
    report = read_report(checkout.latest("rpi3"))
    assert report["verdict"] == "pass"
    assert report["boot"]["tee"].startswith("4.")
    secure = (checkout.latest("rpi3") / "secure.log").read_text()
    assert "secure world opened!" in secure and "I/TC: OP-TEE version" in secure


def test_card_has_two_whole_partitions(
    image: Path, partitions: dict[int, Path], pi_board: Board
) -> None:
    assert pi_board.card is not None
    table = partition_table(image.read_bytes()[:SECTOR])
    assert [(kind, start * SECTOR, size * SECTOR) for kind, start, size in table] == [
        (FAT, 1 << 20, pi_board.card.boot),
        (LINUX, (1 << 20) + pi_board.card.boot, pi_board.card.root),
    ]
    subprocess.run(["/sbin/fsck.vfat", "-n", partitions[FAT]], check=True)
    subprocess.run(["/sbin/e2fsck", "-f", "-n", partitions[LINUX]], check=True)


def test_card_holds_the_firmware_that_was_booted(
    checkout: Checkout, partitions: dict[int, Path], pi_board: Board
) -> None:
    assert pi_board.card is not None
    for name, pattern in {
        "firmware": "firmware-*/firmware.bin",
        "kernel": "sysroot-*/boot/vmlinuz-*",
        "initramfs": "initramfs-*/initramfs.cpio.gz",
    }.items():
        on_card = on_fat(partitions, dict(pi_board.card.files)[name])  # type: ignore[index]
        assert on_card == built_file(checkout, pattern), name
    config = on_fat(partitions, "config.txt").decode()
    assert "armstub=armstub8.bin" in config
    assert "ttyS1" in on_fat(partitions, "cmdline.txt").decode()


def test_card_holds_the_loader_or_the_user_was_told(
    pi: Ended, partitions: dict[int, Path], pi_board: Board
) -> None:
    assert pi_board.card is not None
    if "could not be fetched" in pi.text:
        pytest.skip("Debian's section with the loader is not to be had here; that was said")
    for pattern in pi_board.card.loader:
        assert on_fat(partitions, Path(pattern).name)


def test_root_file_system_is_roots(checkout: Checkout, partitions: dict[int, Path]) -> None:
    ta = f"/usr/lib/optee_armtz/{TA_FILE}"
    assert on_root(partitions, f"cat {ta}") == built_file(checkout, f"ta-*/{TA_FILE}")
    for path, mode in {ta: "0444", "/usr/bin/darknetp": "0755", "/root": "0700"}.items():
        status = on_root(partitions, f"stat {path}").decode()
        assert f"Mode:  {mode}" in status and "User:     0   Group:     0" in status, path
    assert on_root(partitions, "cat /etc/passwd").startswith(b"root:*:")


def test_block_map_spares_the_holes(image: Path) -> None:
    block_map = image.with_name("sdcard.img.bmap").read_text()
    assert "<BlocksCount> 65536 </BlocksCount>" in block_map
    assert image.resolve().parent == image.with_name("sdcard.img.bmap").resolve().parent


def test_card_is_flashed_and_read_back(checkout: Checkout, image: Path, tmp_path: Path) -> None:
    """On a plain file, through the code that writes a real card."""
    device = tmp_path / "card"
    device.touch()
    with device.open("r+b") as stream:
        stream.truncate(image.stat().st_size)
    flash = ("flash", "--board", "rpi3", "--device", str(device))
    assert checkout.run(*flash).status == 2, "nobody was there to agree"
    done = checkout.run(*flash, "--yes")
    assert done.status == 0, done.text
    assert device.read_bytes() == image.read_bytes()


def test_unchanged_build_does_nothing(checkout: Checkout, image: Path) -> None:
    before = image.resolve()
    again = checkout.run("build", "--board", "rpi3")
    assert again.status == 0, again.text
    assert again.text.count("unchanged") == 3
    assert image.resolve() == before


# ---- QEMU, Armv7-A ----


def test_32_bit_system_trains_and_predicts(checkout: Checkout) -> None:
    ended = qemu_test(checkout, "--board", "qemu_v7")
    assert ended.status == 0, ended.text
    report = read_report(checkout.latest("qemu_v7"))
    assert report["darknetp"]["train"]["verdict"] == "pass"
    assert report["darknetp"]["predict"]["verdict"] == "pass"
    assert report["xtest"] is None


def test_board_without_xtest_says_so(checkout: Checkout) -> None:
    ended = checkout.run("qemu-test", "--board", "qemu_v7", "--xtest", "smoke")
    assert ended.status == 2
    assert "qemu_v7 has no xtest" in ended.text


# ---- More secure memory than the hardware has ----


def test_large_application_loads_in_simulated_memory_only(checkout: Checkout, built: Build) -> None:
    large = ("--ta-heap", "32M")
    refused = checkout.run("qemu-test", "--only", "predict", *large)
    assert refused.status == 2
    assert "but on qemu_v8 only 13 MiB" in refused.text
    assert "firmware" not in refused.text, "refused before anything was built"
    ended = qemu_test(checkout, "--only", "predict", "--secure-memory", "64M", *large, "--quiet")
    assert ended.status == 0, ended.text
    assert "nothing isolates it" in read_report(checkout.latest())["notes"][0]
    assert "64 MiB of ordinary memory stand in for secure memory" in ended.text


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--secure-memory", "much"), "no size"),
        (("--secure-memory", "1G"), "choose from 15 MiB to 256 MiB"),
        (("--secure-memory", "64M", "--board", "rpi3"), "no way to simulate more"),
    ],
)
def test_impossible_memory_is_refused(
    checkout: Checkout, flags: tuple[str, ...], said: str
) -> None:
    ended = checkout.run("build", *flags)
    assert ended.status == 2
    assert said in ended.text
