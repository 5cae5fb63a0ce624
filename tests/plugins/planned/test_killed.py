"""The toy plan killed at every boundary, of its run, its resuming and its undo, ends as if nothing had happened."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.plugins.run import matrix

from xcat_aix.run.lane_runner import POINTS
from xcat_aix.run.testing import FakeNode
from xcat_aix_proto.messages import BEGIN
from xcat_aix_proto.operations import Chain
from xcatd.db.database import Database
from xcatd.db.location import Location
from xcatd.db.snapshot import Snapshot

from .stage import NODES, SERVED, Dying, Site, fill
from .test_notes import BACK, KIND, NOTED, notes
from .toy import plan


def well(_sn1: FakeNode, _sn2: FakeNode) -> None:
    pass


def some_fail(sn1: FakeNode, sn2: FakeNode) -> None:
    sn1.failing |= {f"{KIND} n1", f"{KIND} n3"}
    sn2.failing |= {f"{KIND} n5"}


def one_fails(_sn1: FakeNode, sn2: FakeNode) -> None:
    sn2.failing.add(KIND)


def one_is_down(_sn1: FakeNode, sn2: FakeNode) -> None:
    sn2.is_down = True


def a_job_dies(sn1: FakeNode, sn2: FakeNode) -> None:
    sn1.dying_half_way.add(KIND)
    sn2.dying_after.add(KIND)


def old_and_slow(sn1: FakeNode, sn2: FakeNode) -> None:
    for node in (sn1, sn2):
        node.lacking |= {Chain.kind, BEGIN}
        node.is_slow = True


TROUBLES: Mapping[str, Callable[[FakeNode, FakeNode], None]] = {
    each.__name__: each
    for each in (well, some_fail, one_fails, one_is_down, a_job_dies, old_and_slow)
}


#: Of these, a part of the boundaries will do.
EVERY = {"a_job_dies": 2, "one_fails": 2, "one_is_down": 3, "old_and_slow": 3}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("template")
    db = Database.open(Location("SQLite", directory))
    fill(db)
    db.close()
    return directory


@contextmanager
def cluster(template: Path, place: Path, trouble: str = "well") -> Iterator[Site]:
    db = Database.open(Location("SQLite", Path(shutil.copytree(template, place))))
    site = Site(db)
    TROUBLES[trouble](site.world.node("sn1"), site.world.node("sn2"))
    yield site
    db.close()
    shutil.rmtree(place)


def mend(site: Site) -> None:
    for node in site.world.nodes.values():
        for kinds in (node.failing, node.dying_half_way, node.dying_after):
            kinds.clear()
        node.is_down = False


def end(site: Site) -> tuple[Any, ...]:
    """What there is to compare."""
    shown = json.loads(site.run("plans", "--show", site.plan_ids()[0], "--json").lines[0])
    states = {node: found["state"] for node, found in shown["node_states"].items()}
    return site.comments(), notes(site), states, shown["unfinished"], site.performed()


RUN = ("notes", "compute", "hello", "--fanout", "1")


def finish(site: Site, *words: str) -> int:
    """Resume until there is nothing left that can be done now; the last status."""
    said = None if site.plan_ids() else site.run(*words)
    if said is None:
        said = site.run("plans", "--resume", site.plan_ids()[0], "--fanout", "1")
    return said.status


@pytest.mark.parametrize("trouble", TROUBLES)
def test_killed_at_every_boundary_and_resumed(
    trouble: str, template: Path, tmp_path: Path, dying: Dying
) -> None:
    with cluster(template, tmp_path / "whole", trouble) as site:
        points = dying().points
        status = site.run(*RUN).status
        mend(site)
        dying()
        assert finish(site) == (0 if status == 2 else 1)
        wanted = end(site)
    assert wanted[:2] == (NOTED, NOTED) and set(wanted[-1].values()) == {1}
    names = {point.partition(" ")[0] for point in points}
    assert names | {"after-outcome"} == set(POINTS) or trouble not in {"well", "one_fails"}
    assert ("after-outcome" in names) == (trouble == "one_fails") or trouble not in {
        "well",
        "one_fails",
    }
    for boundary, point in list(enumerate(points))[:: EVERY.get(trouble, 1)]:
        with cluster(template, tmp_path / str(boundary), trouble) as site:
            dying(boundary)
            assert site.attempt(*RUN) is None, point
            dying()
            listed = site.run("plans").text
            assert "interrupted" in listed or "no plans" in listed or "after-close" in point
            finish(site, *RUN)
            mend(site)
            finish(site, *RUN)
            assert end(site) == wanted, point
            assert site.db.select("aixlock") == [], point


def after(template: Path, place: Path, trouble: str = "well") -> tuple[str, Callable[[Path], Any]]:
    """A cluster in which it was run before: the plan, and how to come by copies of the cluster."""
    with cluster(template, place, trouble) as site:
        site.run(*RUN)
        (plan,) = site.plan_ids()
        done = {name: dict(node.effects) for name, node in site.world.nodes.items()}
        site.db.close()
        run = shutil.copytree(place, place.with_name("run"))

    @contextmanager
    def again(own: Path) -> Iterator[Site]:
        with cluster(run, own) as copied:
            for name, effects in done.items():
                copied.world.node(name).effects.update(effects)
            yield copied

    return plan, again


def test_killed_while_it_is_resumed(template: Path, tmp_path: Path, dying: Dying) -> None:
    """Some nodes fail, and the second attempt is killed: what was done at the first is not done again."""
    dying()
    plan, copies = after(template, tmp_path / "first", "some_fail")
    boundary, said = 0, None
    while said is None:
        with copies(tmp_path / str(boundary)) as site:
            assert site.comments() == {**BACK, "n2": "hello", "n4": "hello"}
            fuse = dying(boundary)
            said = site.attempt("notes", "--resume", plan, "--fanout", "1")
            dying()
            if said is None:
                finish(site)
            assert (site.comments(), notes(site)) == (NOTED, NOTED), fuse.points[-1]
            again = {("sn1", f"{KIND} n1"), ("sn1", f"{KIND} n3"), ("sn2", f"{KIND} n5")}
            assert site.performed() == dict.fromkeys(again, 1), fuse.points[-1]
        boundary += 1
    assert boundary > 10


def test_killed_while_it_is_taken_back(template: Path, tmp_path: Path, dying: Dying) -> None:
    dying()
    plan, copies = after(template, tmp_path / "first")
    boundary, said = 0, None
    while said is None:
        with copies(tmp_path / str(boundary)) as site:
            fuse = dying(boundary)
            said = site.attempt("plans", "--undo", plan, "--fanout", "1")
            dying()
            if said is None and site.plan_ids()[0] == plan:
                assert site.run("plans", "--undo", plan).status == 0
            elif said is None:
                finish(site)
            assert (site.comments(), notes(site)) == (BACK, {}), fuse.points[-1]
            assert set(site.performed().values()) == {1}, fuse.points[-1]
            assert "taken back" in site.run("plans", "--show", plan).text, fuse.points[-1]
        boundary += 1
    assert boundary > 10


@pytest.mark.parametrize("point", [point for point in POINTS if point != "after-close"])
def test_killed_and_given_up(point: str, template: Path, tmp_path: Path, dying: Dying) -> None:
    """At each boundary: the nodes are free again, and what was done can be taken back."""
    with cluster(template, tmp_path / "db", "one_fails") as site:
        dying(point=point)
        assert site.attempt(*RUN) is None
        dying()
        mend(site)  # what failed may have done something first: it is taken back, too
        for plan in site.plan_ids():
            assert site.run("plans", "--abandon", plan).status == 0
            assert site.run("plans", "--resume", plan).status == 1
            undone = site.run("plans", "--undo", plan)
            assert undone.status == 0 or "nothing was done" in undone.text
        assert (site.comments(), notes(site)) == (BACK, {})
        assert site.run(*RUN).status == 0
        assert tuple(site.comments()) == NODES


def test_the_crash_matrix_takes_the_plan_as_it_is_and_asks_for_a_golden_one() -> None:
    rows = {"noderes": [{"node": node, "servicenode": name} for node, name in SERVED.items()]}
    made = plan(NODES, "hello", Snapshot.from_rows({"nodelist": [], **rows}))
    assert matrix.check("notes", made) >= matrix.SAMPLED
    assert matrix.check("notes", made, is_old=True) >= matrix.SAMPLED
    with pytest.raises(AssertionError, match=f"{KIND}: no golden plan has such a step"):
        matrix.sample(KIND)
