import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from proxy.config.models import Mode, Settings
from proxy.control.database import Database, StateError, open_database
from proxy.control.snapshots import Keep, NotStoredError, OvertakenError, Snapshots, boot_states, reread_states
from proxy.control.state import Asked, Decision, ServiceState, State, Stored
from proxy.ipc.messages import Snapshot
from tests.kit.polling import wait_until_async
from tests.unit.control.settings import settings

PRIMARY, SHADOW, KILLED = (
    ServiceState(Mode.PRIMARY),
    ServiceState(Mode.SHADOW),
    ServiceState(Mode.PRIMARY, latched=True),
)
ASKED = Asked("admin", "127.0.0.1", "PUT mode", "why not")


def kept(said: list[str] | None = None) -> Keep:
    """Keeps a configuration nowhere, and says so."""
    said = [] if said is None else said

    def keep() -> Callable[[], None]:
        said.append("kept")
        return lambda: said.append("taken back")

    return keep


class Desk:
    """Snapshots over a real state file, and what they published."""

    def __init__(self, directory: Path, configured: Settings, run: str = "run-1") -> None:
        self.database: Database = open_database(directory)
        self.state = State(self.database, run)
        self.published: list[Snapshot] = []
        self.snapshots = Snapshots(configured, self.state, self.published.append, self.state.boot(), run)

    @property
    def modes(self) -> list[Mode]:
        return [snapshot.modes["ranker"] for snapshot in self.published]

    def stored(self) -> ServiceState:
        return self.state.boot().decisions["ranker"].state

    def refuse_writes(self, *, refuse: bool) -> None:
        self.database._connection.execute(f"PRAGMA query_only = {int(refuse)}")

    @contextmanager
    def slow_disk(self) -> Iterator[None]:
        """Until the block ends, nothing gets to the disk."""
        open_again = threading.Event()

        def wait(_connection: sqlite3.Connection) -> None:
            open_again.wait(30)

        waiting = asyncio.ensure_future(self.database.write(wait, durable=False))
        try:
            yield
        finally:
            open_again.set()
            assert waiting is not None


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path, settings())
    yield made
    made.database.close()


def decided(mode: Mode, run: str = "earlier", *, latched: bool = False) -> Stored:
    return Stored(7, {"ranker": Decision(ServiceState(mode, latched), run)}, lost=False)


@pytest.mark.parametrize(
    ("configured", "stored", "starts"),
    [
        ("shadow", Stored(0, {}, lost=False), SHADOW),
        ("primary", Stored(0, {}, lost=False), PRIMARY),
        ("shadow", decided(Mode.PRIMARY), PRIMARY),
        ("primary", decided(Mode.SHADOW), PRIMARY),
        ("shadow", decided(Mode.PRIMARY, latched=True), KILLED),
        ("primary", decided(Mode.SHADOW, "run-1"), SHADOW),
        ("shadow", Stored(0, {}, lost=True), PRIMARY),
    ],
    ids=["first start", "first, off", "safer stored", "safer configured", "killed", "same run", "lost"],
)
def test_a_boot_takes_the_safer_of_stored_and_configured(configured: str, stored: Stored, starts: ServiceState) -> None:
    assert boot_states(settings(mode=configured), stored, "run-1") == {"ranker": starts}


@pytest.mark.parametrize(
    ("before", "after", "in_force", "decided", "expected"),
    [
        ("shadow", "shadow", PRIMARY, PRIMARY, PRIMARY),
        ("primary", "primary", SHADOW, SHADOW, SHADOW),
        ("primary", "shadow", PRIMARY, None, SHADOW),
        ("shadow", "primary", SHADOW, None, PRIMARY),
        ("shadow", "primary", SHADOW, SHADOW, PRIMARY),
        ("primary", "shadow", PRIMARY, SHADOW, SHADOW),
        ("primary", "shadow", PRIMARY, PRIMARY, PRIMARY),
        ("primary", "shadow", KILLED, KILLED, KILLED),
    ],
    ids=["same, off", "same, on", "on", "off", "off beats a decision", "on again", "decided off", "killed"],
)
def test_a_configuration_read_again_changes_a_mode_only_if_it_says_another_one(
    before: str, after: str, in_force: ServiceState, decided: ServiceState | None, expected: ServiceState
) -> None:
    decisions = {"ranker": decided} if decided else {}
    states = reread_states(settings(mode=before), settings(mode=after), {"ranker": in_force}, decisions)
    assert states == {"ranker": expected}


