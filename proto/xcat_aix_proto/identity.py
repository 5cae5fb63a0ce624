"""Who a certificate stands for: the URI subject alternative name ``xcat-aix:<role>:<name>``."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, Mapping

from . import names
from .errors import AgentError, ErrorCode

_SCHEME = "xcat-aix"


class Role(enum.Enum):
    """What kind of machine the holder of a certificate is."""

    MN = "mn"
    SN = "sn"
    CN = "cn"


@dataclass(frozen=True)
class Identity:
    """A role and the node name it is held for."""

    role: Role
    name: str

    def __str__(self) -> str:
        return f"{_SCHEME}:{self.role.value}:{self.name}"

    @classmethod
    def parse(cls, text: str) -> Identity:
        """Read ``xcat-aix:sn:sn1``; raises :class:`AgentError` ``WRONG_PEER``."""
        scheme, _, rest = text.partition(":")
        role, _, name = rest.partition(":")
        problem = AgentError(ErrorCode.WRONG_PEER, f"{text!r} is not an xcat-aix identity")
        if scheme != _SCHEME:
            raise problem
        try:
            return cls(Role(role), names.host_name(name))
        except (ValueError, AgentError):
            raise problem from None

    @classmethod
    def of_certificate(cls, certificate: Mapping[str, Any] | None) -> Identity:
        """The identity in a dict of ``ssl.SSLSocket.getpeercert()``.

        Raises :class:`AgentError` ``NOT_AUTHENTICATED`` without a certificate and ``WRONG_PEER``
        if it does not hold exactly one ``xcat-aix:`` URI.
        """
        if not certificate:
            raise AgentError(ErrorCode.NOT_AUTHENTICATED, "the peer sent no certificate")
        uris = [
            value
            for kind, value in certificate.get("subjectAltName", ())
            if kind == "URI" and value.startswith(_SCHEME + ":")
        ]
        if len(uris) != 1:
            raise AgentError(
                ErrorCode.WRONG_PEER,
                f"the peer's certificate holds {len(uris)} xcat-aix identities instead of one",
            )
        return cls.parse(uris[0])
