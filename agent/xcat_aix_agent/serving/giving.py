"""Another agent takes something from this one, by a grant.

Owns: the conversation, and the table from a kind of thing to who gives it.  Must not: judge (the policy
does), or know what a thing is.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Callable, Mapping

from xcat_aix_agent.transfer import pieces
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.messages import TakeRequest

from .visit import Visit

_log = logging.getLogger(__name__)

#: Gives a thing by handing its content on, piece by piece; raises :class:`AgentError` or :class:`OSError`.
Give = Callable[[TakeRequest, Callable[[bytes], None]], None]


def serve(visit: Visit, gives: Mapping[str, Give]) -> None:
    """One connection: the request line, our answer, then the content.

    Raises :class:`AgentError` if the peer was refused.  What cannot be given to its end has none, and so the
    peer knows.
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
        give(request, partial(pieces.send, visit.sock))
    except AgentError as error:
        _log.warning("cannot give %s to %s: %s", request.what, visit.identity, error.message)
        return
    pieces.end(visit.sock)
    _log.info("gave %s to %s", request.what, visit.identity)
