"""Wrong passwords: slowed down per source and user, and nobody locked out by somebody else's."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from xcatd.db.snapshot import Snapshot
from xcatd.serving import guesses, identity
from xcatd.serving.guesses import PAIR, SOURCE, USER, Guesses
from xcatd.wire.requests import Login

Cluster = Any


class Hand:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Hand:
    return Hand()


@pytest.fixture
def found(clock: Hand) -> Guesses:
    return Guesses(clock)


def _looked_at(found: Guesses, count: int, source: str = "s", user: str = "u") -> int:
    return sum(found.admit(source, user) for _ in range(count))


def test_the_free_ones_cost_nothing_and_then_each_doubles_the_time(
    found: Guesses, clock: Hand
) -> None:
    assert _looked_at(found, 100) == PAIR.free + 1
    waits = []
    for _ in range(8):
        begun = clock.now
        while not found.admit("s", "u"):
            clock.now += 0.5
        waits.append(clock.now - begun)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def test_attempts_that_come_too_early_do_not_prolong_the_time(found: Guesses, clock: Hand) -> None:
    _looked_at(found, 100)
    clock.now += 1.0
    assert found.admit("s", "u")


def test_a_day_of_guessing_is_few_guesses(found: Guesses, clock: Hand) -> None:
    tried = 0
    for second in range(24 * 3600):
        clock.now = 1000.0 + second
        tried += found.admit("s", f"u{second % 50}")
    assert tried < 24 * 3600 / SOURCE.longest + 50


def test_guessing_from_everywhere_does_not_lock_the_user_out(found: Guesses, clock: Hand) -> None:
    for _ in range(600):
        clock.now += 1.0
        _looked_at(found, 20, source="bad1", user="web")
        _looked_at(found, 20, source="bad2", user="web")
        for number in range(30):
            found.admit(f"bot{number}", "web")
    assert found.admit("honest", "web")
    found.succeeded("honest", "web")
    assert _looked_at(found, 10, "honest", "web") == PAIR.free + 1


def test_a_user_is_guarded_against_many_sources(found: Guesses, clock: Hand) -> None:
    for number in range(100):
        _looked_at(found, PAIR.free, source=f"bot{number}")
    clock.now += USER.longest - 1
    assert not any(found.admit(f"bot{number}", "u") for number in range(100))
    clock.now += 1
    assert sum(found.admit(f"bot{number}", "u") for number in range(100)) == 1


def test_who_has_logged_in_from_a_shared_address_is_not_held_up_by_others(
    found: Guesses,
) -> None:
    assert found.admit("nat", "web")
    found.succeeded("nat", "web")
    for number in range(SOURCE.free + 5):
        found.admit("nat", f"u{number}")
    assert not found.admit("nat", "another")
    assert found.admit("nat", "web")


def test_a_success_of_ones_own_does_not_free_a_source_to_guess(found: Guesses) -> None:
    tried = 0
    for number in range(200):
        tried += found.admit("s", f"victim{number}")
        if found.admit("s", "own"):
            found.succeeded("s", "own")
    assert tried <= SOURCE.free + 1


def test_failures_are_forgotten(found: Guesses, clock: Hand) -> None:
    _looked_at(found, 100)
    clock.now += guesses.FORGOTTEN
    assert _looked_at(found, 100) == PAIR.free + 1


def test_what_is_remembered_is_bounded(found: Guesses) -> None:
    for number in range(guesses._KEPT + 100):
        found.admit(f"s{number}", f"u{number}")
        found.succeeded(f"s{number}", f"u{number}")
        found.admit(f"s{number}", f"v{number}")
    for counts in (found._pairs, found._sources, found._users):
        assert len(counts._found) <= guesses._KEPT
    assert len(found._proven) <= guesses._KEPT


def test_a_hundred_at_once_are_not_all_looked_at(
    found: Guesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    entered = threading.Barrier(40)

    def look(credentials: Login, snapshot: Snapshot) -> None:
        looked.append(credentials.username)

    def guess() -> None:
        entered.wait(10)
        found.authenticate(Login("web", "x"), "10.0.0.1", Snapshot.from_rows({"passwd": []}))

    monkeypatch.setattr(identity, "authenticate", look)
    threads = [threading.Thread(target=guess) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(looked) == PAIR.free + 1


# -- on real sockets -------------------------------------------------------------------------


def _login(how: str, password: str) -> str:
    inner = f"<username>web</username><password>{password}</password>"
    return f"<xcatrequest><command>echo</command><{how}>{inner}</{how}></xcatrequest>"


@pytest.mark.parametrize("how", ["becomeuser", "gettoken"])
def test_a_guesser_is_slowed_down_and_others_are_not(
    cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
    answer: Callable[..., str],
    how: str,
) -> None:
    cluster.write("policy", {"priority": "9", "name": "web", "rule": "allow"})
    looked: list[str] = []
    authenticate = identity.authenticate

    def look(credentials: Login, snapshot: Snapshot) -> str | None:
        looked.append(credentials.password)
        return authenticate(credentials, snapshot)

    monkeypatch.setattr(identity, "authenticate", look)
    refused = [cluster.ask(_login(how, f"wrong{number}"), None) for number in range(30)]
    assert len(set(refused)) == 1  # nobody learns that it was not looked at
    assert "<error>Authentication failure</error>" in refused[0]
    assert len(looked) <= PAIR.free + 5  # some seconds may have passed
    place = ("127.0.0.1", cluster.port)
    with (
        socket.create_connection(place, 20, ("127.0.0.9", 0)) as plain,
        cluster.context(None).wrap_socket(plain) as sock,
    ):
        sock.sendall(_login(how, "web-password").encode())
        assert "Authentication failure" not in answer(sock)
    assert "<info>" in cluster.command("echo")  # and certificates are not concerned
