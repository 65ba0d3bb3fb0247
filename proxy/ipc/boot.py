"""What the supervisor tells a process at its start: who it is, where its sockets are.

It travels as the one command line argument, as JSON. The settings in force lie beside the sockets in
`settings.json`, and where they were read from in `sources.json`. They are for this user's eyes only: settings
may hold credentials of backends, which is why a judge, which parses what a candidate sends, never reads them.
"""

import json
import os
import resource
import signal
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from proxy.config.logs import configure
from proxy.config.models import Settings
from proxy.core.quarantine import Kill, Suspect
from proxy.ipc.kill_switch import KillSwitch

CONTROL_SOCKET = "control.sock"
SETTINGS_FILE = "settings.json"
SOURCES_FILE = "sources.json"
PROCESSES_FILE = "processes.json"
RELOADED = "reloaded"


@dataclass(frozen=True, slots=True)
class Boot:
    """One start of one process.

    Attributes:
        process: its name: `control`, `worker-0`, `judge-0`…
        incarnation: its name, a colon, and what differs at every start; of two of a process the older one sorts first.
        run: differs at every start of the supervisor.
        instance: the proxy's name in Via, one per state directory.
        runtime_dir: sockets, `settings.json`, `sources.json`, `processes.json`; gone when the supervisor ends.
        state_dir: what outlives it: modes, evidence, audit log, token.
        fds: inherited descriptors by purpose. All: `alive` (a pipe that ends with the supervisor), `ready` (a
            pipe to say that this process is at work, and what it has done), `killed` (the kill switch's memory).
            Control: `admin` (TCP listener), `control` (Unix listener), `lock` (of the state directory).
            Worker: `listen` (TCP listener), `judge` (Unix listener its judge connects to).
        log_format: how to log; it stays as it was at the start.
        kills: a judge's: what earlier ones of this name died of, oldest first.
    """

    process: str
    incarnation: str
    run: str
    instance: str
    runtime_dir: str
    state_dir: str
    fds: dict[str, int]
    log_format: Literal["text", "json"] = "text"
    kills: tuple[Kill, ...] = ()

    def encode(self) -> str:
        """The command line argument."""
        return json.dumps(asdict(self))

    @classmethod
    def decode(cls, argument: str) -> "Boot":
        """The reverse of `encode`."""
        told = json.loads(argument)
        kills = tuple(Kill(**{**kill, "suspect": Suspect(**kill["suspect"])}) for kill in told.pop("kills"))
        return cls(**told, kills=kills)

    @property
    def control_socket(self) -> str:
        """The path of control's socket."""
        return f"{self.runtime_dir}/{CONTROL_SOCKET}"

    def judge_socket(self, worker: str) -> str:
        """The path of the socket where a worker awaits its judge."""
        return f"{self.runtime_dir}/{worker}.sock"

    @property
    def whereabouts(self) -> Path:
        """Where a judge keeps what it is at."""
        return Path(self.runtime_dir) / f"{self.process}.at"

    @property
    def kill_switch(self) -> KillSwitch:
        """The one that workers obey, and control tells of."""
        return KillSwitch(Path(self.state_dir), self.fds["killed"])

    def announce_ready(self) -> None:
        """Tell the supervisor that this process is at work."""
        os.write(self.fds["ready"], f"{self.process}\n".encode())

    def announce_reloaded(self) -> None:
        """Tell it that what it passed on, SIGHUP, has been dealt with."""
        os.write(self.fds["ready"], f"{RELOADED}\n".encode())

    def settings(self) -> Settings:
        """The settings in force now. Raises OSError and ValueError."""
        return Settings.model_validate_json((Path(self.runtime_dir) / SETTINGS_FILE).read_bytes())


def prepare_settings(runtime_dir: Path, settings: Settings) -> Callable[[], None]:
    """Write settings beside the others, for nobody else's eyes. Raises OSError.

    What it returns puts them in place, in one step: processes that start from then on find them.
    """
    fresh = runtime_dir / f"{SETTINGS_FILE}.new"
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(json.dumps(settings.with_secrets()))

    def keep() -> None:
        fresh.replace(runtime_dir / SETTINGS_FILE)

    return keep


def enter(argument: str) -> Boot:
    """What a process does first: know who it is, leave people's signals to the supervisor, log.

    It leaves no core behind: what it holds in memory is other people's traffic.
    """
    boot = Boot.decode(argument)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    configure(boot.log_format, boot.process)
    return boot
