"""Whether this proxy can serve: a worker is there, and each primary accepts connections. Never asks the candidate."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog

from proxy.config.models import Settings
from proxy.config.units import Origin

log = structlog.get_logger()

PROBE_S = 1.0
"""Longest wait for a connection, and how long its outcome is believed."""


class Probe:
    """Whether one backend accepts TCP connections; asked at most once a second, whoever wants to know."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._asking: asyncio.Task[str | None] | None = None
        self._asked_at = 0.0

    async def refusal(self) -> str | None:
        """Why it does not, or None."""
        now = asyncio.get_running_loop().time()
        if self._asking is None or (self._asking.done() and now - self._asked_at >= PROBE_S):
            self._asked_at = now
            self._asking = asyncio.create_task(connect(self._origin))
        return await asyncio.shield(self._asking)


async def connect(origin: Origin) -> str | None:
    """Connect and hang up; why that failed, or None."""
    try:
        async with asyncio.timeout(PROBE_S):
            _, writer = await asyncio.open_connection(origin.host, origin.port)
    except TimeoutError:
        return f"no connection within {PROBE_S:g} s"
    except (OSError, UnicodeError) as refused:  # a name that is too long to look up is the latter
        return "connection refused" if isinstance(refused, ConnectionRefusedError) else "cannot be reached"
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return None


class Readiness:
    """Answers `/readyz`."""

    def __init__(self, settings: Settings, connected: Callable[[], frozenset[str]]) -> None:
        self._connected = connected
        self.configure(settings)

    def configure(self, settings: Settings) -> None:
        """From now on, ask the primaries of these settings."""
        self._settings = settings
        self._probes = {name: Probe(service.primary.url) for name, service in settings.services.items()}

    async def missing(self) -> list[dict[str, str]]:
        """What stands in the way of serving; empty when ready."""
        probes, services = self._probes, self._settings.services
        refusals = await asyncio.gather(*(probe.refusal() for probe in probes.values()))
        missing = [
            {"service": name, "primary": services[name].primary.version, "why": why}
            for name, why in zip(probes, refusals, strict=True)
            if why
        ]
        if not any(process.startswith("worker-") for process in self._connected()):
            missing.insert(0, {"process": "worker", "why": "none is connected"})
        return missing

    async def warn_of_backends(self) -> None:
        """Log each backend that is down and what that means: clients notice a primary, comparison a candidate."""
        probes = self._probes
        for name, service in self._settings.services.items():
            if why := await probes[name].refusal():
                effect = f"clients of {name} get 502 or 504 until it accepts connections"
                log.warning("primary is down", service=name, primary=service.primary.version, why=why, effect=effect)
            if why := await connect(service.candidate.url):
                log.warning("candidate is down", service=name, candidate=service.candidate.version, why=why)
