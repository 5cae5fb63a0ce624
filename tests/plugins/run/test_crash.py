"""Killed at every boundary and resumed, a plan ends as if nothing had happened, nothing done twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kinds import KINDS

from xcat_aix.plan.model import Lane, Plan, Target
from xcat_aix.run.errors import NothingToResume
from xcat_aix.run.registry import AnyKind
from xcat_aix.run.states import Outcome
from xcat_aix.run.store import Transaction
from xcat_aix.run.task import Task
from xcat_aix.steps.agent import AgentStep
from xcat_aix_proto.jobs import Probe, Verdict

from . import matrix
from .rig import DATABASE, REPOINT, XCATINFO, Bomb, Killed, Rig, lane, plan, steps
from .worded import Worded


def diskless() -> Plan:
    lanes = (DATABASE, lane("n1"), lane("n2", if_unreachable="skip", skip_note="at next boot"))
    return plan(lanes=lanes)


def chain() -> Plan:
    last = Lane("last", steps("n3", 1), target=Target("cn", "n3"), needs=("n1", "n2"))
    return plan(["n1", "n2", "n3"], lanes=(DATABASE, lane("n1"), lane("n2"), last))


def no_trouble(_rig: Rig) -> None:
    pass


def half_way(rig: Rig) -> None:
    rig.world.node("n1").effects[REPOINT] = None


def already_so(rig: Rig) -> None:
    rig.world.node("n1").effects[XCATINFO] = {"server": "10.0.0.2"}


def old_agents(rig: Rig) -> None:
    rig.is_old()


def slow(rig: Rig) -> None:
    """Jobs are killed in the middle, and go on without anybody."""
    for name in ("n1", "n2"):
        rig.world.node(name).is_slow = True


def one_down(rig: Rig) -> None:
    rig.world.node("n2").is_down = True


Case = tuple[Callable[[], Plan], Callable[[Rig], None]]
CASES: Mapping[str, Case] = {
    "plain": (lambda: plan(count=3), no_trouble),
    "plain, one job each": (lambda: plan(count=3), old_agents),
    "five at once, slowly": (lambda: plan(count=5), slow),
    "half done before": (plan, half_way),
    "partly done before": (plan, already_so),
    "one lane skipped": (diskless, one_down),
    "one lane needs two": (chain, no_trouble),
    "database only": (lambda: plan(lanes=(DATABASE,)), no_trouble),
}


def end(rig: Rig) -> tuple[Any, ...]:
    """What there is to compare: nodes, database, the journal's word."""
    stored = rig.journal().load(rig.only_plan())
    return (
        rig.world.state(),
        rig.servicenodes(),
        stored.state.results(),
        stored.state.phase,
        stored.state.outcome,
    )


def live(rig: Rig, wanted: Plan, crashes: Sequence[int]) -> None:
    """Run, be killed, resume, be killed, …, until it is over."""
    killers = [Bomb(at) for at in crashes]
    first = True
    for bomb in (*killers, Bomb()):
        try:
            if first:
                executor = rig.executor(crash=bomb)
                claimed = executor.open(wanted)
                first = False
                list(executor.run(claimed))
            else:
                rig.resume(rig.only_plan(), crash=bomb)
        except Killed:
            continue
        except NothingToResume:
            return


def undisturbed(case: Case, **more: Any) -> tuple[Rig, Bomb]:
    rig, bomb = Rig(fanout=1, **more), Bomb()
    case[1](rig)
    rig.run(case[0](), crash=bomb)
    return rig, bomb


@pytest.mark.parametrize("name", CASES)
def test_killed_at_every_boundary(name: str) -> None:
    wanted, bomb = undisturbed(CASES[name])
    assert bomb.count >= 5
    assert end(wanted)[-1] is Outcome.OK
    assert set(wanted.performed().values()) <= {1}
    for boundary in range(bomb.count):
        rig = Rig(fanout=1)
        CASES[name][1](rig)
        live(rig, CASES[name][0](), [boundary])
        assert end(rig) == end(wanted), bomb.points[boundary]
        assert rig.performed() == wanted.performed(), bomb.points[boundary]


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(CASES)),
    st.lists(st.integers(0, 40), max_size=5),
    st.sampled_from([1, 2, 8]),
)
def test_killed_again_and_again(name: str, crashes: list[int], fanout: int) -> None:
    wanted, _ = undisturbed(CASES[name])
    rig = Rig(fanout=fanout)
    CASES[name][1](rig)
    live(rig, CASES[name][0](), crashes)
    assert end(rig) == end(wanted)
    assert rig.performed() == wanted.performed()


