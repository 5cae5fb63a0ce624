"""Names to addresses: the hosts table, then /etc/hosts, then the system's resolver.

Owns one answer per name for the life of a :class:`Resolver`, that is, of one request.  What the database says
is pure; the system's resolver is asked in a bounded number of threads and for a bounded time.
Facts: docs/facts/database.md, Tables and their columns.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from xcatd.text import brackets

from .db import values
from .reach import bulk

if TYPE_CHECKING:
    from .db.snapshot import Snapshot

#: How long all unanswered names together may take, in seconds.
TIMEOUT = 5.0

#: Asks the system for one name's address; None when there is none.
Lookup = Callable[[str], str | None]

_NIC_COLUMNS = ("nicips", "nichostnamesuffixes", "nichostnameprefixes", "nicaliases")


def system_lookup(name: str) -> str | None:
    """The system's answer for a name, an IPv4 address where there is one."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return None
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return str(found[0][4][0]) if found else None


class Resolver:
    """The addresses of names, by one snapshot.

    The snapshot must hold the hosts table; the nics table is used where it was read, too.  ``hosts_file`` is read
    once, when first needed.  ``timeout`` bounds the time for all names of one call together.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        *,
        hosts_file: Path = Path("/etc/hosts"),
        lookup: Lookup = system_lookup,
        timeout: float = TIMEOUT,
    ) -> None:
        self._snapshot = snapshot
        self._hosts_file = hosts_file
        self._lookup = lookup
        self._timeout = timeout
        self._asked: dict[str, str | None] = {}
        self._turn = threading.Lock()

    def address(self, name: str) -> str | None:
        """One name's address; None when nobody knows it.  Use :meth:`addresses` for many."""
        return self.addresses((name,)).get(name)

    def addresses(self, names: Iterable[str]) -> dict[str, str]:
        """The addresses of many names; those without one are left out."""
        wanted = dict.fromkeys(name for name in names if name)
        known = {name: self._known(name) for name in wanted}
        unknown = [name for name, address in known.items() if address is None]
        with self._turn:  # who asks for the same name meanwhile waits for its answer
            self._ask([name for name in unknown if name not in self._asked])
        found = {name: address or self._asked.get(name) for name, address in known.items()}
        return {name: address for name, address in found.items() if address}

    def interfaces(self, node: str) -> tuple[str, ...]:
        """All addresses the database has for a node, its own first."""
        return tuple(dict.fromkeys(address for _, address in self._of_node(node)))

    def names(self, node: str) -> tuple[tuple[str, str], ...]:
        """All names the database has for a node with their addresses, its own first."""
        return tuple(dict.fromkeys(self._of_node(node)))

    def _known(self, name: str) -> str | None:
        if is_address(name):
            return name
        return (
            self._by_database.get(name)
            or self._by_database.get(self._short(name))
            or (self._by_hosts_file.get(name))
        )

    def _short(self, name: str) -> str:
        domain = self._snapshot.site.get("domain", "").strip(".")
        return name.removesuffix(f".{domain}") if domain else name

    @cached_property
    def _by_database(self) -> Mapping[str, str]:
        """Every name the database gives an address; a node's own name before another's alias."""
        own: dict[str, str] = {}
        others: dict[str, str] = {}
        for node in self._snapshot.nodes:
            for name, address in self._of_node(node):
                (own if name == node else others).setdefault(name, address)
        return others | own

    @cached_property
    def _by_hosts_file(self) -> Mapping[str, str]:
        try:
            text = self._hosts_file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return {}
        found: dict[str, str] = {}
        for line in text.splitlines():
            address, *names = line.partition("#")[0].split() or [""]
            if is_address(address):
                for name in names:
                    found.setdefault(name, address)
        return found

    @cached_property
    def _hosts_rows(self) -> Mapping[str, Mapping[str, str]]:
        return self._texts("hosts", ("ip", "hostnames", "otherinterfaces"))

    @cached_property
    def _nics_rows(self) -> Mapping[str, Mapping[str, str]]:
        return self._texts("nics", _NIC_COLUMNS) if self._snapshot.has_table("nics") else {}

    def _texts(self, table: str, columns: Iterable[str]) -> dict[str, dict[str, str]]:
        rows = self._snapshot.values(table, columns)
        return {
            node: {column: value.text for column, value in row.items()}
            for node, row in rows.items()
            if row
        }

    def _of_node(self, node: str) -> Iterator[tuple[str, str]]:
        """Names and addresses of one node: its own, its aliases, other interfaces, network cards."""
        hosts = self._hosts_rows.get(node, {})
        address = hosts.get("ip", "")
        if is_address(address):
            yield node, address
            for alias in hosts.get("hostnames", "").replace(",", " ").split():
                yield alias, address
        if "otherinterfaces" in hosts:
            yield from _other_interfaces(node, hosts["otherinterfaces"])
        cards = self._nics_rows.get(node, {})
        if "nicips" in cards:
            yield from _network_cards(node, cards)

    def _ask(self, names: list[str]) -> None:
        """Ask the system for these names at once; what it does not answer in time has no address."""
        self._asked.update(dict.fromkeys(names))
        self._asked.update(bulk.answers(self._lookup, names, self._timeout))


def is_address(text: str) -> bool:
    """Whether ``text`` is an IPv4 or IPv6 address."""
    try:  # the C library first: this is asked for every node of a cluster
        socket.inet_pton(socket.AF_INET, text)
    except (OSError, ValueError):
        return ":" in text and _is_ipv6(text)
    return True


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _pair(text: str) -> tuple[str, str]:
    left, _, right = text.partition("!" if "!" in text else ":")
    return left.strip(), right.strip()


def _other_interfaces(node: str, text: str) -> Iterator[tuple[str, str]]:
    """hosts.otherinterfaces: ``name:address,-suffix:address,…`` (also with ``!`` for the colon)."""
    for item in text.split(","):
        name, address = _pair(item)
        if name and is_address(address):
            yield (node + name if name.startswith("-") else name), address


def _network_cards(node: str, row: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The nics table: each card's addresses with the names made of suffixes, prefixes and aliases."""
    suffixes = _by_card(node, row.get("nichostnamesuffixes", ""))
    prefixes = _by_card(node, row.get("nichostnameprefixes", ""))
    aliases = _by_card(node, row.get("nicaliases", ""))
    for card, addresses in _by_card(node, row["nicips"]).items():
        for place, address in enumerate(addresses):
            if is_address(address):
                suffix = _at(suffixes, card, place) or f"-{card}"
                yield f"{_at(prefixes, card, place)}{node}{suffix}", address
                for alias in _at(aliases, card, place).split():
                    yield alias, address


def _at(by_card: Mapping[str, list[str]], card: str, place: int) -> str:
    entries = by_card.get(card, [])
    return entries[place] if place < len(entries) else ""


def _by_card(node: str, text: str) -> dict[str, list[str]]:
    """``eth0!1.1.1.1|2.2.2.2,eth1!…``; a card's value may also be one expression over the node's name."""
    cards = {}
    for item in brackets.separated(text, ",", ("()",))[::2]:
        card, value = _pair(item)
        if values.is_expression(value):
            cards[card] = [values.expand(value, node) or ""]
        else:
            cards[card] = value.split("|")
    return cards
