"""Reading the configuration again, over a real file and a real state file."""

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.config.models import Settings
from proxy.config.sources import Sources
from proxy.control.database import open_database
from proxy.control.reload import Reloader
from proxy.control.snapshots import Snapshots
from proxy.control.state import Asked, State
from proxy.ipc.boot import SETTINGS_FILE, prepare_settings
from tests.unit.control.settings import settings

ASKED = Asked("admin", "127.0.0.1", "POST reload")


class Office:
    """What control has of a reload; `restart` is a control that was killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "shadow-proxy.yaml"
        self.write(settings())
        prepare_settings(folder, settings())()
        self.start("run-1")

    def start(self, run: str) -> None:
        self.database = open_database(self.folder / "state")
        self.state = State(self.database, run)
        running = self.settings()
        self.snapshots = Snapshots(running, self.state, lambda _: None, self.state.boot(), run)
        self.reloader = Reloader(Sources(self.file), self.folder, self.snapshots, self.state, lambda _: None)

    def restart(self, run: str = "run-1") -> None:
        self.database.close()
        self.start(run)

    def settings(self) -> Settings:
        """What a process that starts now finds."""
        return Settings.model_validate_json((self.folder / SETTINGS_FILE).read_bytes())

    def write(self, configured: Settings) -> None:
        self.file.write_text(json.dumps(configured.model_dump(mode="json")))

    def refuse_writes(self, *, refuse: bool) -> None:
        self.database._connection.execute(f"PRAGMA query_only = {int(refuse)}")


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    yield made
    made.database.close()


async def test_what_came_of_the_last_reading_outlives_control_and_not_the_run(office: Office) -> None:
    office.file.write_text("wrokers: 2")
    refused = (await office.reloader.reload(ASKED)).reading
    assert refused.errors
    office.restart()
    assert office.reloader.last == refused
    office.write(settings(workers=3))
    read = (await office.reloader.reload(ASKED)).reading
    assert read.needs_restart == ("workers",)
    office.restart()
    assert office.reloader.last == read
    office.restart("run-2")
    assert (office.reloader.last.is_successful, office.reloader.last.needs_restart) == (True, ())


async def test_a_pipe_in_place_of_the_file_is_refused_and_not_waited_for(office: Office) -> None:
    office.file.unlink()
    os.mkfifo(office.file)
    (error,) = (await office.reloader.reload(ASKED)).reading.errors
    assert error["why"] == "Is not a plain file: check the path"
    office.file.unlink()
    office.write(settings("ranker", "search"))
    assert (await office.reloader.reload(ASKED)).changed == ("services.ranker", "services.search")


async def test_a_reload_the_disk_refuses_changes_nothing_for_processes_that_start_later(office: Office) -> None:
    office.write(settings("ranker", "search"))
    office.refuse_writes(refuse=True)
    done = await office.reloader.reload(ASKED)
    assert done.reading.refusal == "it could not be stored: the state file is read-only"
    assert office.reloader.last == done.reading
    assert office.settings() == settings() == office.snapshots.current.settings
    office.refuse_writes(refuse=False)
    assert (await office.reloader.reload(ASKED)).reading.is_successful
    assert office.settings() == settings("ranker", "search")
    assert [path.name for path in office.folder.glob(f"{SETTINGS_FILE}*")] == [SETTINGS_FILE]


async def test_trying_out_says_what_a_reload_would_do_and_is_not_remembered(office: Office) -> None:
    office.write(settings("ranker", "search"))
    tried = await office.reloader.try_out()
    assert (tried.changed, tried.version_before, tried.version_after) == (("services.ranker", "services.search"), 1, 2)
    before = office.reloader.last
    office.file.write_text("wrokers: 2")
    assert (await office.reloader.try_out()).reading.errors
    assert (office.reloader.last, office.snapshots.current.version) == (before, 1)


async def test_reloads_at_once_are_one_after_the_other(office: Office) -> None:
    done = await asyncio.gather(*(office.reloader.reload(ASKED) for _ in range(3)))
    assert sorted((one.version_before, one.version_after) for one in done) == [(1, 2), (2, 3), (3, 4)]
