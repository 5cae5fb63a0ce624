"""A plan that the daemon keeps, on its way to the client: who wants to apply it says its id and its SHA-256.

An element of replies that existing clients do not look at.  Must not: be slow to import, clients need it.
Facts: docs/facts/wire.md, Saved plans.
"""

from __future__ import annotations

from typing import NamedTuple

from .tree import Tree, Value

ELEMENT = "savedplan"

#: An element with the id of a plan that is being carried out from here on: a client that is interrupted, or loses its
#: connection, can say what it was.
BEGUN = "begunplan"

#: The variable by which a client that can ask its user says above how many nodes it wants to.  Existing clients
#: send every variable that begins with XCAT_, so this is not the one that users set, and no other client has it.
ASKS_ABOVE = "XCAT_ASKS_ABOVE"


class SavedPlan(NamedTuple):
    """``nodes`` is their number, ``text`` the plan for people, or its summary where the user is to be asked.

    ``needs_confirmation``: nothing was done yet; the client asks, and sends the command again with ``keeps``, the
    options of the command line that count for applying as well (each with its value in one word), and what names the
    plan.
    """

    id: str
    sha256: str
    nodes: int = 0
    text: tuple[str, ...] = ()
    needs_confirmation: bool = False
    keeps: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """The arguments that apply it, each in one word: options that stand before a noderange have no others."""
        return (f"--apply={self.id}", f"--digest={self.sha256}")


def to_tree(plan: SavedPlan) -> Tree:
    """As the content of an element."""
    tree: Tree = {
        "plan": [plan.id],
        "sha256": [plan.sha256],
        "nodes": [str(plan.nodes)],
        "text": list(plan.text),
        "keep": list(plan.keeps),
        "confirm": ["1"] if plan.needs_confirmation else [],
    }
    return {name: values for name, values in tree.items() if values}


def of_reply(tree: Tree) -> SavedPlan | None:
    """The plan that a reply tells of; None where it tells of none, or of nothing that could be applied."""
    value = next(iter(tree.get(ELEMENT, ())), None)
    if not isinstance(value, dict):
        return None
    found = SavedPlan(
        id=_first(value, "plan"),
        sha256=_first(value, "sha256"),
        nodes=_number(_first(value, "nodes")),
        text=_texts(value, "text"),
        needs_confirmation="confirm" in value,
        keeps=_texts(value, "keep"),
    )
    return found if found.id and found.sha256 else None


def begun(tree: Tree) -> str:
    """The id of the plan that a reply says is being carried out, or nothing."""
    return _first(tree, BEGUN)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _texts(tree: Tree, name: str) -> tuple[str, ...]:
    return tuple(map(_text, tree.get(name, ())))


def _first(tree: Tree, name: str) -> str:
    return next(iter(_texts(tree, name)), "")


def _text(value: Value) -> str:
    return value if isinstance(value, str) else ""
