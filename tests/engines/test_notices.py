"""Notices and turns, on every engine: what looks tell, what stands, what is said of it, and who looks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from xcatd.db.database import Database
from xcatd.db.transaction import Transaction
from xcatd.watching import notices as rules
from xcatd.watching.notices import Level, Notice, Notices, bounded
from xcatd.watching.turns import TABLE as TURNS
from xcatd.watching.turns import WatchTurns


@dataclass
class Clock:
    moment: datetime = datetime(2026, 3, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment

    def forward(self, **time: float) -> None:
        self.moment += timedelta(**time)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def book(database, clock):
    database.create_missing_tables((rules.TABLE, TURNS))
    return Notices(database, clock)


def look(database, book, *told, kind="disks", about=None):
    """What a look changes, as keys."""
    with database.transaction(rules.TABLE) as transaction:
        news = book.settle(transaction, kind, tuple(bounded(told)), about)
    return tuple([each.notice.key for each in part] for part in (news.new, news.again, news.over))


def standing(book):
    return {each.notice.key: each for each in book.list()}


def test_a_notice_stands_until_a_look_tells_it_no_more(database, book, clock):
    full = Notice("sn1:/tmp", "/tmp is full ☃", "sn1", Level.ERROR)
    assert look(database, book, full) == (["sn1:/tmp"], [], [])
    clock.forward(minutes=5)
    assert look(database, book, full) == ([], [], [])
    (found,) = book.list()
    assert found.notice == full
    assert (found.type, found.times) == ("disks", 2)
    assert (found.since, found.last) == (
        "2026-03-01T00:00:00.000000+00:00",
        "2026-03-01T00:05:00.000000+00:00",
    )
    clock.forward(minutes=5)
    assert look(database, book) == ([], [], ["sn1:/tmp"])
    assert look(database, book) == ([], [], [])
    assert book.list() == ()
    (over,) = book.list(with_over=True)
    assert over.over == "2026-03-01T00:10:00.000000+00:00"


def test_what_comes_back_is_new_again(database, book, clock):
    look(database, book, Notice("a", "x"))
    assert book.acknowledge("disks", "a", "anna")
    look(database, book)
    clock.forward(hours=1)
    assert look(database, book, Notice("a", "x")) == (["a"], [], [])
    found = standing(book)["a"]
    assert (found.times, found.acknowledged_by, found.since[:16]) == (1, "", "2026-03-01T01:00")


def test_it_is_said_again_after_its_time_unless_somebody_knows(database, book, clock):
    both = [Notice(key, "x", repeated_after=3600) for key in ("a", "b")]
    look(database, book, *both)
    assert book.acknowledge("disks", "b", "anna")
    clock.forward(minutes=59)
    assert look(database, book, *both) == ([], [], [])
    clock.forward(minutes=1)
    assert look(database, book, *both) == ([], ["a"], [])
    assert look(database, book, *both) == ([], [], [])
    clock.forward(hours=1)
    assert look(database, book, *both) == ([], ["a"], [])
    assert standing(book)["b"].acknowledged_by == "anna"


def test_what_is_seen_once_stands_until_it_expires(database, book, clock):
    look(database, book, Notice("crash", "x", expires=600), Notice("other", "x"))
    clock.forward(minutes=9)
    assert look(database, book) == ([], [], ["other"])
    clock.forward(minutes=1)
    assert look(database, book) == ([], [], ["crash"])


def test_a_look_speaks_for_its_own_kind_and_keys(database, book):
    look(database, book, Notice("a", "x"), Notice("b", "x"))
    look(database, book, Notice("a", "y"), kind="other")
    assert look(database, book, about={"b"}) == ([], [], ["b"])
    assert {(each.type, each.notice.key) for each in book.list()} == {
        ("disks", "a"),
        ("other", "a"),
    }


def test_only_what_stands_can_be_acknowledged(database, book):
    look(database, book, Notice("a", "x"))
    look(database, book)
    assert not book.acknowledge("disks", "a", "anna")
    assert not book.acknowledge("disks", "nothing", "anna")


def test_what_is_over_is_forgotten_in_the_end(database, book, clock):
    look(database, book, Notice("a", "x"))
    look(database, book)
    clock.forward(days=6)
    look(database, book)
    assert len(book.list(with_over=True)) == 1
    clock.forward(days=2)
    look(database, book)
    assert book.list(with_over=True) == ()


def test_what_always_has_new_names_does_not_fill_the_table(database, book, clock, monkeypatch):
    monkeypatch.setattr(rules, "MOST", 5)
    for number in range(30):
        told = [Notice(f"{number}-{each}", "x", expires=3600) for each in range(3)]
        assert len(look(database, book, *told)[0]) == 3
        clock.forward(seconds=1)
    assert len(book.list(with_over=True)) <= 5 + 3
    assert {f"29-{each}" for each in range(3)} <= set(standing(book))


def test_names_differ_by_their_capitals_and_have_any_letters(database, book):
    keys = ["n1", "N1", "ü", "u", "a ", "a", "'"]
    assert look(database, book, *(Notice(key, key) for key in keys))[0] == keys
    assert look(database, book, *(Notice(key, key) for key in keys)) == ([], [], [])
    assert {each.notice.words for each in book.list()} == set(keys)


def test_a_thousand_notices_cost_as_many_statements_as_one(database, book, monkeypatch):
    counted = []
    for name in ("insert", "delete", "update", "select"):
        real = getattr(Transaction, name)

        def wrapped(self, *args, _real=real, _name=name, **more):
            counted.append(_name)
            return _real(self, *args, **more)

        monkeypatch.setattr(Transaction, name, wrapped)
    look(database, book, Notice("a", "x"))
    first = list(counted)
    counted.clear()
    look(database, book, *(Notice(f"k{number}", "x") for number in range(rules.MOST)))
    assert sorted(counted) == sorted(first)


# -- turns -----------------------------------------------------------------------------------------


@pytest.fixture
def daemons(database, location, clock, book):
    other = Database.open(location, busy_timeout=5)
    yield WatchTurns(database, clock, "mn1:1:a"), WatchTurns(other, clock, "mn2:1:b")
    other.close()


def end(turns, kind="disks"):
    with turns.db.transaction(TURNS) as transaction:
        return turns.end(transaction, kind)


def test_one_of_two_daemons_looks(daemons, clock):
    first, second = daemons
    assert first.take("disks", 60, 120)
    assert not second.take("disks", 60, 120)
    assert second.take("other", 60, 120)
    clock.forward(seconds=5)
    assert end(first)
    clock.forward(seconds=20)
    assert not second.take("disks", 60, 120)  # it was looked at just now
    clock.forward(seconds=20)
    assert second.take("disks", 60, 120)
    assert not first.take("disks", 60, 120)


def test_a_dead_daemons_turn_is_taken_over(daemons, clock):
    first, second = daemons
    assert first.take("disks", 60, 120)
    clock.forward(seconds=119)
    assert not second.take("disks", 60, 120)
    clock.forward(seconds=1)
    assert second.take("disks", 60, 120)
    assert not end(first)  # it was thought dead, and must not tell
    assert end(second)


def test_a_clock_that_was_set_back_stops_nobody(daemons, clock):
    first, second = daemons
    first.take("disks", 60, 120)
    end(first)
    clock.forward(days=-1)
    assert second.take("disks", 60, 120)
