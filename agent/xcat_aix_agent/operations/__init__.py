"""What each operation of the protocol does on this host, and its probe.

Owns: the table from operation to implementation.  Must not: know jobs, peers or the wire.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, Protocol, Tuple, Type

from xcat_aix_agent.host import Host, Report
from xcat_aix_proto import codec
from xcat_aix_proto import operations as proto
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.jobs import ChainProbe, Probe, Verdict

from . import bootlist, dump_device, hostfacts, nimsnapshot, postscripts, repoint, route, xcatinfo
from .fornodes import together


class Implementation(Protocol):
    """A module of this package that performs one operation."""

    def run(self, operation: Any, host: Host, report: Report) -> Mapping[str, Any]:
        """Perform it and verify; raises :class:`AgentError`.  The answer is plain data."""

    def probe(self, operation: Any, host: Host) -> Probe:
        """Look whether the effect is there, changing nothing."""


JOBS: Dict[Type[proto.Operation], Implementation] = {
    proto.RepointClient: repoint,
    proto.SetXcatServer: xcatinfo,
    proto.ChangeDefaultRoute: route,
    proto.SetBootlist: bootlist,
    proto.SetDumpDevice: dump_device,
    proto.RunPostscripts: postscripts,
}

QUERIES: Dict[Type[proto.Operation], Callable[[Any, Host], Any]] = {
    proto.HostFacts: hostfacts.answer,
    proto.NimSnapshot: nimsnapshot.answer,
}

#: Mends what a job that was lost half way left behind.
_RECOVERIES: Dict[Type[proto.Operation], Callable[[Host], None]] = {
    proto.RepointClient: repoint.recover,
}


def kinds() -> tuple[str, ...]:
    """The operations this agent performs."""
    return tuple(sorted([proto.Chain.kind, *(cls.kind for cls in (*JOBS, *QUERIES))]))


def run(operation: proto.Operation, host: Host, report: Report) -> Mapping[str, Any]:
    """Perform one operation, which is no chain; raises :class:`AgentError`."""
    return _implementation(operation).run(operation, host, report)


def probe(operation: proto.Operation, host: Host) -> Probe:
    """Whether the effect of an operation is there; raises :class:`AgentError` if nobody can tell."""
    if isinstance(operation, proto.Chain):
        return _chain(tuple(_probe(part, host) for part in operation.parts))
    return _implementation(operation).probe(operation, host)


def _probe(part: proto.Operation, host: Host) -> Probe:
    """The probe of a part of a chain, whose errors tell which."""
    try:
        return probe(part, host)
    except AgentError as error:
        raise AgentError(error.code, f"{part.kind}: {error.message}", error.detail) from None


def _chain(parts: Tuple[Probe, ...]) -> ChainProbe:
    done = sum(part.verdict is Verdict.DONE for part in parts)
    return ChainProbe(together(parts), f"{done} of {len(parts)} are done", parts)


def query(operation: proto.Operation, host: Host) -> Any:
    """The plain data that answers a query."""
    answer = QUERIES.get(type(operation))
    if answer is None:
        raise AgentError(ErrorCode.BAD_OPERATION, f"{operation.kind} is not a query; submit it")
    return codec.to_wire(answer(operation, host))


def recover(operation: proto.Operation, host: Host) -> None:
    """Mend what a lost job of this operation left behind."""
    mend = _RECOVERIES.get(type(operation))
    if mend is not None:
        mend(host)


def _implementation(operation: proto.Operation) -> Implementation:
    found = JOBS.get(type(operation))
    if found is None:
        raise AgentError(ErrorCode.BAD_OPERATION, f"{operation.kind} is a query, not a job")
    return found
