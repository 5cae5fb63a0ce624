"""The plan of ``chdef -n``: the key of every row that belongs to an object changes.

Pure.  References to the object elsewhere stay as they are.  Facts: specs/object-commands.md, section 4.
"""

from __future__ import annotations

from xcatd.api import error, info
from xcatd.objects.reader import ObjectReader
from xcatd.tables import Snapshot

from .definitions import stored_places
from .orders import Order, Planned


def plan(order: Order, snapshot: Snapshot) -> Planned:
    """What to write and to say; ``snapshot`` has all tables of the object's type."""
    planned = Planned()
    kind, old, new = order.kinds[0], order.names[0], order.new_name
    known = ObjectReader(snapshot).names(kind)
    if old not in known:
        planned.replies.append(error(f"The {old} is not a valid object."))
    elif new in known:
        planned.replies.append(error(f"Object {new} already exists."))
    else:
        for table, key in stored_places(snapshot, kind, (old,)):
            if kind != "site":
                planned.changes.set((table, key), key[0][0], new)
        planned.results.append(info(f"Changed the object name from {old} to {new}."))
    return planned
