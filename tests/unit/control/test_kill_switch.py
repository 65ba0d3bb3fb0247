import os
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from proxy.config.models import Mode
from proxy.control.database import StateError, open_database
from proxy.control.kill_switch import KillSwitchWatch
from proxy.control.state import Asked, State
from proxy.ipc.kill_switch import KillSwitch
from proxy.ipc.messages import Snapshot
from tests.unit.control.settings import settings


@pytest.fixture
def switch(tmp_path: Path) -> Iterator[KillSwitch]:
    memory = KillSwitch.shared()
    yield KillSwitch(tmp_path / "state", memory)
    os.close(memory)


async def rows(switch: KillSwitch, looks: str) -> list[tuple[bool, bool]]:
    """Before and after of all audit rows, oldest first, once another control has seen the switch like this."""
    with closing(open_database(switch.path.parent)) as database:
        state = State(database, "run-1")
        watch = KillSwitchWatch(switch, state)
        for seen in looks.split():
            switch.path.touch() if seen == "pulled" else switch.path.unlink(missing_ok=True)
            assert (watch.look() is not None) is (seen == "pulled")
        await state.settle_owed()
        found = [row for row in await state.audit(50, None) if row["route"] == "kill-switch"]
    return [(row["before"]["kill_switch"], row["after"]["kill_switch"]) for row in reversed(found)]


async def test_each_change_has_its_row_and_each_only_once(switch: KillSwitch) -> None:
    assert await rows(switch, "off off") == []
    assert await rows(switch, "pulled pulled off pulled") == [(False, True), (True, False), (False, True)]
    assert len(await rows(switch, "pulled")) == 3
    assert await rows(switch, "off") == [(False, True), (True, False), (False, True), (True, False)]


async def test_while_it_is_pulled_every_service_is_in_mode_primary(switch: KillSwitch) -> None:
    snapshot = Snapshot(3, settings(), {"ranker": Mode.SHADOW})
    with closing(open_database(switch.path.parent)) as database:
        watch = KillSwitchWatch(switch, State(database, "run-1"))
        assert watch.in_force(snapshot) is snapshot
        switch.path.touch()
        assert watch.in_force(snapshot).modes == {"ranker": Mode.PRIMARY}


async def test_why_it_holds_is_in_the_audit_log(switch: KillSwitch) -> None:
    with closing(open_database(switch.path.parent)) as database:
        state = State(database, "run-1")
        watch = KillSwitchWatch(switch, state)
        aside = switch.path.parent.rename(switch.path.parent.with_name("aside"))
        switch.path.parent.symlink_to(switch.path.parent)  # nobody can look any more
        assert watch.shown() == {
            "why": "the kill switch cannot be looked for (Too many levels of symbolic links)",
            "release": f"make {switch.path.parent} readable",
        }
        switch.path.parent.unlink()
        aside.rename(switch.path.parent)
        await state.settle_owed()
        (row,) = await state.audit(50, None)
        assert row["reason"] == "the kill switch cannot be looked for (Too many levels of symbolic links)"


async def test_no_number_of_refusals_takes_the_place_of_its_rows(switch: KillSwitch) -> None:
    with closing(open_database(switch.path.parent)) as database:
        state = State(database, "run-1")
        watch = KillSwitchWatch(switch, state)
        database._connection.execute("PRAGMA query_only = 1")
        switch.path.touch()
        watch.look()
        for number in range(1001):
            with suppress(StateError):
                await state.refuse(Asked("ada", "", f"PUT {number}"), "", "422")
        switch.path.unlink()
        watch.look()
        database._connection.execute("PRAGMA query_only = 0")
        await state.settle_owed()
        newest, *refusals = await state.audit(2000, None)
        assert newest["route"] == refusals.pop()["route"] == "kill-switch"
        assert [row["route"] for row in refusals] == [f"PUT {number}" for number in range(998, -1, -1)]
