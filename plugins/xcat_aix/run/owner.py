"""Who works on a plan: one claim of one process on one management node."""

from __future__ import annotations

import os
from dataclasses import dataclass

_LONGEST_PID = 10  # digits


@dataclass(frozen=True, slots=True)
class Owner:
    """``host`` is the management node's short name, ``token`` unique per claim."""

    host: str
    pid: int
    token: str

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}:{self.token}"

    @classmethod
    def parse(cls, text: str) -> Owner:
        """The inverse of ``str``; an unreadable text is an owner on no host."""
        host, _, rest = text.partition(":")
        pid, _, token = rest.partition(":")
        if pid.isascii() and pid.isdigit() and len(pid) <= _LONGEST_PID:
            return cls(host, int(pid), token)
        return cls("", 0, text)

    @classmethod
    def here(cls, host: str, token: str) -> Owner:
        """This process."""
        return cls(host, os.getpid(), token)


def is_running(pid: int) -> bool:
    """Whether a process with this id exists on this machine.

    An id that was given to another process meanwhile only makes a dead owner's claim last until
    its lease runs out.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
