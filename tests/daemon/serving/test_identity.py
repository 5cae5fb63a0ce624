"""Passwords and tokens."""

from __future__ import annotations

import datetime as dt
import threading
from typing import Any

import pytest

from xcatd.context import SystemClock
from xcatd.db.database import Database
from xcatd.db.location import Location
from xcatd.db.snapshot import Snapshot
from xcatd.serving import identity
from xcatd.serving.peernames import PeerNames, look_up, short_name
from xcatd.wire.requests import Login

NOW = dt.datetime(2026, 11, 23, 12, 0, 0, tzinfo=dt.UTC)


def test_plain_and_hashed_passwords() -> None:
    hashed = identity.system_crypt("secret", "$6$saltsalt$")
    assert hashed
    assert hashed.startswith("$6$saltsalt$")
    assert identity.password_matches("secret", hashed)
    assert not identity.password_matches("Secret", hashed)
    assert identity.password_matches("plain", "plain")
    assert not identity.password_matches("plain", "Plain")


@pytest.mark.parametrize(("given", "stored"), [("", ""), ("x", ""), ("x", None), ("", "x")])
def test_nothing_is_no_password(given: str, stored: str | None) -> None:
    assert not identity.password_matches(given, stored)


def test_a_hash_is_not_its_own_password() -> None:
    hashed = identity.system_crypt("secret", "$6$saltsalt$")
    assert hashed
    assert not identity.password_matches(hashed, hashed)
    assert not identity.password_matches("a\0b", "$6$saltsalt$x")


def test_only_rows_of_xcat_count() -> None:
    snapshot = Snapshot.from_rows(
        {
            "passwd": [
                {"key": "system", "username": "u", "password": "p"},
                {"key": "xcat", "username": "v", "password": "p"},
                {"key": "xcat", "username": "off", "password": "p", "disable": "1"},
            ]
        }
    )
    assert identity.authenticate(Login("v", "p"), snapshot) == "v"
    for name, password in (("u", "p"), ("v", "q"), ("w", "p"), ("", ""), ("off", "p")):
        assert identity.authenticate(Login(name, password), snapshot) is None


