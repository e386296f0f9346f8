# SPDX-License-Identifier: MIT
"""Listeners for QEMU's consoles, and the one port that cannot be chosen."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tzkit.errors import EnvironmentFailed
from tzkit.upstream.run import LOCALHOST, Listener, _gdb_port


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


def test_probes_are_not_taken_for_the_console(listener: Listener) -> None:
    for _ in range(3):
        with socket.create_connection((LOCALHOST, listener.port)):
            pass
    with (
        socket.create_connection((LOCALHOST, listener.port)) as silent,
        listener.connection(5) as connected,
    ):
        silent.send(b"hello")
        assert connected.recv(5) == b"hello"


def test_a_console_may_speak_at_once_and_hang_up(listener: Listener) -> None:
    with socket.create_connection((LOCALHOST, listener.port)) as hasty:
        hasty.send(b"panic")
    with listener.connection(5) as connected:
        assert connected.recv(5) == b"panic"


def test_a_probe_that_is_reset(listener: Listener) -> None:
    rude = socket.create_connection((LOCALHOST, listener.port))
    rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    rude.close()
    with pytest.raises(EnvironmentFailed, match=f"did not connect to port {listener.port}"):
        listener.connection(0.5)


def test_nobody_but_probes(listener: Listener) -> None:
    began = time.monotonic()
    with socket.create_connection((LOCALHOST, listener.port)):
        pass
    with pytest.raises(EnvironmentFailed, match="did not connect"):
        listener.connection(0.5)
    assert time.monotonic() - began < 3


def test_two_listeners_have_two_ports(listener: Listener) -> None:
    other = Listener()
    assert other.port != listener.port
    other.close()


def test_a_fixed_port_that_is_taken(listener: Listener) -> None:
    with pytest.raises(EnvironmentFailed, match=f"port {listener.port}.*is taken"):
        Listener(listener.port)


def test_two_systems_of_the_tree_collide_in_words(listener: Listener, tmp_path: Path) -> None:
    free = socket.socket()
    free.bind((LOCALHOST, 0))
    port = free.getsockname()[1]
    free.close()
    with (
        _gdb_port(port, tmp_path),
        pytest.raises(EnvironmentFailed, match=f"port {port}.*another system"),
        _gdb_port(port, tmp_path),
    ):
        pass
    with _gdb_port(port, tmp_path):
        pass


def test_the_port_is_anothers(listener: Listener, tmp_path: Path) -> None:
    with (
        pytest.raises(EnvironmentFailed, match=f"port {listener.port}"),
        _gdb_port(listener.port, tmp_path),
    ):
        pass
