"""The journal, over the double in memory and over every real engine: one contract."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from xcat_aix.plan.model import FORMAT, Plan
from xcat_aix.run import stored
from xcat_aix.run.errors import (
    LeaseLost,
    NotClosed,
    NothingToResume,
    Overlap,
    Parked,
    RunError,
    StillRunning,
    UnknownPlan,
)
from xcat_aix.run.journal import Claim, Journal
from xcat_aix.run.states import Event, Outcome, Phase, StepState, Word
from xcat_aix.run.store import EVENTS, PLANS, Transaction
from xcat_aix.run.testing import ManualClock, MemoryDatabase
from xcatd.db.database import Database

from .rig import plan, sqlite


class Shelf:
    """A database with journals of several management nodes over it."""

    def __init__(self, db: Any) -> None:
        self.db = db
        self.clock = ManualClock()
        self.dead: set[int] = set()
        self._tokens = itertools.count(0xA0)

    def journal(self, host: str = "mn1", **more: Any) -> Journal:
        token = lambda: f"{next(self._tokens):04x}"  # noqa: E731 - as short as it is
        return Journal(self.db, self.clock, host, token, alive=self._alive, **more)

    def _alive(self, pid: int) -> bool:
        return pid not in self.dead

    def events(self) -> list[str]:
        found = self.db.select(EVENTS, order=("seq",))
        return [row["event"] for row in found]

    def change(self, plan_id: str | None = None, **values: Any) -> None:
        with self.db.transaction(PLANS) as transaction:
            transaction.update(PLANS, {"id": plan_id} if plan_id else {}, values)


@pytest.fixture(params=["memory", "sqlite", "postgres", "mariadb"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path, servers: Any) -> Iterator[Shelf]:
    if request.param == "memory":
        yield Shelf(MemoryDatabase())
        return
    db = sqlite(tmp_path) if request.param == "sqlite" else _on_server(servers, request.param)
    yield Shelf(db)
    db.close()


def _on_server(servers: Any, name: str) -> Database:
    """A database that all tests share, with an empty journal."""
    db = Database.open(servers.get(name).shared("journal"))
    db.create_missing_tables((PLANS, EVENTS))
    with db.transaction(PLANS, EVENTS) as transaction:
        for table, key in ((PLANS, "id"), (EVENTS, "seq")):
            transaction.delete(table, {key: [row[key] for row in transaction.rows(table)]})
    return db


INTENT = Event(Word.INTENT, "n1", "repoint", 1, "job")
DONE = Event(Word.DONE, "n1", "repoint", 1, detail={"result": {"a": 1}})


def test_nobody_drives_out_the_kept_plans_of_others(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xcat_aix.run.journal.SAVED_KEPT", 2)
    journal = shelf.journal()
    of_root, _ = journal.save(plan(), user="root")
    own = [journal.save(plan(), user="few")[0] for _ in range(4)]
    assert [found.id for found in journal.list()] == [own[3], own[2], of_root]


def test_an_empty_journal_lists_nothing(shelf: Shelf) -> None:
    assert shelf.journal().list() == ()
    with pytest.raises(UnknownPlan, match="cannot find x in the journal"):
        shelf.journal().load("x")
    with pytest.raises(UnknownPlan):
        shelf.journal().claim("x")


def test_a_plan_comes_back_as_it_was_stored(shelf: Shelf) -> None:
    stored = plan(["n1", "n2"], summary={"a": ["b", None, 1]})
    hold = shelf.journal().open_plan(stored, command="snmove n1,n2 -d sn2", user="root")
    assert hold.plan_id == "snmove-20261123-00a0"
    found = shelf.journal().load(hold.plan_id)
    assert found.plan == stored
    assert found.plan.digest() == stored.digest()
    summary = found.summary
    assert shelf.journal().list() == (summary,)
    assert (summary.command, summary.user, summary.host) == ("snmove n1,n2 -d sn2", "root", "mn1")
    assert summary.nodes == ("n1", "n2")
    assert summary.opened == "2026-11-23T12:00:00.000000+00:00"
    assert summary.is_running and summary.sentence == "running"


def test_events_come_back_in_order(shelf: Shelf) -> None:
    journal = shelf.journal()
    hold = journal.open_plan(plan())
    journal.record(hold, [INTENT])
    told = journal.record(hold, [DONE, replace(INTENT, step="xcatinfo")])
    assert [event.at for event in told] == ["2026-11-23T12:00:00.000000+00:00"] * 2
    found = journal.load(hold.plan_id)
    assert [event.word for event in found.events] == [
        Word.OPENED, Word.INTENT, Word.DONE, Word.INTENT,
    ]  # fmt: skip
    numbers = [event.seq for event in found.events]
    assert numbers == sorted(set(numbers))
    assert found.state.record("n1", "repoint").result == {"a": 1}
    assert found.state.record("n1", "xcatinfo").state is StepState.DOING
    assert found.state.record("n1", "repoint").job == "job"


def test_an_impossible_plan_is_not_opened(shelf: Shelf) -> None:
    bad = replace(plan(), lanes=(*plan().lanes, plan().lanes[0]))
    with pytest.raises(ValueError, match="lane 'database' is there 2 times"):
        shelf.journal().open_plan(bad)
    assert shelf.journal().list() == ()


def test_two_open_plans_cannot_share_a_node(shelf: Shelf) -> None:
    hold = shelf.journal().open_plan(plan(["n1", "n2"]))
    with pytest.raises(Overlap, match=f"{hold.plan_id} is working on n2; wait for it") as caught:
        shelf.journal().open_plan(plan(["n2", "n3"]))
    assert (caught.value.plan_id, caught.value.nodes) == (hold.plan_id, ("n2",))
    shelf.journal().open_plan(plan(["n3", "n22"]))
    shelf.journal().close(hold, Outcome.OK)
    shelf.journal().open_plan(plan(["n2"]))


def test_an_interrupted_plan_keeps_its_nodes_and_says_so(shelf: Shelf) -> None:
    nodes = [f"n{number}" for number in range(8)]
    hold = shelf.journal().open_plan(plan(nodes))
    shelf.dead.add(hold.owner.pid)
    with pytest.raises(Overlap, match=r"n0, n1, n2, n3, n4 and 3 more; resume it or undo it first"):
        shelf.journal().open_plan(plan(nodes))


def test_an_id_in_use_is_not_used_again(shelf: Shelf) -> None:
    tokens = iter(["aaaa", *"1234", "aaaa", "bbbb", *"5678"])
    journal = Journal(shelf.db, shelf.clock, "mn1", lambda: next(tokens))
    assert journal.open_plan(plan(["n1"])).plan_id == "snmove-20261123-aaaa"
    assert journal.open_plan(plan(["n2"])).plan_id == "snmove-20261123-bbbb"


# Claims


def test_a_running_plan_cannot_be_taken_over(shelf: Shelf) -> None:
    hold = shelf.journal().open_plan(plan())
    with pytest.raises(StillRunning, match=f"is being worked on by {hold.owner}"):
        shelf.journal().claim(hold.plan_id)
    with pytest.raises(StillRunning):
        shelf.journal().abandon(hold.plan_id)


def test_a_dead_process_on_this_host_is_seen_at_once(shelf: Shelf) -> None:
    hold = shelf.journal().open_plan(plan())
    shelf.dead.add(hold.owner.pid)
    (summary,) = shelf.journal().list()
    assert summary.is_interrupted and summary.sentence == "interrupted"
    shelf.journal().claim(hold.plan_id)


def test_a_dead_process_on_another_host_is_seen_when_its_lease_is_over(shelf: Shelf) -> None:
    hold = shelf.journal(host="mn2").open_plan(plan())
    shelf.dead.add(hold.owner.pid)
    shelf.clock.advance(29)
    with pytest.raises(StillRunning):
        shelf.journal().claim(hold.plan_id)
    shelf.clock.advance(1)
    claimed = shelf.journal().claim(hold.plan_id)
    assert claimed.hold.owner.host == "mn1"


def test_every_record_renews_the_lease(shelf: Shelf) -> None:
    journal = shelf.journal()
    hold = journal.open_plan(plan())
    for _ in range(5):
        shelf.clock.advance(20)
        journal.record(hold, ())
    with pytest.raises(StillRunning):
        shelf.journal(host="mn2").claim(hold.plan_id)


def test_a_lease_is_renewed_without_events_once_it_is_due(shelf: Shelf) -> None:
    journal = shelf.journal()
    hold = journal.open_plan(plan())
    until = hold.until
    shelf.clock.advance(9)
    journal.renew_if_due(hold)
    assert hold.until == until
    shelf.clock.advance(2)
    journal.renew_if_due(hold)
    assert hold.until == until + timedelta(seconds=11)


def test_who_was_taken_for_dead_can_write_nothing_any_more(shelf: Shelf) -> None:
    journal = shelf.journal()
    hold = journal.open_plan(plan())
    shelf.clock.advance(31)
    shelf.journal(host="mn2").claim(hold.plan_id)
    before = shelf.events()
    wrote: list[int] = []

    def write(transaction: Transaction) -> list[Event]:
        wrote.append(1)
        return []

    with pytest.raises(LeaseLost, match="taken over by somebody else"):
        journal.record(hold, [INTENT], write=write)
    with pytest.raises(LeaseLost):
        journal.close(hold, Outcome.OK)
    with pytest.raises(LeaseLost):
        journal.release(hold)
    assert shelf.events() == before
    assert not wrote


def test_a_claim_puts_what_was_being_done_in_doubt(shelf: Shelf) -> None:
    journal = shelf.journal()
    hold = journal.open_plan(plan())
    journal.record(hold, [INTENT])
    shelf.dead.add(hold.owner.pid)
    claimed = shelf.journal().claim(hold.plan_id)
    assert claimed.state.record("n1", "repoint").state is StepState.UNKNOWN
    assert shelf.events() == ["opened", "intent", "claimed"]
    shelf.journal().record(claimed.hold, [Event(Word.PROBED_DONE, "n1", "repoint", 1)])


def test_a_released_plan_can_be_claimed_at_once(shelf: Shelf) -> None:
    journal = shelf.journal()
    hold = journal.open_plan(plan())
    journal.release(hold)
    assert shelf.journal().list()[0].is_interrupted
    with pytest.raises(LeaseLost):
        journal.record(hold, [INTENT])
    shelf.journal().claim(hold.plan_id)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_what_can_be_claimed_after_its_end(shelf: Shelf, outcome: Outcome) -> None:
    journal = shelf.journal()
    hold = journal.open_plan(plan())
    event = journal.close(hold, outcome)
    assert event.detail == {"outcome": outcome.value}
    (summary,) = journal.list()
    assert (summary.phase, summary.outcome, bool(summary.closed)) == (Phase.CLOSED, outcome, True)
    assert summary.sentence == f"{outcome.value}: {outcome.sentence}"
    if outcome.can_be_resumed:
        journal.claim(hold.plan_id)
        assert journal.list()[0].outcome is None
    else:
        with pytest.raises(NothingToResume, match=outcome.sentence):
            journal.claim(hold.plan_id)


def test_a_plan_is_not_resumed_behind_a_later_one(shelf: Shelf) -> None:
    journal = shelf.journal()
    old = journal.open_plan(plan(["n1", "n2"]))
    journal.close(old, Outcome.PARTIAL)
    shelf.clock.advance(1)
    new = journal.open_plan(plan(["n2"]))
    journal.close(new, Outcome.OK)
    with pytest.raises(
        NothingToResume,
        match="superseded by snmove-20261123-00a5, which has worked on n2",
    ):
        journal.claim(old.plan_id)


def test_an_interrupted_plan_can_be_given_up(shelf: Shelf) -> None:
    journal = shelf.journal()
    hold = journal.open_plan(plan())
    shelf.dead.add(hold.owner.pid)
    journal.abandon(hold.plan_id)
    assert journal.list()[0].outcome is Outcome.ABANDONED
    with pytest.raises(NothingToResume, match="closed already"):
        journal.abandon(hold.plan_id)
    journal.open_plan(plan())


def race(claimants: list[Callable[[], Any]]) -> list[Any]:
    """Everybody at once; what each got, exceptions too."""
    start = threading.Barrier(len(claimants))
    got: list[Any] = []

    def run(claimant: Callable[[], Any]) -> None:
        start.wait()
        try:
            got.append(claimant())
        except RunError as problem:
            got.append(problem)

    threads = [threading.Thread(target=run, args=(claimant,)) for claimant in claimants]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return got


def test_exactly_one_of_many_claimants_gets_a_plan(shelf: Shelf) -> None:
    hold = shelf.journal(host="mn9").open_plan(plan())
    shelf.clock.advance(60)
    hosts = [f"mn{number}" for number in range(6)]
    got = race([lambda h=host: shelf.journal(h).claim(hold.plan_id) for host in hosts])  # type: ignore[misc] # bound now
    assert sum(not isinstance(each, RunError) for each in got) == 1
    assert sum(isinstance(each, StillRunning) for each in got) == 5
    assert shelf.events() == ["opened", "claimed"]


def test_exactly_one_of_many_overlapping_plans_is_opened(shelf: Shelf) -> None:
    plans = [plan(["n0", f"n{number}"]) for number in range(1, 6)]
    got = race([lambda p=each: shelf.journal().open_plan(p) for each in plans])  # type: ignore[misc] # bound now
    (hold,) = [each for each in got if isinstance(each, Claim)]
    refused = [each for each in got if isinstance(each, Overlap)]
    assert len(refused) == 4
    assert {each.plan_id for each in refused} == {hold.plan_id}


def test_two_processes_cannot_work_on_the_same_node(tmp_path: Path) -> None:
    driver = Path(__file__).with_name("driver.py")
    command = [sys.executable, driver, tmp_path / "db", "race"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=50)
    answers = json.loads(done.stdout)
    assert sorted(word for word, _ in answers) == ["opened", "refused", "refused"], done.stderr
    assert len({plan_id for _, plan_id in answers}) == 1


# One transaction


def test_a_write_and_its_events_are_stored_together_or_not_at_all(shelf: Shelf) -> None:
    journal = shelf.journal()
    hold = journal.open_plan(plan())

    def fails(transaction: Transaction) -> list[Event]:
        transaction.insert("noderes", [{"node": "n7", "servicenode": "x"}])
        raise RunError("no")

    def works(transaction: Transaction) -> list[Event]:
        transaction.insert("noderes", [{"node": "n8", "servicenode": "x"}])
        return [DONE]

    with pytest.raises(RunError):
        journal.record(hold, [INTENT], tables=["noderes"], write=fails)
    assert shelf.events() == ["opened"]
    journal.record(hold, [INTENT], tables=["noderes"], write=works)
    assert shelf.events() == ["opened", "intent", "done"]
    assert {row["node"] for row in shelf.db.select("noderes")} & {"n7", "n8"} == {"n8"}


# Undoing


def test_an_undo_marks_the_plan_that_it_takes_back(shelf: Shelf) -> None:
    journal = shelf.journal()
    old = journal.open_plan(plan())
    journal.close(old, Outcome.OK)
    undo = journal.open_plan(replace(plan(), undoes=old.plan_id))
    assert journal.load(old.plan_id).summary.phase is Phase.UNDOING
    assert journal.load(old.plan_id).state.undone_by == undo.plan_id
    with pytest.raises(NothingToResume, match="being taken back"):
        journal.claim(old.plan_id)
    journal.close(undo, Outcome.PARTIAL)
    assert journal.load(old.plan_id).summary.phase is Phase.UNDOING
    claimed = journal.claim(undo.plan_id)
    journal.close(claimed.hold, Outcome.OK)
    found = journal.load(old.plan_id)
    assert found.summary.phase is found.state.phase is Phase.UNDONE
    assert found.summary.sentence == "taken back"
    with pytest.raises(NothingToResume, match="taken back already"):
        journal.open_plan(replace(plan(), undoes=old.plan_id))


def test_an_undo_that_did_nothing_leaves_the_plan_as_it_was(shelf: Shelf) -> None:
    journal = shelf.journal()
    old = journal.open_plan(plan())
    journal.close(old, Outcome.OK)
    undo = journal.open_plan(replace(plan(), undoes=old.plan_id))
    journal.close(undo, Outcome.FAILED)
    found = journal.load(old.plan_id)
    assert found.summary.phase is found.state.phase is Phase.CLOSED
    assert (found.state.outcome, found.state.undone_by) == (Outcome.OK, "")
    journal.open_plan(replace(plan(), undoes=old.plan_id))


def test_a_second_undo_names_the_first(shelf: Shelf) -> None:
    journal = shelf.journal()
    old = journal.open_plan(plan())
    journal.close(old, Outcome.OK)
    undo = journal.open_plan(replace(plan(), undoes=old.plan_id))
    journal.close(undo, Outcome.PARTIAL)
    with pytest.raises(NothingToResume, match=f"{undo.plan_id} is taking it back already"):
        journal.open_plan(replace(plan(), undoes=old.plan_id))
    journal.claim(undo.plan_id)


def test_a_later_plan_that_did_nothing_is_no_reason_not_to_resume(shelf: Shelf) -> None:
    journal = shelf.journal()
    first = journal.open_plan(plan())
    journal.close(first, Outcome.PARTIAL)
    shelf.clock.advance(1)
    second = journal.open_plan(plan())
    journal.close(second, Outcome.FAILED)
    journal.claim(first.plan_id)


def test_an_undo_gives_up_what_was_interrupted(shelf: Shelf) -> None:
    journal = shelf.journal()
    old = journal.open_plan(plan())
    journal.record(old, [INTENT])
    with pytest.raises(StillRunning):
        journal.open_plan(replace(plan(), undoes=old.plan_id))
    shelf.dead.add(old.owner.pid)
    journal.open_plan(replace(plan(), undoes=old.plan_id))
    state = journal.load(old.plan_id).state
    assert (state.outcome, state.phase) == (Outcome.ABANDONED, Phase.UNDOING)
    assert state.record("n1", "repoint").state is StepState.UNKNOWN


def test_an_undo_that_is_refused_leaves_the_plan_alone(shelf: Shelf) -> None:
    journal = shelf.journal()
    old = journal.open_plan(plan(["n1"]))
    journal.close(old, Outcome.OK)
    journal.open_plan(plan(["n2"]))
    with pytest.raises(Overlap):
        journal.open_plan(replace(plan(["n1", "n2"]), undoes=old.plan_id))
    assert journal.load(old.plan_id).summary.phase is Phase.CLOSED
    with pytest.raises(UnknownPlan):
        journal.open_plan(replace(plan(["n3"]), undoes="nothing"))


def undoing(shelf: Shelf, old: str, *nodes: str, knows: int | None = -1) -> Plan:
    """The undo of a plan, made from its story as it is now, or up to an event."""
    seq = shelf.journal().load(old).events[-1].seq if knows == -1 else knows
    return replace(plan(nodes or ("n1",)), undoes=old, undoes_seq=seq)


def ended(shelf: Shelf, made: Plan, outcome: Outcome) -> str:
    hold = shelf.journal().open_plan(made)
    shelf.journal().close(hold, outcome)
    return hold.plan_id


def phases(shelf: Shelf, *plans: str) -> list[Phase]:
    """As they are stored; their stories tell the same."""
    found = [shelf.journal().load(each) for each in plans]
    assert [each.state.phase for each in found] == [each.summary.phase for each in found]
    return [each.summary.phase for each in found]


@pytest.mark.parametrize("is_kept", [True, False])
def test_an_undo_of_a_plan_that_went_on_since_is_refused(shelf: Shelf, is_kept: bool) -> None:
    journal = shelf.journal()
    old = ended(shelf, plan(), Outcome.PARTIAL)
    undo = undoing(shelf, old)
    kept, _ = journal.save(undo)
    journal.close(journal.claim(old).hold, Outcome.OK)
    with pytest.raises(NothingToResume, match=f"{old}: it went on .* anew: plans --undo {old}"):
        journal.open_saved(kept) if is_kept else journal.open_plan(undo)
    assert phases(shelf, old) == [Phase.CLOSED]
    journal.open_plan(undoing(shelf, old))


def test_an_interrupted_plan_that_went_on_is_not_given_up_by_an_older_undo(shelf: Shelf) -> None:
    journal = shelf.journal()
    hold = journal.open_plan(plan())
    journal.release(hold)
    undo = undoing(shelf, hold.plan_id)
    journal.release(journal.claim(hold.plan_id).hold)
    with pytest.raises(NothingToResume, match="it went on"):
        journal.open_plan(undo)
    assert phases(shelf, hold.plan_id) == [Phase.OPEN]


def test_what_is_recorded_without_a_new_claim_counts_too(shelf: Shelf) -> None:
    """A lease that has run out, and an owner who was only slow."""
    journal = shelf.journal()
    hold = journal.open_plan(plan())
    shelf.clock.advance(60)
    undo = undoing(shelf, hold.plan_id)
    journal.record(hold, [INTENT, DONE])
    journal.close(hold, Outcome.PARTIAL)
    with pytest.raises(NothingToResume, match="it went on"):
        journal.open_plan(undo)


def test_an_undo_that_did_nothing_stands_in_no_other_ones_way(shelf: Shelf) -> None:
    journal = shelf.journal()
    hold = journal.open_plan(plan())
    journal.release(hold)
    kept, _ = journal.save(undoing(shelf, hold.plan_id))
    ended(shelf, undoing(shelf, hold.plan_id), Outcome.FAILED)
    ended(shelf, undoing(shelf, hold.plan_id), Outcome.FAILED)
    journal.close(journal.open_saved(kept).hold, Outcome.OK)
    assert phases(shelf, hold.plan_id) == [Phase.UNDONE]


def test_an_undo_of_an_older_version_is_opened_as_before(shelf: Shelf) -> None:
    old = ended(shelf, plan(), Outcome.PARTIAL)
    undo = undoing(shelf, old, knows=None)
    assert "undoes_seq" not in undo.to_json()
    shelf.journal().close(shelf.journal().claim(old).hold, Outcome.OK)
    shelf.journal().open_plan(undo)


def test_a_failed_undo_that_is_resumed_begins_anew(shelf: Shelf) -> None:
    journal = shelf.journal()
    old = ended(shelf, plan(), Outcome.OK)
    undo = ended(shelf, undoing(shelf, old), Outcome.FAILED)
    claimed = journal.claim(undo)
    assert phases(shelf, old) == [Phase.UNDOING]
    journal.close(claimed.hold, Outcome.OK)
    assert phases(shelf, old) == [Phase.UNDONE]


def test_a_failed_undo_is_not_resumed_when_the_plan_went_on(shelf: Shelf) -> None:
    journal = shelf.journal()
    old = ended(shelf, plan(), Outcome.PARTIAL)
    undo = ended(shelf, undoing(shelf, old), Outcome.FAILED)
    journal.close(journal.claim(old).hold, Outcome.OK)
    with pytest.raises(NothingToResume, match=f"cannot undo {old}: it went on"):
        journal.claim(undo)
    assert phases(shelf, old, undo) == [Phase.CLOSED, Phase.CLOSED]


def _superseded(shelf: Shelf, _old: str, _undo: str) -> None:
    ended(shelf, plan(["n1"]), Outcome.OK)


def _forgotten(shelf: Shelf, _old: str, undo: str) -> None:
    shelf.journal().forget(undo)


def _taken_back_in_part(shelf: Shelf, _old: str, undo: str) -> None:
    again = ended(shelf, undoing(shelf, undo), Outcome.PARTIAL)
    shelf.journal().forget(again)


def _damaged(shelf: Shelf, old: str, _undo: str) -> None:
    with shelf.db.transaction(EVENTS) as transaction:
        where = {"plan": old, "event": Word.UNDO_INTENT.value}
        transaction.update(EVENTS, where, {"detail": "{"})


@pytest.mark.parametrize("over", [_superseded, _forgotten, _taken_back_in_part])
def test_an_undo_that_can_do_nothing_more_is_followed_by_another(
    shelf: Shelf, over: Callable[[Shelf, str, str], None]
) -> None:
    old = ended(shelf, plan(), Outcome.OK)
    over(shelf, old, ended(shelf, undoing(shelf, old), Outcome.PARTIAL))
    shelf.journal().refuse_undo(old)
    ended(shelf, undoing(shelf, old), Outcome.OK)
    assert phases(shelf, old) == [Phase.UNDONE]


@pytest.mark.parametrize("over", [_superseded, _forgotten, _taken_back_in_part, _damaged])
def test_a_plan_whose_undo_can_do_nothing_more_is_forgotten(
    shelf: Shelf, over: Callable[[Shelf, str, str], None]
) -> None:
    old = ended(shelf, plan(), Outcome.OK)
    over(shelf, old, ended(shelf, undoing(shelf, old), Outcome.PARTIAL))
    shelf.journal().forget(old)


def test_such_a_plan_ages_out(shelf: Shelf) -> None:
    old = ended(shelf, plan(), Outcome.OK)
    undo = ended(shelf, undoing(shelf, old), Outcome.PARTIAL)
    shelf.journal(kept=1).open_plan(plan(["n7"]))
    assert old in [each.id for each in shelf.journal().list()]  # its undo can go on
    shelf.journal().forget(undo)
    ended(shelf, plan(["n2"]), Outcome.OK)
    shelf.journal(kept=1).open_plan(plan(["n8"]))
    assert old not in [each.id for each in shelf.journal().list()]


def test_each_advice_about_an_undo_works(shelf: Shelf) -> None:
    journal = shelf.journal()
    old = ended(shelf, plan(), Outcome.OK)
    undo = ended(shelf, undoing(shelf, old), Outcome.PARTIAL)
    told = f"{undo} is taking it back already; resume that one, or forget it: plans --forget {undo}"
    for refused in (journal.forget, journal.refuse_undo):
        with pytest.raises(RunError, match=told):
            refused(old)
    journal.release(journal.claim(undo).hold)
    with pytest.raises(NotClosed, match=f"or give it up: plans --abandon {undo}"):
        journal.forget(old)
    journal.abandon(undo)
    journal.forget(old)


def test_an_undo_that_is_being_taken_back_names_what_goes_on(shelf: Shelf) -> None:
    journal = shelf.journal()
    old = ended(shelf, plan(), Outcome.OK)
    undo = ended(shelf, undoing(shelf, old), Outcome.PARTIAL)
    again = ended(shelf, undoing(shelf, undo), Outcome.PARTIAL)
    with pytest.raises(NothingToResume, match=f"{undo} is being taken back by {again}; resume"):
        journal.refuse_undo(old)
    journal.close(journal.claim(again).hold, Outcome.OK)
    journal.refuse_undo(old)


@pytest.mark.parametrize(
    ("outcome", "before"), [(Outcome.OK, Phase.UNDONE), (Outcome.PARTIAL, Phase.UNDOING)]
)
def test_whose_undo_was_taken_back_is_as_it_was(
    shelf: Shelf, outcome: Outcome, before: Phase
) -> None:
    old = ended(shelf, plan(), Outcome.OK)
    undo = ended(shelf, undoing(shelf, old), outcome)
    again = ended(shelf, undoing(shelf, undo), Outcome.OK)
    assert phases(shelf, old, undo, again) == [Phase.CLOSED, Phase.UNDONE, Phase.CLOSED]
    found = shelf.journal().load(old)
    assert found.summary.outcome is found.state.outcome is Outcome.OK
    ended(shelf, undoing(shelf, again), Outcome.OK)
    assert phases(shelf, old, undo, again) == [before, Phase.CLOSED, Phase.UNDONE]


def test_an_undo_that_ended_is_not_told_to_a_plan_that_is_gone(shelf: Shelf) -> None:
    journal = shelf.journal()
    old = ended(shelf, plan(), Outcome.OK)
    hold = journal.open_plan(undoing(shelf, old))
    with shelf.db.transaction(PLANS, EVENTS) as transaction:
        transaction.delete(EVENTS, {"plan": old})
        transaction.delete(PLANS, {"id": old})
    journal.close(hold, Outcome.OK)
    assert not shelf.db.select(EVENTS, {"plan": old})


def test_a_failed_plan_is_superseded_too(shelf: Shelf) -> None:
    first = ended(shelf, plan(), Outcome.FAILED)
    second = ended(shelf, plan(), Outcome.OK)
    found = shelf.journal().load(first).summary
    assert found == shelf.journal().list()[1]
    assert found.sentence == f"superseded by {second}" and not found.can_go_on
    with pytest.raises(NothingToResume, match=f"superseded by {second}"):
        shelf.journal().claim(first)


# What this program cannot read


@pytest.mark.parametrize(
    "values",
    [
        {"format": FORMAT + 1},
        {"body": "{"},
        {"body": "[" * 9000, "digest": stored.digest("[" * 9000)},
    ],
)
def test_what_is_over_and_cannot_be_read_is_forgotten(shelf: Shelf, values: dict[str, Any]) -> None:
    journal = shelf.journal()
    old = ended(shelf, plan(), Outcome.PARTIAL)
    shelf.change(old, **values)
    for refused in (journal.load, journal.claim):
        with pytest.raises(Parked, match=f"plans --forget {old} takes it") as caught:
            refused(old)
        assert "--abandon" not in str(caught.value)
    journal.forget(old)


def test_a_newer_format_that_is_being_taken_back_can_be_got_rid_of(shelf: Shelf) -> None:
    journal = shelf.journal()
    old = ended(shelf, plan(), Outcome.OK)
    undo = ended(shelf, undoing(shelf, old), Outcome.PARTIAL)
    shelf.change(old, format=FORMAT + 1)
    shelf.change(undo, format=FORMAT + 1)
    with pytest.raises(NotClosed, match=f"plans --forget {undo}"):
        journal.forget(old)
    journal.forget(undo)
    journal.forget(old)


@pytest.mark.parametrize("is_over", [True, False])
def test_events_nested_too_deep_are_parked(shelf: Shelf, is_over: bool) -> None:
    journal = shelf.journal()
    hold = journal.open_plan(plan())
    journal.close(hold, Outcome.PARTIAL) if is_over else journal.release(hold)
    with shelf.db.transaction(EVENTS) as transaction:
        transaction.update(EVENTS, {"plan": hold.plan_id}, {"detail": "[" * 3000})
    verb = "forget" if is_over else "abandon"
    for refused in (journal.load, journal.claim):
        with pytest.raises(Parked, match=f"not readable.*plans --{verb} {hold.plan_id}"):
            refused(hold.plan_id)
    getattr(journal, verb)(hold.plan_id)


def test_a_newer_format_is_parked(shelf: Shelf) -> None:
    journal = shelf.journal()
    hold = journal.open_plan(plan())
    shelf.dead.add(hold.owner.pid)
    shelf.change(format=FORMAT + 1)
    before = shelf.events()
    with pytest.raises(Parked, match=f"format {FORMAT + 1} is not known to this version"):
        journal.claim(hold.plan_id)
    (summary,) = journal.list()
    assert summary.sentence.startswith(f"parked: its format {FORMAT + 1}")
    assert shelf.events() == before
    with pytest.raises(Overlap):
        journal.open_plan(plan())


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("{", "not readable"),
        ("{}", "not readable"),
        (json.dumps({**plan().to_json(), "lanes": [{"steps": [], "needs": []}]}), "not readable"),
    ],
)
def test_an_unreadable_body_is_parked(shelf: Shelf, body: str, reason: str) -> None:
    hold = shelf.journal().open_plan(plan())
    shelf.change(body=body)
    with pytest.raises(Parked, match="was altered"):
        shelf.journal().load(hold.plan_id)
    shelf.change(digest=stored.digest(body))
    with pytest.raises(Parked, match=reason):
        shelf.journal().load(hold.plan_id)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"event": "danced"}, "not readable"),
        ({"detail": "{"}, "not readable"),
        ({"event": "undone"}, "cannot be: the plan is new"),
    ],
)
def test_impossible_events_are_parked(shelf: Shelf, values: dict[str, str], reason: str) -> None:
    hold = shelf.journal().open_plan(plan())
    with shelf.db.transaction(EVENTS) as transaction:
        transaction.update(EVENTS, {"plan": hold.plan_id}, values)
    with pytest.raises(Parked, match=reason):
        shelf.journal().load(hold.plan_id)


@pytest.mark.parametrize("shelf", ["memory", "sqlite"], indirect=True)
def test_a_number_that_is_none_is_parked(shelf: Shelf) -> None:
    """The other engines do not store it."""
    hold = shelf.journal().open_plan(plan())
    with shelf.db.transaction(EVENTS) as transaction:
        transaction.update(EVENTS, {"plan": hold.plan_id}, {"attempt": "x"})
    with pytest.raises(Parked, match="not readable"):
        shelf.journal().load(hold.plan_id)


@pytest.mark.parametrize(
    "values",
    [
        {"state": "sleeping"},
        {"format": 99},
        {"body": "{", "digest": stored.digest("{")},
    ],
)
def test_an_unreadable_plan_stops_nobody_else(shelf: Shelf, values: dict[str, Any]) -> None:
    """It is listed, its nodes are guarded if it may be open, and it can be given up by name."""
    journal = shelf.journal()
    other = journal.open_plan(plan(["n7"]))
    journal.close(other, Outcome.OK)
    hold = journal.open_plan(plan(["n1"]))
    shelf.dead.add(hold.owner.pid)
    shelf.change(hold.plan_id, **values)
    assert [found.id for found in journal.list()] == [hold.plan_id, other.plan_id]
    with pytest.raises(Parked, match=f"plans --abandon {hold.plan_id} gives it up"):
        journal.claim(hold.plan_id)
    with pytest.raises(Overlap, match=f"plans --abandon {hold.plan_id}"):
        journal.open_plan(plan(["n1"]))
    journal.open_plan(plan(["n2"]))
    journal.abandon(hold.plan_id)
    journal.open_plan(plan(["n1"]))


def test_an_unknown_outcome_is_listed(shelf: Shelf) -> None:
    journal = shelf.journal()
    hold = journal.open_plan(plan(["n1"]))
    journal.close(hold, Outcome.OK)
    shelf.change(outcome="great")
    (found,) = journal.list()
    assert "'great' is not a valid Outcome" in found.parked
    with pytest.raises(Parked):
        journal.claim(hold.plan_id)
    journal.open_plan(plan(["n1"]))
    journal.forget(hold.plan_id)


def test_an_unreadable_story_stops_nobody_else(shelf: Shelf) -> None:
    journal = shelf.journal()
    hold = journal.open_plan(plan(["n1"]))
    shelf.dead.add(hold.owner.pid)
    with shelf.db.transaction(EVENTS) as transaction:
        transaction.insert(EVENTS, [{"plan": hold.plan_id, "event": "danced", "detail": "[]"}])
    assert [found.id for found in journal.list()] == [hold.plan_id]
    with pytest.raises(Parked, match="not readable"):
        journal.claim(hold.plan_id)
    journal.abandon(hold.plan_id)
    journal.open_plan(plan(["n1"]))


NESTED = "[" * 200_000
ODD_ROWS = json.dumps(
    {**plan(["n1"]).to_json(), "lanes": [{**lane.to_json(), "steps": [{"id": "s", "kind": "k",
     "args": {}, "changes": {"changes": [], "rows": [[99, "n1"]]}}]} for lane in plan(["n1"]).lanes]}
)  # fmt: skip


@pytest.mark.parametrize(
    "values",
    [
        {"body": NESTED, "digest": stored.digest(NESTED)},
        {"body": ODD_ROWS, "digest": stored.digest(ODD_ROWS)},
        {"nodes": None},
        {"owner": "mn1:²:x"},
        {"owner": "mn1:" + "9" * 5000 + ":x"},
        {"owner": "whatever", "lease": "zzz"},
        {"owner": "whatever", "lease": "9999-01-01T00:00:00"},
    ],
    ids=lambda values: str(values)[:40],
)
@pytest.mark.parametrize("shelf", ["memory", "sqlite"], indirect=True)
def test_garbage_in_a_row_guards_its_nodes_and_can_be_given_up(
    shelf: Shelf, values: dict[str, Any]
) -> None:
    journal = shelf.journal()
    hold = journal.open_plan(plan(["n1"]))
    shelf.dead.add(hold.owner.pid)
    shelf.clock.advance(3600)
    shelf.change(hold.plan_id, **values)
    (summary,) = journal.list()
    assert not summary.is_running
    try:
        journal.load(hold.plan_id)
    except Parked as problem:
        assert "Error" not in str(problem) and len(str(problem)) < 300
    with pytest.raises(Overlap, match=f"plans --abandon {hold.plan_id}"):
        journal.open_plan(plan(["n1"]))
    journal.open_plan(plan(["n2"]))
    journal.abandon(hold.plan_id)
    journal.open_plan(plan(["n1"]))
    journal.forget(hold.plan_id)


@pytest.mark.parametrize(
    "values",
    [
        {"detail": NESTED},
        {"detail": json.dumps({"result": 5})},
        {"detail": json.dumps({"code": "x"})},
        {"seq": "x"},
    ],
    ids=lambda values: str(values)[:40],
)
def test_garbage_in_an_event_stops_nobody_else(values: dict[str, Any]) -> None:
    """A number that is none is not stored by the engines."""
    shelf = Shelf(MemoryDatabase())
    journal = shelf.journal()
    hold = journal.open_plan(plan(["n1"]))
    shelf.dead.add(hold.owner.pid)
    with shelf.db.transaction(EVENTS) as transaction:
        transaction.update(EVENTS, {"plan": hold.plan_id}, values)
    assert [found.id for found in journal.list()] == [hold.plan_id]
    with pytest.raises(Parked, match=r"event \w+ is not readable \(plans --abandon"):
        journal.load(hold.plan_id)
    journal.open_plan(plan(["n2"]))
    journal.abandon(hold.plan_id)
    journal.open_plan(plan(["n1"]))


@pytest.mark.parametrize("nodes", ["n[1-900000000000]", "n[1-2],n[1-2]"])
def test_an_event_names_no_more_nodes_than_its_step_has(nodes: str) -> None:
    shelf = Shelf(MemoryDatabase())
    journal = shelf.journal()
    hold = journal.open_plan(plan(["n1", "n2"]))
    event = Event(Word.INTENT, "n1", "repoint", 1, detail={"nodes": nodes})
    with shelf.db.transaction(EVENTS) as transaction:
        transaction.insert(EVENTS, [stored.event_row(hold.plan_id, event)])
    with pytest.raises(Parked, match="more nodes than the step is about"):
        journal.load(hold.plan_id)


def test_a_plan_that_was_closed_without_an_end_is_listed_as_unreadable(shelf: Shelf) -> None:
    journal = shelf.journal()
    hold = journal.open_plan(plan(["n1"]))
    journal.close(hold, Outcome.OK)
    shelf.change(outcome=None)
    (found,) = journal.list()
    assert found.sentence == "parked: it is closed, and how it ended is not stored"
    with pytest.raises(Parked):
        journal.claim(hold.plan_id)
    journal.forget(hold.plan_id)


def test_a_list_of_nodes_that_is_not_the_plans_is_not_believed(shelf: Shelf) -> None:
    journal = shelf.journal()
    hold = journal.open_plan(plan(["n1"]))
    shelf.change(nodes="n2")
    with pytest.raises(Parked, match="list of nodes was altered"):
        journal.load(hold.plan_id)


# The journal's own order


def test_a_clock_that_is_set_back_changes_no_order(shelf: Shelf) -> None:
    journal = shelf.journal()
    first = journal.open_plan(plan(["n1", "n2"]))
    journal.close(first, Outcome.PARTIAL)
    shelf.clock.advance(-86400)
    second = journal.open_plan(plan(["n2"]))
    journal.close(second, Outcome.OK)
    later, earlier = journal.list()
    assert (later.id, earlier.id) == (second.plan_id, first.plan_id)
    assert earlier.sentence == f"superseded by {second.plan_id}"
    with pytest.raises(NothingToResume, match=f"superseded by {second.plan_id}"):
        journal.claim(first.plan_id)


def test_what_failed_supersedes_nothing(shelf: Shelf) -> None:
    journal = shelf.journal()
    first = journal.open_plan(plan(["n1"]))
    journal.close(first, Outcome.PARTIAL)
    journal.close(journal.open_plan(plan(["n1"])), Outcome.FAILED)
    journal.close(journal.open_plan(plan(["n3"])), Outcome.OK)
    assert journal.list()[-1].sentence.startswith("partial")
    journal.claim(first.plan_id)


def test_a_closed_plan_can_be_forgotten(shelf: Shelf) -> None:
    journal = shelf.journal()
    hold = journal.open_plan(plan(["n1"]))
    with pytest.raises(StillRunning):
        journal.forget(hold.plan_id)
    shelf.dead.add(hold.owner.pid)
    with pytest.raises(NotClosed, match="plans --abandon"):
        journal.forget(hold.plan_id)
    journal.abandon(hold.plan_id)
    journal.forget(hold.plan_id)
    assert journal.list() == ()
    assert shelf.events() == []
    with pytest.raises(UnknownPlan):
        journal.forget(hold.plan_id)


# Limits


def test_long_texts_are_shortened(shelf: Shelf) -> None:
    journal = shelf.journal()
    hold = journal.open_plan(plan())
    detail = {"text": "t" * 5000, "detail": "d" * 9000, "result": {"r": "r" * 20000}, "code": 401}
    (event, _) = journal.record(hold, [replace(INTENT, detail=detail), DONE])
    assert len(event.detail["text"]) == stored.TEXT_LIMIT
    assert event.detail["text"].endswith(" ...")
    assert len(event.detail["detail"]) == stored.DETAIL_LIMIT
    assert event.detail["result"] == {"omitted": "the result was too large for the journal"}
    assert journal.load(hold.plan_id).events[1].detail == event.detail


def test_old_plans_are_forgotten(shelf: Shelf) -> None:
    journal = shelf.journal(kept=2)
    kept = [journal.open_plan(plan(["n9"])).plan_id]
    for number in range(5):
        shelf.clock.advance(1)
        hold = journal.open_plan(plan([f"n{number}"]))
        journal.close(hold, Outcome.OK)
        kept.append(hold.plan_id)
    shelf.clock.advance(1)
    journal.open_plan(plan(["n8"]))
    names = [summary.id for summary in journal.list()]
    assert names[1:] == [kept[5], kept[4], kept[0]]
    assert len(shelf.events()) == 1 + 2 * 2 + 1
