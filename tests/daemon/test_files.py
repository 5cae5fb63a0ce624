"""Files written with root's rights: where somebody else has a hand in the place, nothing goes there."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from xcatd import files
from xcatd.db.errors import DatabaseError
from xcatd.db.schema import table
from xcatd.db.sqlite import SqliteAdapter
from xcatd.pki import store
from xcatd.pki.authority import AuthorityError
from xcatd.pki.main import main as ca
from xcatd.process import PidFile

OTHER = 12345  # a user who is neither root nor we


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Path]:
    """A file that must stay as it is."""
    path = tmp_path / "victim"
    path.write_text("untouched")
    path.chmod(0o640)
    yield path
    assert path.read_text() == "untouched"
    assert mode(path) == 0o640


def of_another(path: Path) -> Path:
    """Make it somebody else's."""
    os.chown(path, OTHER, OTHER, follow_symlinks=False)
    return path


def test_a_file_is_its_owners_from_the_beginning_and_whole(tmp_path: Path):
    seen = []

    def pieces() -> Iterator[bytes]:
        yield b"one "
        (new,) = tmp_path.glob(".*.new")
        seen.append(mode(new))
        yield b"two"

    old_mask = os.umask(0)
    try:
        files.write(tmp_path / "x", pieces())
    finally:
        os.umask(old_mask)
    assert (tmp_path / "x").read_bytes() == b"one two"
    assert seen == [0o600]
    assert mode(tmp_path / "x") == 0o600


def test_what_fails_half_way_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    def pieces() -> Iterator[bytes]:
        yield b"half"
        raise OSError("no more")

    (tmp_path / "x").write_text("old")
    with pytest.raises(OSError, match="no more"):
        files.write(tmp_path / "x", pieces())
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("x", "old")]


@pytest.mark.parametrize("kind", ["link", "dangling", "folder", "fifo"])
def test_only_a_regular_file_is_replaced(kind: str, tmp_path: Path, victim: Path):
    place = tmp_path / "x"
    match kind:
        case "link":
            place.symlink_to(victim)
        case "dangling":
            place.symlink_to(tmp_path / "nowhere")
        case "folder":
            place.mkdir()
        case "fifo":
            os.mkfifo(place)
    before = place.lstat()
    with pytest.raises(FileExistsError, match="no regular file"):
        files.write(place, [b"x"])
    assert place.lstat().st_ino == before.st_ino
    assert not (tmp_path / "nowhere").exists()
    assert not list(tmp_path.glob(".*"))


def test_a_second_name_of_a_file_keeps_its_content(tmp_path: Path, victim: Path):
    (tmp_path / "x").hardlink_to(victim)
    files.write(tmp_path / "x", [b"new"])
    assert (tmp_path / "x").read_bytes() == b"new"


def test_names_of_new_files_cannot_be_guessed(tmp_path: Path):
    names = set()
    for _ in range(20):
        with files.directory(tmp_path) as folder, files.create(folder) as (_, name):
            names.add(name)
    assert len(names) == 20
    assert all(len(name) > 32 and str(os.getpid()) != name for name in names)


@pytest.mark.parametrize("whose", ["link's", "folder's"])
def test_no_link_is_followed_that_others_could_turn(whose: str, tmp_path: Path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "home").mkdir()
    link = tmp_path / "home/link"
    link.symlink_to(tmp_path / "etc")
    of_another(link if whose == "link's" else tmp_path / "home")
    with pytest.raises(files.UnsafeError, match="a link that others could turn elsewhere"):
        files.write(link / "x", [b"x"])
    assert not list((tmp_path / "etc").iterdir())


def test_roots_own_links_are_followed(tmp_path: Path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to(tmp_path / "etc")
    files.write(tmp_path / "one/../etc/./x", [b"x"], trusted=True)
    assert (tmp_path / "etc/x").exists()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="symbolic links"):
        files.write(tmp_path / "loop/x", [b"x"])


def spoil(folder: Path, how: str) -> None:
    match how:
        case "owner":
            of_another(folder)
        case "group":
            folder.chmod(0o775)
        case "others":
            folder.chmod(0o757)
        case "sticky of another":
            of_another(folder).chmod(0o1777)


SPOILT = ["owner", "group", "others", "sticky of another"]


