import socket

import pytest

from tests.kit.ports import LOOPBACK, black_hole_port, free_port, refusing_port


def test_free_port_can_be_bound() -> None:
    with socket.socket() as server:
        server.bind((LOOPBACK, free_port()))


def test_refusing_port_refuses_and_stays_taken() -> None:
    with refusing_port() as port:
        with socket.socket() as client, pytest.raises(ConnectionRefusedError):
            client.connect((LOOPBACK, port))
        with socket.socket() as rival, pytest.raises(OSError, match="in use"):
            rival.bind((LOOPBACK, port))


def test_black_hole_leaves_a_connect_unanswered() -> None:
    with black_hole_port() as port, socket.socket() as client:
        client.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.connect((LOOPBACK, port))
