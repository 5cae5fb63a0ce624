"""Plans as they stand: at work, waiting, overtaken, taken back, not readable; each with what can be done about it."""

from __future__ import annotations

import hashlib
import json

import pytest
from tests.plugins.servicenodes.snmove.doubles import World, errors, exit_status, lines
from tests.plugins.servicenodes.snmove.test_command import move_id

from xcat_aix.commands.planned.doing import journal_of
from xcat_aix.plan.model import Lane, Plan, Step
from xcat_aix.run import standing
from xcat_aix.run.states import Event, Word
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.operations import RepointClient


def open_plan(world: World, *events: Event) -> str:
    """Somebody's plan that is being worked on."""
    steps = (
        Step("write", "database.write@2"),
        Step("consoles", "command.run@1", {"command": "makeconservercf", "nodes": ["n1"]}),
    )
    lanes = (Lane("database", steps[:1]), Lane("conserver", steps[1:], needs=("database",)))
    plan = Plan("snmove", ("n1",), lanes, summary={})
    journal = journal_of(world)  # type: ignore[arg-type] # a double
    hold = journal.open_plan(plan, command="snmove n1", user="other")
    journal.record(hold, events)
    return hold.plan_id


def show(world: World, plan: str) -> list[str]:
    replies = world.plans("--show", plan)
    assert errors(replies) == []
    return lines(replies)


def test_one_at_work_says_what_is_being_done(world: World) -> None:
    plan = open_plan(world, Event(Word.INTENT, "database", "write", 1))
    shown = show(world, plan)
    assert shown[0] == f"{plan}: running"
    at = shown.index("Being worked on:")
    assert shown[at + 1 :] == [
        "  database: now: write 0 cells in one transaction",
        "  conserver: next: makeconservercf n1",
    ]


def test_one_that_waits_says_for_what(world: World) -> None:
    plan = open_plan(
        world,
        Event(Word.INTENT, "database", "write", 1),
        Event(Word.DONE, "database", "write", 1),
        Event(
            Word.WAITS,
            "conserver",
            "consoles",
            0,
            detail={"text": "waits for conserver, which plan-7 holds"},
        ),
    )
    assert show(world, plan)[-1] == "  conserver: waits for conserver, which plan-7 holds"


@pytest.mark.parametrize("verb", ["--resume", "--undo", "--abandon", "--forget"])
def test_nobody_else_touches_one_at_work(world: World, verb: str) -> None:
    plan = open_plan(world)
    replies = world.plans(verb, plan)
    assert exit_status(replies) == 1
    assert "is being worked on by" in errors(replies)[-1]
    assert "wait for it" in errors(replies)[-1]


def test_equal_reasons_are_one_line(world: World) -> None:
    for node in ("n1", "n2"):
        world.agents.failing[node, RepointClient.kind] = AgentError(ErrorCode.NIM_REFUSED, "no")
    plan = move_id(world.snmove("-s", "sn1"))
    shown = show(world, plan)
    assert shown[-3:] == ["Not finished:", "  n1,n2: no", f"To go on: snmove --resume {plan}"]


def test_one_that_was_given_up_offers_nothing(world: World) -> None:
    plan = ""
    for reply in world.telling("-s", "sn1"):
        plan = next(iter(reply.extra.get("begunplan", ())), plan)
        if plan:
            world.cancelled.set()
    world.cancelled.clear()
    assert show(world, plan)[-1] == f"To go on: snmove --resume {plan}"
    assert lines(world.plans("--abandon", plan, "--json")) == [
        json.dumps({"plan": plan, "status": 0})
    ]
    assert "To go on" not in "\n".join(show(world, plan))
    assert exit_status(world.plans("--resume", plan)) == 1


def test_one_that_cannot_be_read_says_how_to_be_rid_of_it(world: World) -> None:
    plan = move_id(world.snmove("-i", "n1"))
    with world.db.transaction("aixplan") as transaction:
        transaction.update("aixplan", {"id": plan}, {"format": "99", "state": "open"})
    (told,) = errors(world.plans("--show", plan))
    assert f"plans --abandon {plan}" in told and "format 99" in told
    (entry,) = json.loads(lines(world.plans("--json"))[0])
    assert entry["state"].startswith("parked: ") and entry["unfinished"] == ["n1"]


@pytest.mark.parametrize(
    "values",
    [{"nodes": None}, {"owner": "mn1:²:x", "lease": "9999"}, {"body": "[" * 200_000}],
    ids=lambda values: next(iter(values)),
)
def test_garbage_in_one_row_spoils_no_list(world: World, values: dict[str, str | None]) -> None:
    other = move_id(world.snmove("-i", "n2"))
    plan = move_id(world.snmove("-i", "n1"))
    if body := values.get("body"):
        values = {**values, "digest": hashlib.sha256(body.encode()).hexdigest()}
    with world.db.transaction("aixplan") as transaction:
        transaction.update("aixplan", {"id": plan}, {**values, "state": "open"})
    entries = {entry["id"]: entry for entry in json.loads(lines(world.plans("--json"))[0])}
    assert entries[other]["state"].startswith("ok")
    assert entries[plan]["done"] >= 0
    assert exit_status(world.plans()) == 0
    assert "Error" not in "".join(errors(world.plans("--show", plan)))
    assert exit_status(world.plans("--abandon", plan)) == 0
    assert exit_status(world.plans("--forget", plan)) == 0


def test_a_list_reads_all_plans_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = ("n1", "n2")
    plans = [move_id(world.snmove("-i", node)) for node in nodes]
    with world.db.transaction("aixplan") as transaction:
        transaction.update("aixplan", {"id": tuple(plans)}, {"outcome": "partial"})
    reads: list[object] = []
    in_order = standing.in_order
    monkeypatch.setattr(
        standing, "in_order", lambda source: reads.append(source) or in_order(source)
    )
    assert len(json.loads(lines(world.plans("--json"))[0])) == len(nodes)
    assert len(reads) == 1
