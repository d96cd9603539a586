"""Ports on the loopback address."""

from __future__ import annotations

import socket

import pytest

from penstock.embedded.ports import free_ports, require_free
from penstock.errors import StartFailed


def test_free_ports_are_all_different() -> None:
    ports = free_ports(20)

    assert len(set(ports)) == 20


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(StartFailed, match=f"port {port} on 127.0.0.1 is taken"):
            require_free(port)
    require_free(port)
