# SPDX-License-Identifier: MIT
"""Targets of an image: which ones are refused, by lsblk's answers and on real loop devices."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

import loopdevices
import pytest
from loopdevices import MIB, loop_device

from tzkit.errors import EnvironmentFailed, RequestError
from tzkit.flash import device as devices
from tzkit.flash.device import Device, find_device, locked, parse_lsblk, refuse, refuse_claimed
from tzkit.process import Runner

GIB = 1 << 30


def answer(path: str, children: tuple[dict[str, Any], ...] = (), **fields: Any) -> dict[str, Any]:
    """One device in the form of lsblk's JSON."""
    nothing: dict[str, Any] = dict.fromkeys(
        ("pkname", "vendor", "model", "serial", "tran", "pttype", "fstype", "label", "partlabel")
    )
    usual = {"type": "disk", "size": 32 * GIB, "rm": False, "hotplug": False, "ro": False}
    found = {"path": path, **nothing, **usual, "mountpoints": [None], **fields}
    return {**found, "children": list(children)} if children else found


def lsblk(path: str, *children: dict[str, Any], card: str = "", **fields: Any) -> Device:
    """What tzkit makes of the answer; ``card`` is the kernel's word beside it."""
    return parse_lsblk(json.dumps({"blockdevices": [answer(path, children, **fields)]}), card=card)


def part(path: str, *children: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return answer(path, children, type="part", size=8 * GIB, **fields)


Fields = dict[str, Any]

USB_STICK: Fields = {
    "vendor": "SanDisk ",
    "model": "Ultra",
    "serial": "4C53",
    "tran": "usb",
    "rm": True,
    "hotplug": True,
}
SATA: Fields = {"vendor": "ATA     ", "model": "Samsung SSD 870", "tran": "sata"}
MMC: Fields = {"hotplug": True}  # the same for a card and for eMMC
LVM_ROOT = answer("/dev/mapper/vg-root", type="lvm", mountpoints=["/"])
CRYPT = answer("/dev/mapper/secret", type="crypt")

ACCEPTED = {
    "usb stick": lsblk("/dev/sdb", part("/dev/sdb1", label="BOOT"), **USB_STICK),
    "usb disk that says it is fixed": lsblk("/dev/sdb", tran="usb", hotplug=True),
    "card in a built-in reader": lsblk("/dev/mmcblk0", card="SD", **MMC),
    "loop device": lsblk("/dev/loop0", type="loop"),
    "plain file": Device(path=Path("/x/card.img"), type="file", size=MIB),
}
REFUSED = {
    "partition": (
        lsblk("/dev/sdb1", type="part", pkname="sdb"),
        "is a partition.*\n.*name the whole device: /dev/sdb$",
    ),
    "logical volume": (lsblk("/dev/dm-0", type="lvm"), "no disk: lsblk calls it 'lvm'"),
    "optical drive": (lsblk("/dev/sr0", type="rom", rm=True), "calls it 'rom'"),
    "system disk": (
        lsblk("/dev/sda", part("/dev/sda1", mountpoints=["/boot/efi"]), **SATA),
        "ATA Samsung SSD 870, 32 GiB. holds the running system: /boot/efi",
    ),
    "system on a stick": (
        lsblk("/dev/sdb", part("/dev/sdb1", mountpoints=["/"]), **USB_STICK),
        "holds the running system: /",
    ),
    "eMMC with the system": (
        lsblk("/dev/mmcblk0", part("/dev/mmcblk0p2", mountpoints=["/"]), card="MMC", **MMC),
        "holds the running system",
    ),
    "system in a logical volume": (
        lsblk("/dev/sda", part("/dev/sda2", LVM_ROOT), **SATA),
        "holds the running system: /",
    ),
    "swap": (
        lsblk("/dev/sdb", part("/dev/sdb2", mountpoints=["[SWAP]"]), **USB_STICK),
        r"holds the running system: \[SWAP\]",
    ),
    "mounted": (
        lsblk("/dev/sdb", part("/dev/sdb1", mountpoints=[None, "/media/my card"]), **USB_STICK),
        "mounted on /media/my card\n.*sudo umount '/media/my card'",
    ),
    "mounted without partitions": (
        lsblk("/dev/sdb", mountpoints=["/mnt"], **USB_STICK),
        "mounted on /mnt",
    ),
    "dm holder": (
        lsblk("/dev/sdb", part("/dev/sdb1", CRYPT), **USB_STICK),
        r"part of /dev/mapper/secret \(crypt\)",
    ),
    "raid member": (
        lsblk("/dev/sdb", answer("/dev/md0", type="raid1"), **USB_STICK),
        r"part of /dev/md0 \(raid1\)",
    ),
    "read-only": (lsblk("/dev/sdb", ro=True, **USB_STICK), "is read-only"),
    "reader without a card": (lsblk("/dev/sdb", size=0, **USB_STICK), "no medium in it"),
    "too small": (
        lsblk("/dev/sdb", size=MIB - 1, **USB_STICK),
        "does not fit: 1048576 bytes, /dev/sdb has 1048575\n.*at least 1 MiB",
    ),
    "small file": (Device(path=Path("/x/f"), type="file", size=0), "does not fit"),
}
BUILT_IN = {
    "sata": lsblk("/dev/sda", **SATA),
    "nvme": lsblk("/dev/nvme0n1", tran="nvme"),
    "eMMC": lsblk("/dev/mmcblk0", card="MMC", **MMC),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_accepted(case: str) -> None:
    refuse(ACCEPTED[case], MIB, force=False)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("case", REFUSED)
def test_refused_whatever_is_forced(case: str, force: bool) -> None:
    device, message = REFUSED[case]
    with pytest.raises(RequestError) as refused:
        refuse(device, MIB, force)
    refused.match(message)
    assert refused.value.hint


@pytest.mark.parametrize("case", BUILT_IN)
def test_built_in_disk_is_refused_unless_forced(case: str) -> None:
    with pytest.raises(RequestError, match=r"is built in(.|\n)*--force"):
        refuse(BUILT_IN[case], MIB, force=False)
    refuse(BUILT_IN[case], MIB, force=True)


def test_answer_of_several_devices_is_not_believed() -> None:
    """A list in place of a tree would hide mounted partitions."""
    text = json.dumps({"blockdevices": [answer("/dev/sdb"), part("/dev/sdb1")]})
    with pytest.raises(ValueError, match="blockdevices"):
        parse_lsblk(text)


def test_no_such_device(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"No such file or directory\n.*lsblk"):
        find_device(str(tmp_path / "sdx"), Runner())


@pytest.mark.parametrize("name", ["/dev/null", "/"])
def test_neither_device_nor_file(name: str) -> None:
    with pytest.raises(RequestError, match="neither a block device nor a file"):
        find_device(name, Runner())


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "card.img").write_bytes(b"12345")
    (tmp_path / "by-id").symlink_to("card.img")
    found = find_device(str(tmp_path / "by-id"), Runner())
    assert (found.path, found.size, found.is_block) == (tmp_path / "card.img", 5, False)


def test_user_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "card.img").touch()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(EnvironmentFailed, match=r"no permission(.|\n)*sudo"):
        refuse_claimed(find_device(str(tmp_path / "card.img"), Runner()))


