"""Names and addresses in bulk: as the system knows them, or as one server of names says.

Owns: one answer per question, within a time for all together.  What the database says is :mod:`xcatd.resolve`'s.
Sources: RFC 1035; dnspython's dns.query and dns.message, which check that an answer is to what was asked.
"""

from __future__ import annotations

import enum
import ipaddress
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

from . import bulk

if TYPE_CHECKING:
    import dns.message

#: Seconds for all questions of one call together, and for one try with a server, whose datagrams may get lost.
LIMIT, TRY = 5.0, 1.5

#: Kinds of records whose value is a name; shown without the dot at its end.
_NAMES = frozenset(["PTR", "CNAME", "NS"])

#: What the system's resolver can be asked for.
_OF_SYSTEM = ("A", "AAAA", "PTR")


class NameServer(NamedTuple):
    """A server of names."""

    address: str
    port: int = 53


@dataclass(frozen=True, slots=True)
class Question:
    """A name and the kind of record that is wanted of it: A, AAAA, PTR, or another."""

    name: str
    kind: str = "A"

    @classmethod
    def reverse(cls, address: str) -> Question:
        """What an address is called; raises ValueError for what is none."""
        return cls(ipaddress.ip_address(address).reverse_pointer, "PTR")


class Failure(enum.Enum):
    """Why there is no value."""

    NO_NAME = "there is no such name"
    NO_VALUE = "the name has no such record"
    NO_ANSWER = "no answer in time"
    REFUSED = "the server does not answer such questions"
    BROKEN = "the answer cannot be understood"
    BAD_QUESTION = "this cannot be asked"


@dataclass(frozen=True, slots=True)
class Answer:
    """The values, in no order that means anything; where there is none, why."""

    values: frozenset[str] = field(default_factory=frozenset)
    failure: Failure | None = None


_NO_ANSWER = Answer(failure=Failure.NO_ANSWER)


class Dns(Protocol):
    """Something that answers: :class:`Resolvers`, or :class:`xcatd.testing.FakeDns`."""

    def ask(
        self,
        questions: Iterable[Question],
        *,
        server: NameServer | None = None,
        limit: float = LIMIT,
    ) -> Mapping[Question, Answer]:
        """An answer to every question, within ``limit`` seconds for all together.

        Without a ``server`` it is the system's, which has its own files too, and takes A, AAAA and PTR alone.
        """


class Resolvers:
    """The real :class:`Dns`; safe to use from several threads.  ``attempt``: seconds for one try with a server."""

    def __init__(self, attempt: float = TRY) -> None:
        self._attempt = attempt

    def ask(
        self,
        questions: Iterable[Question],
        *,
        server: NameServer | None = None,
        limit: float = LIMIT,
    ) -> Mapping[Question, Answer]:
        """See :meth:`Dns.ask`."""
        wanted = list(dict.fromkeys(questions))
        ask: Callable[[Question], Answer] = of_system
        if server is not None:
            ask = partial(of_server, server, time.monotonic() + limit, self._attempt)
        found = bulk.answers(ask, wanted, limit)
        return {question: found.get(question, _NO_ANSWER) for question in wanted}


# -- the system's resolver -------------------------------------------------------------------------


def of_system(question: Question) -> Answer:
    """What the system says; blocks as long as it likes."""
    try:
        if question.kind == "PTR":
            name, _ = socket.getnameinfo((_address(question.name), 0), socket.NI_NAMEREQD)
            return Answer(frozenset([name]))
        if question.kind not in _OF_SYSTEM:
            return Answer(failure=Failure.BAD_QUESTION)
        family = socket.AF_INET if question.kind == "A" else socket.AF_INET6
        found = socket.getaddrinfo(question.name, None, family, socket.SOCK_STREAM)
    except socket.gaierror as error:
        return Answer(failure=_FAILURES.get(error.errno or 0, Failure.NO_NAME))
    except (OSError, ValueError):
        return Answer(failure=Failure.BAD_QUESTION)
    return Answer(frozenset(str(place[0]) for *_, place in found))


_FAILURES = {socket.EAI_AGAIN: Failure.NO_ANSWER, socket.EAI_FAIL: Failure.REFUSED}


def _address(pointer: str) -> str:
    """The address that the name of a PTR record is about; raises ValueError."""
    labels = pointer.rstrip(".").lower().split(".")
    if labels[-2:] == ["in-addr", "arpa"]:
        return str(ipaddress.IPv4Address(".".join(reversed(labels[:-2]))))
    digits = "".join(reversed(labels[:-2]))
    if labels[-2:] != ["ip6", "arpa"] or len(digits) != len(labels) - 2:
        raise ValueError(f"{pointer!r} is no name of an address")
    groups = (digits[at : at + 4] for at in range(0, len(digits), 4))
    return str(ipaddress.IPv6Address(":".join(groups)))


# -- one server ------------------------------------------------------------------------------------


def of_server(server: NameServer, deadline: float, attempt: float, question: Question) -> Answer:
    """What one server says; every ``attempt`` seconds, a datagram may have got lost, again until ``deadline``."""
    import dns.exception  # noqa: PLC0415 - loaded where it is used: most commands ask no server
    import dns.message  # noqa: PLC0415
    import dns.query  # noqa: PLC0415

    try:
        query = dns.message.make_query(question.name, question.kind)
    except (dns.exception.DNSException, ValueError):
        return Answer(failure=Failure.BAD_QUESTION)
    while (left := deadline - time.monotonic()) > 0:
        try:
            reply, _ = dns.query.udp_with_fallback(
                query, server.address, timeout=min(attempt, left), port=server.port
            )
            return _understood(reply, question.kind)
        except dns.exception.Timeout:
            continue
        except (dns.exception.DNSException, ValueError):
            return Answer(failure=Failure.BROKEN)
        except OSError:  # nobody listens there; another try would only be quicker refused
            return _NO_ANSWER
    return _NO_ANSWER


def _understood(reply: dns.message.Message, kind: str) -> Answer:
    import dns.message  # noqa: PLC0415 - see of_server
    import dns.rcode  # noqa: PLC0415

    if reply.rcode() not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        return Answer(failure=Failure.REFUSED)
    if not isinstance(reply, dns.message.QueryMessage):
        return Answer(failure=Failure.BROKEN)
    found = reply.resolve_chaining().answer
    if found is None:
        is_known = reply.rcode() == dns.rcode.NOERROR
        return Answer(failure=Failure.NO_VALUE if is_known else Failure.NO_NAME)
    texts = (value.to_text() for value in found)
    return Answer(frozenset(text.rstrip(".") if kind in _NAMES else text for text in texts))
