"""Doubles of what a context reaches, as part of the product: they answer as they are told, and remember what was asked.

They stand for the real ones in the tests of whatever uses these; nothing here touches a network.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .reach.dns import LIMIT as DNS_LIMIT
from .reach.dns import Answer, Failure, Question, Server
from .reach.quoting import quoted
from .reach.ssh import LIMIT as SSH_LIMIT
from .reach.ssh import Ended, Output, SshError, SshTrouble


@dataclass(frozen=True, slots=True)
class Run:
    """A command that a :class:`FakeSsh` was to run."""

    host: str
    words: tuple[str, ...]
    stdin: bytes | None = None


@dataclass(slots=True)
class FakeSsh:
    """Hosts as functions from words and input to an end; a host that is not named is out of reach.

    ``runs`` are the commands in the order in which they began.  Like the real one it refuses what no shell can be
    told, gives output to whom wants it, and ends nothing that was cancelled before.
    """

    hosts: Mapping[str, Callable[[Sequence[str], bytes], Ended | SshError]] = field(
        default_factory=dict
    )
    runs: list[Run] = field(default_factory=list)

    def run(
        self,
        host: str,
        words: Sequence[str],
        *,
        stdin: bytes | None = None,
        limit: float = SSH_LIMIT,  # noqa: ARG002 - it takes no time
        on_output: Output | None = None,
        cancelled: threading.Event | None = None,
    ) -> Ended:
        """See :meth:`xcatd.reach.ssh.Ssh.run`."""
        quoted(words)
        self.runs.append(Run(host, tuple(words), stdin))
        if cancelled is not None and cancelled.is_set():
            raise SshError(SshTrouble.UNWANTED, f"{host}: {words[0]} was given up")
        if host not in self.hosts:
            raise SshError(SshTrouble.UNREACHABLE, f"cannot reach {host} by ssh: no such host")
        ended = self.hosts[host](words, stdin or b"")
        if isinstance(ended, SshError):
            raise ended
        for text, is_error in ((ended.out, False), (ended.err, True)):
            if text and on_output is not None:
                on_output(text.encode(), is_error)
        return ended


@dataclass(slots=True)
class FakeDns:
    """What each server knows, ``None`` for the system; what is not there has no name.  ``asked`` keeps the questions."""

    known: Mapping[Server | None, Mapping[Question, Answer]] = field(default_factory=dict)
    asked: list[tuple[Server | None, Question]] = field(default_factory=list)

    def ask(
        self,
        questions: Iterable[Question],
        *,
        server: Server | None = None,
        limit: float = DNS_LIMIT,  # noqa: ARG002 - it takes no time
    ) -> Mapping[Question, Answer]:
        """See :meth:`xcatd.reach.dns.Dns.ask`; a server that is not there does not answer."""
        wanted = list(dict.fromkeys(questions))
        self.asked += [(server, question) for question in wanted]
        if server is not None and server not in self.known:
            return dict.fromkeys(wanted, Answer(failure=Failure.NO_ANSWER))
        known = self.known.get(server, {})
        return {
            question: known.get(question, Answer(failure=Failure.NO_NAME)) for question in wanted
        }
