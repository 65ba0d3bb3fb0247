import socket

import pytest

from proxy.demo import load
from proxy.demo.stage import HOST, Ports, addresses, environment, is_free


def test_a_port_somebody_listens_at_is_not_free_and_the_next_one_is_taken() -> None:
    with socket.create_server((HOST, 0)) as taken:
        assert not is_free(taken.getsockname()[1])


def test_usual_addresses_are_distinct_and_free() -> None:
    ports = [int(where.rpartition(":")[2]) for where in addresses(Ports.USUAL).values()]
    assert len(set(ports)) == 4
    assert all(map(is_free, ports))


def test_auto_leaves_every_port_to_the_system() -> None:
    assert addresses(Ports.AUTO) == dict.fromkeys(("proxy", "admin", "v1", "v2"), f"{HOST}:0")


def test_settings_meant_for_another_proxy_stay_out() -> None:
    given = {"PATH": "/bin", "SHADOW_PROXY_ADMIN_TOKEN": "x", "SHADOW_PROXY_ADMIN__LISTEN": "y"}
    assert environment(given) == {"PATH": "/bin"}


@pytest.mark.parametrize("rate", ["0", "-1", "nan", "inf", "many"])
def test_a_load_needs_a_rate_above_none(rate: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        load.main(["--to", "http://127.0.0.1:1", "--rate", rate])
    assert ended.value.code == 2
    assert "--rate" in capsys.readouterr().err
