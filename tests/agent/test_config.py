"""Settings: everything named, nothing unknown, nothing silently wrong."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from xcat_aix_agent.config import KEYS, AgentConfig, ConfigError, load, parse
from xcat_aix_proto.identity import Identity, Role

MINIMAL = """\
[agent]
node = sn1
role = sn
certificate = /c.pem
ca = /ca.pem
policy = /policy
jobs = /jobs
"""


def test_defaults():
    config = parse(MINIMAL, "x")
    assert config.port == 3009
    assert config.root == Path("/")
    assert config.crl is None
    assert config.addresses == ("sn1",)
    assert config.identity == Identity(Role.SN, "sn1")


def test_every_field_is_a_key_with_a_meaning_and_every_key_a_field():
    assert {field.name for field in fields(AgentConfig)} == set(KEYS)
    assert all(key.meaning for key in KEYS.values())


def test_values():
    more = "listen = 10.0.0.1, 10.1.0.1\nport = 0\ncrl = /crl.pem\nrelay_ports = 1 2\n"
    config = parse(MINIMAL + more + "idle_timeout = 1.5\n", "x")
    assert config.addresses == ("10.0.0.1", "10.1.0.1")
    assert (config.port, config.crl, config.relay_ports) == (0, Path("/crl.pem"), (1, 2))
    assert config.idle_timeout == 1.5


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "exactly one section"),
        ("[other]\nnode = x\n", "exactly one section"),
        (MINIMAL + "[more]\n", "exactly one section"),
        ("[DEFAULT]\nport = 1\n" + MINIMAL, "exactly one section"),
        (MINIMAL + "colour = red\n", "no setting colour"),
        (MINIMAL.replace("jobs = /jobs\n", ""), "it lacks jobs"),
        (MINIMAL.replace("/jobs", ""), "it lacks jobs"),
        (MINIMAL.replace("= sn\n", "= mn\n"), "role = mn: must be sn"),
        (MINIMAL.replace("/c.pem", "c.pem"), "absolute"),
        (MINIMAL.replace("= sn1", "= a b"), "node = a b"),
        (MINIMAL + "port = 65536\n", "port = 65536"),
        (MINIMAL + "port = x\n", "port = x"),
        (MINIMAL + "max_jobs = 0\n", "at least 1"),
        (MINIMAL + "idle_timeout = nan\n", "idle_timeout = nan"),
        (MINIMAL + "path = /usr/bin:\n", "absolute directories"),
        (MINIMAL + "path = /usr/bin:.:/bin\n", "absolute directories"),
        (MINIMAL + "node = sn2\n", "already exists"),
        ("node = x\n", "cannot read x"),
    ],
)
def test_what_is_wrong_is_named(text, complaint):
    with pytest.raises(ConfigError, match=complaint):
        parse(text, "x")


def test_missing_file(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read .*none"):
        load(tmp_path / "none")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ConfigError, match="cannot read"):
        load(tmp_path / "binary")
