"""What a request may cost the daemon: expressions, noderanges and files, over real connections."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from xcatd.serving import session
from xcatd.text import perlre

Cluster = Any

COSTLY = ".*" * 900 + "[XY]"
LONG = "n" * 60
#: What peers without certificate are told of what goes wrong here.
UNTOLD = "the daemon's log has why"


@pytest.fixture(autouse=True)
def _short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_KNOWN_SECONDS", 0.8)
    monkeypatch.setattr(session, "_ANONYMOUS_SECONDS", 0.6)
    monkeypatch.setattr(perlre, "_remembered", perlre._Remembered())


@pytest.fixture
def costly(cluster: Cluster) -> Cluster:
    cluster.write("nodelist", {"node": LONG, "groups": "all"})
    return cluster


def _noderange(text: str) -> str:
    return f"<noderange>{text}</noderange>"


@pytest.mark.parametrize("user", ["root", None])
def test_a_costly_noderange_ends_with_an_error(costly: Cluster, user: str | None) -> None:
    reply = costly.command("lsxcatd", "-v", user=user, more=_noderange(f"/{COSTLY}"))
    if user:
        assert "<error>cannot expand the noderange: the expression " in reply
        assert "took longer than 0.4 s; simplify it" in reply
    else:
        assert f"<error>{UNTOLD}</error>" in reply
    assert "<errorcode>1</errorcode>" in reply
    assert "Traceback" not in reply


def test_others_are_served_meanwhile(
    costly: Cluster,
    make_request: Callable[..., str],
    answer: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session, "_ANONYMOUS_SECONDS", 8.0)
    held = [costly.tls(None) for _ in range(3)]
    for sock in held:
        sock.sendall(make_request("lsxcatd", "-v", more=_noderange(f"/{COSTLY}")).encode())
    assert "hello" in costly.command("echo", "hello")
    for sock in held:
        with sock:
            assert UNTOLD in answer(sock)


def test_a_large_noderange_ends_with_an_error(costly: Cluster) -> None:
    large = _noderange("n" * 200 + "[1-199999]")
    assert UNTOLD in costly.command("lsxcatd", "-v", user=None, more=large)
    reply = costly.command("lsxcatd", "-v", more=large)
    assert "<error>cannot expand the noderange: its ranges make" in reply
    assert "<errorcode>1</errorcode>" in reply
    reply = costly.command("echo", more=_noderange(f"{'n' * 20000}[1-30]"))
    assert reply.count("n" * 255 + "...") == 1
    assert len(reply) < 1000


def test_many_missed_names_are_not_all_repeated(cluster: Cluster) -> None:
    reply = cluster.command("echo", more=_noderange("zz[1-1000]"))
    assert "zz20,and 980 more</error>" in reply


def test_a_policy_row_that_takes_too_long_opens_nothing(costly: Cluster) -> None:
    costly.write(
        "policy", {"priority": "0.1", "name": "bob", "parameters": COSTLY, "rule": "allow"}
    )
    assert "Permission denied" in costly.command("echo", LONG, user="bob")
    costly.write(
        "policy", {"priority": "0.2", "name": "root", "parameters": COSTLY, "rule": "deny"}
    )
    assert "Permission denied" in costly.command("echo", LONG, user="root")
    assert "short" in costly.command("echo", "short", user="root")


@pytest.fixture
def public() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_file_is_never_repeated_and_only_read_where_everybody_may(
    cluster: Cluster, public: Path
) -> None:
    (public / "open").write_text("n1\nroot-secret:x\n")
    (public / "closed").write_text("n1\nn2\n")
    (public / "open").chmod(0o644)
    (public / "closed").chmod(0o600)
    reply = cluster.command("echo", more=_noderange(f"^{public}/open"))
    assert f"Invalid nodes and/or groups in noderange: line 2 of {public}/open is no node" in reply
    assert "root-secret" not in reply
    assert "n1" not in cluster.command("echo", "x", more=_noderange(f"^{public}/closed"))
    reply = cluster.command("lsxcatd", "-v", user=None, more=_noderange(f"^{public}/open"))
    assert "line 2" not in reply
