"""ssh as it is: a real sshd of our own, on loopback."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from xcatd.reach.ssh import SshError, SshProgram, SshTrouble

pytestmark = pytest.mark.servers

_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass
class Sshd:
    directory: Path
    port: int

    def config(self, **other: str) -> Path:
        """A client's configuration."""
        options = {
            "Port": str(self.port),
            "HostName": "127.0.0.1",
            "HostKeyAlias": "sn1",
            "IdentityFile": str(self.directory / "user"),
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": str(self.directory / "known"),
            "GlobalKnownHostsFile": "none",
            "StrictHostKeyChecking": "yes",
            **other,
        }
        path = self.directory / f"config-{len(list(self.directory.iterdir()))}"
        path.write_text("".join(f"{name} {value}\n" for name, value in options.items()))
        return path

    def ssh(self, **other: str) -> SshProgram:
        return SshProgram(config=self.config(**other), user=pwd.getpwuid(os.getuid()).pw_name)


def _key(path: Path) -> None:
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
    subprocess.run(words, check=True, capture_output=True)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(400):
        assert process.poll() is None, "sshd has ended"
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("sshd does not listen")


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    program = shutil.which("sshd", path=_PATH)
    assert program is not None, "tools/sshd installs it"
    directory = tmp_path_factory.mktemp("sshd")
    for name in ("host", "user", "stranger"):
        _key(directory / name)
    port = _free_port()
    public = (directory / "host.pub").read_text()
    (directory / "known").write_text(f"sn1 {public}")
    (directory / "allowed").write_text((directory / "user.pub").read_text())
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # it insists on it
    config = directory / "sshd_config"
    config.write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {directory}/host\nPidFile none\nUsePAM no\n"
        f"AuthorizedKeysFile {directory}/allowed\nStrictModes no\nPermitRootLogin prohibit-password\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\n"
    )
    with open(directory / "log", "wb") as log:
        process = subprocess.Popen(
            [program, "-D", "-e", "-f", str(config)], stdout=log, stderr=log, cwd="/"
        )
    _wait_for(port, process)
    yield Sshd(directory, port)
    process.terminate()
    process.wait(20)


def test_the_other_end_reads_exactly_the_words(sshd: Sshd) -> None:
    words = ["it's", "$(id)", "`id`", "*", "a;b", "", " x ", "line\nend", "\\", '"', "ü", "!x", "~"]
    ended = sshd.ssh().run("sn1", ["printf", "%s\\0", *words])
    assert (ended.status, ended.out.split("\0")[:-1]) == (0, words)


def test_input_output_and_status_come_through(sshd: Sshd) -> None:
    script = "cat; echo wrong >&2; exit 7"
    ended = sshd.ssh().run("sn1", ["sh", "-c", script], stdin=b"x" * 300_000)
    assert (ended.status, len(ended.out), ended.err) == (7, 300_000, "wrong\n")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"IdentityFile": "{}/stranger"}, "Permission denied"),
        ({"UserKnownHostsFile": "{}/none"}, "Host key verification failed"),
        ({"Port": "1"}, "Connection refused"),
    ],
)
def test_what_stands_against_it_is_told_and_nobody_asked(
    sshd: Sshd, options: dict[str, str], words: str
) -> None:
    filled = {name: value.format(sshd.directory) for name, value in options.items()}
    with pytest.raises(SshError, match=words) as caught:
        sshd.ssh(**filled).run("sn1", ["true"])
    assert caught.value.trouble is SshTrouble.UNREACHABLE


def test_a_command_that_hangs_is_left(sshd: Sshd) -> None:
    with pytest.raises(SshError) as caught:
        sshd.ssh().run("sn1", ["sleep", "30"], limit=1.5)
    assert caught.value.trouble is SshTrouble.TOO_SLOW
