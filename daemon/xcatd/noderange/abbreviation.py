"""Nodes named by groups: the reverse of an expansion (docs/facts/noderange.md, Abbreviation).  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

#: Smaller groups are no abbreviation.
_FEWEST = 2


def abbreviate(nodes: Iterable[str], members: Mapping[str, Sequence[str]]) -> str:
    """These nodes, large groups first; a group is named only for nodes that no other one has named.

    ``members`` has the nodes of every static group.
    """
    left = set(nodes)
    groups = []
    for group in sorted(members, key=lambda name: (-len(members[name]), name)):
        if len(members[group]) >= _FEWEST and left.issuperset(members[group]):
            left.difference_update(members[group])
            groups.append(group)
    return ",".join((*groups, *sorted(left)))
