"""A command no plugin takes, from a client through our daemon to a scripted xcatd and back."""

from __future__ import annotations

import threading

import pytest
from tests.daemon.serving.conftest import read_answer, request

from .conftest import GOLDEN, LAST, answers, info

BECOME = "<becomeuser><username>web</username><password>web-password</password></becomeuser>"


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda file: file.stem)
def test_what_the_perl_daemon_said_comes_back_byte_for_byte(front, golden):
    said = golden.read_bytes()
    cluster = front.daemon(front.scripted(answers(said)))
    assert cluster.command("rpower", "stat").encode() == said


def test_replies_come_as_they_are_said(front):
    go_on = threading.Event()

    def script(visit):
        visit.say(info("first"))
        assert go_on.wait(20)
        visit.say(info("second"), LAST)

    cluster = front.daemon(front.scripted(script))
    with cluster.tls() as sock:
        sock.sendall(request("rinstall").encode())
        assert b"first" in sock.recv(65536)
        go_on.set()
        assert "second" in read_answer(sock)


def test_the_request_goes_on_as_it_was_judged_in_its_users_name(front):
    upstream = front.scripted()
    more = (
        "<noderange>n1-n2</noderange><cwd>/root</cwd><stdin>a\nb</stdin><data>1</data><data>2</data>"
        "<environment><XCAT_A>x</XCAT_A></environment><env>A=b</env><clienttype>cli</clienttype>"
        "<username>somebody</username><transid>7</transid><odd><deep>y</deep></odd>"
        "<command>regnotif</command><_xcatdest>sn1</_xcatdest><_modname>x</_modname>"
    )
    front.daemon(upstream).command("xdsh", "-l", "", "root", more=more)
    visit = upstream.visit()
    assert visit.user == "mn"
    told = visit.request
    assert told["arg"] == ["-l", None, "root"]
    assert told["command"] == ["xdsh"]
    assert told["node"] == ["n1", "n2"]
    assert (told["cwd"], told["stdin"]) == (["/root"], ["a\nb"])
    assert told["environment"] == [{"XCAT_A": ["x"]}]
    assert (told["env"], told["clienttype"], told["transid"]) == (["A=b"], ["cli"], ["7"])
    assert not {"odd", "data", "noderange", "_xcatdest", "_modname"} & set(told)
    assert told["username"] == ["root"]
    assert told["remote_client"] == ["localhost"]


def test_a_trusted_peer_may_speak_for_somebody(front):
    upstream = front.scripted()
    cluster = front.daemon(upstream)
    cluster.ask(request("rpower", more="<username>alice</username>"), user="mn")
    assert upstream.visit().request["username"] == ["alice"]
    assert cluster.audited(1)[0]["userid"] == "alice"


def test_a_user_with_a_password_proves_it_again_and_our_certificate_is_not_shown(front):
    upstream = front.scripted()
    cluster = front.daemon(upstream)
    cluster.write("policy", {"priority": "3", "name": "web", "rule": "allow"})
    for user in ("root", None):
        cluster.ask(request("rpower", more=BECOME), user=user)
        visit = upstream.visit()
        assert visit.user is None
        assert visit.request["becomeuser"] == [{"username": ["web"], "password": ["web-password"]}]
        assert "username" not in visit.request


def test_a_token_goes_along(front):
    upstream = front.scripted()
    cluster = front.daemon(upstream)
    cluster.write("policy", {"priority": "3", "name": "web", "rule": "allow"})
    token = {"tokenid": "t-1", "username": "web", "expire": "never"}
    cluster.write("token", token)
    cluster.ask(request("rpower", more="<tokens><tokenid>t-1</tokenid></tokens>"), user=None)
    visit = upstream.visit()
    assert (visit.user, visit.request["tokens"]) == (None, [{"tokenid": ["t-1"]}])


def test_who_has_no_certificate_is_not_passed_on(front):
    upstream = front.scripted()
    cluster = front.daemon(upstream)
    cluster.write("policy", {"priority": "4", "commands": "getpostscript", "rule": "allow"})
    said = cluster.command("getpostscript", user=None)
    assert "<errorcode>1</errorcode><serverdone>" in said
    assert f"cannot pass getpostscript to the upstream xcatd {upstream.address}" in said
    assert upstream.accepted == 0


@pytest.mark.parametrize("user", ["alice", None])
def test_what_the_policy_here_denies_never_gets_there(front, user):
    upstream = front.scripted()
    cluster = front.daemon(upstream)
    assert "Permission denied for request" in cluster.command("rpower", "on", user=user)
    assert upstream.accepted == 0
    assert cluster.rows("auditlog") == []


