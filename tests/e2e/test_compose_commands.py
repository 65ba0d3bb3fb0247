"""The commands of docker-compose.yml run by hand: the same words, with this machine's ports and folders."""

import http.client
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kit import metrics
from tests.kit.polling import wait_until
from tests.kit.ports import LOOPBACK, free_port
from tests.kit.processes import Process

ROOT = Path(__file__).parents[2]
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text()
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
IN_CONTAINERS = ("9101", "9102", "8080", "8081")
TOKEN = "0123456789abcdef"
START_S = 20.0


@dataclass(frozen=True)
class Hand:
    """What a container would have given a command: its ports, its folders, its programs."""

    folder: Path
    ports: dict[str, int] = field(default_factory=lambda: {port: free_port() for port in IN_CONTAINERS})

    def words(self, command: Sequence[str]) -> list[str]:
        """A command as it runs here."""
        program, *arguments = command
        if program in SCRIPTS:
            arguments = ["-m", SCRIPTS[program].partition(":")[0], *arguments]
        return [sys.executable, *map(self.text, arguments)]

    def text(self, text: str) -> str:
        """A word or a file, with every address and path of a container replaced."""
        for path in ("/etc/shadow-proxy", "/run/secrets", "/var/lib/shadow-proxy"):
            text = text.replace(path, str(self.folder))
        return re.sub(
            rf"\b(?:0\.0\.0\.0|127\.0\.0\.1|v1|v2|proxy):({'|'.join(IN_CONTAINERS)})\b",
            lambda found: f"{LOOPBACK}:{self.ports[found[1]]}",
            text,
        )

    def is_healthy(self, name: str) -> bool:
        """What the container's own health check says."""
        check = SERVICES[name].get("healthcheck", {"test": ["CMD", *image_health_check()]})["test"]
        return (
            subprocess.run(self.words(check[1:]), cwd=ROOT, capture_output=True, timeout=10, check=False).returncode
            == 0
        )

    def scrape(self) -> str:
        """`/metrics` as Prometheus asks for it: by the service's name, without a token."""
        connection = http.client.HTTPConnection(LOOPBACK, self.ports["8081"], timeout=5)
        try:
            connection.request("GET", "/metrics", headers={"Host": "proxy:8081"})
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        assert answer.status == 200, text
        return text


def image_health_check() -> list[str]:
    """The command of the image's HEALTHCHECK."""
    found = re.search(r"^HEALTHCHECK (?:.*\\\n)?\s*CMD (\[.+\])$", DOCKERFILE, re.MULTILINE)
    assert found
    command: list[str] = json.loads(found[1])
    return command


@pytest.fixture(scope="module")
def hand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hand]:
    """Backends and proxy, started in the order of the compose file, each once the one before is healthy."""
    hand = Hand(tmp_path_factory.mktemp("compose"))
    configuration = hand.folder / "shadow-proxy.yaml"
    configuration.write_text(hand.text((ROOT / "deploy/compose/shadow-proxy.yaml").read_text()))
    (hand.folder / "admin_token").touch(mode=0o600)
    (hand.folder / "admin_token").write_text(TOKEN)
    with ExitStack() as stack:
        for name in ("v1", "v2", "proxy"):
            process = stack.enter_context(Process(hand.words(SERVICES[name]["command"]), cwd=ROOT))
            wait_until(partial(hand.is_healthy, name), f"{name} is healthy", START_S)
            assert process.exit_code is None
        yield hand


def test_image_starts_what_the_compose_file_starts() -> None:
    started = re.search(r"^CMD (\[.+\])$", DOCKERFILE, re.MULTILINE)
    assert started
    assert json.loads(started[1]) == SERVICES["proxy"]["command"]


def test_load_is_mirrored_and_compared_and_prometheus_sees_it(hand: Hand) -> None:
    def compared() -> bool:
        return metrics.parse(hand.scrape()).total("shadow_comparisons_total", endpoint="score") > 0

    with Process(hand.words(SERVICES["load"]["command"]), cwd=ROOT):
        wait_until(compared, "pairs are compared", START_S)
    wait_until(lambda: metrics.balanced(hand.scrape()), "nothing is in flight", START_S)
    metrics.assert_identities(hand.scrape())


def test_admin_port_answers_no_other_name(hand: Hand) -> None:
    connection = http.client.HTTPConnection(LOOPBACK, hand.ports["8081"], timeout=5)
    connection.request("GET", "/metrics", headers={"Host": "elsewhere:8081"})
    assert connection.getresponse().status == 421
    connection.close()
