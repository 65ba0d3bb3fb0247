import sqlite3
from functools import partial
from pathlib import Path

import pytest

from proxy.control.database import FILE, LOST, Database, StateError, open_database


def rows(database: Database) -> list[str]:
    def work(connection: sqlite3.Connection) -> list[str]:
        return [name for (name,) in connection.execute("SELECT name FROM meta ORDER BY name")]

    return database.transact(work, durable=False)


def run(statement: str, connection: sqlite3.Connection) -> None:
    connection.execute(statement)


def put(database: Database, name: str) -> None:
    database.transact(lambda connection: connection.execute("INSERT INTO meta VALUES (?, '')", (name,)), durable=True)


def test_what_was_written_is_there_after_reopening(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    put(database, "kept")
    database.close()
    again = open_database(tmp_path)
    assert rows(again) == ["kept"]
    assert again.put_aside is None
    again.close()


def test_directory_and_files_are_for_their_owner_only(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    database = open_database(directory)
    put(database, "x")
    modes = {path.name: path.stat().st_mode & 0o777 for path in [directory, *directory.iterdir()]}
    assert modes == {"state": 0o700, FILE: 0o600, f"{FILE}-wal": 0o600, f"{FILE}-shm": 0o600}
    database.close()


def test_a_failed_transaction_leaves_nothing_behind(tmp_path: Path) -> None:
    database = open_database(tmp_path)

    def work(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO meta VALUES ('a', '')")
        connection.execute("INSERT INTO meta VALUES ('a', '')")

    with pytest.raises(StateError):
        database.transact(work, durable=True)
    assert rows(database) == []
    database.close()


def test_a_disk_that_refuses_is_named_in_words(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    database._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StateError, match="the state file is read-only"):
        put(database, "x")
    database.close()


def spoil_header(path: Path) -> None:
    path.write_bytes(b"not a database at all" * 100)


def spoil_pages(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(b"")


def another_layout(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


@pytest.mark.parametrize("spoil", [spoil_header, spoil_pages, truncate, another_layout])
def test_an_unreadable_file_is_kept_aside_and_replaced_by_one_that_says_so(tmp_path: Path, spoil: object) -> None:
    database = open_database(tmp_path)
    put(database, "kept")
    database.close()
    assert callable(spoil)
    spoil(tmp_path / FILE)
    spoilt = (tmp_path / FILE).read_bytes()
    again = open_database(tmp_path)
    assert rows(again) == [LOST]
    assert again.put_aside
    assert again.put_aside.read_bytes() == spoilt
    assert again.put_aside.parent == tmp_path
    again.close()


def test_a_loss_is_remembered_until_it_is_settled(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"x" * 5000)
    open_database(tmp_path).close()
    again = open_database(tmp_path)
    assert rows(again) == [LOST]
    again.close()


@pytest.mark.parametrize("name", [FILE, f"{FILE}-wal"])
def test_a_link_in_place_of_a_file_is_refused_and_its_target_left_alone(tmp_path: Path, name: str) -> None:
    target = tmp_path / "precious"
    target.write_text("precious")
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    (state / name).symlink_to(target)
    with pytest.raises(StateError, match="not a plain file"):
        open_database(state)
    assert target.read_text() == "precious"


def test_a_link_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(StateError, match="symbolic link"):
        open_database(tmp_path / "link")


def test_the_audit_log_can_only_grow(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    database.transact(
        lambda connection: connection.execute("INSERT INTO audit VALUES (1, 0, '', '', '', '', '', '', '', '')"),
        durable=True,
    )
    for statement in ("DELETE FROM audit", "UPDATE audit SET who = 'somebody else'"):
        with pytest.raises(StateError):
            database.transact(partial(run, statement), durable=True)
    database.close()
