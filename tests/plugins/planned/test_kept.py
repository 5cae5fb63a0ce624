"""Plans that are kept for later: --out, and --apply with whatever may have happened meanwhile."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from tests.plugins.servicenodes.snmove.doubles import World, errors, exit_status, lines, warnings
from tests.plugins.servicenodes.snmove.test_command import MOVED, NODES, UNMOVED, servers

from xcatd.api import Reply, SavedPlan

WEEK = timedelta(days=7)


def kept(world: World, *args: str) -> SavedPlan:
    """The plan of a command line with ``--out``."""
    replies = world.snmove(*args, "--out", "some.plan")
    assert exit_status(replies) == 0
    (plan,) = [reply.saved for reply in replies if reply.saved]
    return plan


def states(world: World) -> dict[str, str]:
    found = json.loads(lines(world.plans("--json"))[0])
    return {plan["id"]: plan["state"] for plan in found}


def refused(world: World, replies: list[Reply]) -> str:
    """The one error of a command that changed nothing."""
    (text,) = errors(replies)
    assert exit_status(replies) == 1
    assert servers(world) == UNMOVED and world.agents.done == world.ran == []
    return text


def test_a_kept_plan_is_shown_and_changes_nothing(world: World) -> None:
    replies = world.snmove("-s", "sn1", "--out", "some.plan")
    (plan,) = [reply.saved for reply in replies if reply.saved]
    assert servers(world) == UNMOVED and world.agents.done == []
    assert (plan.nodes, plan.needs_confirmation) == (3, False)
    shown = lines(replies)
    assert list(plan.text) == shown[1:-1]
    assert shown[-1] == (
        f"Kept for a week as {plan.id}, SHA-256 {plan.sha256}; to carry it out: snmove --apply {plan.id}"
    )
    assert states(world) == {plan.id: "kept for later, not begun"}
    assert lines(world.plans("--show", plan.id))[-1] == (
        f"Not begun; to carry it out: snmove --apply {plan.id}"
    )


@pytest.mark.parametrize("has_digest", [True, False])
def test_it_is_carried_out_as_it_was_shown(world: World, has_digest: bool) -> None:
    plan = kept(world, "-s", "sn1")
    digest = [f"--digest={plan.sha256}"] if has_digest else []
    replies = world.snmove("--apply", plan.id, *digest)
    assert exit_status(replies) == 0 and errors(replies) == []
    assert servers(world) == MOVED
    assert lines(replies)[-1] == f"This move can be taken back: snmove --undo {plan.id}"
    assert states(world) == {plan.id: "ok: everything was done"}


def test_another_digest_is_refused(world: World) -> None:
    plan = kept(world, "-s", "sn1")
    told = refused(world, world.snmove("--apply", plan.id, "--digest", "0" * 64))
    assert plan.sha256 in told and told.endswith(f"look at it: plans --show {plan.id}")
    assert exit_status(world.snmove("--apply", plan.id)) == 0


def test_it_is_carried_out_once(world: World) -> None:
    plan = kept(world, "n1")
    world.snmove("--apply", plan.id)
    done = list(world.agents.done)
    replies = world.plans("--apply", plan.id)
    assert errors(replies) == [
        f"cannot apply {plan.id}: it was begun already (ok: everything was done)"
    ]
    assert exit_status(replies) == 1 and world.agents.done == done


def test_one_that_was_begun_goes_on_by_another_word(world: World) -> None:
    world.agents.down.add("n1")
    plan = kept(world, "n1")
    assert exit_status(world.plans("--apply", plan.id)) == 2
    (told,) = errors(world.plans("--apply", plan.id))
    assert told.endswith(f"; to go on: plans --resume {plan.id}")


def test_it_can_be_carried_out_to_the_end_of_its_week(world: World) -> None:
    plan = kept(world, "-s", "sn1")
    world.clock.advance(WEEK - timedelta(seconds=2))
    assert exit_status(world.snmove("--apply", plan.id)) == 0


def test_after_a_week_it_is_made_anew(world: World) -> None:
    plan = kept(world, "-s", "sn1")
    world.clock.advance(WEEK)
    assert states(world) == {plan.id: "kept too long, cannot be applied any more"}
    shown = lines(world.plans("--show", plan.id))
    assert shown[-1] == "Not begun, and kept too long: make it anew."
    told = refused(world, world.snmove("--apply", plan.id))
    assert told == f"cannot apply {plan.id}: it was kept for 7 days; make the plan anew"
    newer = kept(world, "n1")
    assert set(states(world)) == {newer.id}


def test_what_it_relies_on_must_still_be_so(world: World) -> None:
    plan = kept(world, "-s", "sn1")
    with world.db.transaction("noderes") as transaction:
        transaction.update("noderes", {"node": "n2"}, {"servicenode": "sn1,sn3"})
    replies = world.snmove("--apply", plan.id)
    (told,) = errors(replies)
    assert told.startswith("nothing was changed: ") and "n2" in told
    assert exit_status(replies) == 1
    assert servers(world) == {**UNMOVED, "n2": "sn1,sn3 sn1b"}
    assert world.agents.done == world.ran == []


def test_nodes_of_an_unfinished_plan_are_not_touched(world: World) -> None:
    plan = kept(world, "-s", "sn1")
    other = kept(world, "n2")
    with world.db.transaction("aixplan") as transaction:
        transaction.update("aixplan", {"id": other.id}, {"state": "open"})
    told = refused(world, world.snmove("--apply", plan.id))
    assert told.startswith(f"cannot start: {other.id} was interrupted while working on n2; ")
    assert states(world)[plan.id] == "kept for later, not begun"


def test_it_keeps_its_nodes_from_nobody(world: World) -> None:
    plan = kept(world, "-s", "sn1")
    assert exit_status(world.snmove("n1")) == 0
    replies = world.snmove("--apply", plan.id)
    assert exit_status(replies) == 1
    assert errors(replies)[0].startswith("nothing was changed: ")


def test_the_way_back_can_be_kept_too(world: World) -> None:
    plan = kept(world, "-s", "sn1")
    world.snmove("--apply", plan.id)
    replies = world.plans("--undo", plan.id, "--out", "back.plan")
    (back,) = [reply.saved for reply in replies if reply.saved]
    assert servers(world) == MOVED and states(world)[plan.id] == "ok: everything was done"
    assert exit_status(world.plans("--apply", back.id, f"--digest={back.sha256}")) == 0
    assert servers(world) == UNMOVED and states(world)[plan.id] == "taken back"
    shown = lines(world.plans("--show", plan.id))
    assert shown[-1] == f"It was taken back by {back.id}."
    assert json.loads(lines(world.plans("--show", plan.id, "--json"))[0])["unfinished"] == []


def test_two_kept_ways_back_take_back_once(world: World) -> None:
    plan = kept(world, "-s", "sn1")
    world.snmove("--apply", plan.id)
    first, second = (
        next(reply.saved for reply in world.plans("--undo", plan.id, "--out", "x") if reply.saved)
        for _ in range(2)
    )
    assert first.sha256 == second.sha256
    assert exit_status(world.plans("--apply", first.id)) == 0
    replies = world.plans("--apply", second.id)
    assert errors(replies) == [f"cannot undo {plan.id}: it was taken back already"]
    assert exit_status(replies) == 1


def test_the_oldest_of_too_many_goes(world: World) -> None:
    plans = [kept(world, "-i", "n1") for _ in range(101)]
    assert set(states(world)) == {plan.id for plan in plans[1:]}
    assert errors(world.snmove("--apply", plans[0].id)) == [
        f"cannot find {plans[0].id} in the journal"
    ]


def test_it_is_forgotten_and_not_given_up(world: World) -> None:
    plan = kept(world, "-s", "sn1")
    (told,) = errors(world.plans("--abandon", plan.id))
    assert told.endswith(f"it was not begun; to forget it: plans --forget {plan.id}")
    for verb in ("--resume", "--undo"):
        assert exit_status(world.plans(verb, plan.id)) == 1
    forgotten = world.plans("--forget", plan.id, "--json")
    assert lines(forgotten) == [json.dumps({"plan": plan.id, "status": 0})]
    assert states(world) == {}


def test_warnings_are_told_again_when_it_is_carried_out(world: World) -> None:
    world.agents.servers = {
        "sn2": (
            world.agents.servers["sn2"][0],
            world.agents.servers["sn1"][1].__class__(is_master=True),
        )
    }
    shown = world.snmove("d1", "--out", "x")
    (plan,) = [reply.saved for reply in shown if reply.saved]
    assert any("mkdsklsnode -b d1" in line for line in plan.text)
    replies = world.snmove("--apply", plan.id)
    assert any("mkdsklsnode -b d1" in line for line in warnings(replies))
    assert exit_status(replies) == 3


def test_json_says_how_it_is_named(world: World) -> None:
    replies = world.snmove("-s", "sn1", "--json", "--out", "x")
    (plan,) = [reply.saved for reply in replies if reply.saved]
    found = json.loads(lines(replies)[0])
    assert len(lines(replies)) == 1
    assert (found["id"], found["sha256"]) == (plan.id, plan.sha256)
    assert found["nodes"] == sorted(NODES)


def test_nothing_to_do_is_nothing_to_keep(world: World) -> None:
    world.snmove("-i", "compute")
    before = states(world)
    replies = world.snmove("-i", "compute", "-d", "sn2", "--out", "x")
    assert not any(reply.saved for reply in replies)
    assert lines(replies)[-1] == "There is nothing to keep."
    assert states(world) == before


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (("n1", "--out", ""), "--out needs the name of a file for the plan."),
        (("n1", "--digest", "x"), "--digest is for --apply only."),
        (
            ("n1", "--out", "x", "--yes"),
            "--out keeps a plan for later, --yes and --apply carry one out: not both.",
        ),
        (("--apply", "x", "--out", "y"), "--apply has no option --out."),
        (("--apply", "x", "n1"), "--apply takes no 'n1'."),
        (("--apply", "--json"), "--apply needs the id of a plan, see snmove --list."),
        (("--apply", "a\nb"), r"cannot find 'a\nb' in the journal"),
        (("--apply", " x "), "cannot find ' x ' in the journal"),
        (("--apply", "x" * 5000), f"cannot find '{'x' * 60}...' in the journal"),
        (("--apply", "x; rm -rf y"), "cannot find x; rm -rf y in the journal"),
    ],
)
def test_what_makes_no_sense_is_refused(world: World, args: tuple[str, ...], text: str) -> None:
    told = world.snmove(*args)
    if "--json" in args:
        assert json.loads(lines(told)[0]) == {"status": 1, "errors": [text]}
        assert exit_status(told) == 1
    else:
        assert refused(world, told) == text
    assert states(world) == {}
