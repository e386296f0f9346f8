# SPDX-License-Identifier: MIT
"""Flashing from question to proof, on plain files and real loop devices, with dd and bmaptool."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from loopdevices import MIB, call, loop_device

from tzkit.errors import EnvironmentFailed, RequestError
from tzkit.flash import flash_commands, write_image
from tzkit.flash import write as writing
from tzkit.flash.device import Device
from tzkit.flash.flash import summary
from tzkit.flash.image import Image
from tzkit.process import Runner
from tzkit.ui import QUIET, Ui

SIZE = 5 * MIB + 333  # more than a chunk, and no whole number of sectors
CARD = 6 * MIB
HOLE = (1 * MIB, 3 * MIB)
DD = shutil.which("dd")  # the real one, where a test puts another before it


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Random bytes with a hole."""
    path = tmp_path / "sdcard.img"
    with path.open("wb") as stream:
        stream.write(os.urandom(HOLE[0]))
        stream.seek(HOLE[1])
        stream.write(os.urandom(SIZE - HOLE[1]))
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A card of ``CARD`` bytes 0xff, as a plain file."""
    path = tmp_path / "card"
    path.write_bytes(b"\xff" * CARD)
    return path


@pytest.fixture(params=["file", "loop"])
def card(request: pytest.FixtureRequest, file: Path) -> Iterator[Path]:
    """The plain file, then a loop device of the same content."""
    if request.param == "file":
        yield file
    else:
        with loop_device(CARD) as device:
            yield device


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose programs come first on PATH; none of them is there yet."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def install(folder: Path, name: str, script: str) -> None:
    """A stand-in for a writer; in ``script``, $of is where it writes."""
    words = "for word; do case $word in of=*) of=${word#of=};; esac; done"
    (folder / name).write_text(f"#!/bin/sh\n{words}\n{script}\n")
    (folder / name).chmod(0o755)


def flash(image: Path, card: Path, *, yes: bool = True, ui: Ui | None = None) -> None:
    folder = image.parent
    write_image(
        image, str(card), force=False, yes=yes, ui=ui or Ui(QUIET),
        runner=Runner(folder / "commands.log"), log=folder / "logs" / "writer.log",
    )  # fmt: skip


def content(card: Path, start: int, end: int) -> bytes:
    with card.open("rb") as stream:
        stream.seek(start)
        return stream.read(end - start)


def untouched(card: Path) -> bool:
    return content(card, 0, CARD) == b"\xff" * CARD


def asked(monkeypatch: pytest.MonkeyPatch, answer: str) -> tuple[Ui, list[str]]:
    """A user at a terminal who answers so (``EOF``: Ctrl-D), and what is asked."""
    ui, questions = Ui(QUIET), []

    def ask(prompt: object) -> str:
        questions.append(str(prompt))
        if answer == "EOF":
            raise EOFError
        return answer

    monkeypatch.setattr(ui.console, "input", ask)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    return ui, questions


def test_image_without_block_map_is_written_by_dd(image: Path, card: Path) -> None:
    flash(image, card)
    assert content(card, 0, SIZE) == image.read_bytes()
    assert content(card, SIZE, CARD) == b"\xff" * (CARD - SIZE)
    assert " $ dd if=" in (image.parent / "commands.log").read_text()


def test_image_with_block_map_is_written_by_bmaptool(image: Path) -> None:
    """Where the image has a hole, the card keeps what it had."""
    call("bmaptool", "create", "--output", f"{image}.bmap", image)
    with loop_device(CARD) as card:
        flash(image, card)
        assert content(card, 0, HOLE[0]) == content(image, 0, HOLE[0])
        assert content(card, *HOLE) == b"\xff" * (HOLE[1] - HOLE[0])
        assert content(card, HOLE[1], SIZE) == content(image, HOLE[1], SIZE)
    assert " $ bmaptool copy " in (image.parent / "commands.log").read_text()


def test_stale_block_map_is_noticed(image: Path) -> None:
    call("bmaptool", "create", "--output", f"{image}.bmap", image)
    with image.open("r+b") as stream:
        stream.write(b"changed")
    with (
        loop_device(CARD) as card,
        pytest.raises(EnvironmentFailed, match=r"bmaptool: exit status \d+(.|\n)*half-written"),
    ):
        flash(image, card)


def test_plain_file_keeps_its_size(image: Path, file: Path) -> None:
    call("bmaptool", "create", "--output", f"{image}.bmap", image)
    flash(image, file)
    assert file.stat().st_size == CARD


@pytest.mark.parametrize("at", [0, SIZE - 1])
def test_corrupted_byte_is_found(image: Path, card: Path, programs: Path, at: int) -> None:
    spoil = (
        f'{DD} "$@" && old=$(tail -c +{at + 1} "$of" | head -c 1 | od -An -to1)\n'
        f"new=$(printf '\\\\%03o' $(( (0${{old# }} + 1) % 256 )))\n"
        f'printf "$new" | {DD} of="$of" bs=1 seek={at} conv=notrunc'
    )
    install(programs, "dd", spoil)
    with pytest.raises(EnvironmentFailed, match=f"differs from the image at byte {at}\n") as failed:
        flash(image, card)
    assert failed.value.hint is not None and "do not boot from it" in failed.value.hint


def test_the_medium_is_read_and_not_the_cache(image: Path, programs: Path) -> None:
    """The card changes under a page cache that still has the right bytes."""
    with loop_device(CARD) as card:
        backing = Path("/sys/class/block", card.name, "loop/backing_file").read_text().strip()
        install(
            programs,
            "dd",
            f'{DD} "$@" && cat "$of" >/dev/null && '
            f'head -c 1000 /dev/zero | {DD} of="{backing}" conv=notrunc',
        )
        with pytest.raises(EnvironmentFailed, match="differs from the image at byte"):
            flash(image, card)


def test_file_system_without_direct_access(
    image: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really_open = os.open

    def refuse(path: Path, flags: int) -> int:
        if flags & os.O_DIRECT:
            raise OSError(errno.EINVAL, "Invalid argument")
        return really_open(path, flags)

    monkeypatch.setattr(writing, "os", SimpleNamespace(**{**vars(os), "open": refuse}))
    flash(image, file)


def test_writer_that_writes_nothing_is_no_success(image: Path, card: Path, programs: Path) -> None:
    install(programs, "dd", "exit 0")
    with pytest.raises(EnvironmentFailed, match="differs from the image at byte"):
        flash(image, card)


def test_writer_that_fails(image: Path, card: Path, programs: Path) -> None:
    install(programs, "dd", "echo 'Input/output error' >&2; exit 1")
    with pytest.raises(EnvironmentFailed, match=r"exit status 1\n.*output error") as failed:
        flash(image, card)
    assert failed.value.hint is not None and "half-written" in failed.value.hint
    assert failed.value.log == image.parent / "logs" / "writer.log"


def test_writer_that_never_ends(
    image: Path, file: Path, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(writing, "SLOWEST", 1 << 40)
    install(programs, "dd", f'echo $$ >"{programs}/pid"; exec sleep 100')
    with pytest.raises(EnvironmentFailed, match=r"no end after 1 s(.|\n)*half-written"):
        flash(image, file)
    assert not Path("/proc", (programs / "pid").read_text().strip()).exists()


def test_device_is_locked_while_it_is_written(image: Path, card: Path, programs: Path) -> None:
    call("flock", "--nonblock", str(card), "true")
    install(programs, "dd", f'flock --nonblock "$of" true && exit 9; exec {DD} "$@"')
    flash(image, card)


def test_device_in_use(image: Path) -> None:
    with loop_device(CARD) as card:
        claim = os.open(card, os.O_RDONLY | os.O_EXCL)
        try:
            with pytest.raises(RequestError, match="in use by the kernel"):
                flash(image, card)
        finally:
            os.close(claim)
        assert untouched(card)


def test_interrupted_half_way(image: Path, card: Path, programs: Path) -> None:
    """The writer has ended before the user gets the message."""
    install(
        programs,
        "dd",
        f'head -c {MIB} /dev/zero | {DD} of="$of" conv=notrunc; '
        f'echo $$ >"{programs}/new"; mv "{programs}/new" "{programs}/pid"; exec sleep 100',
    )
    started = programs / "pid"

    def interrupt() -> None:
        deadline = time.monotonic() + 10
        while not started.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt, match=f"{card} now holds a half-written image.*again"):
        flash(image, card)
    thread.join()
    assert content(card, 0, MIB) == bytes(MIB)
    assert not Path("/proc", started.read_text().strip()).exists()


def test_progress_is_told(
    image: Path, card: Path, programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of writing, by what the kernel counts; of reading back, up to the end."""
    monkeypatch.setattr(writing, "POLL_SECONDS", 0.02)
    install(programs, "dd", f'{DD} "$@"; sleep 0.3')
    ui = Ui(QUIET)
    ui.log_to(tmp_path / "tzkit.log")
    flash(image, card, ui=ui)
    text = (tmp_path / "tzkit.log").read_text()
    writing_log, reading_log = text.split("✓ writing")
    assert "100 % of 5 MiB" in writing_log
    assert "100 % of 5 MiB" in reading_log and "equal to the image" in reading_log


