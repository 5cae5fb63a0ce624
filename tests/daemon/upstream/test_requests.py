"""What the upstream is told of a request, and in whose name."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xcatd.messages import Request
from xcatd.upstream.requests import (
    MOST_HOPS,
    Sender,
    document,
    judged_tree,
    path,
    proves_itself,
    tree_of,
)
from xcatd.wire.requests import ROOT, RequestReader, incoming
from xcatd.wire.tree import DocumentLimits, MalformedError, layout, parse

_NAMES = st.sampled_from(
    ["arg", "node", "env", "data", "cwd", "odd", "noderange", "stdin", "table"]
)
_TEXTS = st.none() | st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1
)
_MAPS = st.dictionaries(st.sampled_from(["XCAT_A", "b"]), st.lists(_TEXTS, min_size=1), min_size=1)
_TREES = st.dictionaries(_NAMES, st.lists(_TEXTS | _MAPS, min_size=1))


_ROOT = Sender("root", ("host",))


def sent(tree, sender=_ROOT, daemon="d1"):
    return parse(document(tree, sender, daemon), ROOT, DocumentLimits())


@settings(max_examples=50)
@given(_TREES)
def test_the_senders_names_are_put_to_it(tree):
    found = sent(tree)
    added = {"username": ["root"], "remote_client": ["host"], "_xcatvia": ["d1"]}
    assert found == {**tree, **added}


@settings(max_examples=50)
@given(_TREES)
def test_only_known_elements_go_on(tree):
    """Whatever a client sends beside them: a second command, ways around the policy, odd things."""
    given = {"command": ["rpower", "regnotif"], **tree, "noderange": ["^/etc/passwd"]}
    given |= {"_xcatdest": ["sn1"], "_modname": ["x"], "_xcatpreprocessed": ["1"]}
    try:
        came = incoming(parse(layout(ROOT, given).encode(), ROOT, DocumentLimits()))
    except MalformedError:
        return
    request = Request(came.command, args=came.args, nodes=("n1",), env=came.env, cwd=came.cwd)
    found = judged_tree(came, request)
    assert found["command"] == ["rpower"]
    assert found["node"] == ["n1"]
    assert set(found) <= {"command", "arg", "node", "env", "cwd", "clienttype"}


@pytest.mark.parametrize("text", ["two\nlines\t", " x ", 'a & <b> "q"', "Zürich ☃", "]]>"])
def test_odd_texts_arrive_as_they_are(text):
    tree = {"command": ["c"], "arg": [text, None, text], "stdin": [text]}
    (incoming,) = RequestReader(DocumentLimits()).feed(document(tree, Sender("root"), "d"))
    assert (incoming.args, incoming.stdin) == ((text, None, text), text)


def test_the_certificates_user_is_named_whatever_the_client_says():
    assert sent({"username": ["evil"]}, Sender("alice"))["username"] == ["alice"]


@pytest.mark.parametrize("name", ["becomeuser", "tokens"])
def test_a_proof_of_its_own_goes_along_and_no_name_is_put_to_it(name):
    tree = {name: [{"username": ["web"], "password": ["p"]}], "command": ["c"]}
    assert proves_itself(tree)
    found = sent(tree, Sender("web"))
    assert found[name] == tree[name]
    assert "username" not in found


def test_the_hosts_are_those_the_policy_saw():
    assert sent({}, Sender("a", ("h1", "h2")))["remote_client"] == ["h1,h2"]


def test_each_daemon_adds_itself():
    first = sent({}, daemon="d1")
    assert path(sent(first, daemon="d2")) == ("d1", "d2")
    assert len(path(first)) <= MOST_HOPS


def test_a_plugins_request_looks_like_a_clients():
    request = Request(
        "nodeset",
        args=("osimage=x", None),
        nodes=("n1", "n2"),
        stdin="in",
        cwd="/",
        environment={"XCAT_A": "1"},
        clienttype="cli",
    )
    (incoming,) = RequestReader(DocumentLimits()).feed(
        document(tree_of(request), Sender("root"), "d")
    )
    assert incoming.command == "nodeset"
    assert (incoming.args, incoming.nodes) == (("osimage=x", None), ("n1", "n2"))
    assert (incoming.stdin, incoming.cwd, incoming.environment) == ("in", "/", {"XCAT_A": "1"})
