"""What the supervisor tells a process at its start: who it is, where its sockets are.

It travels as the one command line argument, as JSON. The settings lie beside the sockets in
`settings.json`; both are for this user's eyes only and hold no secret.
"""

import json
import os
import resource
import signal
from dataclasses import asdict, dataclass
from pathlib import Path

from proxy.config.logs import configure
from proxy.config.models import Settings

CONTROL_SOCKET = "control.sock"
SETTINGS_FILE = "settings.json"
PROCESSES_FILE = "processes.json"


@dataclass(frozen=True, slots=True)
class Boot:
    """One start of one process.

    Attributes:
        process: its name: `control`, `worker-0`, `judge-0`…
        incarnation: differs at every start of any process.
        run: differs at every start of the supervisor.
        instance: the proxy's name in Via, one per state directory.
        runtime_dir: sockets, `settings.json`, `processes.json`; gone when the supervisor ends.
        state_dir: what outlives it: modes, evidence, audit log, token.
        fds: inherited descriptors by purpose. All: `alive` (a pipe that ends with the supervisor), `ready` (a
            pipe to say that this process is at work).
            Control: `admin` (TCP listener), `control` (Unix listener). Worker: `listen` (TCP listener),
            `judge` (Unix listener its judge connects to).
    """

    process: str
    incarnation: str
    run: str
    instance: str
    runtime_dir: str
    state_dir: str
    fds: dict[str, int]

    def encode(self) -> str:
        """The command line argument."""
        return json.dumps(asdict(self))

    @classmethod
    def decode(cls, argument: str) -> "Boot":
        """The reverse of `encode`."""
        return cls(**json.loads(argument))

    @property
    def control_socket(self) -> str:
        """The path of control's socket."""
        return f"{self.runtime_dir}/{CONTROL_SOCKET}"

    def judge_socket(self, worker: str) -> str:
        """The path of the socket where a worker awaits its judge."""
        return f"{self.runtime_dir}/{worker}.sock"

    def announce_ready(self) -> None:
        """Tell the supervisor that this process is at work."""
        os.write(self.fds["ready"], f"{self.process}\n".encode())

    def settings(self) -> Settings:
        """The settings this run was started with."""
        return Settings.model_validate_json((Path(self.runtime_dir) / SETTINGS_FILE).read_bytes())


def enter(argument: str) -> Boot:
    """What a process does first: know who it is, leave the terminal's signals to the supervisor, log.

    It leaves no core behind: what it holds in memory is other people's traffic.
    """
    boot = Boot.decode(argument)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    configure(boot.settings().log_format, boot.process)
    return boot