@pytest.mark.parametrize("whole_path", [False, True])
def test_user_types_the_name(
    image: Path, file: Path, monkeypatch: pytest.MonkeyPatch, whole_path: bool
) -> None:
    ui, questions = asked(monkeypatch, str(file) if whole_path else f" {file.name} ")
    flash(image, file, yes=False, ui=ui)
    assert content(file, 0, SIZE) == image.read_bytes()
    assert len(questions) == 1
    assert f"overwrite {file}" in questions[0] and "6 MiB" in questions[0]


@pytest.mark.parametrize("answer", ["", "y", "yes", "sdb", "EOF"])
def test_user_does_not_agree(
    image: Path, file: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    ui, _ = asked(monkeypatch, answer)
    with pytest.raises(RequestError, match="nothing was written"):
        flash(image, file, yes=False, ui=ui)
    assert untouched(file)


def test_nobody_to_ask(image: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: False))
    with pytest.raises(RequestError, match=r"nothing was written\n.*add --yes"):
        flash(image, file, yes=False)
    assert untouched(file)


def test_medium_changed_while_asking(
    image: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ui, _ = asked(monkeypatch, "")

    def swap(prompt: object) -> str:
        file.write_bytes(b"\xff" * 2 * CARD)
        return file.name

    monkeypatch.setattr(ui.console, "input", swap)
    with pytest.raises(RequestError, match="another medium than before; nothing was written"):
        flash(image, file, yes=False, ui=ui)
    assert untouched(file)


def test_small_card(image: Path) -> None:
    with loop_device(SIZE // 512 * 512) as card, pytest.raises(RequestError, match="does not fit"):
        flash(image, card)


def test_image_is_not_written_to_itself(image: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(image)
    with pytest.raises(RequestError, match="is the image itself"):
        flash(image, tmp_path / "link")


def test_user_sees_what_would_be_lost() -> None:
    boot = Device(path=Path("/dev/sdb1"), type="part", size=256 * MIB, fstype="vfat", label="BOOT")
    stick = Device(
        path=Path("/dev/sdb"), type="disk", size=32 << 30, vendor="SanDisk", model="Ultra",
        serial="4C53", tran="usb", pttype="dos", children=(boot,),
    )  # fmt: skip
    text = summary(Image(Path("out/rpi3/sdcard.img"), SIZE, None, ()), stick)
    assert text.splitlines() == [
        "  device  /dev/sdb: SanDisk Ultra, 32 GiB, usb, serial 4C53",
        "  holds   dos partition table, 32 GiB",
        "          sdb1: vfat 'BOOT', 256 MiB",
        "  image   out/rpi3/sdcard.img: 5 MiB",
    ]


def test_dry_run_without_block_map(programs: Path) -> None:
    install(programs, "bmaptool", "")
    look, write = flash_commands(Path("out/b/sdcard.img"), "/dev/sdx")
    assert look.startswith("lsblk --all --json --bytes ") and look.endswith(" /dev/sdx")
    assert write == (
        "dd if=out/b/sdcard.img of=/dev/sdx bs=4M iflag=fullblock oflag=direct "
        "conv=fsync,nocreat,notrunc"
    )


def test_dry_run_with_block_map(image: Path, programs: Path) -> None:
    bmap = image.with_name("sdcard.img.bmap")
    bmap.touch()
    install(programs, "bmaptool", "")
    assert flash_commands(image, "/dev/sdx")[1] == f"bmaptool copy --bmap {bmap} {image} /dev/sdx"


def test_dry_run_without_bmaptool(
    image: Path, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image.with_name("sdcard.img.bmap").touch()
    monkeypatch.setenv("PATH", str(programs))
    assert flash_commands(image, "/dev/sdx")[1].startswith("dd if=")
