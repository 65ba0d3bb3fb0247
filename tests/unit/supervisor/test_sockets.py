import socket
from pathlib import Path

import pytest

from proxy.config.units import Address
from proxy.supervisor.sockets import StartError, address_of, listen, listen_unix


def test_port_0_is_resolved() -> None:
    (listener,) = listen(Address("127.0.0.1", 0), 1, "clients")
    with listener:
        where = address_of(listener)
        assert where.host == "127.0.0.1"
        with socket.create_connection((where.host, where.port)):
            pass


def test_workers_share_one_port() -> None:
    listeners = listen(Address("127.0.0.1", 0), 3, "clients")
    assert len({address_of(listener).port for listener in listeners}) == 1
    for listener in listeners:
        listener.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_taken_port_is_said_before_anything_starts(workers: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=f"cannot listen at 127.0.0.1:{port} for clients: the port is taken"):
            listen(Address("127.0.0.1", port), workers, "clients")


def test_two_proxies_with_several_workers_cannot_share_a_port() -> None:
    listeners = listen(Address("127.0.0.1", 0), 2, "clients")
    with pytest.raises(StartError, match="the port is taken"):
        listen(address_of(listeners[0]), 2, "clients")
    for listener in listeners:
        listener.close()


def test_an_address_of_another_machine_is_refused_in_words() -> None:
    with pytest.raises(StartError, match="choose an address of this machine"):
        listen(Address("192.0.2.1", 0), 1, "the admin port")


def test_a_listener_keeps_whoever_connects_while_its_process_is_away(tmp_path: Path) -> None:
    with listen_unix(tmp_path / "x.sock") as listener, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "x.sock"))
        client.sendall(b"hello")
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.recv(5) == b"hello"
