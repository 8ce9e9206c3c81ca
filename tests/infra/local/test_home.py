"""The home remembers, keeps secrets to itself, and is held by one supervisor at a time."""

import fcntl
import json
import shutil
import socket
import stat
from pathlib import Path
from typing import TextIO

import pytest

from infra.local.errors import AlreadyRunsError, LocalError
from infra.local.home import Home, write_private


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.make()
    made.load()
    return made


def test_secrets_and_ports_are_the_same_after_a_restart(home: Home) -> None:
    secret, password, port = home.secret("pepper"), home.password("admin"), home.port("kafka")
    home.save()

    again = Home(home.path)
    again.load()

    assert (again.secret("pepper"), again.password("admin"), again.port("kafka")) == (secret, password, port)


def test_a_remembered_port_that_is_taken_is_replaced(home: Home) -> None:
    port = home.port("kafka")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        other = home.port("kafka")

    assert other != port
    assert home.port("kafka") == other


def test_a_lock_on_a_deleted_file_is_not_taken_for_the_homes(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def lock_and_lose(file: TextIO, operation: int) -> None:
        fcntl_flock(file, operation)
        (home.path / "lock").unlink()  # by `clean`, between the opening and the lock

    fcntl_flock = fcntl.flock
    monkeypatch.setattr(fcntl, "flock", lock_and_lose)

    with pytest.raises(LocalError, match="was deleted at this moment: run this again"), home.held():
        pass


def test_a_home_that_was_moved_or_copied_has_its_own_data(home: Home, tmp_path: Path) -> None:
    data = home.path / "postgres" / "data"
    data.mkdir(parents=True)
    home.kept.postgres_dir = str(data.parent)
    home.save()
    copy = Home(tmp_path / "copy")
    shutil.copytree(home.path, copy.path)

    copy.load()
    copy.wipe()

    assert data.exists()
    assert not copy.path.exists()


def test_a_copy_does_not_touch_data_that_is_outside_the_first_home(home: Home, tmp_path: Path) -> None:
    data = tmp_path / "outside" / "data"  # where root's PostgreSQL keeps it when the home is closed to its account
    data.mkdir(parents=True)
    home.kept.postgres_dir = str(data.parent)
    home.save()
    copy, moved = Home(tmp_path / "copy"), Home(tmp_path / "moved")
    shutil.copytree(home.path, copy.path)

    with pytest.raises(LocalError, match=f"is a copy of {home.path} without its data"):
        copy.wipe()
    home.path.rename(moved.path)
    moved.load()

    assert data.exists()
    assert moved.postgres_dir() == data.parent


def test_files_with_secrets_are_for_their_owner_only(home: Home) -> None:
    home.secret("pepper")
    home.save()
    write_private(home.stack_file, {"api_keys": {}})

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (home.path / "home.json", home.stack_file)}

    assert modes == {"home.json": 0o600, "stack.json": 0o600}


def test_a_file_is_replaced_whole(home: Home) -> None:
    write_private(home.stack_file, {"kafka": "a"})
    with home.stack_file.open() as reader:
        write_private(home.stack_file, {"kafka": "b"})
        assert json.load(reader) == {"kafka": "a"}
    assert json.loads(home.stack_file.read_text()) == {"kafka": "b"}


def test_a_second_supervisor_is_refused(home: Home) -> None:
    with home.held(), pytest.raises(AlreadyRunsError, match="already runs in"), Home(home.path).held():
        pass
    with home.held():
        pass  # free again


def test_a_home_that_cannot_be_made_names_the_variable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(LocalError, match="set HARBOR_HOME"):
        Home(tmp_path / "file" / "home").make()


def test_a_damaged_home_is_not_overwritten(home: Home) -> None:
    (home.path / "home.json").write_text("{")

    with pytest.raises(LocalError, match="restore it"):
        home.load()


def test_a_log_over_the_limit_starts_again_and_its_writer_goes_on(home: Home) -> None:
    log, small = home.log_file("relay"), home.log_file("worker")
    small.write_bytes(b"x" * 10)
    with log.open("ab", buffering=0) as writer:
        writer.write(b"x" * 11)

        cut = home.bound_logs(limit_bytes=10)
        writer.write(b"next")

    assert cut == ["relay.log"]
    assert (log.read_bytes(), small.read_bytes()) == (b"next", b"x" * 10)
    assert log.with_name("relay.log.1").read_bytes() == b"x" * 11
