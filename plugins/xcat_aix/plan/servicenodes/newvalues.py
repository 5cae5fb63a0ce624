"""The new values of a moved node, as a pure function of its present ones.

Owns: the table of rules in docs/facts/snmove.md, New values.  Must not: know rows, guards or groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .moves import Assignment
from .subnets import address_of

NODERES = ("servicenode", "xcatmaster", "nfsserver", "tftpserver", "monserver")
NODEHM = ("conserver",)

MONSERVER_INVALID = (
    "The current value of the monserver attribute is not valid.  It will not be reset."
)


def entries(servicenode: str | None) -> list[str]:
    """The service nodes of a list in order, without blanks around the commas and empty places."""
    return [entry for part in (servicenode or "").split(",") if (entry := part.strip())]


def backup(servicenode: str | None) -> str | None:
    """The second service node of a list; one that repeats the first is none."""
    distinct = list(dict.fromkeys(entries(servicenode)))
    return distinct[1] if len(distinct) > 1 else None


def is_monserver_valid(monserver: str | None) -> bool:
    """True for no value at all and for a pair."""
    return not monserver or len(_monitors(monserver)) > 1


def _monitors(monserver: str) -> list[str]:
    """The values of monserver; empty places at the end are none."""
    return [part.strip() for part in monserver.rstrip(", ").split(",")]


def new_values(
    now: Mapping[str, str], choice: Assignment, new_master: str, addresses: Mapping[str, str]
) -> dict[str, str]:
    """Column to wanted value, for the columns that have a rule that applies.

    ``now`` are the effective values of the columns of :data:`NODERES` and :data:`NODEHM`.
    """
    wanted = {"servicenode": choice.servicenode or _servicenode(now.get("servicenode"), choice.new)}
    if choice.is_kept:
        return wanted if now.get("xcatmaster") else {**wanted, "xcatmaster": new_master}
    wanted["xcatmaster"] = new_master
    for column in ("nfsserver", "tftpserver"):
        if _is_same(now.get(column), choice.old_master, addresses):
            wanted[column] = new_master
    wanted.update(_service_names(now, choice, new_master))
    return wanted


def _service_names(
    now: Mapping[str, str], choice: Assignment, new_master: str
) -> Iterator[tuple[str, str]]:
    """The columns that hold the server's name as the MN knows it, compared as written."""
    monitors = _monitors(now.get("monserver", ""))
    if len(monitors) > 1 and choice.old and monitors[0] == choice.old:
        yield "monserver", f"{choice.new},{new_master}"
    if choice.old and now.get("conserver") == choice.old:
        yield "conserver", choice.new


def _servicenode(now: str | None, new: str) -> str:
    listed = entries(now)
    moved = [new, *(entry for entry in listed if entry != new)]
    return now or "" if moved == listed else ",".join(moved)


def _is_same(value: str | None, master: str | None, addresses: Mapping[str, str]) -> bool:
    if not value or not master:
        return False
    if value == master:
        return True
    address = address_of(value, addresses)
    return address is not None and address == address_of(master, addresses)
