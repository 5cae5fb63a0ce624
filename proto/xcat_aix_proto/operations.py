"""The operations an agent can perform, as pure data.

Each class names its versioned ``kind``, the right a management node needs for it, and checks its
own fields, so that an invalid operation cannot be built on either end.  Adding an operation is a
class here, its implementation in the agent and its probe; see ARCHITECTURE.md.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import ipaddress
from dataclasses import dataclass
from typing import (
    Any,
    Callable,
    ClassVar,
    Dict,
    FrozenSet,
    Iterable,
    Mapping,
    Optional,
    Sequence,
    Tuple,
    Type,
)

from . import codec, facts, names
from .errors import AgentError, ErrorCode

#: Postscripts of one operation.
MAX_SCRIPTS = 256

#: Operations of one chain.
MAX_CHAIN = 32

#: Nodes of one operation, so that a job's result has room for what became of each.
MAX_NODES = 128


class Right(enum.IntEnum):
    """What the agent's policy grants a peer; each includes the ones before it."""

    READ = 1
    OPERATE = 2
    ADMIN = 3


def _address(value: str) -> None:
    if not _is_address(value):
        raise AgentError(ErrorCode.BAD_NAME, f"{value!r:.80} is not an IP address")


def _host(value: str) -> None:
    if not _is_address(value):
        names.host_name(value)


def _is_address(value: object) -> bool:
    """An IPv4 or IPv6 address as text; without a zone (``%…``), which may be any text."""
    return isinstance(value, str) and "%" not in value and _parses(value)


@functools.lru_cache(maxsize=1024)
def _parses(value: str) -> bool:
    """Parsing is slow, and the servers of a large move are in many of its operations."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class Operation:
    """Base of all operations."""

    kind: ClassVar[str] = ""
    right: ClassVar[Right] = Right.ADMIN
    #: A query answers at once and changes nothing; everything else runs as a job and has a probe.
    is_query: ClassVar[bool] = False
    #: What a query is answered with; None for everything else.
    answer: ClassVar[Optional[Type[Any]]] = None

    @property
    def parts(self) -> Tuple[Operation, ...]:
        """What is done one after the other: itself, or a chain's operations."""
        return (self,)


@dataclass(frozen=True)
class ForNodes(Operation):
    """Base of operations that a host, such as a service node, performs for several nodes, and tells of each by itself.

    ``nodes`` are all different.  What became of each is a :class:`.jobs.NodesResult` in the job's result; the
    answer to ``probe`` is a :class:`.jobs.NodesProbe`.  It is no part of a chain, which ends with what fails.
    """

    nodes: Tuple[str, ...]

    def __post_init__(self) -> None:
        if not 0 < len(self.nodes) <= MAX_NODES:
            text = f"{len(self.nodes)} nodes, and one operation is for 1 to {MAX_NODES}"
            raise AgentError(ErrorCode.BAD_OPERATION, text)
        for node in self.nodes:
            names.host_name(node)
        if len(set(self.nodes)) < len(self.nodes):
            raise AgentError(ErrorCode.BAD_OPERATION, "a node is there twice")

    def only(self, nodes: Iterable[str]) -> ForNodes:
        """The same for some of its nodes; an operation with more about its nodes takes the rest of that out, too."""
        return dataclasses.replace(self, nodes=tuple(nodes))


@dataclass(frozen=True)
class HostFacts(Operation):
    """Ask for interfaces, routes, OS level, free space and niminfo; answered by ``facts.Host``."""

    kind: ClassVar[str] = "host.facts@1"
    right: ClassVar[Right] = Right.READ
    is_query: ClassVar[bool] = True
    answer: ClassVar[Optional[Type[Any]]] = facts.HostReport


@dataclass(frozen=True)
class NimSnapshot(Operation):
    """Ask for objects of the host's NIM database; answered by ``facts.NimDatabase``.

    ``names`` empty means all objects.  One ``lsnim`` look for all of them, never one per object.
    """

    kind: ClassVar[str] = "nim.snapshot@1"
    right: ClassVar[Right] = Right.READ
    is_query: ClassVar[bool] = True
    answer: ClassVar[Optional[Type[Any]]] = facts.NimDatabase

    names: Tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.names:
            names.nim_name(name)


@dataclass(frozen=True)
class RepointClient(Operation):
    """Make this host a NIM client of another master (docs/facts/snmove.md, On the nodes).

    ``nim_name`` is the client's object name on that master, ``master`` the master's name or
    address as this node knows it.  /etc/niminfo is kept aside and put back on any failure.
    """

    kind: ClassVar[str] = "client.repoint@1"
    right: ClassVar[Right] = Right.OPERATE

    nim_name: str
    master: str

    def __post_init__(self) -> None:
        names.nim_name(self.nim_name)
        _host(self.master)


@dataclass(frozen=True)
class SetXcatServer(Operation):
    """Set ``XCATSERVER=<server>`` in /etc/xcatinfo; other lines stay.  ``server`` is an address."""

    kind: ClassVar[str] = "client.xcatinfo@1"
    right: ClassVar[Right] = Right.OPERATE

    server: str

    def __post_init__(self) -> None:
        _address(self.server)


