# SPDX-License-Identifier: MIT
"""The tables of a board file: what each means, and what is refused in it.

:mod:`tzkit.board` puts them together. A table that is absent means that the board has nothing of
the kind; no code asks for a board's name.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from tzkit.toml import Table
from tzkit.units import parse_size

PAGE = 4096

Size = Annotated[int, BeforeValidator(parse_size), Field(gt=0)]
PageSize = Annotated[int, BeforeValidator(parse_size), Field(gt=0, multiple_of=PAGE)]
Address = Annotated[int, BeforeValidator(parse_size), Field(ge=0, multiple_of=PAGE)]

Arch = Literal["arm64", "armhf"]
ConsoleName = Literal["normal", "secure"]
Loaded = Literal["kernel", "initramfs", "device_tree"]  # what a loader puts at an address


class SecureMemory(Table):
    """The memory only the secure world can touch (TZDRAM)."""

    start: Address
    size: PageSize
    core: PageSize = Field(description="what OP-TEE itself occupies")
    isolated: bool = Field(
        default=True, description="whether hardware, or the emulator, keeps the normal world out"
    )

    @model_validator(mode="after")
    def core_fits(self) -> SecureMemory:
        if self.core >= self.size:
            raise ValueError("core takes all of the secure memory, nothing is left for TAs")
        return self


class TrustedApplication(Table):
    """Word size and memory of our trusted application, and what OP-TEE can map for one."""

    arch: Arch = Field(description="arm64: 64-bit trusted applications, armhf: 32-bit")
    stack: PageSize
    heap: PageSize
    page_table_entries: int = Field(gt=0, description="CFG_PGT_CACHE_ENTRIES of its OP-TEE")
    page_table_span: Size = Field(description="virtual memory that one entry maps")


class ConsoleLine(Table):
    """A serial line of the board, by the name suites use for it."""

    uart: str = Field(description="what the hardware calls it; equal names are one shared line")
    device: str | None = Field(default=None, description="what Linux calls it, such as ttyAMA0")
    speed: int = Field(gt=0, description="baud")


class Login(Table):
    """How a shell is reached on the system that the board boots."""

    user: str = "root"
    prompt: str = Field(description="the text after which the user's name is typed")


class Source(Table):
    """A source package; ``suite`` when it is to come from another one than the binaries."""

    name: str
    suite: str | None = None


class Debian(Table):
    """What ``--source debian`` takes for this board, and what can be made of it.

    ``gives``: ``system`` when everything up to a bootable image, ``application`` when OP-TEE's core
    and our application for a system that is already on the board.
    """

    gives: Literal["system", "application"]
    limits: str = Field(min_length=1, description="what it cannot do, for people")
    suite: str
    packages: tuple[str, ...] = Field(min_length=1)
    devkit: str | None = Field(
        default=None, description="TA dev kit in the packages; without it the [optee] one is used"
    )


class Optee(Table):
    """OP-TEE OS and its TA dev kit, built from a source package."""

    source: Source
    make: tuple[str, ...] = Field(min_length=1, description="make variables")
    devkit: str = Field(description="folder of the dev kit in the build output")
    sign_key: str | None = Field(
        default=None, description="key in the packages whose TAs this core is to accept"
    )


class Edit(Table):
    """A change to a file of a source package: ``old`` stands in it exactly once."""

    file: str
    old: str = Field(min_length=1)
    new: str


class Firmware(Table):
    """Trusted Firmware-A, built from a source package."""

    source: Source
    make: tuple[str, ...] = Field(min_length=1, description="variables and goals; {…}: files")
    files: dict[str, str] = Field(default={}, description="files of the unpacked packages")
    optee_files: dict[str, str] = Field(default={}, description="files of the built OP-TEE")
    edits: tuple[Edit, ...] = ()
    output: str


class KernelBuild(Table):
    """A kernel from Debian's source with a small configuration."""

    source: Source
    arch: str = Field(description="what the kernel's makefile calls the architecture")
    goal: str
    output: str
    options: tuple[str, ...] = Field(min_length=1, description="set to y, on top of allnoconfig")


class Kernel(Table):
    """The normal world's kernel: a file of the packages, or built."""

    image: str | None = None
    build: KernelBuild | None = None
    load: tuple[str, ...] = Field(
        default=(), description="modules that init inserts, after those that they need"
    )

    @model_validator(mode="after")
    def consistent(self) -> Kernel:
        if (self.image is None) == (self.build is None):
            raise ValueError("either image or build is needed")
        return self


class RootFs(Table):
    """What of the packages goes into the base system."""

    programs: tuple[str, ...] = Field(min_length=1)
    trusted_applications: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


class Reserved(Table):
    """Memory that Linux must leave alone."""

    start: Address
    size: PageSize


class DeviceTree(Table):
    """Device trees of the packages, and what they must say besides for OP-TEE to be found."""

    files: dict[str, str] = Field(min_length=1, description="by the name they get")
    emulated: str = Field(description="the one whose board is emulated")
    strings: dict[str, dict[str, tuple[str, ...]]] = Field(description="by node and property")
    removed: dict[str, tuple[str, ...]] = Field(default={}, description="properties, by node")
    reserved: dict[str, Reserved]


