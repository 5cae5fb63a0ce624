"""The step that writes the database, the step that runs a command, and who may register."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import pytest

from xcat_aix.plan.kinds import Begun, NoReverse
from xcat_aix.plan.model import Lane, Step
from xcat_aix.run import names
from xcat_aix.run.board import Board
from xcat_aix.run.errors import Parked, StepFailed
from xcat_aix.run.owner import Owner, is_running
from xcat_aix.run.ports import CommitRequest, Finished, LanePort, Stopped
from xcat_aix.run.registry import Registry
from xcat_aix.run.states import LaneResult
from xcat_aix.run.story import LaneState
from xcat_aix.run.task import LaneLink, Task
from xcat_aix.run.testing import FakeWorld, ManualClock, MemoryDatabase
from xcat_aix.steps.agent import AgentStep
from xcat_aix.steps.client import WORDS
from xcat_aix.steps.command import CommandRun
from xcat_aix.steps.database import DatabaseWrite
from xcat_aix.steps.words import KindWords
from xcat_aix_proto.jobs import Probe, Verdict
from xcat_aix_proto.names import job_id
from xcat_aix_proto.operations import RepointClient
from xcatd import api
from xcatd.changes import Changes, Draft

from .rig import lane, moved, noderes, plan
from .test_agent_step import Desk
from .worded import Worded

# database.write@2


def tables(*changes: tuple[str, str]) -> MemoryDatabase:
    db = MemoryDatabase({"noderes": noderes(["n1", "n2"])})
    with db.transaction("noderes") as transaction:
        for node, value in changes:
            transaction.update("noderes", {"node": node}, {"servicenode": value})
    return db


def writing(changes: Changes) -> Task:
    return Desk(step=Step("write", DatabaseWrite.kind, changes=changes)).task


@pytest.mark.parametrize(
    ("changes", "verdict", "text"),
    [
        ([], Verdict.NOT_DONE, "all 2 cells hold their old values"),
        (
            [("n1", "sn2,sn1"), ("n2", "sn2,sn1")],
            Verdict.DONE,
            "all 2 cells hold their new values",
        ),
        ([("n1", "sn2,sn1")], Verdict.BROKEN, "not as written: noderes n2 servicenode"),
        ([("n2", "x")], Verdict.BROKEN, "not as written: noderes n2 servicenode"),
    ],
)
def test_the_probe_compares_every_cell(
    changes: list[tuple[str, str]], verdict: Verdict, text: str
) -> None:
    task = writing(moved(["n1", "n2"]))
    assert DatabaseWrite(tables(*changes)).probe(task) == Probe(verdict, text)


def test_the_probe_names_a_few_cells_and_sees_missing_rows() -> None:
    task = writing(moved([f"n{number}" for number in range(1, 9)]))
    probe = DatabaseWrite(tables()).probe(task)
    assert probe.verdict is Verdict.BROKEN
    assert probe.text.endswith("noderes n7 servicenode and 1 more")


def test_a_cell_of_a_row_to_be_made() -> None:
    draft, place = Draft(), ("noderes", (("node", "n9"),))
    draft.set(place, "servicenode", "sn2")
    draft.guard(place, "servicenode", None)
    task = writing(draft.done())
    step, db = DatabaseWrite(tables()), tables()
    assert step.probe(task).verdict is Verdict.NOT_DONE
    with db.transaction(*step.tables(task)) as transaction:
        assert step.write(task, transaction) == {"cells": 1}
    assert DatabaseWrite(db).probe(task).verdict is Verdict.DONE


def rows_of_all_ways() -> Changes:
    draft = Draft()
    draft.insert(("ppcdirect", (("hcp", "f1"), ("username", "HMC"))), {"password": "x"})
    draft.delete(("ppcdirect", (("hcp", "f2"), ("username", "HMC"))), {"password": "y"})
    draft.delete(("noderes", (("node", "n1"),)))
    draft.set(("noderes", (("node", "n1"),)), "xcatmaster", "sn2")
    return draft.done()


OLD_ROWS = {
    "noderes": [{"node": "n1", "xcatmaster": "sn1"}],
    "ppcdirect": [{"hcp": "f2", "username": "HMC", "password": "y"}],
}


def test_rows_that_come_and_go_are_compared_too() -> None:
    step, db = DatabaseWrite(MemoryDatabase(OLD_ROWS)), MemoryDatabase(OLD_ROWS)
    task = writing(rows_of_all_ways())
    assert step.title(task.step) == "write 2 cells and delete 2 rows in one transaction"
    assert step.probe(task) == Probe(Verdict.NOT_DONE, "all 3 cells hold their old values")
    with db.transaction(*step.tables(task)) as transaction:
        assert step.write(task, transaction) == {"cells": 2, "rows": 2}
    assert DatabaseWrite(db).probe(task) == Probe(Verdict.DONE, "all 3 cells hold their new values")
    with db.transaction("ppcdirect") as transaction:
        transaction.insert("ppcdirect", OLD_ROWS["ppcdirect"])
    found = DatabaseWrite(db).probe(task)
    assert found == Probe(Verdict.BROKEN, "not as written: ppcdirect hcp=f2,username=HMC")


def test_every_table_is_asked_for_once() -> None:
    assert DatabaseWrite(tables()).tables(writing(moved(["n1", "n2"]))) == ("noderes",)


# command.run@1


class Commands:
    def __init__(self, *replies: api.Reply) -> None:
        self.ran: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = []
        self.replies = replies

    def __call__(
        self, command: str, args: tuple[str, ...], nodes: tuple[str, ...]
    ) -> Iterator[api.Reply]:
        self.ran.append((command, args, nodes))
        yield from self.replies


def command_desk(command: str = "makeconservercf") -> Desk:
    args = {"command": command, "args": ["-V"], "nodes": ["n1", "n2"]}
    return Desk(step=Step("run", "command.run@1", args))


def test_a_command_runs_and_what_it_says_is_reported() -> None:
    commands = Commands(
        api.info("one"), api.data("two"), api.warning("three"), api.node_data("n1", "four", "five"),
        api.Reply(nodes=(api.NodeReply("n2", warning="six"),)),
    )  # fmt: skip
    desk = command_desk()
    step = CommandRun(commands, {"makeconservercf"})
    assert step.probe(desk.task).verdict is Verdict.NOT_DONE
    assert step.effect(desk.task) == {}
    assert commands.ran == [("makeconservercf", ("-V",), ("n1", "n2"))]
    assert desk.said == ["one", "two", "warning: three", "n1: five: four", "n2: warning: six"]


@pytest.mark.parametrize(
    ("replies", "text", "detail"),
    [
        ([api.error("no", "really not")], "makeconservercf failed: no", "really not"),
        ([api.node_error("n1", "no")], "makeconservercf failed: n1: no", ""),
        ([api.Reply(errorcode=3)], "makeconservercf failed: it ended with code 3", ""),
    ],
)
def test_a_command_that_fails_fails_the_step(
    replies: Sequence[api.Reply], text: str, detail: str
) -> None:
    with pytest.raises(StepFailed) as caught:
        CommandRun(Commands(*replies), {"makeconservercf"}).effect(command_desk().task)
    assert (caught.value.message, caught.value.detail) == (text, detail)


def test_a_command_nobody_has_fails_the_step() -> None:
    def run(command: str, args: tuple[str, ...], nodes: tuple[str, ...]) -> Iterator[api.Reply]:
        raise LookupError("there is none")

    with pytest.raises(StepFailed, match="cannot run makeconservercf: there is none"):
        CommandRun(run, {"makeconservercf"}).effect(command_desk().task)


def test_a_command_that_may_not_be_repeated_is_refused() -> None:
    commands = Commands()
    step = CommandRun(commands, {"makeconservercf"})
    for call in (step.probe, step.effect):
        with pytest.raises(StepFailed, match="cannot run 'rpower' as a step"):
            call(command_desk("rpower").task)
    assert not commands.ran


# Registry


class Whole(Worded):
    kind = "test.whole@1"

    def probe(self, task: Task) -> Probe:
        raise NotImplementedError

    def effect(self, task: Task) -> Mapping[str, Any]:
        raise NotImplementedError


def test_a_kind_without_probe_cannot_be_registered() -> None:
    class Blind(Worded):
        kind = "test.blind@1"
        effect = Whole.effect

    with pytest.raises(ValueError, match=r"step kind 'test\.blind@1' has no probe"):
        Registry().register(Blind())  # type: ignore[arg-type] # that is the point


@pytest.mark.parametrize("word", ["title", "reverse"])
def test_a_kind_without_words_cannot_be_registered(word: str) -> None:
    nameless = type("Nameless", (Whole,), {word: None})
    with pytest.raises(ValueError, match=rf"step kind 'test\.whole@1' has no {word}"):
        Registry().register(nameless())


def test_a_kind_without_reverse_must_say_why() -> None:
    class Silent(Whole):
        reverse = NoReverse(" ")

    with pytest.raises(ValueError, match="does not say why it has no reverse"):
        Registry().register(Silent())


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ({"title": None}, "has no title"),
        ({"reverse": None}, "has no reverse"),
        ({"reverse": NoReverse("")}, "does not say why it has no reverse"),
    ],
)
def test_an_operation_without_words_is_no_kind(words: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        KindWords(**{"title": str, "reverse": NoReverse("it is a test"), **words})


def test_the_registry_sees_the_words_of_an_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = RepointClient.kind
    words = KindWords(str, NoReverse("what is gone is gone"))
    monkeypatch.setitem(cast("dict[str, KindWords]", WORDS), kind, words)
    step = AgentStep(kind)
    assert step.reverse is words.reverse
    object.__setattr__(words, "reverse", NoReverse(" "))
    with pytest.raises(ValueError, match="does not say why it has no reverse"):
        Registry([AgentStep(kind)])


def test_the_registry_knows_what_steps_are_called() -> None:
    registry = Registry([Whole()])
    assert registry.title(Step("s", "test.whole@1")) == "s"
    assert registry.title(Step("s", "x@1")) == "x@1"
    begun = Begun(Step("s", "test.whole@1"), Lane("a", ()))
    assert registry.reverse(begun) == NoReverse("nobody takes a test back")


def test_a_kind_must_say_how_it_is_done() -> None:
    class Idle(Worded):
        kind = "test.idle@1"
        probe = Whole.probe

    class Both(Whole):
        def tables(self, task: Task) -> Sequence[str]:
            return ()

        def write(self, task: Task, transaction: Any) -> Mapping[str, Any]:
            return {}

    class Half(Idle):
        write = Both.write

    for kind in (Idle(), Both(), Half()):
        with pytest.raises(ValueError, match="must have either effect, or tables and write"):
            Registry().register(kind)  # type: ignore[arg-type] # that is the point


def test_a_kind_has_a_version_and_is_there_once() -> None:
    class Unversioned(Whole):
        kind = "test.whole"

    with pytest.raises(ValueError, match="has no version"):
        Registry([Unversioned()])
    with pytest.raises(ValueError, match="is registered twice"):
        Registry([Whole(), Whole()])


def test_unknown_kinds_are_named() -> None:
    registry = Registry([Whole()])
    assert "test.whole@1" in registry and registry.kinds == ("test.whole@1",)
    registry.check(plan(lanes=[Lane("a", (Step("s", "test.whole@1"),))]))
    bad = plan(lanes=[Lane("a", (Step("s", "x@1"), Step("t", "y@2"), Step("u", "x@1")))])
    with pytest.raises(Parked, match="cannot execute p1: this version knows no step kind x@1, y@2"):
        registry.check(bad, "p1")


# Names, owners, lanes


def test_names_that_are_made() -> None:
    now = ManualClock().now()
    assert names.plan_id("snmove", now, "4f2a") == "snmove-20261123-4f2a"
    assert names.plan_id("a.b/c d", now, "4f2a") == "a_b_c_d-20261123-4f2a"
    assert names.job_id("p-1", "n1.example.com", "repoint", 2) == "p-1.n1.example.com.repoint.2"


@pytest.mark.parametrize("lane_id", ["n" * 255, "a b", "a/b", "ä", "", "-", "n.1"])
def test_job_ids_are_valid_whatever_the_lane(lane_id: str) -> None:
    plan_id = names.plan_id("c" * 99, ManualClock().now(), "4f2a")
    made = names.job_id(plan_id, lane_id, "s" * 40, 12345)
    assert job_id(made) == made


def test_job_ids_differ_where_lanes_differ() -> None:
    lanes = ["a b", "a/b", "a_b", "n" * 200, "n" * 201, "n" * 36]
    assert len({names.job_id("p", each, "s", 1) for each in lanes}) == len(lanes)


def test_owners_are_read_as_they_were_written() -> None:
    owner = Owner.here("mn1", "ab:cd")
    assert Owner.parse(str(owner)) == owner
    assert is_running(owner.pid)
    assert is_running(1)
    assert not is_running(2**22 + 1)
    assert is_running(2**80)
    assert Owner.parse("garbage") == Owner("", 0, "garbage")


def test_the_board_starts_lanes_in_plan_order_and_holds_what_cannot_be() -> None:
    lanes = [lane("c", needs=("b",)), lane("a", needs=()), lane("b", needs=("a",)),
             lane("d", needs=("c",)), lane("e", needs=())]  # fmt: skip
    board = Board(lanes, {})
    assert [each.id for each in board.ready()] == ["a", "e"]
    assert board.ready() == ()
    assert board.ended("e", LaneResult.UNDONE) == ()
    assert board.ended("a", LaneResult.SKIPPED) == ()
    assert [each.id for each in board.ready()] == ["b"]
    assert [each.id for each in board.ended("b", LaneResult.PARTIAL)] == ["c", "d"]
    assert board.ready() == ()


def test_the_board_knows_what_was_moved_before() -> None:
    lanes = [lane("a", needs=()), lane("b", needs=("a",))]
    board = Board(lanes, {"a": LaneResult.DONE, "b": LaneResult.UNDONE})
    assert [each.id for each in board.ready()] == ["b"]


def test_a_worker_waits_for_room_and_is_told_when_nobody_reads_any_more() -> None:
    inbox: queue.Queue[Any] = queue.Queue(maxsize=1)
    closed = threading.Event()
    here = lane("n1")
    line = LanePort(here, LaneLink(here, FakeWorld().connect, closed), inbox, closed, LaneState({}))
    line.put(Finished(line))
    got: list[str] = []

    def work() -> None:
        try:
            line.put(Finished(line))
            line.commit(CommitRequest(line))
        except Stopped:
            got.append("stopped")

    worker = threading.Thread(target=work)
    worker.start()
    while not got:
        # The first wait for room and the one for the answer both see the end.
        closed.set()
        worker.join(0.1)
    worker.join()
    assert got == ["stopped"]


@pytest.mark.parametrize("end", ["closed", "revoked"])
def test_a_worker_whose_wish_is_not_answered_sees_the_end(end: str) -> None:
    inbox: queue.Queue[Any] = queue.Queue()
    closed = threading.Event()
    here = lane("n1")
    line = LanePort(here, LaneLink(here, FakeWorld().connect, closed), inbox, closed, LaneState({}))

    class Deaf(queue.Queue[Any]):
        def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
            if end == "closed":
                closed.set()
            line.is_revoked = end == "revoked"

    line.inbox = Deaf()
    with pytest.raises(Stopped):
        line.commit(CommitRequest(line))