def test_a_new_service_starts_in_the_safer_of_its_mode_and_what_was_decided_about_it() -> None:
    both = settings("ranker", "search")
    states = reread_states(settings("ranker"), both, {"ranker": SHADOW}, {"search": PRIMARY})
    assert states == {"ranker": SHADOW, "search": PRIMARY}
    assert reread_states(both, settings("ranker"), states, {"search": PRIMARY}) == {"ranker": SHADOW}


async def test_another_configuration_is_one_new_snapshot(desk: Desk) -> None:
    said: list[str] = []
    both = settings("ranker", "search", mode="primary")
    done = await desk.snapshots.reread(
        both, ASKED, kept(said), lambda adopted: said.append(f"adopted {len(adopted.services)}")
    )
    assert said == ["kept", "adopted 2"]
    first, second = desk.published
    assert (second.version, second.configuration, second.settings) == (2, 2, both)
    assert (first.configuration, second.modes) == (1, {"ranker": Mode.PRIMARY, "search": Mode.PRIMARY})
    (row,) = await desk.state.audit(1, None)
    assert (row["audit_id"], row["before"], row["after"]) == (done.audit_id, {"snapshot": 1}, {"snapshot": 2})
    assert (done.version_before, done.version_after) == (1, 2)


async def test_a_configuration_the_disk_refuses_changes_nothing(desk: Desk) -> None:
    said: list[str] = []
    desk.refuse_writes(refuse=True)
    with pytest.raises(NotStoredError):
        await desk.snapshots.reread(settings("other"), ASKED, kept(said), lambda _: None)
    assert said == ["kept", "taken back"]

    def full() -> Callable[[], None]:
        raise OSError(28, "No space left on device")

    desk.refuse_writes(refuse=False)
    with pytest.raises(OSError, match="No space"):
        await desk.snapshots.reread(settings("other"), ASKED, full, lambda _: None)
    assert [list(snapshot.modes) for snapshot in desk.published] == [["ranker"]]
    assert await desk.state.audit(10, None) == []


async def test_a_service_latched_while_a_configuration_is_stored_stays_so(desk: Desk) -> None:
    works_again, storing = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def hang(_statement: str) -> None:
        loop.call_soon_threadsafe(storing.set)
        works_again.wait(30)

    desk.database._connection.set_trace_callback(hang)
    reread = asyncio.create_task(desk.snapshots.reread(settings(workers=1), ASKED, kept(), lambda _: None))
    await storing.wait()
    kill = asyncio.create_task(desk.snapshots.change("ranker", KILLED, ASKED))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    works_again.set()
    assert desk.modes[-1] is Mode.PRIMARY
    done = await reread
    await kill
    assert desk.snapshots.states == {"ranker": KILLED}
    assert desk.stored() == KILLED
    rows = await desk.state.audit(10, None)
    assert sorted((row["before"]["snapshot"], row["after"]["snapshot"]) for row in rows) == [(1, 2), (2, 3)]
    assert (done.version_before, done.version_after, desk.snapshots.current.configuration) == (2, 3, 3)


async def test_a_configuration_whose_audit_row_the_disk_refuses_is_in_force_and_the_row_is_owed(desk: Desk) -> None:
    done = await desk.snapshots.reread(settings(workers=1), ASKED, kept(), lambda _: desk.refuse_writes(refuse=True))
    assert (done.audit_id, desk.snapshots.current.configuration) == (None, 2)
    desk.refuse_writes(refuse=False)
    await desk.state.settle_owed()
    (row,) = await desk.state.audit(10, None)
    assert (row["result"], row["after"]) == ("applied", {"snapshot": 2})


