"""The plan of ``chdef -n``: the key of every row that belongs to an object changes.

Pure.  References to the object elsewhere stay as they are.  As in xCAT, a node that inherits values gets a row
of its own, without values, in the tables they come from.  Facts: docs/facts/object-commands.md, chdef.
"""

from __future__ import annotations

from xcat_aix.plan.writing import Planned, error, info
from xcatd.changes import Place
from xcatd.objects import mapping
from xcatd.objects.reader import ObjectReader, Places
from xcatd.tablenames import Snapshot

from .objects import place_of, stored_places
from .orders import Order


def plan(order: Order, snapshot: Snapshot) -> Planned:
    """What to write and to say; ``snapshot`` has all tables of the object's type."""
    planned = Planned()
    kind, old, new = order.kinds[0], order.names[0], order.new_name
    reader = ObjectReader(snapshot)
    known = reader.names(kind)
    if old not in known:
        planned.remarks.append(error(f"The {old} is not a valid object."))
    elif new in known:
        planned.remarks.append(error(f"Object {new} already exists."))
    elif tables := _tables_of(snapshot, kind, new):
        text = f"Object {new} already exists: there are rows of it in {', '.join(tables)}."
        planned.remarks.append(error(text))
    else:
        for table, key in (*stored_places(snapshot, kind, (old,)), *_inherited(reader, kind, old)):
            if kind != "site":
                planned.draft.set((table, key), key[0][0], new)
        planned.results.append(info(f"Changed the object name from {old} to {new}."))
    return planned


def _tables_of(snapshot: Snapshot, kind: str, name: str) -> list[str]:
    """Where a name that is no object has rows: disabled ones, or what an object of old left behind."""
    if kind == "site":
        return []
    return sorted({table for table, _ in stored_places(snapshot, kind, (name,))})


def _inherited(reader: ObjectReader, kind: str, name: str) -> list[Place]:
    """The rows a node would have its inherited values in."""
    if kind != "node":
        return []
    places: Places = {}
    reader.read(kind, (name,), places=places)
    entries = places.get(name, {}).values()
    return [place_of(entry, name) for entry in entries if entry.attribute != mapping.MEMBERS]
