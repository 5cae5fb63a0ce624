"""The values a move is made of: what was asked, who goes where, what was learned of the new servers.

Owns: those values.  Must not: hold a rule; the rules are in the modules beside it.
Facts: docs/facts/snmove.md, Command line and messages; Which nodes; New values.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from xcat_aix.plan.errors import PlanError
from xcat_aix.plan.model import Note
from xcat_aix_proto.facts import NimDatabase


class MoveError(PlanError):
    """The move cannot be planned."""


class NothingToMove(MoveError):  # noqa: N818 - reads as what it is
    """No node is concerned."""


class NodeKind(enum.Enum):
    """What a node is to the move; the value is the word people read."""

    DISKFUL = "AIX diskful"
    DISKLESS = "AIX diskless"
    AIX = "AIX, kind unknown"
    LINUX = "Linux"

    @property
    def is_aix(self) -> bool:
        """True for every kind with agent steps."""
        return self is not NodeKind.LINUX


class Fate(enum.Enum):
    """What becomes of a node's service node; the value is a word for programs."""

    MOVED = "moved"
    #: Its first one: it may well not be installed yet, so it need not be up.
    FIRST = "first"
    #: The same as before; only the list of its service nodes changes, and nothing on the node.
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Asked:
    """The request, parsed.  ``postscripts`` keeps the user's order; ``("all",)`` means every listed one."""

    source: str | None = None
    source_facing: str | None = None
    dest: str | None = None
    dest_facing: str | None = None
    lite_only: bool = False
    ignore_nodes: bool = False
    no_retarget: bool = False
    postscripts: tuple[str, ...] = ()
    strict: bool = False
    force: bool = False


@dataclass(frozen=True, slots=True)
class Assignment:
    """A node and the servers it goes between.

    ``old`` and ``new`` are names as the MN knows them, as written; ``old_master`` is what the node
    knows of the old one.  ``server`` is the node name behind ``new``, for its agent.  ``servicenode`` is the
    whole new list; None: ``new`` is put in front of the present one.
    """

    node: str
    kind: NodeKind
    address: str
    old: str | None
    new: str
    server: str
    old_master: str | None
    image: str | None
    servicenode: str | None = None
    change: Fate = Fate.MOVED

    @property
    def is_kept(self) -> bool:
        """True if nothing is to be done on the node, nor asked of its service node."""
        return self.change is Fate.KEPT


@dataclass(frozen=True, slots=True)
class Move:
    """A choice together with the new server's name or address as the node knows it."""

    choice: Assignment
    new_master: str

    @property
    def node(self) -> str:
        """The node's name."""
        return self.choice.node


@dataclass(frozen=True, slots=True)
class ServiceNode:
    """What was learned of a new service node.

    ``addresses`` in the order of its interfaces; ``nim`` is None when its agent gave no answer, and
    ``reason`` then says why; ``refused`` if the agent is there and does not allow us to ask.
    """

    name: str
    addresses: tuple[str, ...] = ()
    nim: NimDatabase | None = None
    reason: str = ""
    refused: bool = False

    @property
    def silence(self) -> str:
        """What its agent does instead of answering, and why."""
        verb = "does not allow this management node" if self.refused else "gives no answer"
        return f"{verb}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything a plan depends on beside the tables and the request, gathered beforehand.

    ``addresses`` are resolved names; ``service_nodes`` is keyed by node name; ``notes`` come from the
    choice of the servers; ``ranges`` are the nodes of table keys that are noderanges.
    """

    addresses: Mapping[str, str]
    service_nodes: Mapping[str, ServiceNode] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    ranges: Mapping[str, frozenset[str]] = field(default_factory=dict)