async def test_what_was_owed_does_not_turn_the_snapshot_number_back(desk: Desk) -> None:
    desk.refuse_writes(refuse=True)
    with pytest.raises(NotStoredError):
        await desk.snapshots.change("ranker", KILLED, ASKED)
    desk.refuse_writes(refuse=False)
    await desk.snapshots.reread(settings(workers=1), ASKED, kept(), lambda _: None)
    await desk.snapshots.settle()
    assert desk.state.boot().version == desk.snapshots.current.version == 3


async def test_a_change_of_a_service_that_another_configuration_removed_is_overtaken(desk: Desk) -> None:
    await desk.snapshots.reread(settings("other"), ASKED, kept(), lambda _: None)
    with pytest.raises(OvertakenError):
        await desk.snapshots.change("ranker", PRIMARY, ASKED)


async def test_a_restart_after_a_configuration_was_read_again_takes_the_safer_mode(tmp_path: Path) -> None:
    first = Desk(tmp_path, settings(mode="primary"))
    await first.snapshots.change("ranker", SHADOW, ASKED)
    await first.snapshots.reread(settings(mode="shadow"), ASKED, kept(), lambda _: None)
    await first.snapshots.reread(settings(mode="primary"), ASKED, kept(), lambda _: None)
    first.database.close()
    again = Desk(tmp_path, settings(mode="primary"))
    assert again.modes == [Mode.PRIMARY]
    assert again.snapshots.current.version > first.snapshots.current.version
    again.database.close()


async def test_a_change_is_stored_published_and_numbered(desk: Desk) -> None:
    done = await desk.snapshots.change("ranker", PRIMARY, ASKED)
    assert desk.modes == [Mode.SHADOW, Mode.PRIMARY]
    assert (done.step.version_before, done.step.version_after) == (1, 2)
    assert desk.snapshots.current.version == 2
    assert desk.stored() == PRIMARY
    (row,) = await desk.state.audit(10, None)
    assert (row["audit_id"], row["by"], row["reason"], row["result"]) == (done.audit_id, "admin", "why not", "applied")
    assert (row["before"]["mode"], row["after"]["mode"]) == ("shadow", "primary")


async def test_asking_for_the_present_state_changes_nothing(desk: Desk) -> None:
    done = await desk.snapshots.change("ranker", SHADOW, ASKED)
    assert done.audit_id is None
    assert desk.modes == [Mode.SHADOW]
    assert await desk.state.audit(10, None) == []


async def test_a_bolder_change_the_disk_refuses_does_not_take_effect(desk: Desk) -> None:
    await desk.snapshots.change("ranker", PRIMARY, ASKED)
    desk.refuse_writes(refuse=True)
    with pytest.raises(NotStoredError, match="read-only") as refused:
        await desk.snapshots.change("ranker", SHADOW, ASKED)
    assert not refused.value.in_force
    assert desk.modes[-1] is Mode.PRIMARY


async def test_a_less_bold_change_the_disk_refuses_takes_effect_and_is_stored_later(desk: Desk) -> None:
    desk.refuse_writes(refuse=True)
    with pytest.raises(NotStoredError) as refused:
        await desk.snapshots.change("ranker", KILLED, ASKED)
    assert refused.value.in_force
    assert desk.modes[-1] is Mode.PRIMARY
    with pytest.raises(StateError):
        await desk.snapshots.settle()
    desk.refuse_writes(refuse=False)
    await desk.snapshots.settle()
    assert desk.stored() == KILLED
    await desk.snapshots.settle()
    assert len(await desk.state.audit(10, None)) == 1


async def test_what_is_owed_to_the_disk_never_overwrites_a_later_change(desk: Desk) -> None:
    desk.refuse_writes(refuse=True)
    with pytest.raises(NotStoredError):
        await desk.snapshots.change("ranker", PRIMARY, ASKED)
    desk.refuse_writes(refuse=False)
    await desk.snapshots.change("ranker", SHADOW, ASKED)
    await desk.snapshots.settle()
    assert desk.stored() == SHADOW


