"""Kept plans through the real doors: our client, the wire, the session with its policy, the daemon with every plugin."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import unescape

import pytest
from tests.daemon.client.test_planning import Place, Planner
from tests.daemon.serving.conftest import Authority, Cluster, _fill, _prepare
from tests.daemon.serving.policy.conftest import fill, start

NODES = [f"n{number}" for number in range(1, 5)]
TABLES: dict[str, list[dict[str, str]]] = {
    "nodelist": [
        *({"node": name, "groups": "service"} for name in ("sn1", "sn2")),
        *({"node": node, "groups": "compute"} for node in NODES),
        {"node": "n9", "groups": "other"},
    ],
    "noderes": [{"node": "compute", "servicenode": "sn1,sn2", "xcatmaster": "10.1.0.1"}],
    "nodetype": [{"node": "compute", "os": "rhels6"}],
    "networks": [{"netname": "lan", "net": "10.1.0.0", "mask": "255.255.0.0"}],
    "hosts": [
        {"node": "sn1", "ip": "10.1.0.1"},
        {"node": "sn2", "ip": "10.1.0.2"},
        *({"node": node, "ip": f"10.1.1.{node[1:]}"} for node in NODES),
    ],
    "policy": [
        {"priority": "1", "name": "root", "rule": "allow"},
        {"priority": "2", "name": "few", "commands": "plans", "rule": "allow"},
        {
            "priority": "2.1",
            "name": "few",
            "commands": "snmove",
            "noderange": "n1,n2",
            "rule": "allow",
        },
        {"priority": "3", "name": "reader", "commands": "plans", "rule": "allow"},
        {"priority": "4", "name": "careful", "commands": "plans,snmove", "rule": "allow"},
        {"priority": "5", "name": "previewer", "commands": "plans", "rule": "allow"},
        {
            "priority": "5.1",
            "name": "previewer",
            "commands": "snmove",
            "parameters": "--(dry-run|json|out)",
            "rule": "allow",
        },
        {
            "priority": "6",
            "name": "keeper",
            "commands": "plans,snmove",
            "parameters": "--(abandon|forget|undo|resume)",
            "rule": "deny",
        },
        {"priority": "6.1", "name": "keeper", "commands": "plans,snmove", "rule": "allow"},
    ],
}

DENIED = "Permission denied for request"
MOVED, UNMOVED = "sn2,sn1", ""


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("filled")
    _fill(directory)
    return directory


@pytest.fixture
def cluster(tmp_path: Path, authority: Authority, filled: Path) -> Iterator[Cluster]:
    directory = _prepare(tmp_path / "top", authority, filled)
    fill(directory / "db", TABLES)
    cluster = start(directory, authority)
    yield cluster
    cluster.stop()


@dataclass
class Home(Place):
    """Where our client is called; ``cluster`` is whose daemon it asks."""

    cluster: Cluster


@pytest.fixture
def place(cluster: Cluster, tmp_path: Path) -> Home:
    certificates = cluster.authority.client_directory(tmp_path / "certificates", "root")
    directory = tmp_path / "home"
    directory.mkdir()
    return Home(Planner(), cluster.port, certificates, directory, cluster)


def servers(cluster: Cluster) -> dict[str, str]:
    """The nodes' own values; without one they have their group's."""
    found = {row["node"]: row.get("servicenode", "") for row in cluster.rows("noderes")}
    return {node: found.get(node, UNMOVED) for node in NODES}


def ask(cluster: Cluster, user: str, command: str, *args: str) -> str:
    return cluster.command(command, *args, user=user)


def keep(cluster: Cluster, nodes: str) -> str:
    told = ask(cluster, "root", "snmove", "-i", nodes, "--out", "x")
    (found,) = re.findall(r"<plan>(snmove-[^<]*)</plan>", told)
    return str(found)


def run(cluster: Cluster, nodes: str) -> str:
    told = ask(cluster, "root", "snmove", "-i", nodes)
    (found,) = re.findall(r"--undo (snmove-[0-9a-f-]*)", told)
    return str(found)


def listed(cluster: Cluster, user: str) -> set[str]:
    return set(re.findall(r"snmove-\d{8}-[0-9a-f]{4}", ask(cluster, user, "plans", "--list")))


# -- our client -------------------------------------------------------------------------------------


def test_a_plan_goes_into_a_file_and_back(cluster: Cluster, place: Home) -> None:
    done = place.run("snmove", "-i", "compute", "--out", "m.plan")
    assert done.returncode == 0 and done.stdout.endswith("Wrote m.plan.\n")
    head, plan, sha256, nodes, *text = (place.directory / "m.plan").read_text().splitlines()
    assert head.startswith("# A plan") and nodes == "nodes: 4"
    assert "Plan: move 4 nodes" in text and set(servers(cluster).values()) == {UNMOVED}
    shown = place.run("plans", "--show", plan.removeprefix("plan: "))
    assert set(text[1:-1]) <= set(shown.stdout.splitlines())

    applied = place.run("snmove", "--apply", "m.plan")
    assert applied.returncode == 0, applied.stderr
    assert set(servers(cluster).values()) == {MOVED}
    again = place.run("plans", "--apply", "m.plan")
    assert again.returncode == 1 and "begun already" in again.stderr
    assert sha256.removeprefix("sha256: ") in done.stdout


def test_a_file_of_another_plan_is_refused(cluster: Cluster, place: Home) -> None:
    place.run("snmove", "-i", "n1", "--out", "one.plan")
    place.run("snmove", "-i", "n2", "--out", "two.plan")
    one, two = ((place.directory / f"{name}.plan").read_text() for name in ("one", "two"))
    digest = re.search(r"^sha256: .*$", two, re.MULTILINE)
    assert digest is not None
    (place.directory / "mixed.plan").write_text(re.sub(r"(?m)^sha256: .*$", digest[0], one))
    done = place.run("snmove", "--apply", "mixed.plan")
    assert done.returncode == 1 and "SHA-256" in done.stderr
    assert set(servers(cluster).values()) == {UNMOVED}


def test_what_the_file_says_is_not_what_is_done(cluster: Cluster, place: Home) -> None:
    place.run("snmove", "-i", "n1", "--out", "m.plan")
    file = place.directory / "m.plan"
    file.write_text(file.read_text().replace("n1", "n2"))
    assert place.run("snmove", "--apply", "m.plan").returncode == 0
    assert servers(cluster) == {**dict.fromkeys(NODES, UNMOVED), "n1": MOVED}


@pytest.mark.parametrize(
    ("args", "limit", "answer", "status"),
    [
        (("compute",), "3", "y\n", 0),
        (("compute",), "3", "n\n", 1),
        (("compute",), "3", "\n", 1),
        (("compute",), "3", "^C", 130),
        (("n1",), "0", "yes\n", 0),
        (("compute",), "4", None, 0),
        (("compute",), "9" * 40, None, 0),
        (("compute",), "", None, 0),
        (("compute", "--yes"), "0", None, 0),
    ],
)
def test_many_nodes_are_asked_about(
    place: Home, args: tuple[str, ...], limit: str, answer: str | None, status: int
) -> None:
    cluster = place.cluster
    ended, screen = place.at_terminal(
        "snmove", "-i", *args, answer=answer, XCAT_CONFIRM_NODES=limit
    )
    assert ended == status, screen
    assert ("[y/N]" in screen) is (answer is not None)
    wanted = {MOVED} if status == 0 else {UNMOVED}
    assert {servers(cluster)[node] for node in NODES if node == "n1" or "n1" not in args} == wanted
    if status == 1:
        (plan,) = listed(cluster, "root")
        assert f"to carry it out: snmove --apply {plan}\n" in screen
        assert place.run("snmove", "--apply", plan).returncode == 0
        assert set(servers(cluster).values()) == {MOVED}


def test_a_limit_that_is_no_number_asks_at_a_terminal(cluster: Cluster, place: Home) -> None:
    status, screen = place.at_terminal(
        "snmove", "-i", "n1", answer="n\n", XCAT_CONFIRM_NODES="lots"
    )
    assert status == 1 and "[y/N]" in screen
    assert set(servers(cluster).values()) == {UNMOVED}
    assert place.run("snmove", "-i", "compute", XCAT_CONFIRM_NODES="lots").returncode == 0


def test_nothing_is_asked_of_what_cannot_be_planned(place: Home) -> None:
    status, screen = place.at_terminal("snmove", "-i", "nosuch", XCAT_CONFIRM_NODES="0")
    assert status == 1 and "[y/N]" not in screen


def test_the_question_tells_what_to_mind(place: Home) -> None:
    _, screen = place.at_terminal("snmove", "compute", answer="n\n", XCAT_CONFIRM_NODES="0")
    before, _, _ = screen.partition("[y/N]")
    assert "Plan: move 4 nodes" in before
    assert "Mind:" in before and "warning: " in before


def test_the_way_back_asks_too(cluster: Cluster, place: Home) -> None:
    plan = run(cluster, "compute")
    status, screen = place.at_terminal(
        "plans", "--undo", plan, answer="y\n", XCAT_CONFIRM_NODES="3"
    )
    assert status == 0, screen
    assert set(servers(cluster).values()) != {MOVED}


# -- the wire ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [(), ("--json", "--yes")])
def test_one_reply_has_a_status(cluster: Cluster, more: tuple[str, ...]) -> None:
    for words, status in ((("compute",), ""), (("compute", "-d", "sn1"), ""), (("nosuch",), "1")):
        told = ask(cluster, "root", "snmove", "-i", *words, *more)
        assert re.findall(r"<errorcode>(\d*)</errorcode>", told) == ([status] if status else [])
        *_, last = re.findall(r"<xcatresponse>.*?</xcatresponse>", told, re.DOTALL)[:-1]
        assert not status or "<errorcode>" in last or "serverdone" in last


def test_what_is_begun_is_named_first(cluster: Cluster) -> None:
    told = ask(cluster, "root", "snmove", "-i", "n1")
    before, _, _ = told.partition("<info>Setting")
    (plan,) = re.findall(r"<begunplan>(.*?)</begunplan>", before)
    assert f"--undo {plan}<" in told
    shown = ask(cluster, "root", "snmove", "-i", "n1", "--dry-run")
    assert "begunplan" not in shown


# -- the policy -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "nodes", "allowed"),
    [
        ("root", "compute", True),
        ("few", "n1", True),
        ("few", "n1,n2", True),
        ("few", "n2,n3", False),
        ("few", "compute", False),
        ("reader", "n1", False),
        ("careful", "compute", True),
        ("stranger", "n1", False),
    ],
)
def test_who_may_carry_out_a_kept_plan(
    cluster: Cluster, user: str, nodes: str, allowed: bool
) -> None:
    plan = keep(cluster, nodes)
    told = ask(cluster, user, "plans", "--apply", plan)
    assert (DENIED not in told) is allowed
    assert (MOVED in servers(cluster).values()) is allowed
    if allowed:
        assert f"--undo {plan}" in told


@pytest.mark.parametrize("verb", ["--show", "--resume", "--undo", "--abandon", "--forget"])
@pytest.mark.parametrize(
    ("user", "allowed"), [("few", False), ("reader", False), ("careful", True)]
)
def test_who_may_do_anything_with_a_plan(
    cluster: Cluster, verb: str, user: str, allowed: bool
) -> None:
    plan = run(cluster, "n3")
    before = cluster.rows("aixplan"), servers(cluster)
    told = ask(cluster, user, "plans", verb, plan)
    assert (DENIED not in told) is allowed
    if not allowed:
        assert (cluster.rows("aixplan"), servers(cluster)) == before
        assert "sn2" not in told


def test_an_unknown_plan_is_told_of_to_whom_may_ask(cluster: Cluster) -> None:
    assert "cannot find nosuch" in ask(cluster, "few", "plans", "--show", "nosuch")
    assert DENIED in ask(cluster, "stranger", "plans", "--show", "nosuch")


@pytest.mark.parametrize("user", ["root", "few", "reader", "careful"])
def test_everybody_lists_the_own(cluster: Cluster, user: str) -> None:
    kept, done = keep(cluster, "n1,n2"), run(cluster, "n3")
    wanted = {
        "root": {kept, done},
        "few": {kept},
        "reader": set(),
        "careful": {kept, done},
    }[user]
    assert listed(cluster, user) == wanted
    told = ask(cluster, user, "plans", "--list", "--json")
    (text,) = re.findall(r"<data>(.*?)</data>", told)
    assert {plan["id"] for plan in json.loads(unescape(text, {"&quot;": '"'}))} == wanted


def test_a_user_of_some_nodes_keeps_and_asks_within_them(cluster: Cluster) -> None:
    """A row with nodes is for requests that bring nodes, as in xCAT."""

    def keeps(nodes: str) -> str:
        more = f"<noderange>{nodes}</noderange>"
        return cluster.command("snmove", "-i", "--out=x", user="few", more=more)

    assert DENIED in keeps("compute")
    assert DENIED in ask(cluster, "few", "snmove", "-i", "-s", "sn1", "--out=x")
    told = keeps("n1")
    assert "<savedplan>" in told and DENIED not in told
    (plan,) = listed(cluster, "few")
    assert DENIED not in ask(cluster, "few", "plans", "--apply", plan)
    assert servers(cluster) == {**dict.fromkeys(NODES, UNMOVED), "n1": MOVED}


@pytest.mark.parametrize("words", [("--dry-run", "--out", "x"), ("--json", "--out=x"), ("--ou=x",)])
def test_who_may_only_look_carries_nothing_out(cluster: Cluster, words: tuple[str, ...]) -> None:
    """The words of the preview that kept a plan are none of what is carried out."""
    if words == ("--ou=x",):
        plan = keep(cluster, "n1")
    else:
        told = ask(cluster, "previewer", "snmove", "-i", "n1", *words)
        (plan,) = re.findall(r"<plan>(snmove-[^<]*)</plan>", told)
    assert DENIED in ask(cluster, "previewer", "plans", "--apply", plan)
    assert set(servers(cluster).values()) == {UNMOVED}
    assert [row["command"] for row in cluster.rows("aixplan")] == ["snmove -i n1"]


@pytest.mark.parametrize(
    ("noderange", "args"),
    [("--forget={}", ()), ("--forget={}", ("--list",))],
)
def test_a_noderange_is_no_option(cluster: Cluster, noderange: str, args: tuple[str, ...]) -> None:
    plan = keep(cluster, "n1")
    words = [word.format(plan) for word in args]
    more = f"<noderange>{noderange.format(plan)}</noderange>"
    told = cluster.command("plans", *words, user="keeper", more=more)
    assert "is no noderange" in told and "<errorcode>1</errorcode>" in told
    assert listed(cluster, "root") == {plan}


@pytest.mark.parametrize("word", ["--forge", "--forg={}"])
def test_a_beginning_of_a_verb_is_no_verb(cluster: Cluster, word: str) -> None:
    plan = keep(cluster, "n1")
    told = ask(cluster, "keeper", "plans", word.format(plan), *(() if "=" in word else (plan,)))
    assert "write --forget in full" in told
    assert listed(cluster, "root") == {plan}
    assert DENIED in ask(cluster, "keeper", "plans", "--forget", plan)


def test_nobody_writes_lines_of_others_lists(cluster: Cluster, place: Home) -> None:
    forged = "-P=x\nsnmove-20261129-dead  2026-11-29 01:01:01  root  1/1  snmove n1\u202e ok"
    told = cluster.command(
        "snmove", forged, "--out=x", user="few", more="<noderange>n1</noderange>"
    )
    assert "<savedplan>" in told
    (row,) = cluster.rows("aixplan")
    shown = row["command"]
    assert r"-P=x\nsnmove" in shown and shown.isprintable()
    assert len(place.run("plans", "--list").stdout.splitlines()) == 2
    lines = place.run("plans", "--show", row["id"]).stdout.splitlines()
    assert not any(line.startswith("snmove-20261129-dead") for line in lines)


def test_a_digest_is_not_empty(cluster: Cluster) -> None:
    plan = keep(cluster, "n1")
    for words in (("--digest=",), ("--digest", "")):
        told = ask(cluster, "root", "snmove", "--apply", plan, *words)
        assert "--digest needs the SHA-256 of the plan." in told
    assert set(servers(cluster).values()) == {UNMOVED}
