"""Attributes a new object takes over from a template.

Pure.  Facts: docs/facts/object-commands.md, mkdef from a template.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from xcatd.objects.reader import ObjectReader
from xcatd.tablenames import Snapshot

from .gathering import TYPE
from .orders import Order

_OPTIONAL = "OPTIONAL:"
_MANDATORY = "MANDATORY:"


class TemplateFault(ValueError):  # noqa: N818 - reads as what it is
    """The template cannot be used; the text is for users."""


def apply(order: Order, snapshot: Snapshot) -> Order:
    """The order with the template's attributes where it has none itself; raises TemplateFault."""
    if not order.template:
        return order
    values = (
        _existing(order, snapshot)
        if order.template_values is None
        else _shipped(order.template_values, order.attributes)
    )
    given = {name: text for name, text in order.attributes.items() if text not in {"", "0"}}
    return replace(order, attributes={**order.attributes, **values, **given})


def _shipped(template: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    values = {}
    for name, text in template.items():
        if text.startswith(_MANDATORY) and not given.get(name):
            raise TemplateFault(f'The attribute "{name}" must be specified!')
        if name != TYPE:
            values[name] = "" if text.startswith((_OPTIONAL, _MANDATORY)) else text
    return values


def _existing(order: Order, snapshot: Snapshot) -> Mapping[str, str]:
    reader = ObjectReader(snapshot)
    kind, name = order.kinds[0], order.template
    known = reader.names(kind)
    if not known:
        raise TemplateFault(f"Could not get objects of type '{kind}'.")
    if name not in known:
        raise TemplateFault(f"Could not find the template object named '{name}' of type '{kind}'.")
    if name in order.names:
        raise TemplateFault("The template node cannot be the same as the node to create.")
    return reader.read(kind, (name,)).get(name, {})