def test_two_writers_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "LOCK_SECONDS", 0.05)
    (tmp_path / "card.img").touch()
    card = find_device(str(tmp_path / "card.img"), Runner())
    with (tmp_path / "card.img").open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        with pytest.raises(RequestError, match="another program is working on"), locked(card):
            raise AssertionError("locked twice")
    for _ in range(2):
        with locked(card):
            pass


def test_system_disk_of_this_machine() -> None:
    source = loopdevices.call("findmnt", "--noheadings", "--output", "SOURCE", "/")
    if not Path(source).is_block_device():
        pytest.skip(f"the root file system is on {source}, no block device")
    device = find_device(source, Runner())
    if device.pkname:
        device = find_device(f"/dev/{device.pkname}", Runner())
    with pytest.raises(RequestError, match=r"holds the running system|no disk"):
        refuse(device, 1, force=True)


def test_loop_device_is_seen_as_it_is() -> None:
    with loop_device(4 * MIB) as path:
        device = find_device(str(path), Runner())
        refuse(device, 4 * MIB, force=False)
        refuse_claimed(device)
    assert (device.path, device.type, device.size) == (path, "loop", 4 * MIB)


def test_drive_without_a_medium() -> None:
    """lsblk would leave it out, unless asked for all."""
    with loop_device(0) as path, pytest.raises(RequestError, match="no medium in it"):
        refuse(find_device(str(path), Runner()), 1, force=False)


def test_another_medium_is_another_device() -> None:
    """Same drive, same size: the kernel counts the media."""
    with loop_device(MIB) as path:
        first = find_device(str(path), Runner())
    with loop_device(MIB) as path:
        second = find_device(str(path), Runner())
        if not Path("/sys/class/block", path.name, "diskseq").exists():
            pytest.skip("this kernel does not count media")
    assert first.identity != second.identity


def test_read_only_loop_device() -> None:
    with (
        loop_device(MIB, "--read-only") as path,
        pytest.raises(RequestError, match="is read-only"),
    ):
        refuse(find_device(str(path), Runner()), 1, force=True)


def test_partition_of_a_loop_device() -> None:
    with loop_device(16 * MIB, "--partscan") as path, loopdevices.partition(path) as part:
        with pytest.raises(RequestError, match=f"name the whole device: {path}$"):
            refuse(find_device(str(part), Runner()), 1, force=True)
        refuse(find_device(str(path), Runner()), 1, force=False)


def test_mounted_partition_of_a_loop_device(tmp_path: Path) -> None:
    with (
        loop_device(16 * MIB, "--partscan") as path,
        loopdevices.partition(path) as part,
        loopdevices.mounted(part, tmp_path / "card"),
    ):
        device = find_device(str(path), Runner())
        with pytest.raises(RequestError, match=f"mounted on {tmp_path}/card"):
            refuse(device, 1, force=True)
        with pytest.raises(RequestError, match="in use by the kernel"):
            refuse_claimed(device)


def test_claimed_by_what_lsblk_does_not_show() -> None:
    with loop_device(MIB) as path:
        device = find_device(str(path), Runner())
        claim = os.open(path, os.O_RDONLY | os.O_EXCL)
        try:
            with pytest.raises(RequestError, match="in use by the kernel"):
                refuse_claimed(device)
        finally:
            os.close(claim)
        refuse_claimed(device)
