# SPDX-License-Identifier: MIT
"""Base system and payload, packed from a small stand-in for the unpacked Debian packages."""

from __future__ import annotations

import gzip
import lzma
import shutil
import subprocess
from pathlib import Path

import pytest

from tzkit.board import Board, load_board
from tzkit.build import image
from tzkit.build.application import DARKNETP, RESUME, TA_FILE, Application
from tzkit.errors import DISK_FULL, EnvironmentFailed
from tzkit.job import Job
from tzkit.store import Entry
from tzkit.ui import QUIET, Ui
from tzkit.workspace import Workspace

CHECKOUT = Workspace.of_checkout()
# Modules as depmod sees them: they export symbols by name, or need them.
TEE_MODULE = 'const char e[] __attribute__((section("__ksymtab_strings"))) = "tee_call";'
USER_MODULE = "extern int tee_call; int *needed = &tee_call;"
KERNEL_MODULES = {
    "tee": TEE_MODULE, "optee": USER_MODULE, "virtio_blk": USER_MODULE, "unused": "int alone;",
}  # fmt: skip
MODULES = {"boot": ("optee",), "payload": ("virtio_blk",)}
HOST_PROGRAM = Path("/usr/bin/true")  # any program of this machine that is linked dynamically


def needed_by_host_program() -> dict[str, Path]:
    """Where this machine has the libraries of its program, the loader included."""
    said = subprocess.run(["ldd", HOST_PROGRAM], capture_output=True, text=True, check=True).stdout
    words = [word for line in said.splitlines() for word in line.split() if word.startswith("/")]
    return {Path(word).name: Path(word) for word in words}


def compiled(text: str, folder: Path) -> bytes:
    """An object file of this machine."""
    made = folder / "module.o"
    argv = ["gcc", "-x", "c", "-c", "-o", made, "-"]
    subprocess.run(argv, input=text.encode(), check=True)
    return made.read_bytes()


@pytest.fixture
def sysroot(tmp_path: Path) -> Entry:
    root = tmp_path / "sysroot"
    files = {"usr/bin/tool": HOST_PROGRAM.read_bytes(), "usr/lib/optee_armtz/a.ta": b"signed"}
    for name, path in needed_by_host_program().items():
        files[f"usr/lib/some-linux-gnu/{name}"] = path.read_bytes()
    for name, text in KERNEL_MODULES.items():
        packed = lzma.compress(compiled(text, tmp_path))
        files[f"usr/lib/modules/6.12/kernel/{name}.ko.xz"] = packed
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    (root / "lib").symlink_to("usr/lib")
    subprocess.run(["/sbin/depmod", "-b", root, "6.12"], check=True)
    return Entry(root, "sysroot-key", cached=False)


@pytest.fixture
def host(tmp_path: Path) -> Entry:
    (tmp_path / "host").mkdir()
    (tmp_path / "host" / RESUME).write_text("resume")
    shutil.copy(HOST_PROGRAM, tmp_path / "host" / DARKNETP)
    return Entry(tmp_path / "host", "host-key", cached=False)


@pytest.fixture
def board() -> Board:
    usual = load_board(CHECKOUT.boards, "qemu_v8")
    assert usual.rootfs is not None
    rootfs = usual.rootfs.model_copy(
        update={
            "programs": ("usr/bin/tool",),
            "trusted_applications": ("usr/lib/optee_armtz/*.ta",),
            "files": (),
        }
    )
    return usual.model_copy(update={"rootfs": rootfs})


def job_in(folder: Path, board: Board) -> Job:
    workspace = Workspace(CHECKOUT.root, folder / "out", folder / "cache")
    return Job(workspace, board, Ui(QUIET), folder / "logs")


def build_base(folder: Path, board: Board, sysroot: Entry, host: Entry) -> bytes:
    assert board.rootfs is not None
    built = image.build_base(job_in(folder, board), board.rootfs, MODULES, sysroot, host)
    assert [path.name for path in built.path.iterdir()] == [image.BASE]
    return (built.path / image.BASE).read_bytes()


def unpack(archive: bytes, folder: Path) -> Path:
    folder.mkdir()
    argv = ["cpio", "--extract", "--make-directories", "--quiet"]
    subprocess.run(argv, input=gzip.decompress(archive), cwd=folder, check=True)
    return folder


def test_base_holds_what_the_board_names(
    tmp_path: Path, board: Board, sysroot: Entry, host: Entry
) -> None:
    root = unpack(build_base(tmp_path / "one", board, sysroot, host), tmp_path / "root")
    assert (root / "init").stat().st_mode & 0o777 == 0o755
    assert (root / "usr/bin/tool").read_bytes() == HOST_PROGRAM.read_bytes()
    assert (root / "lib/optee_armtz/a.ta").read_bytes() == b"signed"
    assert (root / "bin" / RESUME).read_text() == "resume"


