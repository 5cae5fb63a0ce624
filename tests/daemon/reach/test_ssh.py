"""ssh: what it is told, what its other end reads, and what its end means; with a program that stands for ssh."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcatd.api import Context
from xcatd.reach.quoting import quoted
from xcatd.reach.ssh import Ended, SshError, SshProgram, SshTrouble, on_hosts
from xcatd.testing import FakeSsh, Run

#: Stands for ssh: writes its words to a file, then runs its last one as the other end's shell would.
FAKE = """#!/bin/sh
printf '%s\\0' "$@" > "{folder}/words"
env > "{folder}/environ"
for last; do :; done
exec /bin/sh -c "$last"
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "ssh"
    path.write_text(FAKE.format(folder=tmp_path))
    path.chmod(0o755)
    return path


@pytest.fixture
def ssh(program: Path) -> SshProgram:
    return SshProgram(program=program)


_WORDS = st.lists(
    st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0")), min_size=1
)


@given(_WORDS)
def test_a_shell_reads_exactly_the_words(words: list[str]) -> None:
    line = "printf '%s\\0' " + quoted(words)
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, check=True)
    assert done.stdout.decode().split("\0")[:-1] == words


@pytest.mark.parametrize("words", [[], ["a\0b"], ["a", "\0"]])
def test_what_no_shell_can_be_told_is_refused(words: list[str], ssh: SshProgram) -> None:
    with pytest.raises(ValueError, match="command"):
        quoted(words)
    with pytest.raises(ValueError, match="command"):
        ssh.run("sn1", words)
    with pytest.raises(ValueError, match="command"):
        FakeSsh().run("sn1", words)


def test_a_command_gets_its_words_and_its_input(ssh: SshProgram, tmp_path: Path) -> None:
    heard: list[tuple[bytes, bool]] = []
    ended = ssh.run(
        "sn1",
        ["sh", "-c", 'cat; echo "$1" >&2; exit 3', "-", "it's $(id) `id` *; \n\\"],
        stdin=b"input",
        on_output=lambda data, is_error: heard.append((data, is_error)),
    )
    assert ended == Ended(3, "input", "it's $(id) `id` *; \n\\\n")
    assert sorted(heard) == [(b"input", False), (ended.err.encode(), True)]
    words = (tmp_path / "words").read_text().split("\0")
    assert words[words.index("--") + 1] == "sn1"
    assert {"BatchMode=yes", "ForwardAgent=no", "ClearAllForwardings=yes"} <= set(words)
    assert words[words.index("-l") + 1] == "root"


def test_nothing_of_our_environment_reaches_it(
    ssh: SshProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/tmp/agent")
    monkeypatch.setenv("XCAT_SECRET", "s3cret")
    ssh.run("sn1", ["true"])
    found = (tmp_path / "environ").read_text()
    assert "SSH_AUTH_SOCK" not in found
    assert "s3cret" not in found
    assert "LC_ALL=C" in found


@pytest.mark.parametrize(
    "host", ["", "-oProxyCommand=x", "a b", "a;b", "$(id)", "a\nb", "root@x", "a/b", "ü"]
)
def test_what_is_no_host_is_refused(ssh: SshProgram, host: str) -> None:
    with pytest.raises(ValueError, match="cannot be a host"):
        ssh.run(host, ["true"])


@pytest.mark.parametrize("user", ["", "-x", "a b", "r@h"])
def test_what_is_no_user_is_refused(user: str) -> None:
    with pytest.raises(ValueError, match="cannot be a user"):
        SshProgram(user=user)


def test_output_is_bounded_and_the_command_not_held_up(program: Path) -> None:
    ssh = SshProgram(program=program, most_kept=1000)
    ended = ssh.run("sn1", ["sh", "-c", "head -c 300000 /dev/zero | tr '\\0' x; echo e >&2"])
    assert (ended.status, ended.out, ended.err, ended.is_cut) == (0, "x" * 1000, "e\n", True)


def test_no_connection_is_told_with_sshs_own_words(ssh: SshProgram) -> None:
    with pytest.raises(SshError, match="cannot reach sn1 by ssh: Connection refused") as caught:
        ssh.run("sn1", ["sh", "-c", "echo Connection refused >&2; exit 255"])
    assert caught.value.trouble is SshTrouble.UNREACHABLE


def test_a_command_that_takes_too_long_is_ended(ssh: SshProgram) -> None:
    with pytest.raises(SshError, match=r"sn1: sleep did not end within 0\.5 seconds") as caught:
        ssh.run("sn1", ["sleep", "600"], limit=0.5)
    assert caught.value.trouble is SshTrouble.TOO_SLOW


def test_a_command_that_nobody_waits_for_is_ended(ssh: SshProgram) -> None:
    cancelled = threading.Event()
    with pytest.raises(SshError, match="given up") as caught:
        ssh.run(
            "sn1",
            ["sh", "-c", "echo x; sleep 600"],
            on_output=lambda *_: cancelled.set(),
            cancelled=cancelled,
        )
    assert caught.value.trouble is SshTrouble.UNWANTED


def test_without_ssh_nothing_is_done(tmp_path: Path) -> None:
    with pytest.raises(SshError, match="cannot be run: No such file") as caught:
        SshProgram(program=tmp_path / "none").run("sn1", ["true"])
    assert caught.value.trouble is SshTrouble.NO_SSH


def test_many_hosts_are_asked_at_once_and_each_has_its_end(ssh: SshProgram) -> None:
    hosts = [f"n{number}" for number in range(6)]
    found = dict(on_hosts(ssh, [*hosts, "n0"], ["true"], most=3))
    assert found == dict.fromkeys(hosts, Ended(0))


def test_one_host_out_of_reach_is_its_own_trouble() -> None:
    ssh = FakeSsh({"n1": lambda words, stdin: Ended(0, f"{len(words)} {stdin!r}")})
    found = dict(on_hosts(ssh, ["n1", "n2"], ["a", "b"], stdin=b"x"))
    assert found["n1"] == Ended(0, "2 b'x'")
    error = found["n2"]
    assert isinstance(error, SshError)
    assert "n2" in str(error)
    assert min(ssh.runs, key=lambda run: run.host) == Run("n1", ("a", "b"), b"x")


def test_the_double_ends_as_it_is_told() -> None:
    refused = SshError(SshTrouble.TOO_SLOW, "n1: slow")
    ssh = FakeSsh({"n1": lambda *_: refused, "n2": lambda *_: Ended(1, "o", "e")})
    heard: list[tuple[bytes, bool]] = []
    with pytest.raises(SshError, match="slow"):
        ssh.run("n1", ["true"])
    ssh.run("n2", ["true"], on_output=lambda data, is_error: heard.append((data, is_error)))
    assert heard == [(b"o", False), (b"e", True)]
    gone = threading.Event()
    gone.set()
    with pytest.raises(SshError, match="given up"):
        ssh.run("n2", ["true"], cancelled=gone)


def test_a_context_reaches_the_real_ones() -> None:
    fields = Context.__dataclass_fields__
    assert isinstance(fields["ssh"].default_factory(), SshProgram)
