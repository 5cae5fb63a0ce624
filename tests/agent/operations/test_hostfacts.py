"""Host facts where AIX's commands are missing: psutil if it is there, a clear error if not."""

from __future__ import annotations

import socket
import sys
import types

import pytest

from xcat_aix_agent.host import Host
from xcat_aix_agent.operations import hostfacts
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.operations import HostFacts


@pytest.fixture
def host(tmp_path, commands):
    commands.programs["netstat"] = lambda _argv: ""
    return Host("n1", commands, tmp_path)


def entry(family, address, netmask):
    return types.SimpleNamespace(family=family, address=address, netmask=netmask)


def test_with_psutil(host, monkeypatch):
    addresses = {
        "en0": [
            entry(socket.AF_INET, "10.0.0.1", "255.255.255.0"),
            entry(socket.AF_INET6, "fe80::1%en0", None),
            entry(-1, "aa:bb", None),
        ]
    }
    fake = types.SimpleNamespace(net_if_addrs=lambda: addresses)
    monkeypatch.setitem(sys.modules, "psutil", fake)
    found = hostfacts.answer(HostFacts(), host)
    assert [(one.name, one.address, one.netmask) for one in found.interfaces] == [
        ("en0", "10.0.0.1", "255.255.255.0"),
        ("en0", "fe80::1", ""),
    ]
    assert found.space[0].path == "/"
    assert found.hostname == socket.gethostname()


def test_without_psutil(host, monkeypatch):
    monkeypatch.setitem(sys.modules, "psutil", None)
    with pytest.raises(AgentError, match="neither ifconfig nor psutil") as caught:
        hostfacts.answer(HostFacts(), host)
    assert caught.value.code is ErrorCode.NOT_FOUND


def test_routes_have_no_substitute(host, commands):
    del commands.programs["netstat"]
    commands.programs["ifconfig"] = lambda _argv: ""
    with pytest.raises(AgentError, match="netstat"):
        hostfacts.answer(HostFacts(), host)


def test_command_that_fails_is_an_error_and_no_empty_fact(host, commands):
    commands.programs["ifconfig"] = lambda _argv: (1, "", "broken\n")
    with pytest.raises(AgentError) as caught:
        hostfacts.answer(HostFacts(), host)
    assert caught.value.code is ErrorCode.COMMAND_FAILED
