"""The snapshot in force, and the two ways to change it: another state of a service, another configuration.

A bolder change is stored, then put in force: what is in force is never bolder than what outlives a crash.
A less bold one is put in force first, whatever the disk says, and is only then stored: nobody waits for a
disk to be safe. Either is acknowledged when it is on the disk.

A configuration is stored, then put in force as one snapshot, or not at all. Its audit row comes last: a less bold
change may have come meanwhile, so only then is it known which snapshot it led from. It changes a service's mode only
if it says another mode than it did; then, as at a start, the safer of what it says and what was decided holds.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from proxy.config.models import Mode, Settings
from proxy.control.database import StateError
from proxy.control.state import Asked, ServiceState, State, Step, Stored
from proxy.core.modes import is_bolder, safer
from proxy.ipc.messages import Snapshot

log = structlog.get_logger()

_Owed = tuple[Step, Asked]
Keep = Callable[[], Callable[[], None]]
"""Stores a configuration for processes that start from now on; what it returns takes that back."""


class NotStoredError(Exception):
    """The disk refuses. `in_force` tells whether the change holds all the same, until the next restart."""

    def __init__(self, why: str, *, in_force: bool) -> None:
        super().__init__(why)
        self.in_force = in_force


class OvertakenError(Exception):
    """Meanwhile a less bold change, or another configuration, came and holds."""


@dataclass(frozen=True, slots=True)
class Change:
    """What came of asking for a state; `audit_id` is None when it was the present one."""

    step: Step
    audit_id: str | None


@dataclass(frozen=True, slots=True)
class Reread:
    """A configuration that came in force, from one snapshot to another; `audit_id` is None while the disk owes it."""

    version_before: int
    version_after: int
    audit_id: str | None


def boot_states(settings: Settings, stored: Stored, run: str) -> dict[str, ServiceState]:
    """What each service starts in: the safer of stored and configured mode; `primary` when what was stored is lost.

    Within one run of the supervisor the stored mode holds as it is: it was acknowledged after the settings
    were read.
    """
    states = {}
    for name, service in settings.services.items():
        decision = stored.decisions.get(name)
        if decision is None:
            states[name] = ServiceState(Mode.PRIMARY if stored.lost else service.mode)
        elif decision.run == run:
            states[name] = decision.state
        else:
            mode = safer(decision.state.mode, service.mode)
            states[name] = ServiceState(mode, decision.state.latched)
    return states


def reread_states(
    before: Settings, after: Settings, states: Mapping[str, ServiceState], decided: Mapping[str, ServiceState]
) -> dict[str, ServiceState]:
    """What each service is in once the configuration was read again; `states` are those in force, without it."""
    fresh = set(redefined(before, after))
    kept = {name: state for name, state in states.items() if name in after.services and name not in fresh}
    for name in fresh:
        mode, decision = Mode(after.services[name].mode), decided.get(name)
        kept[name] = ServiceState(safer(decision.mode, mode), decision.latched) if decision else ServiceState(mode)
    return {name: kept[name] for name in after.services}


def redefined(before: Settings, after: Settings) -> list[str]:
    """The services that are new, or whose configured mode is."""
    return [
        name
        for name, service in after.services.items()
        if name not in before.services or before.services[name].mode != service.mode
    ]


class Snapshots:
    """Holds the current snapshot and hands every new one to `publish`."""

    def __init__(
        self, settings: Settings, state: State, publish: Callable[[Snapshot], None], stored: Stored, run: str
    ) -> None:
        self._settings = settings
        self._state = state
        self._publish = publish
        self._states = boot_states(settings, stored, run)
        self._decided = dict(self._states) if stored.lost else {n: d.state for n, d in stored.decisions.items()}
        self._storing = asyncio.Lock()
        """Held while something is stored before it is in force."""
        self._version = self._configuration = stored.version + 1
        self._turns = dict.fromkeys(self._states, 0)
        self._owed: dict[str, _Owed] = {}
        self._changing: set[asyncio.Task[Change]] = set()
        self._put_in_force()

    @property
    def states(self) -> Mapping[str, ServiceState]:
        """The state of each service."""
        return self._states

    def step(self, service: str, to: ServiceState) -> Step:
        """The step from the present state; its snapshots are the same if it leads nowhere."""
        before = self._state_of(service)
        return Step(service, before, to, self.current.version, self.current.version + (to != before))

    async def change(self, service: str, to: ServiceState, asked: Asked) -> Change:
        """Change a service's state. A caller that goes away does not leave it half done.

        Raises:
            NotStoredError: the disk refuses.
            OvertakenError: a less bold change came meanwhile.
        """
        task = asyncio.ensure_future(self._change(service, to, asked))
        self._changing.add(task)
        task.add_done_callback(self._changing.discard)
        return await asyncio.shield(task)

    async def reread(self, settings: Settings, asked: Asked, keep: Keep, adopt: Callable[[Settings], None]) -> Reread:
        """Put another configuration in force.

        `adopt` hears of it just before everybody else. Raises NotStoredError, and OSError of `keep`; then nothing
        has changed.
        """
        async with self._storing:
            fresh = redefined(self._settings, settings)
            take_back = await asyncio.to_thread(keep)
            try:
                await self._state.outdate(fresh, self._version + 1)
            except StateError as refused:
                await asyncio.to_thread(take_back)
                raise NotStoredError(str(refused), in_force=False) from refused
            before = self._version
            self._states = reread_states(self._settings, settings, self._states, self._decided)
            for name in fresh:
                self._turns[name] = self._turns.get(name, 0) + 1
            self._settings = settings
            self._version += 1
            self._configuration = self._version
            adopt(settings)
            self._put_in_force()
        return await self._audit(asked, before, self._configuration)

    async def _audit(self, asked: Asked, before: int, after: int) -> Reread:
        try:
            return Reread(before, after, await self._state.reread((before, after), asked))
        except StateError as refused:
            log.warning("a reload is not in the audit log yet", snapshot=after, why=str(refused))
            return Reread(before, after, None)

    async def settle(self) -> None:
        """Try again to store what is in force and was not stored. Raises StateError."""
        for service in list(self._owed):
            step, asked = self._owed.pop(service)
            await self._record(step, asked, owed=(step, asked))
            log.info("stored at last", service=service, mode=str(step.after.mode))

    async def _change(self, service: str, to: ServiceState, asked: Asked) -> Change:
        if is_raise(self._state_of(service), to):
            async with self._storing:
                step = self.step(service, to)
                audit_id = await self._raise(step, asked) if step.before != to else None
        else:
            step = self.step(service, to)
            audit_id = await self._lower(step, asked) if step.before != to else None
        if audit_id is None:
            return Change(step, None)
        log.info(
            "changed",
            service=service,
            before=str(step.before.mode),
            after=str(to.mode),
            by=asked.who,
            audit_id=audit_id,
        )
        return Change(step, audit_id)

    def _state_of(self, service: str) -> ServiceState:
        if service not in self._states:
            raise OvertakenError
        return self._states[service]

    async def _raise(self, step: Step, asked: Asked) -> str:
        turn, owed = self._turns[step.service], self._owed.pop(step.service, None)
        try:
            audit_id = await self._record(step, asked, owed=owed)
        except StateError as refused:
            raise NotStoredError(str(refused), in_force=False) from refused
        if self._turns[step.service] == turn:
            self._enter(step)
        elif self._states[step.service] != step.after:
            raise OvertakenError
        return audit_id

    async def _lower(self, step: Step, asked: Asked) -> str:
        self._enter(step)
        try:
            return await self._record(step, asked, owed=(step, asked))
        except StateError as refused:
            log.error("in force, but not stored", service=step.service, mode=str(step.after.mode), why=str(refused))  # noqa: TRY400  the message says it all
            raise NotStoredError(str(refused), in_force=True) from refused

    async def _record(self, step: Step, asked: Asked, *, owed: _Owed | None) -> str:
        """Store a step; if the disk refuses, `owed` is stored later, unless a newer state has been entered."""
        turn = self._turns[step.service]
        try:
            return await self._state.record(step, asked)
        except StateError:
            if owed and self._turns[step.service] == turn:
                self._owed[step.service] = owed
            raise

    def _enter(self, step: Step) -> None:
        self._states[step.service] = self._decided[step.service] = step.after
        self._turns[step.service] += 1
        self._owed.pop(step.service, None)
        self._version += 1
        self._put_in_force()

    def _put_in_force(self) -> None:
        modes = {service: state.mode for service, state in self._states.items()}
        self.current = Snapshot(self._version, self._settings, modes, self._configuration)
        self._publish(self.current)


def is_raise(before: ServiceState, after: ServiceState) -> bool:
    """Whether a change trusts the candidate more: a bolder mode, or no latch any more."""
    return is_bolder(after.mode, before.mode) or (after.mode == before.mode and before.latched and not after.latched)
