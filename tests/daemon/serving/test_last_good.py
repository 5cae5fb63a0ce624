"""A broken site table or certificate ends no service: what was good last stays in force, and that is said once."""

from __future__ import annotations

import logging
import os
import sqlite3
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xcatd.site import LastGood, Settings, SettingsError
from xcatd.tls import CertificateError, ServerContexts

GOOD = {"xcatdport": "3001", "master": "mn"}


def _sql(cluster: Any, statement: str, *values: str) -> None:
    connection = sqlite3.connect(cluster.directory / "db" / "site.sqlite")
    with connection:
        connection.execute(statement, values)
    connection.close()


def _set(key: str, value: str) -> Callable[[Any], None]:
    def spoil(cluster: Any) -> None:
        _sql(cluster, "DELETE FROM site WHERE key = ?", key)
        _sql(cluster, "INSERT INTO site (key, value) VALUES (?, ?)", key, value)

    return spoil


def _remove(name: str) -> Callable[[Any], None]:
    return lambda cluster: (cluster.directory / "etc/cert" / name).unlink()


def _overwrite(cluster: Any) -> None:
    (cluster.directory / "etc/cert/server-cred.pem").write_text("no certificate")


def _make_writable(cluster: Any) -> None:
    path = cluster.directory / "etc/cert/ca.pem"
    path.chmod(0o666)
    os.utime(path, (1, 1))


SPOILT: dict[str, Callable[[Any], None]] = {
    "an empty table": lambda cluster: _sql(cluster, "DELETE FROM site"),
    "no port": lambda cluster: _sql(cluster, "DELETE FROM site WHERE key = 'xcatdport'"),
    "a port that is none": _set("xcatdport", "abc"),
    "no directory of settings": lambda cluster: _sql(
        cluster, "DELETE FROM site WHERE key = 'xcatconfdir'"
    ),
    "another directory of settings": _set("xcatconfdir", "/nowhere/at all\0"),
    "a version nobody knows": _set("xcatsslversion", "nonsense"),
    "ciphers nobody knows": _set("xcatsslciphers", "nonsense"),
    "no certificate": _remove("server-cred.pem"),
    "no CA": _remove("ca.pem"),
    "rubbish for a certificate": _overwrite,
    "a CA that others can write": _make_writable,
}


def serves(cluster: Any) -> bool:
    """Whether root's request over a new connection is answered."""
    document = "<xcatrequest><command>noderange</command><noderange>n1</noderange></xcatrequest>"
    return "<node>n1</node>" in cluster.ask(document)


@pytest.mark.parametrize("what", SPOILT)
def test_connections_go_on_and_it_is_said_once(
    what: str, cluster: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    assert serves(cluster)
    SPOILT[what](cluster)
    for _ in range(5):
        assert serves(cluster)
    lines = [record.getMessage() for record in caplog.records if "last" in record.getMessage()]
    assert len(lines) == 1, lines


def test_a_table_that_cannot_be_read_ends_no_handshake(
    cluster: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert serves(cluster)
    (cluster.directory / "db/site.sqlite").write_bytes(b"not a database, but long enough" * 99)
    for _ in range(3):
        with cluster.tls() as sock:
            assert isinstance(sock, ssl.SSLSocket)
    told = [record for record in caplog.records if "last known settings" in record.getMessage()]
    assert len(told) == 1


def test_the_first_table_must_be_good() -> None:
    keeper = LastGood()
    for site in ({}, {"xcatdport": "x"}):
        with pytest.raises(SettingsError):
            keeper.of(site)
    assert keeper.of(GOOD).master == "mn"
    assert keeper.of({}).master == "mn"


def test_each_change_is_said_and_its_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    keeper = LastGood()
    keeper.of(GOOD)
    for site in ({}, {}, {"xcatdport": "x"}, {}, GOOD, GOOD, {}):
        keeper.of(site)
    told = [record.levelname for record in caplog.records]
    assert told == ["ERROR", "ERROR", "ERROR", "INFO", "ERROR"]


def test_what_the_check_refuses_replaces_nothing() -> None:
    def check(settings: Settings) -> None:
        if settings.master == "bad":
            raise SettingsError("bad master")

    keeper = LastGood(check)
    assert keeper.of({**GOOD, "master": "a"}).master == "a"
    assert keeper.of({**GOOD, "master": "bad"}).master == "a"
    assert keeper.of({**GOOD, "master": "b"}).master == "b"


def test_certificates_must_be_roots_alone_at_the_start(tmp_path: Path, authority: Any) -> None:
    (tmp_path / "cert").mkdir()
    (tmp_path / "cert/server-cred.pem").write_bytes(authority.credentials("mn"))
    (tmp_path / "cert/ca.pem").write_bytes(authority.pem)
    settings = Settings(port=0, confdir=tmp_path)
    ServerContexts().get(settings)
    (tmp_path / "cert").chmod(0o777)
    with pytest.raises(CertificateError, match=r"cannot trust .*/cert: others may write it"):
        ServerContexts().get(settings)
