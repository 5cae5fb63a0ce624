"""One command on another host, by the program ssh.

Owns: what ssh is told, what is kept of its output, and what its end means.  Must not: choose hosts or commands, or
start programs itself (:mod:`xcatd.processes` does).  The user is root's own configuration of ssh: keys, known hosts.
Sources: ssh(1), ssh_config(5) of OpenSSH.
"""

from __future__ import annotations

import enum
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from xcatd.processes import Process, TooSlowError, UnwantedError

from .quoting import quoted

#: Seconds a command may take, and seconds of these for the connection.
LIMIT, CONNECT = 60.0, 10.0
#: Bytes that are kept of each of a command's two outputs.
MOST_KEPT = 1 << 20
#: Hosts that :func:`on_hosts` asks at a time.
MOST_AT_ONCE = 32

_FAILED = 255  # ssh's own status for whatever went wrong before the command, or with the connection
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,254}", re.ASCII)
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}", re.ASCII)
_LAST_WORDS = 500  # characters of ssh's errors that are told

#: All that ssh finds in its environment: nothing of a user's, and no agent with keys.
_ENVIRON: Mapping[str, str] = MappingProxyType(
    {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
)

Output = Callable[[bytes, bool], None]


class SshTrouble(enum.Enum):
    """Why nothing is known of a command's end."""

    UNREACHABLE = "no connection"
    TOO_SLOW = "no end in time"
    UNWANTED = "nobody waits for it any more"
    NO_SSH = "ssh cannot be started"


class SshError(Exception):
    """Whether the command was done is not known, but for ``NO_SSH``; the message names the host."""

    def __init__(self, trouble: SshTrouble, message: str) -> None:
        super().__init__(message)
        self.trouble = trouble


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that ended: its exit status (below 0: a signal), and what it said; ``is_cut``: not all of it."""

    status: int
    out: str = ""
    err: str = ""
    is_cut: bool = False


class Ssh(Protocol):
    """Something that runs commands on hosts: :class:`SshProgram`, or :class:`xcatd.testing.FakeSsh`."""

    def run(
        self,
        host: str,
        words: Sequence[str],
        *,
        stdin: bytes | None = None,
        limit: float = LIMIT,
        on_output: Output | None = None,
        cancelled: threading.Event | None = None,
    ) -> Ended:
        """Run one command, given as its words, for at most ``limit`` seconds; a status is an answer, not an error.

        ``on_output`` gets what is kept, as it comes: the bytes, and whether they are errors.  After ``cancelled``
        was set it is ended.  Raises :class:`SshError`, and ValueError for what is no host or no command.
        """


@dataclass(slots=True)
class _Kept:
    """The beginning of both outputs; the rest is read and dropped, so that the command does not wait for us."""

    most: int
    on_output: Output | None
    out: bytearray = field(default_factory=bytearray)
    err: bytearray = field(default_factory=bytearray)
    is_cut: bool = False

    def take(self, data: bytes, is_error: bool) -> None:
        kept = self.err if is_error else self.out
        part = data[: max(0, self.most - len(kept))]
        self.is_cut = self.is_cut or len(part) < len(data)
        kept += part
        if part and self.on_output is not None:
            self.on_output(part, is_error)

    def ended(self, status: int) -> Ended:
        return Ended(status, _text(self.out), _text(self.err), self.is_cut)


def _text(data: bytes | bytearray) -> str:
    return data.decode("utf-8", "replace")


class SshProgram:
    """The real :class:`Ssh`; safe to use from several threads.

    ``config`` stands for root's own configuration file, ``program`` for the system's ssh.
    """

    def __init__(
        self,
        *,
        program: Path = Path("/usr/bin/ssh"),
        config: Path | None = None,
        user: str = "root",
        most_kept: int = MOST_KEPT,
    ) -> None:
        if _USER.fullmatch(user) is None:
            raise ValueError(f"{user!r} cannot be a user on another host")
        self._program = program
        self._config = config
        self._user = user
        self._most_kept = most_kept

    def run(
        self,
        host: str,
        words: Sequence[str],
        *,
        stdin: bytes | None = None,
        limit: float = LIMIT,
        on_output: Output | None = None,
        cancelled: threading.Event | None = None,
    ) -> Ended:
        """See :meth:`Ssh.run`."""
        argv = self.argv(host, words, limit)
        kept = _Kept(self._most_kept, on_output)
        unwanted = cancelled or threading.Event()
        try:
            process = Process(argv, _ENVIRON)
            status = process.talk(stdin or b"", limit, kept.take, lambda: not unwanted.is_set())
        except OSError as error:
            text = f"cannot reach {host}: {self._program} cannot be run: {error.strerror}"
            raise SshError(SshTrouble.NO_SSH, text) from None
        except TooSlowError:
            text = f"{host}: {words[0]} did not end within {limit:g} seconds"
            raise SshError(SshTrouble.TOO_SLOW, text) from None
        except UnwantedError:
            raise SshError(SshTrouble.UNWANTED, f"{host}: {words[0]} was given up") from None
        if status == _FAILED:
            said = " ".join(_text(kept.err).split())[-_LAST_WORDS:] or "it says nothing"
            raise SshError(SshTrouble.UNREACHABLE, f"cannot reach {host} by ssh: {said}")
        return kept.ended(status)

    def argv(self, host: str, words: Sequence[str], limit: float = LIMIT) -> tuple[str, ...]:
        """What is run; raises ValueError for what is no host or no command.

        Nobody is asked anything, nothing is forwarded, no command of ours runs on this machine, and no connection
        is left behind for others to use.
        """
        if _HOST.fullmatch(host) is None:
            raise ValueError(f"{host!r} cannot be a host")
        options = (
            "BatchMode=yes",
            f"ConnectTimeout={max(1, int(min(CONNECT, limit)))}",
            "ServerAliveInterval=15",
            "ServerAliveCountMax=4",
            "ClearAllForwardings=yes",
            "ForwardAgent=no",
            "ForwardX11=no",
            "PermitLocalCommand=no",
            "ControlMaster=no",
            "ControlPath=none",
            "EscapeChar=none",
            "RequestTTY=no",
        )
        config = () if self._config is None else ("-F", str(self._config))
        flags = [word for option in options for word in ("-o", option)]
        return (str(self._program), *config, *flags, "-l", self._user, "--", host, quoted(words))


def on_hosts(
    ssh: Ssh,
    hosts: Iterable[str],
    words: Sequence[str],
    *,
    stdin: bytes | None = None,
    limit: float = LIMIT,
    cancelled: threading.Event | None = None,
    most: int = MOST_AT_ONCE,
) -> Iterator[tuple[str, Ended | SshError]]:
    """The same command on many hosts, at most ``most`` at a time: each host with what came of it, as it comes.

    Raises ValueError for what is no host or no command.
    """

    def one(host: str) -> Ended | SshError:
        try:
            return ssh.run(host, words, stdin=stdin, limit=limit, cancelled=stopped)
        except SshError as error:
            return error

    stopped = cancelled or threading.Event()
    with ThreadPoolExecutor(most, "ssh") as pool:
        running = {pool.submit(one, host): host for host in dict.fromkeys(hosts)}
        try:
            for done in as_completed(running):
                yield running[done], done.result()
        finally:
            for future in running:
                future.cancel()