def test_modules_come_unpacked_with_what_they_need_each_once(
    tmp_path: Path, board: Board, sysroot: Entry, host: Entry
) -> None:
    root = unpack(build_base(tmp_path / "one", board, sysroot, host), tmp_path / "root")
    names = {path.name for path in (root / "lib/modules").iterdir()}
    assert names == {"tee.ko", "optee.ko", "virtio_blk.ko"}
    assert (root / "lib/modules/optee.ko").read_bytes().startswith(b"\x7fELF")
    assert (root / "etc/modules.boot").read_text() == "tee.ko\noptee.ko\n"
    assert (root / "etc/modules.payload").read_text() == "virtio_blk.ko\n"


def test_module_that_the_kernel_lacks_is_named(
    tmp_path: Path, board: Board, sysroot: Entry, host: Entry
) -> None:
    assert board.rootfs is not None
    with pytest.raises(EnvironmentFailed, match="warp_drive"):
        image.build_base(
            job_in(tmp_path, board), board.rootfs, {"boot": ("warp_drive",)}, sysroot, host
        )


def test_base_has_the_libraries_its_programs_need(
    tmp_path: Path, board: Board, sysroot: Entry, host: Entry
) -> None:
    root = unpack(build_base(tmp_path / "one", board, sysroot, host), tmp_path / "root")
    assert needed_by_host_program().keys() <= {path.name for path in (root / "lib").iterdir()}


def test_equal_content_gives_equal_bytes(
    tmp_path: Path, board: Board, sysroot: Entry, host: Entry
) -> None:
    first = build_base(tmp_path / "one", board, sysroot, host)
    assert build_base(tmp_path / "two", board, sysroot, host) == first


def test_base_has_the_libraries_of_the_program_that_comes_later(
    tmp_path: Path, board: Board, sysroot: Entry, host: Entry
) -> None:
    assert board.rootfs is not None
    linked = next(name for name in needed_by_host_program() if name.startswith("libc.so"))
    (sysroot.path / "usr/bin/static").write_bytes(compiled("int alone;", tmp_path))
    bare = board.model_copy(
        update={"rootfs": board.rootfs.model_copy(update={"programs": ("usr/bin/static",)})}
    )
    root = unpack(build_base(tmp_path / "one", bare, sysroot, host), tmp_path / "root")
    assert (root / "lib" / linked).is_file()
    assert not (root / "bin" / DARKNETP).exists()


def test_missing_library_is_named(
    tmp_path: Path, board: Board, sysroot: Entry, host: Entry
) -> None:
    next(sysroot.path.glob("usr/lib/some-linux-gnu/libc.so*")).unlink()
    with pytest.raises(EnvironmentFailed, match=r"libc\.so\S* is missing from"):
        build_base(tmp_path / "one", board, sysroot, host)


def build_payload(folder: Path, board: Board) -> Path:
    (folder / "data").mkdir(parents=True)
    for name, content in ((TA_FILE, b"ta"), ("elf", b"elf"), ("data/image", bytes(range(256)))):
        (folder / name).write_bytes(content)
    names = ("program", "second", "darknetp")
    app = Application(folder / TA_FILE, folder / "elf", names, cached=False)
    built = image.build_payload(job_in(folder, board), app, folder / "data", "key")
    assert [path.name for path in built.path.iterdir()] == [image.PAYLOAD]
    return built.path / image.PAYLOAD


def test_payload_is_a_file_system_of_one_size(tmp_path: Path, board: Board) -> None:
    payload = build_payload(tmp_path, board)
    assert payload.stat().st_size == image.PAYLOAD_SIZE
    for name, content in {
        f"{image.TA_FOLDER}/{TA_FILE}": b"ta",
        f"{image.PROGRAM_FOLDER}/program": b"elf",
        f"{image.PAYLOAD_DATA}/image": bytes(range(256)),
    }.items():
        argv = ["/sbin/debugfs", "-R", f"cat /{name}", str(payload)]
        assert subprocess.run(argv, capture_output=True, check=True).stdout == content
    for name in ("second", "darknetp"):
        argv = ["/sbin/debugfs", "-R", f"stat /{image.PROGRAM_FOLDER}/{name}", str(payload)]
        said = subprocess.run(argv, capture_output=True, check=True).stdout
        assert b'Fast link dest: "program"' in said


def test_payload_that_is_too_large(
    tmp_path: Path, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The image is full, not the disk."""
    monkeypatch.setattr(image, "PAYLOAD_SIZE", 1 << 20)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "huge").write_bytes(b"x" * (2 << 20))
    app = Application(Path("/etc/hostname"), HOST_PROGRAM, ("darknetp",), cached=False)
    with pytest.raises(EnvironmentFailed) as failed:
        image.build_payload(job_in(tmp_path, board), app, tmp_path / "data", "key")
    assert failed.value.hint is not None and failed.value.hint != DISK_FULL
    assert "must fit into 1 MiB" in failed.value.hint