class Card(Table):
    """An SD card: a FAT partition that the board's own loader reads, and the root file system.

    ``files`` are names on the FAT partition for what is built. ``loader`` are files of
    ``loader_package`` that start the board and may not be had; without them the card is made all
    the same.
    """

    boot: PageSize
    root: PageSize
    config: str = Field(description="template of the loader's configuration, its name with .j2")
    files: dict[Literal["firmware", "kernel", "initramfs"], str]
    loader_package: str
    loader_component: str = Field(description="section of the archive that has it")
    loader: tuple[str, ...]
    addresses: dict[Loaded, Address]
    modules: tuple[str, ...] = Field(description="that the initramfs needs to mount the root")
    network: tuple[str, ...] = Field(default=(), description="modules of its network")
    kernel_arguments: str


class Xtest(Table):
    """OP-TEE's test suite on this board; without the table the board has none.

    ``without`` are cases that this pair of xtest and core is known not to pass, each with why.
    """

    level: Literal["full", "smoke"] = "full"
    without: dict[str, str] = Field(default={})


class Payload(Table):
    """The disk with TA, darknetp and data, as the emulated system sees it."""

    device: str
    modules: tuple[str, ...] = Field(default=(), description="inserted before it is mounted")


class Emulator(Table):
    """How the board is emulated; ``arguments`` may hold {firmware} and the other image files."""

    program: str
    memory: Size
    linux_memory: Size | None = Field(
        default=None, description="what a device tree gives to Linux of it; None: all"
    )
    arguments: tuple[str, ...] = Field(min_length=1)
    serials: tuple[ConsoleName, ...] = Field(min_length=1, description="order of its serial lines")
    kernel_arguments: str
    payload: Payload | None = Field(default=None, description="None: all is in the image")
    warm_start: bool = Field(
        default=True, description="whether the booted system can be saved before the payload"
    )
    disabled: tuple[str, ...] = Field(
        default=(), description="device tree nodes of hardware that is not emulated"
    )
    boot_seconds: float = Field(gt=0, description="deadline from reset to shell")

    @model_validator(mode="after")
    def saved_without_payload(self) -> Emulator:
        if self.warm_start and self.payload is None:
            raise ValueError(
                "warm_start: a system that holds the payload cannot be saved before it"
            )
        return self


class SimulatedMemory(Table):
    """How ``--secure-memory`` gives an emulated board more than its hardware has.

    The memory is ordinary RAM that the normal world could reach too: for simulation only. In
    ``optee.make`` and the edits' new text, {start}, {size} (hexadecimal) and {entries} are filled
    in.
    """

    size: PageSize | None = Field(
        default=None, description="simulate this much without --secure-memory being given"
    )
    start: Address
    largest: PageSize
    optee: Optee
    optee_files: dict[str, str] = Field(description="in place of files of the packages")
    edits: tuple[Edit, ...]


class Medium(Table):
    """What the board's root file system is and how large it may be."""

    rootfs: Literal["initramfs", "ext2", "ext4"]
    where: str = Field(description="what holds it, for people")
    limit: Size | None = Field(default=None, description="most it may hold; None: memory decides")


class Flash(Table):
    """How an image gets onto the real board.

    ``disk``: written to an SD card or other disk; ``make``: OP-TEE's own ``make GOAL``, which asks
    ``questions``; ``none``: there is nothing to write.
    """

    kind: Literal["none", "disk", "make"]
    how: str = Field(min_length=1, description="what a person does, in short")
    goal: str | None = None
    questions: tuple[str, ...] = Field(
        default=(), description="texts it waits at, each answered by Enter"
    )
    variables: tuple[str, ...] = Field(default=(), description="must be set in the environment")

    @model_validator(mode="after")
    def make_has_a_goal(self) -> Flash:
        if (self.kind == "make") != (self.goal is not None):
            raise ValueError("kind 'make' needs a goal, the others have none")
        return self


class UpstreamRun(Table):
    """How OP-TEE's own tree starts an emulated board: frozen, under QEMU's monitor on stdio."""

    goal: str
    ports: dict[ConsoleName, str] = Field(description="make variables that name TCP ports")
    monitor_prompt: str = Field(min_length=1)
    start_command: str = Field(min_length=1, description="typed at the prompt to let it run")
    gdb_port: int = Field(gt=0, description="fixed: two runs on a machine would collide")
    boot_seconds: float = Field(gt=0, description="deadline from the start to the login prompt")


class Upstream(Table):
    """What ``--source upstream`` makes for this board with OP-TEE's own build tree."""

    manifest: str = Field(pattern=r"^[\w-]+\.xml$", description="file of OP-TEE's manifest.git")
    make: tuple[str, ...] = Field(default=(), description="variables of the make command")
    goals: tuple[str, ...] = Field(default=("all",), min_length=1)
    devkit: str = Field(description="TA dev kit in the tree")
    image: str = Field(description="what is written or started, in the tree")
    room: Size | None = Field(
        default=None, description="of the medium, for data; None: all of it, nobody measured"
    )
    tools: dict[str, str] = Field(default={}, description="further programs and their packages")
    run: UpstreamRun | None = Field(default=None, description="None: its tree does not emulate it")

    @field_validator("make")
    @classmethod
    def only_variables(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [word for word in words if not re.match(r"[A-Za-z]\w*=", word)]
        if wrong:
            raise ValueError(f"{', '.join(wrong)}: write NAME=value; goals have a key of their own")
        return words

    @property
    def name(self) -> str:
        """The manifest without its suffix."""
        return self.manifest.removesuffix(".xml")
