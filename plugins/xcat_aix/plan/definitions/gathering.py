"""The objects of a command with their attributes: command line and stanza file put together.

Owns: which attribute names a type has, and the notation ``nicips.eth0=…``.
Must not: know whether an object exists.  Facts: docs/facts/object-commands.md, mkdef; chdef; Stanza files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from xcat_aix.plan.writing import error
from xcatd.objects import mapping, nics

from .objects import Definition, DefinitionWriter
from .orders import Order

#: The attribute of a stanza that says what type of object it is about.
TYPE = "objtype"

#: Types with network adapters.
_WITH_NICS = ("node", "group")

_OF_ADAPTER = re.compile(r"(nic\w+)\.(.+)", re.ASCII | re.DOTALL)


class Gathered:
    """The definitions by name; ``is_faulty``: something in them was wrong and was left out."""

    def __init__(self, order: Order, writer: DefinitionWriter) -> None:
        self.definitions: dict[str, Definition] = {}
        self.is_faulty = False
        self._remarks = writer.remarks
        self._order = order
        self._writer = writer
        # What the command line got wrong is said before anything about the file.
        given = self._valid_for_all()
        for name, stanza in order.stanzas.items():
            self._add_stanza(name, stanza)
        if order.attributes or order.kind_text == "group":
            self._add_all(given)

    def kinds(self) -> tuple[str, ...]:
        """The types there are objects of."""
        return tuple(dict.fromkeys(d.kind for d in self.definitions.values()))

    def _fault(self, *lines: str) -> None:
        self._remarks.append(error(*lines))
        self.is_faulty = True

    def _add_stanza(self, name: str, stanza: Mapping[str, str]) -> None:
        kind = stanza.get(TYPE, "")
        if not kind:
            self._fault(
                f"\nNo objtype value was specified for '{name}'. Cannot create object definition."
            )
            return
        if kind not in mapping.TYPES:
            self._fault(f"\nType '{kind}' is not a valid xCAT object type.")
            return
        attributes = {key: text for key, text in stanza.items() if key != TYPE}
        if kind in _WITH_NICS:
            attributes = collapsed(attributes, {})
        shown = self._order.kinds[0] if self._order.attributes and self._order.kinds else ""
        for attribute in list(attributes):
            if not _is_attribute(kind, attribute):
                self._fault(_invalid(attribute, shown))
                del attributes[attribute]
        self.definitions[name] = Definition(kind, attributes)

    def _valid_for_all(self) -> dict[str, str]:
        order = self._order
        if not order.names or not order.kinds:
            return {}
        kind = order.kinds[0]
        given = dict(order.attributes)
        wrong = [name for name in given if not _is_attribute(kind, _base(name))]
        for _ in order.names:
            for name in wrong:
                self._fault(_invalid(_base(name), kind), "Skipping to the next attribute.")
        return {name: text for name, text in given.items() if name not in wrong}

    def _add_all(self, given: dict[str, str]) -> None:
        order = self._order
        kind = order.kinds[0] if order.kinds else ""
        for name, attributes in self._with_adapters(kind, given):
            earlier = self.definitions.get(name)
            merged = {**earlier.attributes, **attributes} if earlier else attributes
            self.definitions[name] = Definition(kind, merged)

    def _with_adapters(
        self, kind: str, given: dict[str, str]
    ) -> Iterator[tuple[str, dict[str, str]]]:
        names = self._order.names
        of_adapters = {_base(name) for name in given if _base(name) != name}
        if kind not in _WITH_NICS or not of_adapters:
            yield from ((name, given) for name in names)
            return
        found = self._writer.snapshot.values("nics", sorted(of_adapters), names)
        for name in names:
            stored = {attribute: value.text for attribute, value in found[name].items()}
            yield name, collapsed(given, stored)


def collapsed(attributes: Mapping[str, str], stored: Mapping[str, str]) -> dict[str, str]:
    """``nicips.eth0=…`` merged into ``nicips=eth0!…``; an empty value takes an adapter out.

    ``stored`` are the values as they are: adapters that are not named keep theirs.
    """
    plain: dict[str, str] = {}
    by_adapter: dict[str, dict[str, str]] = {}
    for name, text in attributes.items():
        match = _OF_ADAPTER.fullmatch(name)
        if match is None:
            plain[name] = text
            continue
        attribute, adapter = match.groups()
        known = by_adapter.setdefault(attribute, dict(_items(stored.get(attribute, ""))))
        known[adapter] = text
    merged = {
        attribute: ",".join(
            f"{adapter}!{text}" for adapter, text in known.items() if text not in {"", "0"}
        )
        for attribute, known in by_adapter.items()
    }
    return plain | merged


def _items(text: str) -> Iterable[tuple[str, str]]:
    for item in text.split(","):
        adapter, _, rest = item.partition("!")
        if adapter:
            yield adapter, rest.partition("!")[0]


def _base(name: str) -> str:
    match = _OF_ADAPTER.fullmatch(name)
    return match.group(1) if match else name


def _is_attribute(kind: str, name: str) -> bool:
    return kind in mapping.FREE_TYPES or name in attribute_names(kind)


@lru_cache(maxsize=64)
def attribute_names(kind: str) -> frozenset[str]:
    """The attributes a type has."""
    return frozenset(mapping.TYPES[kind].attributes)


def _invalid(attribute: str, kind: str) -> str:
    return f"'{attribute}' is not a valid attribute name for an object type of '{kind}'."


def has_adapter(attributes: Iterable[str]) -> bool:
    """Whether any of these attribute names is about one network adapter."""
    return any(nics.is_nic_attribute(name) and _base(name) != name for name in attributes)
