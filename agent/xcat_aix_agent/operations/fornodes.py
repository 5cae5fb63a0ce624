"""What all operations for several nodes have in common: one node after the other, and what became of each.

A node for which it fails does not keep the others waiting; an error of the program ends the job.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, Mapping

from xcat_aix_agent.host import Report
from xcat_aix_proto.errors import AgentError
from xcat_aix_proto.jobs import NodesProbe, NodesResult, Probe, Verdict
from xcat_aix_proto.operations import ForNodes


def each(operation: ForNodes, report: Report, perform: Callable[[str], None]) -> Mapping[str, Any]:
    """The result of an operation of which ``perform`` does one node; an :class:`AgentError` of it is that node's failure."""
    done: List[str] = []
    failed: Dict[str, str] = {}
    for node in operation.nodes:
        try:
            perform(node)
        except AgentError as error:
            report(f"{node}: failed: {error.message}\n{error.detail}".rstrip())
            failed[node] = error.message
        else:
            done.append(node)
    return NodesResult(tuple(done), failed).fitted()


def seen(operation: ForNodes, look: Callable[[str], Probe]) -> NodesProbe:
    """The probe of an operation of which ``look`` looks at one node."""
    found = {node: look(node) for node in operation.nodes}
    done = sum(probe.verdict is Verdict.DONE for probe in found.values())
    text = f"done for {done} of {len(found)} nodes"
    return NodesProbe(together(found.values()), text, found)


def together(probes: Iterable[Probe]) -> Verdict:
    """The verdict on several things: done if all are, broken if one is."""
    found = {probe.verdict for probe in probes}
    if Verdict.BROKEN in found:
        return Verdict.BROKEN
    return Verdict.NOT_DONE if Verdict.NOT_DONE in found else Verdict.DONE