@dataclass(frozen=True)
class ChangeDefaultRoute(Operation):
    """If ``old`` is a default gateway here and ``new`` is not: ``route change default <new>``."""

    kind: ClassVar[str] = "client.default_route@1"
    right: ClassVar[Right] = Right.OPERATE

    old: str
    new: str

    def __post_init__(self) -> None:
        _address(self.old)
        _address(self.new)


@dataclass(frozen=True)
class SetBootlist(Operation):
    """Boot next time from ``server`` over the interface that holds ``client`` (addresses).

    ``gateway`` None leaves that argument away.
    """

    kind: ClassVar[str] = "client.bootlist@1"
    right: ClassVar[Right] = Right.OPERATE

    client: str
    server: str
    gateway: Optional[str] = None

    def __post_init__(self) -> None:
        for address in (self.client, self.server, self.gateway):
            if address is not None:
                _address(address)


@dataclass(frozen=True)
class SetDumpDevice(Operation):
    """Point the iSCSI dump device at another server (docs/facts/aix.md, Dump device).

    ``target`` and ``lun`` are ``dump_target`` and ``dump_lunid`` of the image's NIM dump resource,
    ``server`` is an address, ``configdump`` one of selective, full, none.
    """

    kind: ClassVar[str] = "client.dump_device@1"
    right: ClassVar[Right] = Right.OPERATE

    target: str
    lun: str
    server: str
    configdump: str = "selective"
    port: int = 32600

    def __post_init__(self) -> None:
        _address(self.server)
        names.dump_target(self.target)
        names.lun_id(self.lun)
        if not 0 < self.port < 65536:
            raise AgentError(ErrorCode.BAD_NAME, f"{self.port} is not a port")
        if self.configdump not in ("selective", "full", "none"):
            raise AgentError(ErrorCode.BAD_NAME, f"{self.configdump!r} is not a configdump value")


@dataclass(frozen=True)
class RunPostscripts(Operation):
    """Run postscripts of this node, one after the other, stopping at none of them.

    ``scripts`` are names of files in the postscripts directory, each perhaps followed by arguments
    (blank-separated, as in the postscripts table; :func:`.names.script` has the rule).  They find
    ``master`` (the node's xcatmaster), ``node`` and ``site_master`` (``site.master``, empty if not set) in
    their environment as MASTER, NODE and SITEMASTER; the rest of it is the agent's.
    """

    kind: ClassVar[str] = "client.postscripts@2"
    right: ClassVar[Right] = Right.OPERATE

    scripts: Tuple[str, ...]
    master: str
    node: str
    site_master: str = ""

    def __post_init__(self) -> None:
        if len(self.scripts) > MAX_SCRIPTS:
            text = f"{len(self.scripts)} postscripts, and {MAX_SCRIPTS} are allowed"
            raise AgentError(ErrorCode.BAD_NAME, text)
        for script in self.scripts:
            names.script(script)
        names.host_name(self.node)
        _host(self.master)
        if self.site_master:
            _host(self.site_master)

    def environment(self) -> Mapping[str, str]:
        """The variables the scripts get."""
        found = {"MASTER": self.master, "NODE": self.node, "SITEMASTER": self.site_master}
        return {name: value for name, value in found.items() if value}


@dataclass(frozen=True)
class Chain(Operation):
    """Several operations as one job: each is looked at, and done if it is not so already.

    They are done in their order, and the first that fails is the last that is begun; what became of each
    is a :class:`.jobs.Record` in the job's result.  ``operations`` are in wire form (:meth:`of` takes them as
    they are), all different, and none of them is a query, a chain or :class:`ForNodes`.  Whoever asks for a chain needs the
    right for each of them; ``right`` is the greatest of these.
    """

    kind: ClassVar[str] = "chain@1"

    operations: Tuple[Mapping[str, Any], ...]

    def __post_init__(self) -> None:
        count = len(self.operations)
        if not 0 < count <= MAX_CHAIN:
            text = f"{count} operations, and a chain has 1 to {MAX_CHAIN}"
            raise AgentError(ErrorCode.BAD_OPERATION, text)
        # As they read, so that equal chains are equal; a frozen object lets nobody else in.
        read = tuple(_part(data, place, count) for place, data in enumerate(self.operations, 1))
        wire = tuple(to_wire(part) for part in read)
        for place, data in enumerate(wire):
            if data in wire[:place]:
                text = f"operation {place + 1} of {count} is there twice"
                raise AgentError(ErrorCode.BAD_OPERATION, text)
        self.__dict__.update(operations=wire, _parts=read, right=max(part.right for part in read))

    @classmethod
    def of(cls, parts: Sequence[Operation]) -> Chain:
        """The chain of these operations; raises ``BAD_OPERATION``."""
        return cls(tuple(to_wire(part) for part in parts))

    @property
    def parts(self) -> Tuple[Operation, ...]:
        """See :attr:`Operation.parts`."""
        found: Tuple[Operation, ...] = self.__dict__["_parts"]
        return found


