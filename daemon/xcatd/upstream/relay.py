"""Passing one request on and its replies back, as they come.

Owns: how many commands may be at the upstream, whose certificate is shown, and what users are told when it
fails.  Must not: know sockets of clients, or the policy.
"""

from __future__ import annotations

import enum
import logging
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

from xcatd.messages import Reply, Request
from xcatd.pki.subject import common_name
from xcatd.site import Settings
from xcatd.wire.stream import ResponseReader
from xcatd.wire.tree import MalformedError, Value

from . import requests
from .address import Address
from .errors import UpstreamError
from .link import LinkCertificates, LinkTimes, UpstreamLink
from .replies import Piece, ReplyReader, reply_of
from .requests import Sender

_log = logging.getLogger(__name__)
_PATIENCE = 60.0  # seconds a command waits for others at the upstream
_ROOT_USER = "root"


class Interest(enum.Enum):
    """Whether somebody still wants the replies."""

    WANTED = enum.auto()
    ABORTED = enum.auto()  # the user ended the command
    GONE = enum.auto()  # nobody can read its replies any more
    STOPPING = enum.auto()  # this daemon ends; the command may go on


Interested = Callable[[], Interest]
Elements = Mapping[str, Sequence[Value]]


@dataclass(frozen=True, slots=True)
class RelayLimits:
    """How many commands at once, and how long each step of them may take."""

    commands: int = 64
    patience: float = _PATIENCE
    times: LinkTimes = LinkTimes()  # noqa: RUF009 - frozen


class Upstream:
    """The xcatd behind this one; used from many threads."""

    def __init__(self, address: Address, limits: RelayLimits | None = None) -> None:
        self.address = address
        self.limits = limits or RelayLimits()
        self._places = threading.BoundedSemaphore(self.limits.commands)
        self._daemon = uuid.uuid4().hex

    def stream(
        self, tree: Elements, sender: Sender, settings: Settings, interest: Interested
    ) -> Iterator[Piece]:
        """The replies to a client's request, unchanged; raises :class:`UpstreamError`.

        Without an error the last piece ends the reply, unless nobody wants it any more.
        """
        command = _command(tree)
        with self._named(command):
            self._check(tree, sender)
            with self._place():
                link = self._open(tree, sender, settings)
                with closing(link):
                    link.send(requests.document(tree, sender, self._daemon))
                    yield from _replies(link, interest)

    def run(self, request: Request, settings: Settings, interest: Interested) -> Iterator[Reply]:
        """The replies to a plugin's request, as its own; what goes wrong is one of them."""
        tree = requests.tree_of(request)
        reader = ResponseReader()
        sender = Sender(request.user, (request.host,))
        try:
            for piece in self.stream(tree, sender, settings, interest):
                for document in reader.feed(piece.data):
                    reply = reply_of(document)
                    if reply != Reply():
                        yield reply
        except UpstreamError as error:
            yield Reply(errors=(str(error),), errorcode=1)

    def _check(self, tree: Elements, sender: Sender) -> None:
        way = requests.path(tree)
        if self._daemon in way:
            raise UpstreamError("it leads back to this xcatd; give --upstream another address")
        if len(way) >= requests.MOST_HOPS:
            raise UpstreamError(
                "too many xcatd are behind each other; end --upstream of one of them"
            )
        if sender.user is None and not requests.proves_itself(tree):
            raise UpstreamError(
                "it would take whoever comes without a certificate for this machine;"
                " such commands must be sent to it directly"
            )

    def _open(self, tree: Elements, sender: Sender, settings: Settings) -> UpstreamLink:
        directory = settings.confdir / "cert"
        credentials = directory / "server-cred.pem"
        try:
            own = common_name(credentials.read_bytes())
        except (OSError, ValueError) as error:
            raise UpstreamError(f"cannot use the certificate file {credentials}: {error}") from None
        shows = None if requests.proves_itself(tree) else credentials
        if shows and own == _ROOT_USER != sender.user:
            raise UpstreamError(
                f"the certificate {credentials} is root's, and {sender.user} must not act as root;"
                " this machine needs a certificate of its own"
            )
        names = frozenset({own} if own else ())
        trust = LinkCertificates(directory / "ca.pem", names, shows)
        return UpstreamLink.open(self.address, trust, settings, self.limits.times)

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._places.acquire(timeout=self.limits.patience):
            raise UpstreamError(
                f"{self.limits.commands} commands are there already; try again later"
            )
        try:
            yield
        finally:
            self._places.release()

    @contextmanager
    def _named(self, command: str) -> Iterator[None]:
        """Every failure names the command and the upstream, and is logged."""
        try:
            yield
        except UpstreamError as error:
            text = (
                f"cannot pass {command} to the upstream xcatd {self.address}: {error}"
                if not isinstance(error, BrokenOffError)
                else f"the upstream xcatd {self.address} {error}"
            )
            _log.error("%s", text)
            raise UpstreamError(text, is_torn=error.is_torn) from None


class BrokenOffError(UpstreamError):
    """The command has begun there, and its end is not known."""


def _command(tree: Elements) -> str:
    value = next(iter(tree.get("command", ())), "")
    return value[:80] if isinstance(value, str) else ""


def _replies(link: UpstreamLink, interest: Interested) -> Iterator[Piece]:
    reader = ReplyReader()
    while not reader.has_ended:
        match interest():
            case Interest.ABORTED:
                link.abort(requests.ABORT)
                return
            case Interest.GONE:
                return
            case Interest.STOPPING:
                raise _broken_off("is waited for no longer, because this xcatd ends", reader)
            case Interest.WANTED:
                pass
        data = _received(link, reader)
        if data is None:
            continue
        try:
            yield from reader.feed(data)
        except MalformedError as error:
            raise _broken_off(f"does not speak xcatd's protocol: {error}", reader) from None


def _received(link: UpstreamLink, reader: ReplyReader) -> bytes | None:
    try:
        data = link.receive()
    except UpstreamError as error:
        raise _broken_off(f"ended its reply too early: {error}", reader) from None
    if data == b"":
        raise _broken_off("ended its reply too early", reader)
    return data


def _broken_off(text: str, reader: ReplyReader) -> BrokenOffError:
    advice = "; whether the command was carried out is not known, see the log there"
    return BrokenOffError(text + advice, is_torn=reader.is_flowing)
