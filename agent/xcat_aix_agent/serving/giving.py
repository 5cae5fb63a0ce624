"""Another agent takes something from this one, by a grant.

Owns: the conversation, and the table from a kind of thing to who gives it.  Must not: judge (the policy
does), or know what a thing is.
"""

from __future__ import annotations

import contextlib
import logging
from typing import Callable, Mapping

from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.messages import TakeRequest

from .visit import Visit

_log = logging.getLogger(__name__)

#: Gives a thing by handing its content on, piece by piece; raises :class:`AgentError` or :class:`OSError`.
Give = Callable[[TakeRequest, Callable[[bytes], None]], None]


def serve(visit: Visit, gives: Mapping[str, Give]) -> None:
    """One connection: the request line, our answer, then the content and TLS's own end.

    Raises :class:`AgentError` if the peer was refused.  Where the content ends before its end TLS has no end
    either, and so the peer knows.
    """
    request = visit.request(TakeRequest, "the request")
    give = gives.get(request.what.kind)
    if give is None:
        text = f"this agent gives nothing of the kind {request.what.kind}"
        error = AgentError(ErrorCode.BAD_OPERATION, text)
        visit.refuse(error)
        raise error
    visit.accept()
    _log.info("giving %s to %s", request.what, visit.identity)
    try:
        give(request, visit.sock.sendall)
    except AgentError as error:
        _log.warning("cannot give %s to %s: %s", request.what, visit.identity, error.message)
        return
    # The peer may close without an answer to our end: it has all by then.
    with contextlib.suppress(OSError):
        visit.sock.unwrap()
    _log.info("gave %s to %s", request.what, visit.identity)