def test_killed_while_a_node_is_down_and_resumed_when_it_is_back() -> None:
    """A failed lane is not lost by a crash, and not repeated on the nodes that are done."""
    boundary = 0
    while True:
        rig, bomb = Rig(fanout=1), Bomb(boundary)
        rig.world.node("n2").is_down = True
        try:
            rig.run(plan(), crash=bomb)
            break
        except Killed:
            rig.world.node("n2").is_down = False
        live(rig, plan(), []) if not rig.journal().list() else None
        told = _finish(rig)
        assert told is Outcome.OK, bomb.points[boundary]
        assert set(rig.performed().values()) == {1}
        boundary += 1
    assert boundary > 12


def _finish(rig: Rig) -> Outcome | None:
    rig.resume(rig.only_plan())
    return rig.journal().load(rig.only_plan()).state.outcome


# Whatever kinds and golden plans there are


@pytest.mark.parametrize("name", matrix.golden_plans())
def test_every_golden_plan_killed_and_resumed(name: str) -> None:
    assert matrix.check(name, matrix.golden_plans()[name]) >= matrix.SAMPLED


@pytest.mark.parametrize("kind", KINDS.kinds)
def test_every_kind_killed_at_every_boundary(kind: str) -> None:
    plan = matrix.plan_of(matrix.sample(kind))
    assert matrix.check(kind, plan) >= 5
    assert matrix.check(kind, plan, is_old=True) >= 5


@pytest.mark.parametrize("is_old", [False, True])
def test_every_kind_that_can_be_joined_killed_at_every_boundary(*, is_old: bool) -> None:
    groups = list(matrix.chained())
    assert max(map(len, groups)) >= 6
    for group in groups:
        assert matrix.check("chain", matrix.plan_of(*group), is_old=is_old) >= 8


def test_the_matrix_would_see_a_kind_that_does_not_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AgentStep, "probe", lambda *_: Probe(Verdict.NOT_DONE))
    with pytest.raises(AssertionError, match=r"client.xcatinfo@1: after-effect"):
        matrix.check(XCATINFO, matrix.plan_of(matrix.sample(XCATINFO)))


def test_the_golden_plans_of_all_planners_are_there() -> None:
    names = Counter(name.partition("/")[0] for name in matrix.golden_plans())
    assert names["snmove"] >= 25 and names["snbalance"] >= 20


def test_a_kind_that_nobody_knows_how_to_try_is_named() -> None:
    with pytest.raises(AssertionError, match=r"new.kind@1: no golden plan has such a step"):
        matrix.sample("new.kind@1")


class Blind(Worded):
    """A kind whose probe never looks: what the registry cannot see."""

    def __init__(self, kind: AnyKind) -> None:
        self.inner: Any = kind
        self.kind = kind.kind

    def probe(self, task: Task) -> Probe:
        return Probe(Verdict.NOT_DONE)

    def effect(self, task: Task) -> Mapping[str, Any]:
        result: Mapping[str, Any] = self.inner.effect(task)
        return result


class BlindDatabase(Blind):
    effect = None  # type: ignore[assignment]  # a database kind has none

    def tables(self, task: Task) -> Sequence[str]:
        tables: Sequence[str] = self.inner.tables(task)
        return tables

    def write(self, task: Task, transaction: Transaction) -> Mapping[str, Any]:
        result: Mapping[str, Any] = self.inner.write(task, transaction)
        return result


def test_without_its_probe_a_step_is_done_twice() -> None:
    """The control: the matrix above would see a probe that does not look."""
    wrap = lambda kind: kind if hasattr(kind, "write") else Blind(kind)  # noqa: E731 - short
    wanted, bomb = undisturbed(CASES["plain"], wrap=wrap)
    twice = []
    for boundary in range(bomb.count):
        rig = Rig(fanout=1, wrap=wrap)
        live(rig, CASES["plain"][0](), [boundary])
        if rig.performed() != wanted.performed():
            twice.append(bomb.points[boundary].split()[0])
    assert {"after-effect", "before-outcome"} <= set(twice)


def test_the_database_step_needs_no_probe_to_be_exact() -> None:
    """Its intent, effect and outcome are one transaction: no crash can come between."""
    wrap = lambda kind: BlindDatabase(kind) if hasattr(kind, "write") else kind  # noqa: E731 - short
    wanted, bomb = undisturbed(CASES["database only"], wrap=wrap)
    for boundary in range(bomb.count):
        rig = Rig(fanout=1, wrap=wrap)
        live(rig, CASES["database only"][0](), [boundary])
        assert end(rig) == end(wanted)
        state = rig.journal().load(rig.only_plan()).state
        assert state.record("database", "write").attempt == 1
