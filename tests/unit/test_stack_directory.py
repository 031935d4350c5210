"""The data directory: its checks, its hold, and what is read back from it."""

import json
import os
import shutil
import stat
from pathlib import Path
from socket import create_server
from subprocess import run

import pytest

from services.cli.errors import DataNotUsable, DiskFull, JarsUnreachable
from services.cli.stack import directory as directory_module
from services.cli.stack import jars
from services.cli.stack.account import Account, let_reach
from services.cli.stack.directory import DataDirectory, InUse
from services.cli.stack.jars import kafka_jars, known_jars
from services.cli.stack.ports import free_port, is_free
from services.cli.stack.state import ProcessId, SlotState, StackState, own_process, read_state, write_state


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    made = DataDirectory.of(tmp_path / "data")
    made.make()
    return made


def test_secrets_are_for_their_owner_only(directory: DataDirectory) -> None:
    """Nobody else may enter the directory of keys and passwords."""
    assert stat.S_IMODE(directory.secrets.stat().st_mode) == 0o700


def test_a_directory_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    """A path through a file is refused with what to do."""
    (tmp_path / "file").touch()
    with pytest.raises(DataNotUsable, match=r"cannot be used \(Not a directory\); make it writable"):
        DataDirectory.of(tmp_path / "file" / "data").make()


def test_too_little_room_is_one_sentence(directory: DataDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    """With less than 200 MiB free nothing is started."""
    usage = shutil.disk_usage(directory.root)._replace(free=199 * 1024 * 1024)
    monkeypatch.setattr(directory_module.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DiskFull, match="less than 200 MiB free; make room"):
        directory.make()


def test_only_one_supervisor_holds_a_directory(directory: DataDirectory) -> None:
    """A second hold is refused while the first lasts, and no longer."""
    with directory.held():
        assert directory.is_held()
        with pytest.raises(InUse), directory.held():
            pass
    assert not directory.is_held()


def test_a_deep_directory_keeps_its_sockets_elsewhere(tmp_path: Path) -> None:
    """Where the path of a socket would exceed what Linux takes, a short private directory serves."""
    deep = DataDirectory.of(tmp_path / ("d" * 120))
    deep.make()
    socket = deep.socket_of("review.public")
    assert len(os.fsencode(socket)) <= 107
    deep.make_fresh(("review.public",))
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    socket.parent.rmdir()


def test_state_is_read_back_as_written(directory: DataDirectory) -> None:
    """What a supervisor wrote, a command reads; the file with the password is for its owner only."""
    slot = SlotState("web", "http://127.0.0.1:1", 15, process=own_process(), starts=2, last_exit=-9, since="now")
    state = StackState(supervisor=own_process(), data=str(directory.root), http="http://127.0.0.1:1", slots=[slot])
    write_state(directory, state)
    assert read_state(directory) == state
    assert stat.S_IMODE(directory.state_file.stat().st_mode) == 0o600


def test_a_pid_that_another_program_has_by_now_is_not_the_process(directory: DataDirectory) -> None:
    """A recorded pid counts only with the creation time that was recorded beside it."""
    own = own_process()
    reused = ProcessId(own.pid, own.created - 3_600)
    assert own.process() is not None
    assert reused.process() is None
    write_state(directory, StackState(supervisor=reused, data=""))
    found = read_state(directory)
    assert found is not None
    assert not found.is_alive()


def test_a_mangled_state_file_is_no_state(directory: DataDirectory) -> None:
    """A file that is not ours, cut short or of another version, counts as none."""
    for text in ("", "{", "[]", json.dumps({"slots": []})):
        directory.state_file.write_text(text)
        assert read_state(directory) is None


def test_ports_are_the_same_again_while_they_are_free() -> None:
    """A remembered port is taken again unless someone listens there."""
    port = free_port()
    assert free_port(remembered=port) == port
    with create_server(("127.0.0.1", port)):
        assert not is_free(port)
        assert free_port(remembered=port) != port


def test_passage_is_for_one_account_and_says_nothing_more(tmp_path: Path) -> None:
    """A closed directory above the data lets the account through and stays closed to all others."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    let_reach(Account(uid=65_533, gid=65_533), closed / "data")
    mode = stat.S_IMODE(closed.stat().st_mode)
    assert mode & 0o007 == 0
    if os.geteuid() == 0:
        tried = ["/bin/sh", "-c", 'cd "$0" && echo passed; ls "$0"', str(closed)]
        seen = run(tried, user=65_533, group=65_533, extra_groups=[], capture_output=True, text=True, check=False)
        assert (seen.stdout, seen.returncode != 0) == ("passed\n", True)


def test_an_unreachable_repository_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a cache and without a network, starting Kafka says what is missing and leaves no half cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with pytest.raises(
        JarsUnreachable, match=r"could not be fetched from the Maven repository \(\w+\); check"
    ) as failed:
        kafka_jars()
    assert "\n" not in failed.value.message
    assert [path.name for path in (tmp_path / "jubao").iterdir()] == ["lock"]


def test_a_cut_jar_is_not_put_on_the_class_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache whose file was truncated is fetched again as a whole."""
    fetched: list[Path] = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(jars, "_fetch_apart", fetched.append)
    directory = kafka_jars()
    directory.mkdir(parents=True)
    for jar in known_jars():
        (directory / jar.filename).write_bytes(b"")
    kafka_jars()
    assert fetched == [directory, directory]