async def test_latching_does_not_wait_for_a_slow_disk(desk: Desk) -> None:
    with desk.slow_disk():
        change = asyncio.create_task(desk.snapshots.change("ranker", KILLED, ASKED))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert desk.modes[-1] is Mode.PRIMARY
        assert not change.done()
    await change
    assert desk.stored() == KILLED


async def test_latching_overtakes_a_bolder_change_that_waits_for_the_disk(desk: Desk) -> None:
    await desk.snapshots.change("ranker", PRIMARY, ASKED)
    with desk.slow_disk():
        bolder = asyncio.create_task(desk.snapshots.change("ranker", SHADOW, ASKED))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        kill = asyncio.create_task(desk.snapshots.change("ranker", KILLED, ASKED))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    with pytest.raises(OvertakenError):
        await bolder
    await kill
    assert Mode.SHADOW not in desk.modes[1:]
    assert desk.stored() == KILLED


async def test_a_caller_that_goes_away_leaves_nothing_half_done(desk: Desk) -> None:
    await desk.snapshots.change("ranker", PRIMARY, ASKED)
    with desk.slow_disk():
        change = asyncio.create_task(desk.snapshots.change("ranker", SHADOW, ASKED))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        change.cancel()
        with pytest.raises(asyncio.CancelledError):
            await change

    async def in_force() -> bool:
        return desk.modes[-1] is Mode.SHADOW

    await wait_until_async(in_force, "the change in force")
    assert desk.stored() == SHADOW


async def test_unlatching_keeps_the_mode(desk: Desk) -> None:
    await desk.snapshots.change("ranker", KILLED, ASKED)
    await desk.snapshots.change("ranker", PRIMARY, ASKED)
    assert desk.stored() == PRIMARY
    assert desk.modes == [Mode.SHADOW, Mode.PRIMARY, Mode.PRIMARY]


async def test_a_change_outlives_a_restart_within_the_run_and_the_number_goes_on(tmp_path: Path) -> None:
    first = Desk(tmp_path, settings(mode="primary"))
    await first.snapshots.change("ranker", SHADOW, ASKED)
    first.database.close()
    again = Desk(tmp_path, settings(mode="primary"))
    assert again.modes == [Mode.SHADOW]
    assert again.snapshots.current.version > first.snapshots.current.version
    again.database.close()


async def test_a_settled_loss_starts_in_primary_from_then_on(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"x" * 5000)
    first = Desk(tmp_path, settings())
    assert first.modes == [Mode.PRIMARY]
    first.state.settle(1, dict(first.snapshots.states))
    (row,) = await first.state.audit(10, None)
    assert (row["by"], row["result"]) == ("boot", "the state file was unreadable")
    first.database.close()
    again = Desk(tmp_path, settings(), run="run-2")
    assert again.modes == [Mode.PRIMARY]
    assert not again.state.boot().lost
    again.database.close()


async def test_a_mode_of_another_version_counts_as_primary(desk: Desk) -> None:
    desk.database.transact(
        lambda connection: connection.execute("INSERT INTO services VALUES ('ranker', 'candidate', 0, 'run-1')"),
        durable=True,
    )
    assert desk.stored() == PRIMARY


async def test_audit_rows_come_newest_first_in_pages(desk: Desk) -> None:
    for to in (PRIMARY, SHADOW, PRIMARY):
        await desk.snapshots.change("ranker", to, ASKED)
    await desk.state.refuse(ASKED, "ranker", "401 unauthorized")
    newest = await desk.state.audit(2, None)
    assert [row["audit_id"] for row in newest] == ["a-4", "a-3"]
    assert [row["audit_id"] for row in await desk.state.audit(2, 3)] == ["a-2", "a-1"]
    assert newest[0]["result"] == "401 unauthorized"
