"""Requests through the whole daemon: who, may they, which nodes, and the fixed replies."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from xcatd.db.errors import DatabaseError

Cluster = Any
DONE = "<serverdone></serverdone></xcatresponse>\n"


def _error(text: str, code: str = "<errorcode>1</errorcode>") -> str:
    return f"<xcatresponse><error>{text}</error>{code}{DONE}"


def test_replies_name_the_server_and_the_end_does_not(cluster: Cluster) -> None:
    assert cluster.command("echo", "hello") == (
        "<xcatresponse><info></info><info>hello</info><xcatdsource>mn</xcatdsource>"
        f"</xcatresponse>\n<xcatresponse>{DONE}"
    )


def test_policy_refuses_with_the_fixed_reply(cluster: Cluster) -> None:
    assert cluster.command("echo", user="alice") == _error("Permission denied for request")


def test_a_refused_peer_may_ask_again(
    cluster: Cluster, make_request: Callable[..., str], answer: Callable[..., str]
) -> None:
    with cluster.tls("alice") as sock:
        sock.sendall(make_request("echo").encode())
        assert "Permission denied" in answer(sock)
        sock.sendall(make_request("lsxcatd", "-v").encode())
        assert "Version" in answer(sock)


def test_unknown_nodes_stop_everything(cluster: Cluster) -> None:
    reply = cluster.command("echo", more="<noderange>n1,nope,n2,neither</noderange>")
    assert reply == _error("Invalid nodes and/or groups in noderange: nope,neither")
    assert cluster.sample.requests == []


def test_an_unknown_command_is_an_error_that_names_it_and_who_may_have_it(
    cluster: Cluster,
) -> None:
    def said(name: str) -> str:
        return _error(
            f"Unsupported request: no plugin of this xcatd offers {name}; xCAT's own xcatd may: to pass on to it what"
            " this one does not offer, start this one with --upstream HOST:PORT"
        )

    assert cluster.command("nosuchcommand") == said("nosuchcommand")
    assert cluster.command("noderange") == _error(
        "Unsupported request: noderange needs a noderange"
    )
    assert cluster.ask("<xcatrequest></xcatrequest>") == said("no command at all")


def test_unbalanced_parentheses_end_the_connection(cluster: Cluster) -> None:
    reply = cluster.command("echo", more="<noderange>(n1</noderange>")
    assert reply.startswith(
        "<xcatresponse><error>A fatal error was encountered, the following information may help"
        " identify a bug: Unbalanced parentheses in noderange"
    )
    assert "serverdone" not in reply


def test_nodes_without_site_master_are_refused(cluster: Cluster) -> None:
    from xcatd.db.database import Database

    database = Database.open(cluster.location)
    with database.transaction("site") as transaction:
        transaction.delete("site", {"key": "master"})
    database.close()
    reply = cluster.command("echo", more="<noderange>n1</noderange>")
    assert reply == _error("site.master is not set, unable to dispatch 'echo'")
    assert "<info>" in cluster.command("echo")


def test_a_crash_is_a_reply(cluster: Cluster) -> None:
    reply = cluster.command("crash", "boom", more="<noderange>n2,n1</noderange>")
    assert "<error>sample: 'boom' [nodes: n1,n2]</error><errorcode>1</errorcode>" in reply
    assert reply.endswith(DONE)


def test_nodes_come_in_plugin_order(cluster: Cluster) -> None:
    cluster.command("echo", more="<noderange>n10,n9,n2,n11</noderange>")
    assert cluster.sample.requests[-1].nodes == ("n2", "n9", "n10", "n11")


def test_a_trusted_peers_node_elements_are_not_looked_up(cluster: Cluster) -> None:
    cluster.command("echo", more="<node>n3</node><node>x</node>", user="mn")
    assert cluster.sample.requests[-1].nodes == ("x", "n3")


def test_an_empty_noderange_is_marked(cluster: Cluster) -> None:
    cluster.command("echo", more="<noderange>n1,-n1</noderange>")
    assert cluster.sample.requests[-1].empty_noderange
    cluster.command("echo", more="<noderange></noderange>")
    assert not cluster.sample.requests[-1].empty_noderange


def test_the_server_says_who_asks(cluster: Cluster) -> None:
    forged = "<_xcat_authname>admin</_xcat_authname><_xcat_clienthost>h</_xcat_clienthost>"
    cluster.command("echo", "a", more=forged + "<clienttype>cli</clienttype><addrows>1</addrows>")
    request = cluster.sample.requests[-1]
    assert request.user == "root"
    assert request.extra["_xcat_authname"] == ("root",)
    assert request.extra["_xcat_clienthost"] == (request.host,)
    assert request.extra["addrows"] == ("1",)
    assert request.id


def test_a_plugin_can_run_another_command(cluster: Cluster) -> None:
    assert "<info>inner</info>" in cluster.command("outer")
    assert cluster.sample.requests[-1].user == "root"


def test_authcheck(cluster: Cluster) -> None:
    cluster.write("policy", {"priority": "9", "commands": "authcheck", "rule": "allow"})
    known = cluster.command("authcheck", user="root")
    assert "<username>root</username>" in known
    assert "<data>Authenticated</data>" in known
    assert "xcatdsource" not in known
    nobody = cluster.command("authcheck", user=None)
    assert nobody == f"<xcatresponse><data>Unauthenticated</data>{DONE}"


def test_noderange_is_built_in(cluster: Cluster) -> None:
    reply = cluster.command(
        "noderange", more="<noderange>n2,nope,n1</noderange><transid>5</transid>"
    )
    assert reply == (
        "<xcatresponse><node>n1</node><node>n2</node>"
        f"<warning>Invalid nodes in noderange:nope</warning><transid>5</transid>{DONE}"
    )


def test_extnoderange_adds_groups(cluster: Cluster) -> None:
    plain = cluster.command("extnoderange", more="<noderange>n1</noderange>")
    assert plain == f"<xcatresponse><node>n1</node>{DONE}"
    reply = cluster.command("extnoderange", "subgroups", more="<noderange>n1</noderange>")
    groups = "<intersectinggroups>all</intersectinggroups>"
    assert f"{groups}<intersectinggroups>compute</intersectinggroups>" in reply


def test_rescanplugins_reloads(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cluster.command("rescanplugins") == f"<xcatresponse>{DONE}"


def test_transid_comes_back(cluster: Cluster) -> None:
    reply = cluster.command("echo", more="<transid>77</transid>")
    assert f"<transid>77</transid>{DONE}" in reply


def test_another_version_is_warned_of(cluster: Cluster) -> None:
    reply = cluster.command("echo", more="<_xcatver>Version 1</_xcatver>")
    assert "<warning>xCAT Version mismatch! \n         mn: Version " in reply
    assert "<info>" in reply


# -- other ways to say who one is ------------------------------------------------------------


def _login(element: str, username: str, password: str) -> str:
    inner = f"<username>{username}</username><password>{password}</password>"
    return f"<{element}>{inner}</{element}>"


def test_becomeuser(cluster: Cluster) -> None:
    cluster.write("policy", {"priority": "9", "name": "web", "rule": "allow"})
    good = cluster.command("echo", "x", user=None, more=_login("becomeuser", "web", "web-password"))
    assert "<info>x</info>" in good
    assert cluster.sample.requests[-1].user == "web"
    assert "becomeuser" not in cluster.sample.requests[-1].extra
    bad = cluster.command("echo", user=None, more=_login("becomeuser", "web", "wrong"))
    assert bad == _error("Authentication failure")


def test_tokens(cluster: Cluster) -> None:
    cluster.write("policy", {"priority": "9", "name": "web", "rule": "allow"})
    login = _login("gettoken", "web", "web-password")
    reply = cluster.ask(f"<xcatrequest>{login}</xcatrequest>", None)
    token = reply.partition("<id>")[2].partition("</id>")[0]
    assert reply.startswith(f"<xcatresponse><data><token><id>{token}</id><expire>20")
    (row,) = cluster.rows("token")
    assert (row["tokenid"], row["username"]) == (token, "web")
    use = f"<tokens><tokenid>{token}</tokenid></tokens>"
    assert "<info>x</info>" in cluster.command("echo", "x", user=None, more=use)
    assert cluster.rows("token")[0]["access"]
    wrong = cluster.command("echo", user=None, more="<tokens><tokenid>x</tokenid></tokens>")
    assert wrong == _error("Authentication failure")
    refused = cluster.ask(f"<xcatrequest>{_login('gettoken', 'web', 'no')}</xcatrequest>", None)
    assert refused == _error("Authentication failure")


# -- the record -------------------------------------------------------------------------------


def test_allowed_commands_are_recorded(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    cluster.command("echo", "a", "password=x", more="<noderange>n1</noderange>")
    (row,) = cluster.audited(1)
    host = cluster.sample.requests[-1].host
    assert time.strptime(row.pop("audittime"), "%Y-%m-%d %H:%M:%S")
    row.pop("recid")
    assert row == {
        "userid": "root",
        "clientname": host,
        "clienttype": "other",
        "command": "echo",
        "noderange": "n1",
        "args": " a password=xxxxxxxx",
        "status": "Allowed",
    }
    line = f"xCAT: Allowing echo to n1 a password=xxxxxxxx for root from {host}"
    assert line in [record.getMessage() for record in caplog.records]


def test_what_is_not_run_is_not_recorded(cluster: Cluster) -> None:
    cluster.command("echo", user="alice")
    cluster.command("nosuchcommand")
    cluster.command("echo", more="<noderange>nope</noderange>")
    cluster.command("authcheck")
    cluster.command("echo", "last")
    (row,) = cluster.audited(1)
    assert row["args"] == " last"


def test_a_trusted_peer_may_name_the_user(cluster: Cluster) -> None:
    named = "<username>alice</username>"
    cluster.command("echo", user="mn", more=named)
    cluster.command("echo", user="root", more=named)
    assert [row["userid"] for row in cluster.audited(2)] == ["alice", "root"]


def test_an_argument_cannot_forge_a_log_line(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    cluster.command("echo", "a\nxCAT: Allowing all for evil")
    lines = [record.getMessage() for record in caplog.records if "Allowing" in record.getMessage()]
    assert lines
    assert "\n" not in lines[0]


@pytest.mark.parametrize(
    "text", ["nosuchtable.x==y", "nodehm.nosuch==y", "a" * 5000, "n[1-", "\x7f"]
)
def test_odd_noderanges_are_answered(cluster: Cluster, text: str) -> None:
    reply = cluster.command("echo", more=f"<noderange>{text}</noderange>")
    assert reply.count("</xcatresponse>") >= 1
    assert "fatal error" not in reply


# -- what a peer without certificate learns ---------------------------------------------------


def test_without_certificate_a_failure_tells_nothing_of_our_insides(
    cluster: Cluster,
) -> None:
    cluster.write("policy", {"priority": "5", "commands": "crash", "rule": "allow"})
    crashed = cluster.command("crash", "/etc/secret", user=None)
    assert "<error>sample: the daemon's log has why</error><errorcode>1</errorcode>" in crashed
    assert "<error>sample: '/etc/secret'" in cluster.command("crash", "/etc/secret")


@pytest.mark.parametrize(
    "failure", [KeyError("/etc/secret"), DatabaseError("cannot read /etc/secret")]
)
def test_without_certificate_a_fatal_error_tells_nothing_either(
    cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
    make_request: Callable[..., str],
    answer: Callable[..., str],
    failure: Exception,
) -> None:
    def fails(*_: object) -> None:
        raise failure

    with cluster.tls(None) as nobody, cluster.tls() as root:
        for sock in (nobody, root):  # both are connected
            sock.sendall(make_request("lsxcatd").encode())
            assert "Version" in answer(sock)
        monkeypatch.setattr(type(cluster.daemon._database), "read", fails)
        for sock in (nobody, root):
            sock.sendall(make_request("lsxcatd").encode())
        assert "the daemon's log has why</error>" in (told := answer(nobody))
        assert "secret" not in told
        assert "/etc/secret" in answer(root)


def test_a_flood_without_certificate_writes_few_rows(
    cluster: Cluster, make_request: Callable[..., str], answer: Callable[..., str]
) -> None:
    with cluster.tls(None) as sock:
        for _ in range(150):
            sock.sendall(make_request("lsxcatd", "x" * 5_000).encode())
            assert "Version" in answer(sock)
    cluster.stop()
    rows = cluster.rows("auditlog")
    assert len(rows) == 61
    assert sum(len(text) for row in rows for text in row.values()) < 61 * 1_000
    assert rows[-1]["args"] == " 90 more requests without certificate within 60 s"
