"""What a network definition must have: net and mask, and no twin.

Facts: docs/facts/object-commands.md, mkdef.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from xcatd.objects.reader import Values
from xcatd.tablenames import Snapshot

#: Networks by name with at least net and mask.
Networks = dict[str, Values]

ATTRIBUTES = ("net", "mask")


def stored(snapshot: Snapshot) -> dict[str, Values]:
    """Every network by name, disabled and nameless ones too: net and mask are the key of them all."""
    rows = snapshot.rows("networks", include_disabled=True)
    return {
        row["netname"] or "": {attribute: row[attribute] or "" for attribute in ATTRIBUTES}
        for row in rows
    }


def fault_of_new(name: str, attributes: Mapping[str, str], known: Mapping[str, Values]) -> str:
    """What is wrong with a network that does not exist yet; empty if nothing is."""
    if not (attributes.get("net") and attributes.get("mask")):
        return f"Net or mask value should not be empty for xCAT network object '{name}'."
    twin = _twin(name, attributes, known)
    if twin is None:
        return ""
    return (
        f"A network definition called '{twin}' already exists that contains the same net and "
        f"mask values. Cannot create a definition for '{name}'."
    )


def _twin(name: str, attributes: Mapping[str, str], known: Mapping[str, Values]) -> str | None:
    for other, values in known.items():
        if other != name and all(values.get(a, "") == attributes[a] for a in ATTRIBUTES):
            return other
    return None


def fault_of_change(
    name: str,
    attributes: Mapping[str, str],
    known: Mapping[str, Values],
    live: Collection[str],
) -> str:
    """What is wrong with a changed network; empty if nothing is.

    As in xCAT, any network (of the ``live`` ones) without net or mask must be mended before another one can be
    changed.
    """
    for other in live:
        for attribute in ATTRIBUTES:
            if not known[other].get(attribute) and not attributes.get(attribute):
                return f"Attribute '{attribute}' is not specified for network entry '{name}', skipping."
    changed = {a: attributes.get(a) or known.get(name, {}).get(a, "") for a in ATTRIBUTES}
    twin = _twin(name, changed, known)
    if twin is None:
        return ""
    return (
        f"A network definition called '{twin}' already exists that contains the same net and "
        f"mask values. Cannot change the definition of '{name}'."
    )
