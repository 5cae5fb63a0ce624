"""Whether a peer that was let in still may be here: looked at again and again while it is connected.

Owns: the revoked serial numbers, as new as their file, and the reasons to hang up.  Must not: know sockets.
"""

from __future__ import annotations

import threading
from typing import FrozenSet, Optional

from xcat_aix_agent import files, ownership
from xcat_aix_agent.clock import Clock
from xcat_aix_agent.config import AgentConfig
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.identity import Role

from . import crl
from .policy import OPENING, Asked, Policy
from .standing import Standing


class Trust:
    """Judges peers.  Safe for use by several threads."""

    def __init__(self, config: AgentConfig, policy: Policy, clock: Clock) -> None:
        self._config = config
        self._policy = policy
        self._clock = clock
        self._lock = threading.Lock()
        self._stamp: Optional[files.Stamp] = None
        self._revoked: Optional[FrozenSet[int]] = None
        self._reason = ""

    def authority(self) -> files.Stamp:
        """The authority's file as it is now; ask before the handshake that relies on it."""
        return files.stamp(self._config.ca)

    def check(self, standing: Standing) -> None:
        """Raises ``NOT_ALLOWED`` with the reason why this peer must go."""
        reason = self.problem(standing)
        if reason is not None:
            raise AgentError(ErrorCode.NOT_ALLOWED, reason)

    def problem(self, standing: Standing, asked: Asked = OPENING) -> Optional[str]:
        """Why this peer must go, or may not have what is ``asked`` any more; None if it may."""
        try:
            self._policy.check(standing.identity, standing.protocol, asked)
        except AgentError as error:
            if standing.identity.role is not Role.MN:
                return error.message
            return f"{self._policy.rights.path} does not allow it any more"
        if self._clock.now().timestamp() > standing.until:
            return "its certificate is out of date"
        if self.authority() != standing.authority:
            return f"{self._config.ca} has changed since"
        revoked = self._serials()
        if revoked is None:
            return self._reason
        return "its certificate is revoked" if standing.serial in revoked else None

    def _serials(self) -> Optional[FrozenSet[int]]:
        """What is revoked, None if nobody can tell."""
        path = self._config.crl
        if path is None:
            return frozenset()
        with self._lock:
            stamp = files.stamp(path)
            if stamp != self._stamp:
                self._revoked = None
                try:
                    ownership.check_file(path)
                    self._revoked = crl.serials(path.read_bytes())
                except (OSError, crl.CrlError, ownership.OwnershipError) as error:
                    self._reason = f"cannot use {path}: {error}"
                self._stamp = stamp
            return self._revoked
