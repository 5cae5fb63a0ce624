"""NIM objects and the database of one NIM master.

What is derived is not stored: ``alloc_count`` and the master's ``serves`` are counted when shown,
from the one place that knows, the machines' allocations.
"""

from __future__ import annotations

from . import messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

READY = "ready for a NIM operation"
DISKLESS_ENABLED = "diskless or dataless boot is enabled"
BOS_ENABLED = "BOS installation has been enabled"
MACHINES = "machines"
RESOURCES = "resources"
NETWORKS = "networks"
GROUPS = "groups"
BUILT_IN = ("master", "boot", "nim_script")


class SimulatedObject:
    """One object: its class and type, attributes in the order they are printed, allocations."""

    __slots__ = ("allocations", "attributes", "cls", "name", "type")

    def __init__(
        self,
        name: str,
        cls: str,
        type_: str,
        attributes: dict[str, str] | None = None,
        allocations: list[tuple[str, str]] | None = None,
    ) -> None:
        self.name = name
        self.cls = cls
        self.type = type_
        self.attributes = attributes or {}
        self.allocations = allocations or []

    def copy(self) -> SimulatedObject:
        """An independent copy."""
        return SimulatedObject(
            self.name, self.cls, self.type, dict(self.attributes), list(self.allocations)
        )

    def uses(self, resource: str) -> bool:
        """Tell whether ``resource`` is allocated to this machine."""
        return any(name == resource for _, name in self.allocations)


class SimulatedDatabase:
    """The objects of one master.

    What a store hands out is never changed in place: :meth:`draft` makes a copy that shares all
    objects but those that are edited, so readers need no lock.
    """

    def __init__(self, objects: list[SimulatedObject]) -> None:
        self.objects = {obj.name: obj for obj in objects}
        self._own: set[str] = set()
        self.changed = False

    def __iter__(self) -> Iterator[SimulatedObject]:
        return iter(list(self.objects.values()))

    def draft(self) -> SimulatedDatabase:
        """A copy to be changed."""
        copy = SimulatedDatabase([])
        copy.objects = dict(self.objects)
        return copy

    def of_class(self, cls: str) -> list[SimulatedObject]:
        """The objects of one class, in order of definition."""
        return [obj for obj in self.objects.values() if obj.cls == cls]

    def get(self, name: str, method: str = "nim") -> SimulatedObject:
        """The object ``name`` for reading; raises message 053."""
        try:
            return self.objects[name]
        except KeyError:
            raise messages.no_object(method, name) from None

    def edit(self, name: str, method: str = "nim") -> SimulatedObject:
        """The object ``name`` of a draft for changing; raises message 053."""
        obj = self.get(name, method)
        if name not in self._own:
            self._note(name)
            obj = self.objects[name] = obj.copy()
        return obj

    def add(self, obj: SimulatedObject) -> None:
        """Add a new object; the caller has made sure that the name is free."""
        self._note(obj.name)
        self.objects[obj.name] = obj

    def delete(self, name: str) -> None:
        """Take an object away."""
        self._note(name)
        del self.objects[name]

    def _note(self, name: str) -> None:
        self._own.add(name)
        self.changed = True

    def users(self, resource: str) -> list[SimulatedObject]:
        """The machines that ``resource`` is allocated to."""
        return [obj for obj in self.of_class(MACHINES) if obj.uses(resource)]

    def to_json(self) -> list[Any]:
        """Plain data for :meth:`from_json`."""
        return [
            [obj.name, obj.cls, obj.type, obj.attributes, obj.allocations]
            for obj in self.objects.values()
        ]

    @classmethod
    def from_json(cls, data: list[Any]) -> SimulatedDatabase:
        """The inverse of :meth:`to_json`."""
        return cls(
            [
                SimulatedObject(name, kind, type_, attributes, [(a, b) for a, b in allocations])
                for name, kind, type_, attributes, allocations in data
            ]
        )


def allocation_counts(database: SimulatedDatabase) -> dict[str, int]:
    """``alloc_count`` of every resource that is allocated at all."""
    counts: dict[str, int] = {}
    for machine in database.of_class(MACHINES):
        for _, name in machine.allocations:
            counts[name] = counts.get(name, 0) + 1
    return counts


def stanza(
    obj: SimulatedObject, database: SimulatedDatabase, counts: dict[str, int] | None = None
) -> list[tuple[str, str]]:
    """Attribute and value pairs as ``lsnim -l`` prints them, derived ones included."""
    pairs = [("class", obj.cls), ("type", obj.type)]
    shown = not obj.allocations
    for name, value in obj.attributes.items():
        if name == "server" and obj.cls == RESOURCES:
            counted = allocation_counts(database) if counts is None else counts
            pairs.append(("alloc_count", str(counted.get(obj.name, 0))))
        pairs.append((name, value))
        if name == "Mstate" and not shown:
            pairs.extend(sorted(obj.allocations))
            shown = True
    if not shown:
        pairs.extend(sorted(obj.allocations))
    if obj.type == "master":
        pairs.extend(
            ("serves", resource.name)
            for resource in database.of_class(RESOURCES)
            if resource.attributes.get("server") == "master"
        )
    return pairs
