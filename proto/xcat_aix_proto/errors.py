"""Error codes of the agent protocol, and the one exception that carries them.

A failure crosses the wire as data (:meth:`AgentError.to_wire`), never as a foreign exception
class.  Codes are grouped by whose fault it is: 1xx the caller, 2xx access, 3xx jobs and grants, 4xx the
host or NIM, 5xx the agent itself.
"""

from __future__ import annotations

import enum
from typing import Any, Dict, Mapping

from . import bounds


class ErrorCode(enum.IntEnum):
    """Numbers are stable: scripts and stored journals rely on them."""

    BAD_MESSAGE = 101
    BAD_OPERATION = 102
    BAD_NAME = 103
    UNSUPPORTED_PROTOCOL = 104
    NOT_AUTHENTICATED = 201
    NOT_ALLOWED = 202
    WRONG_PEER = 203
    JOB_UNKNOWN = 301
    JOB_CONFLICT = 302
    JOB_LIMIT = 303
    JOB_NOT_FINISHED = 304
    #: The job's wrapper died without an outcome: a probe decides what was done.
    JOB_LOST = 305
    #: So many grants are kept, or so many of one management node, and no more.
    GRANT_LIMIT = 306
    COMMAND_FAILED = 401
    NIM_REFUSED = 402
    NOT_FOUND = 403
    VERIFICATION_FAILED = 404
    TIMED_OUT = 405
    NO_SPACE = 406
    UNREACHABLE = 407
    CANCELLED = 408
    INTERNAL = 501
    BUSY = 502


class AgentError(Exception):
    """A refused or failed request.

    ``message`` says what is wrong in one line, lower case, without the node's name (the caller
    knows which node it asked).  ``detail`` holds further text, such as the output of a command.
    """

    def __init__(self, code: ErrorCode, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.detail = detail

    def to_wire(self) -> Dict[str, Any]:
        """The error as plain data; texts are bounded (:mod:`.bounds`)."""
        message, detail = bounds.line(self.message), bounds.block(self.detail)
        return {"code": int(self.code), "message": message, "detail": detail}

    @classmethod
    def from_wire(cls, data: Mapping[str, Any]) -> AgentError:
        """The inverse of :meth:`to_wire`; long texts are cut.

        An unknown number becomes ``INTERNAL``; what is no error of this protocol is one: ``BAD_MESSAGE``.
        """
        number = data.get("code", ErrorCode.INTERNAL.value)
        message, detail = data.get("message", "no reason given"), data.get("detail", "")
        if type(number) is not int or type(message) is not str or type(detail) is not str:
            return cls(
                ErrorCode.BAD_MESSAGE, "the error that was answered is none of this protocol"
            )
        try:
            code = ErrorCode(number)
        except ValueError:
            code = ErrorCode.INTERNAL
        return cls(code, bounds.line(message), bounds.block(detail))
