"""Perform one accepted job and record how it ended; the same in a wrapper process and in a thread.

Owns: the way from an operation to an :class:`Outcome`.  Must not: choose where it runs.
"""

from __future__ import annotations

import dataclasses
import threading
import traceback
from typing import Optional

from xcat_aix_agent import operations
from xcat_aix_agent.host import Host, LimitedAgents, LimitedCommands, Report
from xcat_aix_proto import bounds
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.jobs import Outcome

from .job import Spec


def perform(
    spec: Spec, host: Host, report: Report, cancelled: Optional[threading.Event] = None
) -> Outcome:
    """Run the operation of ``spec``; every failure becomes part of the outcome."""
    left = spec.deadline - host.clock.now().timestamp()
    commands = LimitedCommands(host.commands, host.clock, left, cancelled, report)
    peers = LimitedAgents(host.peers, host.clock, left, cancelled, report)
    limited = dataclasses.replace(host, commands=commands, peers=peers)
    try:
        result = operations.run(spec.decoded(), limited, report)
    except AgentError as error:
        return _failed(error, report)
    except Exception as error:  # noqa: BLE001 - the outer boundary of a job
        report(traceback.format_exc())
        return _failed(AgentError(ErrorCode.INTERNAL, f"internal error: {error!r}"), report)
    return Outcome(ok=True, result=bounds.result(result))


def cancelled_outcome() -> Outcome:
    """The outcome of a job that was stopped on request."""
    return _failed(AgentError(ErrorCode.CANCELLED, "cancelled"), lambda _: None)


def _failed(error: AgentError, report: Report) -> Outcome:
    report(f"failed: {error.message}\n{error.detail}")
    return Outcome(ok=False, error=error.to_wire())