def _local(moment: dt.datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


@pytest.mark.parametrize(
    ("text", "is_over"),
    [
        ("never", False),
        (_local(NOW + dt.timedelta(minutes=1)), False),
        (_local(NOW - dt.timedelta(minutes=1)), True),
        ("2026-1-5 3:4:5", True),
        ("2027-1-5 3:4:5", False),
        (str(int(NOW.timestamp()) + 60), False),
        (str(int(NOW.timestamp()) - 60), True),
        ("2026-99-99 00:00:00", True),
        ("tomorrow", True),
        ("", True),
        (None, True),
    ],
)
def test_tokens_expire(text: str | None, is_over: bool) -> None:
    assert identity.expires(text, NOW) is is_over


@pytest.mark.parametrize(
    ("days", "expire"),
    [
        ("1", _local(NOW + dt.timedelta(days=1))),
        ("7", _local(NOW + dt.timedelta(days=7))),
        ("-3", _local(NOW + dt.timedelta(days=1))),
        ("x", _local(NOW + dt.timedelta(days=1))),
        ("Never", "never"),
    ],
)
def test_a_token_lives_as_long_as_the_site_says(days: str, expire: str, tmp_path: Any) -> None:
    database = Database.open(Location("SQLite", tmp_path))
    database.create_missing_tables(["token"])
    token = identity.give_token("alice", days, database, NOW)
    assert token.expire == expire
    assert identity.user_of_token(token.id, database, NOW) == "alice"
    assert identity.user_of_token("", database, NOW) is None
    late = NOW + dt.timedelta(days=400)
    assert (identity.user_of_token(token.id, database, late) is None) is (expire != "never")
    database.close()


@pytest.mark.parametrize(
    ("fqdn", "short"),
    [
        ("sn1.example.com", "sn1"),
        ("sn1-eth0.example.com", "sn1"),
        ("sn1-ib1", "sn1"),
        ("sn1-myri0", "sn1"),
        ("sn1-x", "sn1-x"),
        ("localhost", "localhost"),
    ],
)
def test_peers_have_short_names(fqdn: str, short: str) -> None:
    assert short_name(fqdn) == short


def test_names_are_looked_up_once_and_fall_back_to_the_address() -> None:
    asked: list[str] = []

    def look_up(address: str) -> str | None:
        asked.append(address)
        return "host.example.com" if address == "10.0.0.1" else None

    names = PeerNames(SystemClock(), look_up)
    names.begin("10.0.0.1")
    for _ in range(3):
        assert names.get("10.0.0.1").host == "host"
        assert names.get("10.0.0.2").fqdn == "10.0.0.2"
    assert sorted(asked) == ["10.0.0.1", "10.0.0.2"]
    names.close()


def test_a_hanging_name_server_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    monkeypatch.setattr("xcatd.serving.peernames.PATIENCE", 0.05)
    names = PeerNames(SystemClock(), lambda _: str(gate.wait(10)), threads=1)
    assert names.get("10.0.0.1").host == "10.0.0.1"
    assert names.get("10.0.0.2").host == "10.0.0.2"
    gate.set()
    names.close()


@pytest.mark.parametrize(
    ("name", "leads_to", "counts"),
    [
        ("sn1.example.com", ["10.0.0.7", "10.0.0.1"], True),
        ("sn1.example.com", ["10.0.0.7"], False),
        ("sn1.example.com", [], False),
        (None, ["10.0.0.1"], False),
        ("sn1 example", ["10.0.0.1"], False),
        ("sn1\nx", ["10.0.0.1"], False),
        ("10.0.0.1", ["10.0.0.1"], False),
    ],
)
def test_a_name_counts_only_if_it_leads_back(
    name: str | None, leads_to: list[str], counts: bool
) -> None:
    found = look_up("10.0.0.1", lambda _: name, lambda _: leads_to)
    assert found == (name if counts else None)


def test_addresses_are_compared_however_they_are_spelt() -> None:
    names = ("fe80::1%eth0", lambda _: "a.b", lambda _: ["fe80:0::1%eth1"])
    assert look_up(*names) == "a.b"
    assert look_up("10.0.0.1", lambda _: "a.b", lambda _: ["::ffff:10.0.0.1"]) == "a.b"


def test_a_name_of_another_host_gives_no_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever owns an address can have it called anything."""
    names = PeerNames(
        SystemClock(), lambda ip: look_up(ip, lambda _: "mn.x", lambda _: ["10.0.0.9"])
    )
    assert names.get("10.0.0.66").host == names.get("10.0.0.66").fqdn == "10.0.0.66"
    names.close()


def test_a_look_up_that_found_no_thread_is_done_again() -> None:
    gate, hanging = threading.Event(), threading.Semaphore(0)

    def hang(address: str) -> str | None:
        hanging.release()
        gate.wait(10)
        return f"h{address[-1]}.x"

    names = PeerNames(SystemClock(), hang, threads=1)
    for number in range(70):  # more than may wait
        names.begin(f"10.1.0.{number}")
    assert hanging.acquire(timeout=10)
    assert names.get("10.0.0.5").host == "10.0.0.5"
    gate.set()
    while names._pool.unfinished:
        assert hanging.acquire(timeout=10)
    assert names.get("10.0.0.5").host == "h5"
    names.close()


# -- what must not tell or last --------------------------------------------------------------


def test_one_hash_is_made_whoever_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = identity.system_crypt("secret", "$6$saltsalt$")
    rows = [
        {"key": "xcat", "username": "plain", "password": "p"},
        {"key": "xcat", "username": "hashed", "password": hashed},
    ]
    snapshot = Snapshot.from_rows({"passwd": rows})
    made: list[str] = []
    crypt = identity.system_crypt

    def counted(given: str, stored: str) -> str | None:
        if stored.startswith("$6$"):
            made.append(stored)
        return crypt(given, stored)

    monkeypatch.setattr(identity, "system_crypt", counted)
    for name, password in [
        *(("plain", "p"), ("plain", "wrong"), ("hashed", "secret"), ("hashed", "wrong")),
        *(("nobody", "x"), ("", ""), ("nobody", "x" * 100_000), ("hashed", ""), ("a/b", "p")),
    ]:
        made.clear()
        identity.authenticate(Login(name, password), snapshot)
        assert len(made) == 1, name
        assert made[0].startswith("$6$saltsalt$")


@pytest.mark.parametrize("name", ["a/b", "a\nb", "a\x1bb", " a", "x" * 65, "a\u202eb", ""])
def test_what_is_no_user_name_cannot_log_in(name: str, tmp_path: Any) -> None:
    rows = [{"key": "xcat", "username": name, "password": "p"}]
    snapshot = Snapshot.from_rows({"passwd": rows})
    assert identity.authenticate(Login(name, "p"), snapshot) is None
    database = Database.open(Location("SQLite", tmp_path))
    database.create_missing_tables(["token"])
    with database.transaction("token") as transaction:
        transaction.insert("token", [{"tokenid": "t", "username": name, "expire": "never"}])
    assert identity.user_of_token("t", database, NOW) is None
    database.close()


def test_a_user_has_a_bounded_number_of_tokens(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "MOST_TOKENS", 3)
    database = Database.open(Location("SQLite", tmp_path))
    database.create_missing_tables(["token"])
    other = identity.give_token("other", "1", database, NOW)
    old = identity.give_token("alice", "1", database, NOW - dt.timedelta(days=9))
    given = []
    for second in range(6):
        moment = NOW + dt.timedelta(seconds=second)
        given.append(identity.give_token("alice", "1", database, moment).id)
    stored = {row["tokenid"] for row in database.read(["token"]).rows("token")}
    assert stored == {other.id, *given[-3:]}
    assert old.id not in stored
    database.close()


def test_a_token_that_never_ends_is_warned_of(
    tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database.open(Location("SQLite", tmp_path))
    database.create_missing_tables(["token"])
    identity.give_token("alice", "1", database, NOW)
    assert caplog.text == ""
    token = identity.give_token("alice", "Never", database, NOW)
    assert "the token now given to alice never ends" in caplog.text
    assert token.id not in caplog.text
    database.close()
