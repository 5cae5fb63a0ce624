"""Operations and names: what cannot be meant cannot be built, on either end."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcat_aix_proto import bounds, jobs, messages, names, operations
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.identity import Identity, Role
from xcat_aix_proto.operations import Right

ONE_OF_EACH = [
    operations.HostFacts(),
    operations.NimSnapshot(("n01", "spot_72")),
    operations.RepointClient("n01", "sn2b"),
    operations.SetXcatServer("10.1.0.2"),
    operations.ChangeDefaultRoute("10.1.0.1", "10.1.0.2"),
    operations.SetBootlist("10.1.0.9", "10.1.0.2", None),
    operations.SetDumpDevice("iqn.2026-01.com.ibm:sn2", "0x0", "10.1.0.2"),
    operations.RunPostscripts(("syslog", "otherpkgs -v a=b"), "10.1.0.2", "n1", "mn"),
]


def test_every_known_operation_is_here():
    assert {type(op) for op in ONE_OF_EACH} == set(operations.BY_KIND.values())


@pytest.mark.parametrize("operation", ONE_OF_EACH, ids=lambda op: op.kind)
def test_round_trip(operation):
    wire = json.loads(json.dumps(operations.to_wire(operation)))
    assert operations.from_wire(wire) == operation


@pytest.mark.parametrize("operation", ONE_OF_EACH, ids=lambda op: op.kind)
def test_queries_need_read_and_changes_need_operate(operation):
    assert operation.right is (Right.READ if operation.is_query else Right.OPERATE)
    name, _, version = operation.kind.partition("@")
    assert name and int(version) >= 1


def postscripts(*scripts, master="10.1.0.2", node="n1", site_master=""):
    return operations.RunPostscripts(scripts, master, node, site_master)


@pytest.mark.parametrize("name", ["BASH_ENV", "PERL5OPT", "PATH", "LIBPATH", "MASTER"])
def test_no_variable_of_the_caller_reaches_a_postscript(name):
    args = {"scripts": ["syslog"], "master": "10.1.0.2", "node": "n1", "environment": {name: "x"}}
    with pytest.raises(AgentError, match="has no field 'environment'") as caught:
        operations.from_wire({"kind": operations.RunPostscripts.kind, "args": args})
    assert caught.value.code is ErrorCode.BAD_MESSAGE
    assert set(postscripts("syslog", site_master="mn").environment()) == {
        "MASTER",
        "NODE",
        "SITEMASTER",
    }


@pytest.mark.parametrize(
    "build",
    [
        lambda: operations.NimSnapshot(("ok", "a b")),
        lambda: operations.RepointClient("n" * 40, "sn2b"),
        lambda: operations.RepointClient("-n01", "sn2b"),
        lambda: operations.RepointClient("n01", "sn2b; reboot"),
        lambda: operations.RepointClient("n01", "sn2b\n"),
        lambda: operations.RepointClient("n01", "fe80::1%$(reboot)"),
        lambda: operations.SetXcatServer("sn2b"),
        lambda: operations.SetXcatServer("fe80::1%\nREBOOT=TRUE"),
        lambda: operations.ChangeDefaultRoute("10.1.0.1", "10.1.0"),
        lambda: operations.SetBootlist("10.1.0.9", "10.1.0.2", "gateway"),
        lambda: operations.SetDumpDevice("", "0", "10.1.0.2"),
        lambda: operations.SetDumpDevice("t", "0 1", "10.1.0.2"),
        lambda: operations.SetDumpDevice("t", "0", "10.1.0.2", configdump="some"),
        lambda: operations.SetDumpDevice("-x", "0", "10.1.0.2"),
        lambda: operations.SetDumpDevice("iqn.1,lun_id=2", "0", "10.1.0.2"),
        lambda: operations.SetDumpDevice("iqn.1;id", "0", "10.1.0.2"),
        lambda: operations.SetDumpDevice("iqn.1", "0x1'", "10.1.0.2"),
        lambda: operations.SetDumpDevice("iqn.1", "-1", "10.1.0.2"),
        lambda: operations.SetDumpDevice("iqn.1", "0x" + "1" * 17, "10.1.0.2"),
        lambda: operations.SetDumpDevice("iqn.1", "0", "10.1.0.2", port=0),
        lambda: operations.SetDumpDevice("iqn.1", "0", "10.1.0.2", port=65536),
        lambda: postscripts(""),
        lambda: postscripts("../etc/passwd"),
        lambda: postscripts("a/../../b"),
        lambda: postscripts("/bin/sh"),
        lambda: postscripts("sub/script"),
        lambda: postscripts("-x"),
        lambda: postscripts(".."),
        lambda: postscripts("syslog\nreboot"),
        lambda: postscripts("syslog a\tb"),
        lambda: postscripts("syslog $(reboot)"),
        lambda: postscripts("syslog a;reboot"),
        lambda: postscripts("syslog `id`"),
        lambda: postscripts("syslog \x1b[2J"),
        lambda: postscripts("syslog " + "x" * 256),
        lambda: postscripts("syslog" + " x" * 32),
        lambda: postscripts(*["syslog"] * 257),
        lambda: postscripts("syslog", master="a b"),
        lambda: postscripts("syslog", master="10.1.0.2\nBASH_ENV=/tmp/x"),
        lambda: postscripts("syslog", node="n1\0"),
        lambda: postscripts("syslog", site_master="-"),
    ],
)
def test_what_cannot_be_meant_cannot_be_built(build):
    with pytest.raises(AgentError) as caught:
        build()
    assert caught.value.code is ErrorCode.BAD_NAME


@pytest.mark.parametrize("master", ["sn2b", "sn2_b.cluster.net", "10.1.0.2", "fd00::1:2"])
def test_a_master_is_a_name_or_an_address_of_either_kind(master):
    assert operations.RepointClient("n01", master).master == master


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (None, ErrorCode.BAD_MESSAGE),
        ({"kind": "host.facts@1"}, ErrorCode.BAD_MESSAGE),
        ({"kind": "host.facts@1", "args": {}, "more": 1}, ErrorCode.BAD_MESSAGE),
        ({"kind": "host.facts@2", "args": {}}, ErrorCode.BAD_OPERATION),
        ({"kind": ["host.facts@1"], "args": {}}, ErrorCode.BAD_OPERATION),
        ({"kind": "host.facts@1", "args": {"x": 1}}, ErrorCode.BAD_MESSAGE),
        ({"kind": "client.repoint@1", "args": {"nim_name": "n01"}}, ErrorCode.BAD_MESSAGE),
    ],
)
def test_what_no_agent_understands_is_refused(data, code):
    with pytest.raises(AgentError) as caught:
        operations.from_wire(data)
    assert caught.value.code is code


@given(st.text())
def test_names_never_let_a_separator_or_control_character_through(text):
    for check in (names.nim_name, names.host_name, names.job_id):
        try:
            value = check(text)
        except AgentError as error:
            assert error.code is ErrorCode.BAD_NAME
        else:
            assert value == text
            assert not set(value) & set("/\\ \t\n\r\0;|&$`'\"<>")
            assert value[0] not in ".-"


@given(st.sampled_from(Role), st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,30}[a-z0-9])?", fullmatch=True))
def test_identities_round_trip(role, name):
    identity = Identity(role, name)
    assert Identity.parse(str(identity)) == identity
    certificate = {"subjectAltName": (("DNS", name), ("URI", str(identity)))}
    assert Identity.of_certificate(certificate) == identity


@pytest.mark.parametrize(
    "text",
    [
        "",
        "xcat-aix",
        "xcat-aix:mn",
        "xcat-aix:mn:",
        "xcat-aix:xx:n1",
        "other:mn:mn1",
        "xcat-aix:mn:a/b",
    ],
)
def test_what_is_no_identity(text):
    with pytest.raises(AgentError) as caught:
        Identity.parse(text)
    assert caught.value.code is ErrorCode.WRONG_PEER


@pytest.mark.parametrize(
    ("certificate", "code"),
    [
        (None, ErrorCode.NOT_AUTHENTICATED),
        ({}, ErrorCode.NOT_AUTHENTICATED),
        ({"subject": ()}, ErrorCode.WRONG_PEER),
        ({"subjectAltName": (("DNS", "xcat-aix:mn:mn1"),)}, ErrorCode.WRONG_PEER),
        ({"subjectAltName": (("URI", "https://mn1"),)}, ErrorCode.WRONG_PEER),
        (
            {"subjectAltName": (("URI", "xcat-aix:mn:a"), ("URI", "xcat-aix:sn:b"))},
            ErrorCode.WRONG_PEER,
        ),
    ],
)
def test_certificates_without_exactly_one_identity(certificate, code):
    with pytest.raises(AgentError) as caught:
        Identity.of_certificate(certificate)
    assert caught.value.code is code


def test_postscripts_of_an_older_plan_are_read():
    environment = {"MASTER": "10.1.0.2", "NODE": "n1", "SITEMASTER": "mn"}
    args = {"scripts": ["syslog"], "environment": environment}
    assert operations.from_stored("client.postscripts@1", args) == postscripts(
        "syslog", site_master="mn"
    )
    now = postscripts("syslog")
    assert operations.from_stored(now.kind, operations.to_wire(now)["args"]) == now
    with pytest.raises(AgentError):
        operations.from_wire({"kind": "client.postscripts@1", "args": args})


@pytest.mark.parametrize(
    "args",
    [
        None,
        {},
        {"scripts": ["a"], "environment": []},
        {"scripts": ["a"], "environment": {"NODE": "n1"}},
        {"scripts": ["a/b"], "environment": {"NODE": "n1", "MASTER": "m"}},
    ],
)
def test_older_plans_that_make_no_sense(args):
    with pytest.raises(AgentError):
        operations.from_stored("client.postscripts@1", args)


@dataclasses.dataclass(frozen=True)
class Sweep(operations.ForNodes):
    kind = "test.sweep@1"


def test_an_operation_for_several_nodes_names_each_once_and_has_room_for_all():
    nodes = tuple(f"n{number}" for number in range(operations.MAX_NODES))
    assert Sweep(nodes).only(["n1", "n2"]) == Sweep(("n1", "n2"))
    for wrong in ((), (*nodes, "one"), ("n1", "n1")):
        with pytest.raises(AgentError, match="node") as caught:
            Sweep(wrong)
        assert caught.value.code is ErrorCode.BAD_OPERATION
    with pytest.raises(AgentError, match="not a valid host name"):
        Sweep(("n1", "../etc"))


def test_an_operation_for_several_nodes_is_no_part_of_a_chain(monkeypatch):
    monkeypatch.setitem(operations.BY_KIND, Sweep.kind, Sweep)
    with pytest.raises(AgentError, match=r"test.sweep@1 cannot be part of a chain"):
        operations.Chain.of([Sweep(("n1",))])


@given(st.integers(0, operations.MAX_NODES), st.integers(0, 5000))
def test_the_result_for_many_nodes_fits_and_leaves_none_out(failed, length):
    """However long names and reasons are."""
    nodes = [f"{number}".rjust(63, "n") + ".d" * 90 for number in range(operations.MAX_NODES)]
    result = jobs.NodesResult(tuple(nodes[failed:]), dict.fromkeys(nodes[:failed], "ä" * length))
    kept = bounds.result(result.fitted())
    found = jobs.NodesResult.of(kept)
    assert found.done == result.done
    assert list(found.failed) == list(result.failed)
    if len(nodes) * (length * 6 + 300) < bounds.MAX_RESULT:
        assert found == result


def test_each_query_says_what_it_is_answered_with():
    for cls in operations.BY_KIND.values():
        assert (cls.answer is not None) == cls.is_query


def test_what_the_last_version_knows_was_recorded_from_it():
    """A kind that no agent of it said to know is asked about before a plan is begun."""
    recorded = Path(__file__).parents[1] / "daemon" / "agents" / "recorded" / "before_chains.json"
    exchanges = json.loads(recorded.read_text())["exchanges"]
    (said,) = [each["answer"]["ok"] for each in exchanges if each["method"] == "hello"]
    assert set(said["operations"]) - {messages.GRANTS} == operations.LAST_VERSION
