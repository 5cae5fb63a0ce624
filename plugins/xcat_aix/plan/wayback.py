"""What must be known to take back what was done on a client of a service node."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WayBack:
    """The service node of before, as the client knew it, and the one that it leaves.

    ``master`` is a name or an address, ``address`` its address, ``left`` the address of the service node left.
    """

    master: str
    address: str
    left: str | None
