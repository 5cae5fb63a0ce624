"""What this version leaves to the admin after a move, said in the plan.

Owns: the notes about Linux nodes, statelite, shared installs.  Must not: do any of it.
Facts: docs/facts/snmove.md, On the nodes; Statelite and shared installs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from xcat_aix.plan.fold import fold
from xcat_aix.plan.model import Note
from xcat_aix.plan.reading import Tables

from .moves import Asked, Move, NodeKind, Surroundings

_STATES = frozenset({"netboot", "install", "statelite"})


def leftover_notes(
    asked: Asked, tables: Tables, moves: Sequence[Move], world: Surroundings
) -> Iterator[Note]:
    """Everything that stays to be done after the move, by whom and how."""
    yield from _kind_notes(asked, moves)
    aix = [move for move in moves if move.choice.kind.is_aix]
    if aix:
        yield from _statelite_notes(tables, aix, world)
        yield from _shared_install_notes(tables, aix)


def _kind_notes(asked: Asked, moves: Sequence[Move]) -> Iterator[Note]:
    by_kind: dict[NodeKind, list[Move]] = {}
    for move in moves:
        by_kind.setdefault(move.choice.kind, []).append(move)
    if (unknown := by_kind.get(NodeKind.AIX)) and not asked.ignore_nodes:
        yield Note(
            "warning",
            "nodetype.provmethod names no osimage with a nimtype, so it is not known whether the node is"
            " diskful; its NIM registration is left as it is",
            subject=fold([move.node for move in unknown]),
        )
    if linux := by_kind.get(NodeKind.LINUX):
        yield from _linux_notes(asked, linux)


def _linux_notes(asked: Asked, moves: Sequence[Move]) -> Iterator[Note]:
    """This version does the database part for Linux nodes; what is left is said.

    Facts: docs/facts/snmove.md, On the nodes.
    """
    by_method: dict[str | None, list[str]] = {}
    for move in moves:
        by_method.setdefault(move.choice.image, []).append(move.node)
    for method, nodes in by_method.items():
        names = fold(nodes)
        rest = "" if asked.ignore_nodes else "; default route and postscripts are not done either"
        if method is None:
            text = f"not done for Linux nodes: nodeset (no provmethod is set){rest}"
        else:
            state = method if method in _STATES else f"osimage={method}"
            text = f"not done for Linux nodes: run nodeset {names} {state}{rest}"
        yield Note("warning", text, subject=names)


def _statelite_notes(tables: Tables, aix: Sequence[Move], world: Surroundings) -> Iterator[Note]:
    """Rows whose literal server is the old master are named, not rewritten.

    Facts: docs/facts/snmove.md, Statelite and shared installs.
    """
    for row in tables.rows("statelite"):
        server, colon, _ = (row.get("statemnt") or "").partition(":")
        if not colon or "$" in server or server.startswith("#"):
            continue
        if covered := _covered(row.get("node") or "", server, aix, tables, world):
            text = (
                f"the statelite row {row.get('node')} {row.get('statemnt')} names the old server and is"
                " left untouched: statelite is not in this version"
            )
            yield Note("warning", text, subject=fold(covered))


def _shared_install_notes(tables: Tables, aix: Sequence[Move]) -> Iterator[Note]:
    if tables.site.get("sharedinstall") != "sns":
        return
    if diskless := [move.node for move in aix if move.choice.kind is NodeKind.DISKLESS]:
        text = (
            "site.sharedinstall is sns: the statelite files in the shared_root and the nodes'"
            " .client_data are left untouched: not in this version"
        )
        yield Note("warning", text, subject=fold(diskless))


def _covered(
    key: str, server: str, moves: Sequence[Move], tables: Tables, world: Surroundings
) -> list[str]:
    """The moved nodes a statelite row is about; its key is a node, a group or a noderange."""
    ranged = world.ranges.get(key, frozenset())
    return [
        move.node
        for move in moves
        if move.choice.old_master == server
        and (move.node == key or move.node in ranged or key in tables.groups(move.node))
    ]
