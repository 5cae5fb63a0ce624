"""A NIM database as a plain dictionary, in the form in which the state of other NIM masters is recorded.

``{"configured": true, "objects": {NAME: {"class": …, "type": …, "attrs": {ATTRIBUTE: VALUE}}}}``, where a value is a
text or, of what is there more than once, a list of texts.  A machine's allocated resources stand among its attributes.
"""

from __future__ import annotations

from . import catalogue
from .objects import MACHINES, RESOURCES, SimulatedDatabase, SimulatedObject, allocation_counts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

#: Not stored but worked out from the machines' allocations.
_DERIVED = ("alloc_count", "serves")


def database_of(state: Mapping[str, Any]) -> SimulatedDatabase | None:
    """The database of a recorded state; None where NIM is not configured."""
    if not state["configured"]:
        return None
    objects = state["objects"]
    resources = {name for name, entry in objects.items() if entry["class"] == RESOURCES}
    return SimulatedDatabase([_object(name, entry, resources) for name, entry in objects.items()])


def _object(name: str, entry: Mapping[str, Any], resources: set[str]) -> SimulatedObject:
    made = SimulatedObject(name, entry["class"], entry["type"])
    for attribute, text in _texts(entry["attrs"]):
        is_held = made.cls == MACHINES and attribute in catalogue.RESOURCES and text in resources
        if is_held:
            made.allocations.append((attribute, text))
        elif attribute not in _DERIVED:
            made.attributes[attribute] = text
    return made


def _texts(attributes: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for attribute, value in attributes.items():
        for text in value if isinstance(value, list) else [value]:
            yield attribute, text


def state_of(database: SimulatedDatabase | None) -> dict[str, Any]:
    """The inverse of :func:`database_of`, with the counts of allocations."""
    if database is None:
        return {"configured": False, "objects": {}}
    counts = allocation_counts(database)
    return {
        "configured": True,
        "objects": {obj.name: _entry(obj, counts) for obj in database},
    }


def _entry(obj: SimulatedObject, counts: Mapping[str, int]) -> dict[str, Any]:
    attributes: dict[str, Any] = dict(obj.attributes)
    held: dict[str, list[str]] = {}
    for type_, name in obj.allocations:
        held.setdefault(type_, []).append(name)
    for type_, names in held.items():
        attributes[type_] = names if len(names) > 1 else names[0]
    if obj.cls == RESOURCES:
        attributes["alloc_count"] = str(counts.get(obj.name, 0))
    return {"class": obj.cls, "type": obj.type, "attrs": attributes}
