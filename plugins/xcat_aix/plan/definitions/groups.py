"""The members a group definition names: by noderange, or by conditions.

Facts: docs/facts/object-commands.md, mkdef; chdef.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from xcat_aix.plan.writing import error
from xcatd.noderange.selection import Condition
from xcatd.objects import conditions

from .objects import DefinitionWriter


def matching(writer: DefinitionWriter, tests: Mapping[str, Condition]) -> tuple[str, ...]:
    """The nodes that fulfil every condition now, in table order."""
    nodes = writer.snapshot.nodes
    found = writer.reader.read("node", nodes, tuple(tests))
    return tuple(node for node in nodes if conditions.match_all(tests, found.get(node, {})))


def existing(writer: DefinitionWriter, names: Iterable[str]) -> tuple[str, ...]:
    """Those of the names that are nodes; each other one is an error."""
    nodes = []
    for name in names:
        if writer.snapshot.has_node(name):
            nodes.append(name)
        else:
            writer.remarks.append(
                error(f"Could not find a node named '{name}', skipping to the next node.")
            )
    return tuple(nodes)
