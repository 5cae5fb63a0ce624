"""Grants: who may lodge them, who may take by them, and what ends them; on real connections."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import time

import pytest

from xcat_aix_agent.clock import SystemClock
from xcat_aix_agent.serving import grants as module
from xcat_aix_agent.serving.grants import Grants
from xcat_aix_agent.serving.standing import Standing
from xcat_aix_proto import ALPN_RELAY, ALPN_RPC, ALPN_TAKE
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.identity import Identity, Role
from xcat_aix_proto.messages import GRANTS, MAX_GRANT, Grant, What

BAD_MESSAGE, BAD_NAME, NOT_ALLOWED, BAD_OPERATION, GRANT_LIMIT = 101, 103, 202, 102, 306
DIGEST = "ab" * 32
REQUEST = {"what": {"kind": "tree", "name": "lpp_72"}, "digest": DIGEST}
GRANT = {"to": "xcat-aix:sn:sn2", **REQUEST}
WITHIN = 5.0


class LaterClock(SystemClock):
    """Both of its times can be put forward."""

    later, set_forward = 0.0, dt.timedelta()

    def now(self):
        return super().now() + self.set_forward

    def monotonic(self):
        return super().monotonic() + self.later


@pytest.fixture
def clock():
    return LaterClock()


@pytest.fixture
def server(site, commands, clock):
    def give(request, send):
        send(f"content of {request.what}".encode())

    crl = site.path / "crl.pem"
    site.ca.revoke(crl)
    config = site.config(crl=crl)
    for name in ("sn2", "sn3"):
        site.credential(name, f"xcat-aix:sn:{name}")
    options = {"commands": commands, "runner": "inline", "gives": {"tree": give}}
    return site.start(config, clock=clock, **options)


@pytest.fixture
def mn(site, server):
    return site.greeted(server)


def opened(site, server, request=REQUEST, credential="sn2"):
    """A connection that asks to take, and the line that answers it."""
    client = site.connect(server, credential, ALPN_TAKE)
    client.sock.settimeout(20)
    line = request if isinstance(request, bytes) else json.dumps(request).encode() + b"\n"
    with contextlib.suppress(OSError):  # it may be refused before it has said all
        client.sock.sendall(line)
    answer = b""
    while not answer.endswith(b"\n"):
        chunk = client.sock.recv(1)
        if not chunk:
            return client, None
        answer += chunk
    return client, json.loads(answer)


def rest(sock):
    found = b""
    while chunk := sock.recv(4096):
        found += chunk
    return found


def refusal(site, server, error, *args, **kwargs):
    code, text = error(opened(site, server, *args, **kwargs)[1])
    assert code == NOT_ALLOWED
    return text


def test_taken_by_a_grant(site, server, mn, caplog):
    caplog.set_level(logging.INFO)
    assert mn.call("lodge", GRANT, 60) == {"ok": None}
    client, answer = opened(site, server)
    assert answer == {"ok": None}
    assert rest(client.sock) == b"\0\0\0\x16content of tree lpp_72\0\0\0\0"
    assert (
        "grant lodged for 60 s: xcat-aix:sn:sn2 may take tree lpp_72 (digest abababababab…),"
        " says xcat-aix:mn:mn1; xcat-aix:mn:mn1 at 127.0.0.1:" in caplog.text
    )
    assert "giving tree lpp_72 to xcat-aix:sn:sn2" in caplog.text


def test_it_is_said_that_grants_are_kept(mn):
    assert GRANTS in mn.hello()["ok"]["operations"]


def test_without_a_grant_nobody_takes_and_nothing_is_read(site, server, error):
    client = site.connect(server, "sn2", ALPN_TAKE)
    client.sock.settimeout(20)
    code, text = error(json.loads(client.sock.recv(4096)))  # nothing was sent
    assert code == NOT_ALLOWED
    assert text.startswith(
        "no grant lets xcat-aix:sn:sn2 take anything from sn1; a management node"
    )


@pytest.mark.parametrize(
    "request_",
    [
        {**REQUEST, "digest": "00" * 32},
        {**REQUEST, "what": {"kind": "tree", "name": "lpp_73"}},
        {**REQUEST, "what": {"kind": "file", "name": "lpp_72"}},
    ],
)
def test_the_grant_is_for_exactly_this(site, server, mn, error, request_):
    mn.call("lodge", GRANT, 60)
    text = refusal(site, server, error, request_)
    assert f"take {request_['what']['kind']} {request_['what']['name']} with the digest" in text
    assert opened(site, server)[1] == {"ok": None}


def test_the_grant_is_for_exactly_this_service_node(site, server, error, until, caplog):
    site.greeted(server).call("lodge", GRANT, 60)
    assert "take anything" in refusal(site, server, error, credential="sn3")
    until(lambda: "refused xcat-aix:sn:sn3 at 127.0.0.1:" in caplog.text)


@pytest.mark.parametrize("identity", ["xcat-aix:mn:mn1", "xcat-aix:cn:sn2", "xcat-aix:mn:sn2"])
def test_only_a_service_node_takes(site, server, mn, identity):
    mn.call("lodge", GRANT, 60)
    site.credential("other", identity)
    client, answer = opened(site, server, credential="other")
    assert answer is None
    assert client.sock.recv(1) == b""


@pytest.mark.parametrize("alpn", [ALPN_RPC, ALPN_RELAY, ""])
def test_a_grant_is_for_nothing_else(site, server, mn, commands, alpn):
    mn.call("lodge", GRANT, 60)
    assert site.is_refused(server, "sn2", alpn)
    assert commands.ran == []


def test_certificate_of_another_authority(site, server, mn, other_ca):
    mn.call("lodge", GRANT, 60)
    site.credential("sn2", "xcat-aix:sn:sn2", ca=other_ca)
    with pytest.raises(OSError):
        opened(site, server)


# What ends a grant.


def test_withdrawn(site, server, mn, error, caplog):
    caplog.set_level(logging.INFO)
    mn.call("lodge", GRANT, 60)
    assert mn.call("withdraw", GRANT) == {"ok": None}
    assert mn.call("withdraw", GRANT) == {"ok": None}
    refusal(site, server, error)
    assert caplog.text.count("grant withdrawn: ") == 1


def test_out_of_time_by_the_clock_that_never_goes_back(site, server, error, clock, caplog):
    caplog.set_level(logging.INFO)
    site.greeted(server).call("lodge", GRANT, 60)
    clock.set_forward = dt.timedelta(hours=-5)
    clock.later = 59.0
    assert opened(site, server)[1] == {"ok": None}
    clock.later = 61.0
    refusal(site, server, error)
    server.look_after_peers()
    assert "grant is out of time: xcat-aix:sn:sn2 may take tree lpp_72" in caplog.text


def test_lodged_again_it_gets_the_new_time(site, server, mn, clock):
    mn.call("lodge", GRANT, 60)
    clock.later = 50.0
    mn.call("lodge", GRANT, 60)
    clock.later = 100.0
    assert opened(site, server)[1] == {"ok": None}


def test_restart_ends_all_and_says_so(site, server, mn, error, caplog):
    caplog.set_level(logging.INFO)
    mn.call("lodge", GRANT, 60)
    server.stop()
    again = site.start(server.config, runner="inline")
    assert "again after its time and after each start" in refusal(site, again, error)
    assert "no grants are kept: those of before ended" in caplog.text


def test_management_node_that_may_not_lodge_any_more(site, server, mn, error, caplog):
    mn.call("lodge", GRANT, 60)
    site.allow("read")
    refusal(site, server, error)  # at once
    server.look_after_peers()
    assert "grant dropped: xcat-aix:sn:sn2 may take tree lpp_72" in caplog.text
    site.allow("operate")
    refusal(site, server, error)  # what is gone is gone


@pytest.mark.parametrize("how", ["revoked", "authority"])
def test_management_node_that_may_not_be_here_any_more(site, server, how, other_ca, caplog):
    _, serial = site.credential("mn1", "xcat-aix:mn:mn1")
    client = site.greeted(server)
    client.call("lodge", GRANT, 60)
    if how == "revoked":
        site.ca.revoke(server.config.crl, serial)
    else:
        (site.path / "ca.pem").write_bytes(other_ca.pem)
    server.look_after_peers()
    assert "grant dropped: " in caplog.text
    assert server.service.grants._lodged == {}


def test_two_management_nodes_have_their_own(site, server, mn, error):
    site.credential("mn2", "xcat-aix:mn:mn2")
    site.policy.write_text("".join(f"[xcat-aix:mn:{m}]\nallow = operate\n" for m in ("mn1", "mn2")))
    other = site.greeted(server, "mn2")
    mn.call("lodge", GRANT, 60)
    other.call("withdraw", GRANT)
    assert opened(site, server)[1] == {"ok": None}
    other.call("lodge", GRANT, 60)
    mn.call("withdraw", GRANT)
    assert opened(site, server)[1] == {"ok": None}
    site.allow("operate")  # mn2 is out
    refusal(site, server, error)


@pytest.fixture
def endless(site, commands, clock):
    """A server that gives for ever."""

    def give(_request, send):
        while True:
            send(bytes(1000))
            time.sleep(0.001)

    config = site.config()
    site.credential("sn2", "xcat-aix:sn:sn2")
    return site.start(config, commands=commands, runner="inline", gives={"tree": give}, clock=clock)


@pytest.mark.parametrize("how", ["withdrawn", "time", "policy"])
def test_who_takes_is_hung_up_on_when_the_grant_ends(site, endless, clock, how):
    mn = site.greeted(endless)
    mn.call("lodge", GRANT, 60)
    client, answer = opened(site, endless)
    assert answer == {"ok": None}
    assert client.sock.recv(100)
    if how == "withdrawn":
        mn.call("withdraw", GRANT)
    elif how == "time":
        clock.later = 61.0
    else:
        site.allow("read")
    begin = time.monotonic()
    with contextlib.suppress(ConnectionError):
        rest(client.sock)
    assert time.monotonic() - begin < WITHIN


# What may be lodged, and by whom.


def test_reading_is_not_enough(site, server, mn, error, caplog):
    site.allow("read")
    for call in (("lodge", GRANT, 60), ("withdraw", GRANT)):
        code, text = error(mn.call(*call))
        assert code == NOT_ALLOWED
        assert "needs the right operate here and has read" in text
    assert "refused lodge of xcat-aix:mn:mn1" in caplog.text


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"to": "xcat-aix:mn:mn1"}, BAD_NAME),
        ({"to": "xcat-aix:cn:n1"}, BAD_NAME),
        ({"to": "sn2"}, BAD_NAME),
        ({"to": "xcat-aix:sn:" + "x" * 300}, BAD_NAME),
        ({"digest": "AB" * 32}, BAD_NAME),
        ({"digest": ""}, BAD_NAME),
        ({"digest": DIGEST + "\n"}, BAD_NAME),
        ({"what": {"kind": "tree", "name": "../etc"}}, BAD_NAME),
        ({"what": {"kind": "tree", "name": "a/b"}}, BAD_NAME),
        ({"what": {"kind": "", "name": "a"}}, BAD_NAME),
        ({"what": {"kind": "tree", "name": "x" * 129}}, BAD_NAME),
        ({"what": {"kind": "tree"}}, BAD_MESSAGE),
        ({"what": "tree"}, BAD_MESSAGE),
        ({"to": 1}, BAD_MESSAGE),
        ({"until": "for ever"}, BAD_MESSAGE),
    ],
)
def test_what_is_no_grant(server, mn, error, change, code):
    assert error(mn.call("lodge", {**GRANT, **change}, 60))[0] == code
    assert server.service.grants._lodged == {}


@pytest.mark.parametrize("seconds", [0, -1, MAX_GRANT + 1, True, "60"])
def test_what_is_no_time(server, mn, error, seconds):
    assert error(mn.call("lodge", GRANT, seconds))[0] == BAD_MESSAGE
    assert server.service.grants._lodged == {}


@pytest.mark.parametrize("seconds", [float("nan"), float("inf")])
def test_what_is_no_number(server, mn, seconds):
    with pytest.raises(EOFError):
        mn.call("lodge", GRANT, seconds)
    assert server.service.grants._lodged == {}


@pytest.mark.parametrize("line", [b"rubbish\n", b"[" * 4000 + b"\n", b"x" * 5000, b"{}\n", b"[]\n"])
def test_malformed_requests(site, server, error, line, caplog):
    site.greeted(server).call("lodge", GRANT, 60)
    client, answer = opened(site, server, line)
    assert error(answer)[0] == BAD_MESSAGE
    assert client.sock.recv(1) == b""
    assert "internal error" not in caplog.text


def test_kind_that_nobody_gives(site, server, mn, error):
    other = {**REQUEST, "what": {"kind": "spot", "name": "spot_72"}}
    mn.call("lodge", {"to": "xcat-aix:sn:sn2", **other}, 60)
    code, text = error(opened(site, server, other)[1])
    assert (code, text) == (BAD_OPERATION, "this agent gives nothing of the kind spot")


# Numbers.


def standing(name):
    return Standing(Identity(Role.MN, name), 1, 0.0, (), ALPN_RPC)


def grant(number):
    return Grant("xcat-aix:sn:sn2", What("tree", f"t{number}"), DIGEST)


def test_grants_are_bounded_in_all_and_for_each(clock):
    kept = Grants(clock, lambda _: True)
    for number in range(module.MOST_EACH):
        kept.lodge(grant(number), standing("mn1"), 60)
    with pytest.raises(AgentError, match="64 grants of xcat-aix:mn:mn1") as caught:
        kept.lodge(grant("x"), standing("mn1"), 60)
    assert caught.value.code is ErrorCode.GRANT_LIMIT == GRANT_LIMIT
    kept.lodge(grant(0), standing("mn1"), 600)  # it is there
    for number in range(module.MOST - module.MOST_EACH):
        kept.lodge(grant(number), standing(f"mn{2 + number // module.MOST_EACH}"), 60)
    with pytest.raises(AgentError, match="keeps 256 grants already"):
        kept.lodge(grant(0), standing("mn9"), 60)
    clock.later = 61.0
    kept.lodge(grant(1), standing("mn9"), 60)
    assert len(kept._lodged) == 2


def test_a_new_time_is_not_taken_back_by_a_judgement_of_before(clock):
    """What is lodged anew while somebody looks whether the old one may stay is not dropped with it."""
    kept = Grants(clock, lambda _: True)
    kept.lodge(grant(0), standing("mn1"), 60)

    def judge(_by):
        kept.lodge(grant(0), Standing(Identity(Role.MN, "mn1"), 2, 0.0, (), ALPN_RPC), 60)
        return "revoked"

    kept.settle(judge)
    assert len(kept._lodged) == 1
