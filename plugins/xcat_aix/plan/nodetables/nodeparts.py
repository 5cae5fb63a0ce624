"""Frames and CECs have parts that are nodes of their own, and stay when these are removed.

Pure.  Facts: xCAT's own noderm; docs/facts/table-commands.md, nodech, nodeadd and noderm.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from xcatd.tablenames import Snapshot

#: The tables to read.
NEEDED = frozenset(["nodelist", "nodetype", "ppc", "site", "zvm"])

#: Types in ``nodetype`` that say which table has the real one.
_ELSEWHERE = ("ppc", "zvm")

_WITH_PARTS = frozenset(["cec", "frame"])
_PARTS = frozenset(["bpa", "fsp"])


def left_behind(nodes: Sequence[str], snapshot: Snapshot) -> Iterator[str]:
    """What to tell about the parts of these nodes."""
    types = _types(snapshot, nodes)
    frames = [node for node in nodes if types[node] in _WITH_PARTS]
    if not frames:
        return
    children = _children(snapshot)
    for node in frames:
        if node in children:
            yield (
                f"Removed a {types[node]} node, please remove these nodes belongs to it "
                f"manually: {','.join(children[node])} \n"
            )


def _types(snapshot: Snapshot, nodes: Sequence[str]) -> Mapping[str, str]:
    found = _values(snapshot, "nodetype", nodes)
    for table in _ELSEWHERE:
        there = [node for node in nodes if found[node] == table]
        found |= _values(snapshot, table, there) if there else {}
    return found


def _values(snapshot: Snapshot, table: str, nodes: Sequence[str]) -> dict[str, str]:
    rows = snapshot.values(table, ("nodetype",), nodes)
    return {node: row["nodetype"].text if "nodetype" in row else "" for node, row in rows.items()}


def _children(snapshot: Snapshot) -> Mapping[str, list[str]]:
    """Service processors by the frame or CEC they belong to, in the table's order."""
    listed = [row["node"] or "" for row in snapshot.rows("ppc")]
    nodes = [node for node in dict.fromkeys(listed) if snapshot.has_node(node)]
    parents = snapshot.values("ppc", ("parent", "nodetype"), nodes)
    others = _values(snapshot, "nodetype", nodes)
    found: dict[str, list[str]] = {}
    for node in nodes:
        row = parents[node]
        kind = row["nodetype"].text if "nodetype" in row else others[node]
        if "parent" in row and kind in _PARTS:
            found.setdefault(row["parent"].text, []).append(node)
    return found
