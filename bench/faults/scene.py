"""The proxy of one row with its configuration, its admin port and its processes."""

import http.client
import json
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml

from bench.faults.footprint import Footprint, footprints, reset_peaks
from bench.load.child import Child, ChildError, fetch, free_port
from tests.kit.metrics import Metrics, identities, parse

SERVICE = "ranker"
READY = "/users/0/predictions"
_SETTLE_S = 20.0
_POLL_S = 0.1
_ADMIN_S = 10.0
ENDPOINTS = (
    {"name": "predictions", "match": "GET /users/{id}/predictions"},
    {"name": "uploads", "match": "POST /uploads/{id}", "read_only": True},
)


@dataclass(frozen=True, slots=True)
class Config:
    """What a proxy is started with; `mirror` and `top` go over the defaults of the service and the whole."""

    primary: str
    candidate: str
    mirror: dict[str, Any] = field(default_factory=dict)
    top: dict[str, Any] = field(default_factory=dict)

    def written(self, listen: int, admin: int, state: Path) -> str:
        """Return it as YAML; mirroring is off until it is switched on."""
        service = {
            "mode": "primary",
            "primary": {"version": "v1", "url": self.primary},
            "candidate": {"version": "v2", "url": self.candidate},
            "mirror": {"warm_up": "0s", **self.mirror},
            "endpoints": list(ENDPOINTS),
        }
        places = {"listen": f"127.0.0.1:{listen}", "admin": {"listen": f"127.0.0.1:{admin}"}, "state_dir": str(state)}
        return yaml.safe_dump({"version": 1, **places, **self.top, "services": {SERVICE: service}})


class Scene:
    """`with Scene(config, directory) as scene:` serves until the block ends; files go to the directory."""

    def __init__(self, config: Config, directory: Path) -> None:
        directory.mkdir(exist_ok=True)
        self.port, self._admin = free_port(), free_port()
        self._directory = directory
        self._file = directory / "shadow-proxy.yaml"
        self.write(config)

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "proxy.cli.main", "serve", "-c", str(self._file)]
        self._child = Child("shadow-proxy", command, self._directory)
        try:
            self._child.wait_until_answering(self.port, READY)
        except BaseException:
            self._child.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._child.__exit__()

    # --- its configuration

    def write(self, config: Config) -> None:
        """Write the file that the next start or reload reads."""
        self._file.write_text(config.written(self.port, self._admin, self._directory / "state"))

    def spoil(self) -> None:
        """Write a file that must be refused."""
        self._file.write_text("services: [\n")

    @property
    def kill_switch(self) -> Path:
        """The file whose presence stops mirroring."""
        return self._directory / "state" / "kill-switch"

    def reload(self) -> None:
        """SIGHUP."""
        os.kill(self._child.pid, signal.SIGHUP)

    # --- its admin port

    def switch(self, mode: str) -> None:
        """Change who answers; it is in force when this returns, give or take 50 ms."""
        token = (self._directory / "state" / "admin-token").read_text().strip()
        fields = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection = http.client.HTTPConnection("127.0.0.1", self._admin, timeout=_ADMIN_S)
        try:
            connection.request("PUT", f"/api/v1/services/{SERVICE}/mode", json.dumps({"mode": mode}), fields)
            answer = connection.getresponse()
            said = answer.read()
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise ChildError(f"mode {mode} was answered {answer.status}: {said.decode(errors='replace')}")

    def metrics(self) -> Metrics:
        """Scrape."""
        return parse(fetch(self._admin, "/metrics"))

    def settle(self, requests: int) -> tuple[Metrics, float]:
        """Wait until so many requests are counted and every pair has ended, or for as long as is decent.

        Returns the last scrape and by how much the identities miss in it.
        """
        deadline = time.monotonic() + _SETTLE_S
        while True:
            text = fetch(self._admin, "/metrics")
            missing = sum(abs(identity.left - identity.right) for identity in identities(text))
            found = parse(text)
            if (not missing and found.total("shadow_requests_total") >= requests) or time.monotonic() > deadline:
                return found, missing
            self._child.check_alive()
            time.sleep(_POLL_S)

    # --- its processes

    @property
    def pid(self) -> int:
        """The process that started the others."""
        return self._child.pid

    def footprints(self) -> list[Footprint]:
        """What its processes take up now."""
        return footprints(self._child.pid)

    def reset_peaks(self) -> None:
        """Let every process's largest RSS start again."""
        reset_peaks(self._child.pid)

    def kill(self, role: str) -> bool:
        """`kill -9` its process of this role; False if there is none at the moment."""
        found = [seen.pid for seen in self.footprints() if seen.role == role]
        for pid in found[:1]:
            os.kill(pid, signal.SIGKILL)
        return bool(found)
