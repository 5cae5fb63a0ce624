"""``client.default_route@1``: from the old server as default gateway to the new one.

Only where the old one is a default gateway and the new one is not; else the routes are left alone
(docs/facts/aix.md, Routes).
"""

from __future__ import annotations

from typing import Any, Mapping, Tuple

from xcat_aix_agent.host import Host, Report
from xcat_aix_agent.nim import commands, netparse
from xcat_aix_proto.errors import AgentError, ErrorCode
from xcat_aix_proto.jobs import Probe, Verdict
from xcat_aix_proto.operations import ChangeDefaultRoute

_LIMIT = 30.0


def run(operation: ChangeDefaultRoute, host: Host, report: Report) -> Mapping[str, Any]:
    """Raises ``COMMAND_FAILED`` or ``VERIFICATION_FAILED``."""
    before = _gateways(host)
    if not _is_due(operation, before):
        report(f"default gateways {', '.join(before) or 'none'}: nothing to change")
        return {"changed": False}
    done = host.commands.run(commands.change_default_route(operation.new), timeout=_LIMIT)
    if done.rc != 0:
        raise done.failure("cannot change the default route")
    after = _gateways(host)
    if _is_due(operation, after):
        text = f"the default gateways are {', '.join(after)} after the change"
        raise AgentError(ErrorCode.VERIFICATION_FAILED, text)
    return {"changed": True}


def probe(operation: ChangeDefaultRoute, host: Host) -> Probe:
    """DONE if there is nothing (more) to change."""
    found = _gateways(host)
    verdict = Verdict.NOT_DONE if _is_due(operation, found) else Verdict.DONE
    return Probe(verdict, f"default gateways: {', '.join(found) or 'none'}")


def _is_due(operation: ChangeDefaultRoute, gateways: Tuple[str, ...]) -> bool:
    return operation.old in gateways and operation.new not in gateways


def _gateways(host: Host) -> Tuple[str, ...]:
    done = host.commands.run(commands.show_routes(), timeout=_LIMIT)
    if done.rc != 0:
        raise done.failure("cannot read the routes")
    return netparse.default_gateways(done.stdout)
