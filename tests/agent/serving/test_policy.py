"""Rights: read, operate, admin; several management nodes; changes hold at once."""

from __future__ import annotations

import pytest

from xcat_aix_agent.serving.rights import PolicyError, load

NOT_ALLOWED = 202
XCATINFO = {"kind": "client.xcatinfo@1", "args": {"server": "10.0.0.1"}}
SNAPSHOT = {"kind": "nim.snapshot@1", "args": {"names": []}}


@pytest.fixture
def server(site, commands):
    return site.start(site.config(), commands=commands, runner="inline")


def refused(envelope) -> bool:
    return envelope.get("error", {}).get("code") == NOT_ALLOWED


def test_read_may_look_and_not_touch(site, server):
    site.allow("read")
    client = site.greeted(server)
    assert "ok" in client.call("query", SNAPSHOT)
    assert "ok" in client.call("probe", XCATINFO, "")
    assert "ok" in client.call("jobs")
    assert refused(client.call("submit", "j", XCATINFO, 5))
    assert refused(client.call("cancel", "j"))
    assert refused(client.call("acknowledge", "j"))
    assert server.service.store.all() == ()


@pytest.mark.parametrize("right", ["operate", "admin"])
def test_operate_and_admin_may(site, server, right):
    site.allow(right)
    client = site.greeted(server)
    assert "ok" in client.call("submit", "j", XCATINFO, 5)


def test_change_holds_at_once_even_on_a_live_connection(site, server):
    client = site.greeted(server)
    assert "ok" in client.call("submit", "j1", XCATINFO, 5)
    site.allow("read")
    assert refused(client.call("submit", "j2", XCATINFO, 5))
    site.allow("admin", "xcat-aix:mn:other")
    assert refused(client.call("jobs"))


def test_two_management_nodes_use_one_agent(site, server, until):
    site.credential("mn2", "xcat-aix:mn:mn2")
    site.policy.write_text("[xcat-aix:mn:mn1]\nallow = operate\n[xcat-aix:mn:mn2]\nallow = read\n")
    one, two = site.greeted(server), site.greeted(server, "mn2")
    assert "ok" in one.call("submit", "j", XCATINFO, 5)
    until(lambda: two.call("follow", "j", 0, 1)["ok"]["status"]["state"] == "exited")
    assert refused(two.call("submit", "k", XCATINFO, 5))


@pytest.mark.parametrize(
    "text",
    [
        "allow = read\n",
        "[xcat-aix:mn:mn1]\nallow = all\n",
        "[xcat-aix:mn:mn1]\n",
        "[xcat-aix:mn:mn1]\nallow = read\nalow = operate\n",
        "[xcat-aix:sn:sn1]\nallow = read\n",
        "[mn1]\nallow = read\n",
        "[DEFAULT]\nallow = admin\n[xcat-aix:mn:mn1]\n",
        "[DEFAULT]\n[xcat-aix:mn:mn1]\nallow = read\n",
        "[xcat-aix:mn:mn1]\nallow = read\n[xcat-aix:mn:mn1]\nallow = admin\n",
        "\xff\xfe",
    ],
)
def test_unusable_policy_allows_nobody(site, server, text, caplog):
    site.policy.write_bytes(text.encode("latin-1"))
    assert refused(site.connect(server).hello())
    assert "nobody is allowed anything" in caplog.text
    with pytest.raises(PolicyError, match="policy"):
        load(site.policy)


def test_missing_policy_allows_nobody(site, server):
    site.policy.unlink()
    assert refused(site.connect(server).hello())
    site.allow("read")
    assert "ok" in site.connect(server).hello()
