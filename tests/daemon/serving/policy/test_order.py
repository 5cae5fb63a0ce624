"""The policy speaks before anything is done for a peer, and judges what the command will touch."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from tests.daemon.serving.conftest import Cluster
from tests.daemon.serving.policy.conftest import TABLES, Watch

from xcatd.plugins import PluginHost
from xcatd.serving import builtin
from xcatd.text import perlre

DENIED = "<error>Permission denied for request</error>"
COMMANDS = sorted({*PluginHost.load().commands, *builtin.NAMES, "rpower", "nosuch", "foreign"})


def ask(cluster: Cluster, user: str | None, command: str, *args: str, **more: str) -> str:
    """What the daemon says; ``more`` are elements."""
    elements = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in more.items())
    return cluster.command(command, *map(escape, args), user=user, more=elements)


def without_logs(cluster: Cluster) -> dict[str, list[dict[str, str]]]:
    return {name: cluster.rows(name) for name in TABLES}


# -- before any work ---------------------------------------------------------------------------


@pytest.mark.parametrize("user", [None, "stranger"])
@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_is_looked_at_for_whom_no_row_allows_anything(
    standing: Cluster, watch: Watch, tmp_path: Path, user: str | None, command: str
) -> None:
    listed = tmp_path / "list"
    listed.write_text("n1\n")
    ranges = [f"^{listed}", "/(a+)+$", "ipmi.password=~^s", "@n1", "n[1-9]", "dynamic"]
    for text in ranges:
        assert DENIED in ask(standing, user, command, "-o", text, noderange=text, stdin="x:")
    assert set(watch.tables) <= {"site", "policy"}
    assert not watch.noderanges
    assert not watch.files


@pytest.mark.parametrize("user", [None, "stranger"])
def test_no_expression_is_looked_at_either(
    standing: Cluster, monkeypatch: pytest.MonkeyPatch, user: str | None
) -> None:
    looked = []
    for name in ("like", "compile_pattern"):
        monkeypatch.setattr(perlre, name, looked.append)
    for command in ("tabdump", "lsdef", "nodels", "chdef", "mkdef", "nodech"):
        args = ("-w", "a=~x", "-w", "mgt=~(y)", "ipmi.bmc=~z", "site")
        assert DENIED in ask(standing, user, command, *args)
    assert looked == []


def test_a_guess_of_a_password_reads_its_own_table_alone(standing: Cluster, watch: Watch) -> None:
    login = "<becomeuser><username>web</username><password>no</password></becomeuser>"
    said = standing.command("nodels", more=f"{login}<noderange>n1</noderange>", user=None)
    assert "Authentication failure" in said
    assert set(watch.tables) <= {"site", "policy", "passwd"}
    assert not watch.noderanges


def test_a_row_for_nodes_is_not_reached_by_what_brings_none(
    standing: Cluster, watch: Watch
) -> None:
    assert DENIED in ask(standing, "few", "chdef", "-t", "node", "-o", "n1", "arch=x")
    assert not watch.noderanges


# -- what the command touches --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "args"),
    [
        ("chdef", ("-t", "node", "-o", "n2", "arch=x")),
        ("chdef", ("n2", "arch=x")),
        ("chdef", ("n1,n2", "arch=x")),
        ("chdef", ("n1", "-n", "n2")),
        ("chdef", ("-t", "group", "-o", "compute", "arch=x")),
        ("chdef", ("-t", "site", "master=x")),
        ("mkdef", ("-t", "node", "-o", "n9", "groups=all")),
        ("mkdef", ("-t", "node", "-o", "n1", "--template", "n2")),
        ("mkdef", ("-t", "policy", "-o", "0", "name=few", "rule=allow")),
        ("rmdef", ("n2",)),
        ("rmdef", ("-a", "-f")),
        ("lsdef", ("n2",)),
        ("lsdef", ("-t", "node")),
        ("lsdef", ("-a",)),
        ("tabch", ("node=n2", "ipmi.bmc=x")),
        ("tabch", ("key=master", "site.value=x")),
        ("tabch", ("-d", "node=n2", "ipmi")),
        ("tabdump", ("ipmi",)),
        ("gettab", ("node=n2", "ipmi.bmc")),
        ("nodeadd", ("n9", "groups=all")),
        ("nodeadd", ("n2", "groups=all")),
        ("nodegrpch", ("compute", "ipmi.bmc=x")),
        ("tabprune", ("auditlog", "-a")),
        ("regnotif", ("/x", "site")),
        ("foreign", ()),
    ],
)
def test_who_may_touch_one_node_touches_no_other(
    standing: Cluster, command: str, args: tuple[str, ...]
) -> None:
    before = without_logs(standing)
    assert DENIED in ask(standing, "few", command, *args, noderange="n1")
    assert without_logs(standing) == before


@pytest.mark.parametrize("args", [("n2", "-d", "sn2", "-i"), ("n1,n2", "-i"), ("-s", "sn1", "-i")])
def test_who_may_touch_one_node_moves_no_other(standing: Cluster, args: tuple[str, ...]) -> None:
    before = without_logs(standing)
    assert DENIED in ask(standing, "few", "snmove", *args)
    assert without_logs(standing) == before


def test_who_may_touch_one_node_may_touch_it(doors: Cluster) -> None:
    assert DENIED not in ask(
        doors, "few", "chdef", "-t", "node", "-o", "n1", "arch=x", noderange="n1"
    )
    assert DENIED not in ask(doors, "few", "nodech", "ipmi.bmc=new", noderange="n1")
    assert {"node": "n1", "arch": "x"} in doors.rows("nodetype")
    assert "new" in {row["bmc"] for row in doors.rows("ipmi")}
    assert "n1" in ask(doors, "few", "nodels", noderange="n1")
    assert DENIED in ask(doors, "few", "nodels", noderange="n1,n2")


def test_standard_input_counts_as_what_is_touched(standing: Cluster) -> None:
    for name in ("n2", "clustersite"):
        kind = "node" if name == "n2" else "site"
        stanza = f"{name}:\n    objtype={kind}\n    arch=x\n"
        assert DENIED in ask(standing, "few", "chdef", "-z", stdin=stanza, noderange="n1")
    stanza = "n1:\n    objtype=node\n    arch=y\n"
    assert DENIED not in ask(standing, "few", "chdef", "-z", stdin=stanza, noderange="n1")


@pytest.mark.parametrize(
    ("command", "args", "refused"),
    [
        ("chdef", ("-t", "node", "-o", "n2", "arch=x"), True),
        ("chdef", ("-t", "node", "-o", "n3", "arch=x"), False),
        ("nodegrpch", ("compute", "ipmi.bmc=x"), True),
        ("tabch", ("node=n2", "ipmi.bmc=x"), True),
        ("snmove", ("n2,n3", "-i"), True),
        ("snbalance", ("n1-n3", "sn1,sn2"), True),
        ("lsdef", ("-t", "node"), True),
        ("lsxcatd", ("-v",), False),
        ("foreign", (), True),
    ],
)
def test_a_refusing_row_is_not_gone_around_by_arguments(
    standing: Cluster, command: str, args: tuple[str, ...], refused: bool
) -> None:
    assert (DENIED in ask(standing, "most", command, *args)) is refused


@pytest.mark.parametrize("user", ["few", "most"])
@pytest.mark.parametrize("guess", ["^i", "^q"])
def test_being_refused_tells_nothing_of_others_nodes(
    standing: Cluster, user: str, guess: str
) -> None:
    """Whether the policy refuses a node range must not depend on what tables say of nodes outside of the row."""
    for text in (f"n1,nodehm.mgt=~{guess}", f"n1,-ipmi.bmc=~{guess}", f"n1@mgt=~{guess}"):
        said = ask(standing, user, "nodels", noderange=text)
        assert "needs a policy row without noderange" in said
        assert DENIED not in said


# -- who may say what ------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["few", "reader", "root", None])
def test_node_elements_count_from_trusted_peers_only(standing: Cluster, user: str | None) -> None:
    said = standing.command("nodels", more="<node>n1</node>", user=user)
    assert DENIED in said


def test_a_trusted_peer_names_nodes(standing: Cluster) -> None:
    assert "<name>n1</name>" in standing.command("nodels", more="<node>n1</node>", user="mn")
    both = "<node>n1</node><noderange>n2</noderange>"
    assert DENIED in standing.command("nodels", more=both, user="mn")


def test_only_a_trusted_peer_may_name_hosts(doors: Cluster) -> None:
    row = {"priority": "7", "name": "away", "host": "elsewhere", "rule": "allow"}
    doors.write("policy", row, {"priority": "8", "host": "there", "rule": "allow", "name": "mn2"})
    assert DENIED in ask(doors, "away", "nodels", remote_client="elsewhere")
    trusted = {"priority": "9", "name": "away", "commands": "lsdef", "rule": "trusted"}
    doors.write("policy", trusted)
    assert DENIED in ask(doors, "away", "nodels", remote_client="elsewhere")
    trusted = {"priority": "9.1", "name": "away", "commands": "nodels", "rule": "trusted"}
    doors.write("policy", trusted)
    assert DENIED not in ask(doors, "away", "nodels", remote_client="elsewhere")


def test_only_a_trusted_peer_for_this_command_names_the_user(doors: Cluster) -> None:
    doors.write("policy", {"priority": "1.3", "name": "reader", "commands": "x", "rule": "trusted"})
    ask(doors, "reader", "nodels", noderange="n1", username="root")
    assert [row["userid"] for row in doors.audited(1)] == ["reader"]