@pytest.fixture(params=[(how, where) for how in SPOILT for where in ("a", "a/b")])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A directory that is not root's alone, or lies in one."""
    how, where = request.param
    (tmp_path / "a/b").mkdir(parents=True)
    spoil(tmp_path / where, how)
    return tmp_path / "a/b"


def test_such_a_place_is_not_trusted(place: Path):
    with pytest.raises(files.UnsafeError, match="cannot trust "):
        files.write(place / "x", [b"x"], trusted=True)
    (place / "y").write_text("planted")
    with pytest.raises(files.UnsafeError):
        files.read(place / "y")
    with pytest.raises(files.UnsafeError):
        files.append(place / "y", b"x")
    assert [(p.name, p.read_text()) for p in place.iterdir()] == [("y", "planted")]


def test_no_ca_is_made_or_used_there(place: Path, capsys: pytest.CaptureFixture[str]):
    assert ca(["init", "--dir", str(place)]) == 1
    told = capsys.readouterr().err
    assert told.startswith("xcat-aix-ca: cannot trust ")
    assert told.count("\n") == 1
    assert not list(place.iterdir())
    (place / store.CA).write_text("planted")
    (place / store.CA_KEY).write_text("planted")
    with pytest.raises(AuthorityError, match="cannot trust"):
        store.load(place)


def test_no_pid_file_is_written_or_believed_there(place: Path):
    with pytest.raises(files.UnsafeError):
        PidFile(place / "pid").write()
    assert not list(place.iterdir())


def test_a_sticky_directory_of_roots_is_trusted(tmp_path: Path):
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    files.write(tmp_path / "tmp/x", [b"x"], trusted=True)
    assert files.read(tmp_path / "tmp/x") == b"x"
    with pytest.raises(files.UnsafeError, match=f"belongs to user {OTHER}"):
        files.read(of_another(tmp_path / "tmp/x"))


def test_a_planted_pid_file_gets_nobody_signalled(tmp_path: Path):
    import fcntl

    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    planted = tmp_path / "tmp/pid"
    planted.write_text("1\n")
    with planted.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert PidFile(planted).running() == 1
        of_another(planted)
        assert PidFile(planted).running() is None


def test_names_that_were_guessable_once_are_no_way_in(tmp_path: Path, victim: Path):
    """The temporary names of the pid file and of the CA's files had the process's number."""
    (tmp_path / f"pid.{os.getpid()}").symlink_to(victim)
    (tmp_path / f".key.{os.getpid()}").symlink_to(victim)
    pidfile = PidFile(tmp_path / "pid")
    pidfile.write()
    assert PidFile(tmp_path / "pid").running() == os.getpid()
    pidfile.release()
    assert not (tmp_path / "pid").exists()
    store.write(tmp_path / "key", b"secret", mode=0o600)
    assert (tmp_path / "key").read_bytes() == b"secret"


@pytest.mark.parametrize("name", ["pid", "key"])
def test_a_link_in_their_place_is_refused(name: str, tmp_path: Path, victim: Path):
    (tmp_path / name).symlink_to(victim)
    writers = {
        "pid": lambda: PidFile(tmp_path / name).write(),
        "key": lambda: store.write(tmp_path / name, b"secret", mode=0o600),
    }
    with pytest.raises(FileExistsError):
        writers[name]()


@pytest.mark.parametrize("target", ["nowhere", "elsewhere"])
def test_a_table_is_not_made_or_written_behind_a_link(target: str, tmp_path: Path):
    (tmp_path / "db").mkdir()
    (tmp_path / "elsewhere").touch()
    (tmp_path / "db/nodehm.sqlite").symlink_to(tmp_path / target)
    adapter = SqliteAdapter(tmp_path / "db")
    with (
        pytest.raises(DatabaseError, match="no regular file"),
        adapter.transaction([table("nodehm")]),
    ):
        pass
    with pytest.raises(DatabaseError, match="no regular file"):
        adapter.create([table("nodehm")])
    assert not (tmp_path / "nowhere").exists()
    assert (tmp_path / "elsewhere").stat().st_size == 0


def test_a_tables_file_is_roots_alone(tmp_path: Path):
    old_mask = os.umask(0)
    try:
        SqliteAdapter(tmp_path).create([table("passwd")])
    finally:
        os.umask(old_mask)
    assert mode(tmp_path / "passwd.sqlite") == 0o600
