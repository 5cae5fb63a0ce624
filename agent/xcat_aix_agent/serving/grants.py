"""What other agents may take from this one, as management nodes said.

Owns: the grants, bounded in number and in time.  They are kept in memory, and their time runs on the clock
that never goes back: neither another clock at the management node, nor a clock that is set back here, nor a
restart can keep one alive.  So they end with the agent, which the log and every refusal say; a management
node that wants one to go on lodges it anew, and an operation that was broken off is refused until then.
Must not: know sockets, or whether a management node may lodge.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import Callable, Dict, Optional, Tuple

from xcat_aix_agent.clock import Clock
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.identity import Identity
from xcat_aix_proto.messages import Grant, What

from .standing import Standing

_log = logging.getLogger(__name__)

#: Grants kept, and of these by one management node.
MOST, MOST_EACH = 256, 64

_Key = Tuple[Identity, Identity, What, str]


@dataclass(frozen=True)
class Lodged:
    """One grant: ``until`` is on the monotonic clock, ``by`` what its management node was let in by."""

    grant: Grant
    by: Standing
    until: float


class Grants:
    """Safe for use by several threads.  ``may_lodge`` is asked again whenever a grant is used."""

    def __init__(self, clock: Clock, may_lodge: Callable[[Identity], bool]) -> None:
        self._clock = clock
        self._may_lodge = may_lodge
        self._lock = threading.Lock()
        self._lodged: Dict[_Key, Lodged] = {}

    def lodge(self, grant: Grant, by: Standing, seconds: float) -> None:
        """Keep a grant for ``seconds``; one that is there gets the new time.  Raises ``GRANT_LIMIT``."""
        now = self._clock.monotonic()
        key = _key(grant, by.identity)
        with self._lock:
            self._expire(now)
            if key not in self._lodged:
                self._check_room(by.identity)
            self._lodged[key] = Lodged(grant, by, now + seconds)

    def withdraw(self, grant: Grant, by: Identity) -> bool:
        """End a grant of this management node; whether it was there."""
        with self._lock:
            return self._lodged.pop(_key(grant, by), None) is not None

    def allows(self, who: Identity, what: Optional[What], digest: str, now: float) -> bool:
        """Whether a grant lets ``who`` take exactly this at the moment ``now`` (monotonic).

        ``what`` None: anything at all.
        """
        with self._lock:
            found = {
                key[0]
                for key, lodged in self._lodged.items()
                if key[1] == who and lodged.until > now and what in (None, key[2])
                if what is None or key[3] == digest
            }
        return any(self._may_lodge(by) for by in found)

    def settle(self, problem: Callable[[Standing], Optional[str]]) -> None:
        """Drop what is out of time, and whose management node may not be here any more, by ``problem``."""
        with self._lock:
            self._expire(self._clock.monotonic())
            lodged = list(self._lodged.items())
        reasons = {by: problem(by) for by in {one.by for _, one in lodged}}
        for key, one in lodged:
            reason = reasons[one.by]
            if reason is not None:
                self._drop(key, one, reason)

    def _drop(self, key: _Key, dropped: Lodged, reason: str) -> None:
        with self._lock:
            if self._lodged.get(key) is not dropped:
                return
            del self._lodged[key]
        _log.warning("grant dropped: %s: %s", told(dropped.grant, dropped.by.identity), reason)

    def _expire(self, now: float) -> None:
        """The caller holds the lock."""
        for key, lodged in list(self._lodged.items()):
            if lodged.until <= now:
                del self._lodged[key]
                _log.info("grant is out of time: %s", told(lodged.grant, lodged.by.identity))

    def _check_room(self, by: Identity) -> None:
        """The caller holds the lock."""
        if len(self._lodged) >= MOST:
            text = f"this agent keeps {MOST} grants already; withdraw some or wait for their end"
            raise AgentError(ErrorCode.GRANT_LIMIT, text)
        if sum(key[0] == by for key in self._lodged) >= MOST_EACH:
            text = f"this agent keeps {MOST_EACH} grants of {by} already; withdraw some"
            raise AgentError(ErrorCode.GRANT_LIMIT, text)


def _key(grant: Grant, by: Identity) -> _Key:
    return by, Identity.parse(grant.to), grant.what, grant.digest


def told(grant: Grant, by: Identity) -> str:
    """A grant in one line, for the log."""
    return f"{grant.to} may take {grant.what} (digest {grant.digest[:12]}…), says {by}"