def test_a_policy_row_for_some_nodes_counts_here(front):
    upstream = front.scripted()
    cluster = front.daemon(upstream)
    cluster.write(
        "policy", {"priority": "3", "name": "alice", "noderange": "n1,n2", "rule": "allow"}
    )
    nodes = "<noderange>{}</noderange>"
    cluster.ask(request("rpower", more=nodes.format("n1")), user="alice")
    assert upstream.visit().request["username"] == ["alice"]
    said = cluster.ask(request("rpower", more=nodes.format("n1,n3")), user="alice")
    assert "Permission denied" in said
    assert upstream.accepted == 1


def test_it_is_audited_here(front):
    cluster = front.daemon(front.scripted())
    cluster.command("rpower", "on", more="<noderange>n1</noderange><clienttype>cli</clienttype>")
    (row,) = cluster.audited(1)
    assert (row["command"], row["noderange"], row["args"]) == ("rpower", "n1", " on")
    assert (row["userid"], row["clienttype"]) == ("root", "cli")


def test_a_noderange_with_unknown_nodes_never_gets_there(front):
    said = next(file for file in GOLDEN if file.stem == "unknown-node").read_bytes()
    upstream = front.scripted()
    answer = front.daemon(upstream).command("rpower", "stat", more="<noderange>n1,nope</noderange>")
    text = "Invalid nodes and/or groups in noderange: nope"
    assert text in said.decode()
    assert text in answer
    assert upstream.accepted == 0


def test_a_noderange_without_nodes_is_said_to_have_none(front):
    upstream = front.scripted()
    front.daemon(upstream).command("rpower", "stat", more="<noderange>n1,-n1</noderange>")
    told = upstream.visit().request
    assert told["emptynoderange"] == ["1"]
    assert "node" not in told


@pytest.mark.parametrize("command", ["lsdef", "echo", "authcheck"])
def test_our_own_commands_stay_ours(front, command):
    upstream = front.scripted()
    assert "serverdone" in front.daemon(upstream).command(command, "x")
    assert upstream.accepted == 0


def test_noderange_stays_ours(front):
    upstream = front.scripted()
    said = front.daemon(upstream).command("noderange", more="<noderange>n1-n2</noderange>")
    assert "<node>n1</node><node>n2</node>" in said
    assert upstream.accepted == 0


def test_without_an_upstream_the_command_is_unknown(front):
    assert "Unsupported request" in front.daemon(None).command("rpower")


def test_rescanplugins_is_for_both(front):
    upstream = front.scripted(answers(info("rescanned"), LAST))
    assert "rescanned" in front.daemon(upstream).command("rescanplugins")
    assert upstream.visit().request["command"] == ["rescanplugins"]


def test_the_client_may_go_on_with_its_connection(front):
    cluster = front.daemon(front.scripted(answers(info("a"), LAST)))
    with cluster.tls() as sock:
        for command in ("rpower", "echo", "rpower"):
            sock.sendall(request(command).encode())
            assert "serverdone" in read_answer(sock)


def test_another_daemons_version_is_the_upstreams_business(front):
    cluster = front.daemon(front.scripted())
    said = cluster.ask(request("rpower", more="<_xcatver>Version 2.16</_xcatver>"), user="mn")
    assert "mismatch" not in said


def test_a_plugin_may_run_the_upstreams_commands(front):
    said = next(file for file in GOLDEN if file.stem == "every-shape").read_bytes()
    upstream = front.scripted(answers(said))
    cluster = front.daemon(upstream)
    answer = cluster.command("calls", "nodeset", "osimage=x", more="<noderange>n2,n1</noderange>")
    told = upstream.visit().request
    assert told["command"] == ["nodeset"]
    assert (told["arg"], told["node"]) == (["osimage=x"], ["n1", "n2"])
    assert told["username"] == ["root"]
    assert "<desc>d</desc><contents>c</contents>" in answer
    assert "<error>bad</error><errorcode>2</errorcode>" in answer
    assert "<xcatdsource>sn9</xcatdsource>" in answer
    assert answer.count("serverdone") == 2


def test_a_plugin_is_told_when_the_upstream_fails(front):
    upstream = front.scripted()
    upstream.close()
    said = front.daemon(upstream).command("calls", "nodeset", "boot")
    assert "cannot pass nodeset to the upstream xcatd" in said
    assert "<errorcode>1</errorcode>" in said
