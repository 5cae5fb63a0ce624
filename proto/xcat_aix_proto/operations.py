"""The operations an agent can perform, as pure data.

Each class names its versioned ``kind``, the right a management node needs for it, and checks its
own fields, so that an invalid operation cannot be built on either end.  Adding an operation is a
class here, its implementation in the agent and its probe; see ARCHITECTURE.md.
"""

from __future__ import annotations

import enum
import functools
import ipaddress
from dataclasses import dataclass, field
from typing import Any, ClassVar, Dict, Mapping, Optional, Tuple, Type

from . import codec, names
from .errors import AgentError, ErrorCode


class Right(enum.IntEnum):
    """What the agent's policy grants a peer; each includes the ones before it."""

    READ = 1
    OPERATE = 2
    ADMIN = 3


def _address(value: str) -> None:
    if not _is_address(value):
        raise AgentError(ErrorCode.BAD_NAME, f"{value!r} is not an IP address")


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


@dataclass(frozen=True)
class HostFacts(Operation):
    """Ask for interfaces, routes, OS level, free space and niminfo; answered by ``facts.Host``."""

    kind: ClassVar[str] = "host.facts@1"
    right: ClassVar[Right] = Right.READ
    is_query: ClassVar[bool] = True


@dataclass(frozen=True)
class NimSnapshot(Operation):
    """Ask for objects of the host's NIM database; answered by ``facts.NimDatabase``.

    ``names`` empty means all objects.  One ``lsnim`` look for all of them, never one per object.
    """

    kind: ClassVar[str] = "nim.snapshot@1"
    right: ClassVar[Right] = Right.READ
    is_query: ClassVar[bool] = True

    names: Tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.names:
            names.nim_name(name)


@dataclass(frozen=True)
class RepointClient(Operation):
    """Make this host a NIM client of another master (specs/snmove.md, section 4 step 1).

    ``nim_name`` is the client's object name on that master, ``master`` the master's name or
    address as this node knows it.  /etc/niminfo is kept aside and put back on any failure.
    """

    kind: ClassVar[str] = "client.repoint@1"
    right: ClassVar[Right] = Right.OPERATE

    nim_name: str
    master: str

    def __post_init__(self) -> None:
        names.nim_name(self.nim_name)
        if not _is_address(self.master):
            names.host_name(self.master)


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
    """Point the iSCSI dump device at another server (specs/snmove.md, section 4 step 5).

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
        for value in (self.target, self.lun):
            if not value or any(c.isspace() or ord(c) < 32 for c in value):
                raise AgentError(ErrorCode.BAD_NAME, f"{value!r} is not a dump target or LUN id")
        if self.configdump not in ("selective", "full", "none"):
            raise AgentError(ErrorCode.BAD_NAME, f"{self.configdump!r} is not a configdump value")


@dataclass(frozen=True)
class RunPostscripts(Operation):
    """Run postscripts of this node, one after the other, stopping at none of them.

    ``scripts`` are file names below the postscripts directory, each perhaps followed by arguments
    (blank-separated, as in the postscripts table); ``environment`` is added to the agent's own.
    """

    kind: ClassVar[str] = "client.postscripts@1"
    right: ClassVar[Right] = Right.OPERATE

    scripts: Tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for script in self.scripts:
            words = script.split()
            if not words:
                raise AgentError(ErrorCode.BAD_NAME, "an empty postscript name")
            names.script_name(words[0])
        for name, value in self.environment.items():
            if not name.isidentifier() or "\0" in value:
                raise AgentError(ErrorCode.BAD_NAME, f"{name!r} cannot be an environment variable")


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

#: Every operation class by its kind.
BY_KIND: Dict[str, Type[Operation]] = {cls.kind: cls for cls in _ALL}


def to_wire(operation: Operation) -> Dict[str, Any]:
    """``{"kind": …, "args": {…}}``."""
    return {"kind": operation.kind, "args": codec.to_wire(operation)}


def from_wire(data: Any) -> Operation:
    """The inverse of :func:`to_wire`; raises ``BAD_MESSAGE``, ``BAD_OPERATION`` or ``BAD_NAME``."""
    if not isinstance(data, Mapping) or set(data) != {"kind", "args"}:
        raise AgentError(ErrorCode.BAD_MESSAGE, "an operation must have 'kind' and 'args'")
    cls = BY_KIND.get(data["kind"]) if isinstance(data["kind"], str) else None
    if cls is None:
        raise AgentError(
            ErrorCode.BAD_OPERATION, f"this version knows no operation {data['kind']!r}"
        )
    return codec.from_wire(cls, data["args"])