def _part(data: Mapping[str, Any], place: int, count: int) -> Operation:
    """One operation of a chain, whose errors tell its place."""
    try:
        _check_part(data.get("kind"))
        return from_wire(data)
    except AgentError as error:
        text = f"operation {place} of {count}: {error.message}"
        raise AgentError(error.code, text, error.detail) from None


def _check_part(kind: Any) -> None:
    """What cannot be part of a chain is refused before anything in it is looked at."""
    cls = BY_KIND.get(kind) if isinstance(kind, str) else None
    if kind == Chain.kind or (cls is not None and (cls.is_query or issubclass(cls, ForNodes))):
        raise AgentError(ErrorCode.BAD_OPERATION, f"{kind} cannot be part of a chain")


_ALL: Tuple[Type[Operation], ...] = (
    HostFacts,
    NimSnapshot,
    RepointClient,
    SetXcatServer,
    ChangeDefaultRoute,
    SetBootlist,
    SetDumpDevice,
    RunPostscripts,
)

#: Every operation that can be asked for by itself, by its kind; what a chain can be made of among them.
BY_KIND: Dict[str, Type[Operation]] = {cls.kind: cls for cls in _ALL}


def to_wire(operation: Operation) -> Dict[str, Any]:
    """``{"kind": …, "args": {…}}``."""
    return {"kind": operation.kind, "args": codec.to_wire(operation)}


def from_wire(data: Any) -> Operation:
    """The inverse of :func:`to_wire`; raises ``BAD_MESSAGE``, ``BAD_OPERATION`` or ``BAD_NAME``."""
    if not isinstance(data, Mapping) or set(data) != {"kind", "args"}:
        raise AgentError(ErrorCode.BAD_MESSAGE, "an operation must have 'kind' and 'args'")
    kind = data["kind"]
    cls: Optional[Type[Operation]] = None
    if isinstance(kind, str):
        cls = Chain if kind == Chain.kind else BY_KIND.get(kind)
    if cls is None:
        raise AgentError(ErrorCode.BAD_OPERATION, f"this version knows no operation {kind!r:.80}")
    return codec.from_wire(cls, data["args"])


def check_wire(data: Any) -> None:
    """Raises ``BAD_MESSAGE`` unless ``data`` has the form of an operation, known here or not."""
    for part in parts_of(data):
        if not isinstance(part.get("kind"), str):
            raise AgentError(ErrorCode.BAD_MESSAGE, "an operation must have 'kind' and 'args'")


def parts_of(data: Any) -> Tuple[Mapping[str, Any], ...]:
    """The operations in wire form that one in wire form consists of, known here or not: itself, or a chain's.

    Raises ``BAD_MESSAGE`` if it has not the form.
    """
    parts: Any = (data,)
    if isinstance(data, Mapping) and data.get("kind") == Chain.kind:
        args = data.get("args")
        parts = args.get("operations") if isinstance(args, Mapping) else None
    if not isinstance(parts, (list, tuple)) or not 0 < len(parts) <= MAX_CHAIN:
        raise AgentError(ErrorCode.BAD_MESSAGE, "a chain must have a list of operations")
    if not all(isinstance(part, Mapping) for part in parts):
        raise AgentError(ErrorCode.BAD_MESSAGE, "an operation must be an object")
    return tuple(parts)


def from_stored(kind: str, args: Any) -> Operation:
    """The operation of a stored plan, which may be older than this version; raises as :func:`from_wire`."""
    read = FORMER.get(kind)
    return from_wire({"kind": kind, "args": args}) if read is None else read(args)


def is_newer(kind: str) -> bool:
    """Whether agents of the last version lack an operation of this kind."""
    return kind in BY_KIND and kind not in LAST_VERSION


def _postscripts_1(args: Any) -> Operation:
    """The environment was free text; planners put these three into it."""
    if not isinstance(args, Mapping) or not isinstance(args.get("environment"), Mapping):
        raise AgentError(
            ErrorCode.BAD_MESSAGE, "client.postscripts@1 lacks the field 'environment'"
        )
    found = args["environment"]
    now = {
        "scripts": args.get("scripts"),
        "master": found.get("MASTER"),
        "node": found.get("NODE"),
        "site_master": found.get("SITEMASTER", ""),
    }
    return codec.from_wire(RunPostscripts, now)


#: What the agents of the last version perform, singly; what is newer they may lack, and are asked about beforehand.
LAST_VERSION: FrozenSet[str] = frozenset(
    {
        "client.bootlist@1",
        "client.default_route@1",
        "client.dump_device@1",
        "client.postscripts@2",
        "client.repoint@1",
        "client.xcatinfo@1",
        "host.facts@1",
        "nim.snapshot@1",
    }
)

#: Kinds that only older plans have, and how they are read; no agent is sent one.
FORMER: Mapping[str, Callable[[Any], Operation]] = {"client.postscripts@1": _postscripts_1}
