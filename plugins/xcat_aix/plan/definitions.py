"""From object definitions to cells: the rules mkdef and chdef share.

Owns: which cells an attribute goes to, values added to and taken from, the scripts every node runs anyway.
Pure: works on a snapshot.  Must not: know a command line.
Facts: specs/object-commands.md, sections 3 and 4; specs/database.md, section 8.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from xcatd import tables
from xcatd.api import Reply, error, warning
from xcatd.objects import mapping
from xcatd.objects.mapping import Entry
from xcatd.objects.reader import ObjectReader, Values
from xcatd.tables import Snapshot

from . import attribute_guards, itemlists
from .changes import Changes, Place
from .memberships import Memberships
from .model import Guard

#: The pseudo node whose scripts run on every node.
DEFAULTS_NODE = "xcatdefaults"

_SCRIPTS = ("postscripts", "postbootscripts")


class Mode(Enum):
    """What a value does to the one that is there."""

    REPLACE = "replace"
    ADD = "add"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Definition:
    """One object as a command gives it: its type and attributes."""

    kind: str
    attributes: Mapping[str, str]


@dataclass(slots=True)
class Outcome:
    """Names of the objects of which something is written, and of those that failed.

    ``is_refused``: an attribute may not be set, which fails the command.
    """

    updated: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    is_refused: bool = False


class DefinitionWriter:
    """Turns definitions into changes; what users must know becomes replies."""

    def __init__(self, snapshot: Snapshot, changes: Changes, replies: list[Reply]) -> None:
        self.snapshot = snapshot
        self.reader = ObjectReader(snapshot)
        self.changes = changes
        self.replies = replies
        self.memberships = Memberships(snapshot, changes)
        self._removed: set[tuple[str, str]] = set()
        self._indexes: dict[tuple[str, str], dict[str, list[Mapping[str, str | None]]]] = {}
        self._group_values: dict[tuple[str, frozenset[str]], Mapping[str, str]] = {}

    def group_sources(
        self, attributes: Mapping[str, str], deciders: frozenset[str]
    ) -> list[Mapping[str, str]]:
        """The values of the groups named in ``groups=`` of the same command."""
        if not deciders or "groups" not in attributes:
            return []
        names = list(dict.fromkeys(itemlists.split(attributes["groups"])))
        unknown = [name for name in names if (name, deciders) not in self._group_values]
        found = self.reader.read("group", unknown, deciders)
        self._group_values |= {(name, deciders): found.get(name, {}) for name in unknown}
        return [self._group_values[name, deciders] for name in names]

    def failures(self, definition: Definition) -> list[str]:
        """What is wrong with a new object's attributes, seen without any stored value."""
        attributes = definition.attributes
        deciders = attribute_guards.attributes_of(definition.kind, attributes)
        if not deciders:
            return []
        sources = [attributes, *self.group_sources(attributes, deciders)]
        return attribute_guards.failures(definition.kind, attributes, sources)

    def remove(self, kind: str, names: Iterable[str]) -> None:
        """Delete the rows of these objects, in every table their type has attributes in."""
        wanted = set(names)
        self._removed |= {(kind, name) for name in wanted}
        for place in stored_places(self.snapshot, kind, wanted):
            self.changes.delete(place)
        if kind == "node":
            for name in wanted:
                self.memberships.forget(name)

    def write(
        self, definitions: Mapping[str, Definition], mode: Mode, *, is_group_command: bool = False
    ) -> Outcome:
        """Write these objects.  ``is_group_command`` decides how a missing item is reported."""
        outcome = Outcome()
        by_kind: dict[str, dict[str, Definition]] = {}
        for name, definition in definitions.items():
            by_kind.setdefault(definition.kind, {})[name] = definition
        for kind, part in by_kind.items():
            if kind in mapping.FREE_TYPES:
                self._write_free(kind, part, mode, outcome)
            else:
                _KindWriter(self, kind, mode, outcome, is_group_command=is_group_command).write(
                    part
                )
        self._drop_default_scripts()
        return outcome

    def stored(self, kind: str, names: Iterable[str], wanted: frozenset[str]) -> dict[str, Values]:
        """The objects as readers see them now; removed ones have no values."""
        if not wanted:
            return {}
        found = self.reader.read(kind, names, wanted)
        for removed_kind, name in self._removed:
            if removed_kind == kind:
                found.pop(name, None)
        return found

    def guard(self, entry: Entry, name: str) -> None:
        """Bind the command to the stored cell it adds to or takes from, unless several rows hold it."""
        rows = self._rows(entry.table, entry.name_column).get(name, ())
        if len(rows) < 2:
            before = rows[0][entry.column] if rows else None
            self.changes.guard(Guard(entry.table, entry.name_column, name, entry.column, before))

    def _rows(self, table: str, column: str) -> Mapping[str, Sequence[Mapping[str, str | None]]]:
        known = self._indexes.get((table, column))
        if known is None:
            known = self._indexes[table, column] = {}
            for row in self.snapshot.rows(table, include_disabled=True):
                known.setdefault(row[column] or "", []).append(row)
        return known

    def _write_free(
        self, kind: str, part: Mapping[str, Definition], mode: Mode, outcome: Outcome
    ) -> None:
        found = self.stored(kind, part, frozenset((kind,)))
        for name, definition in part.items():
            stored = found.get(name, {})
            for attribute, text in definition.attributes.items():
                value = _free_value(mode, stored.get(attribute), text)
                place, column = _free_place(kind, name, attribute)
                if kind == "site" and not value:
                    self.changes.delete(place)
                else:
                    self.changes.set(place, column, value)
            outcome.updated.add(name)

    def _drop_default_scripts(self) -> None:
        """Scripts every node runs are not written for single ones."""
        defaults = self._default_scripts()
        if not defaults:
            return
        for (table, key), values in self.changes.values.items():
            name = key[0][1]
            if table != "postscripts" or name == DEFAULTS_NODE:
                continue
            for column, known in defaults.items():
                text = values.get(column)
                if text is not None:
                    values[column] = self._without_defaults(name, column, text, known)

    def _without_defaults(self, name: str, column: str, text: str, known: Collection[str]) -> str:
        for item in itemlists.split(text):
            if item in known:
                self.replies.append(
                    warning(f"{name}: {column} '{item}' is already included in the 'xcatdefaults'.")
                )
        return itemlists.without(text, known)

    def _default_scripts(self) -> dict[str, list[str]]:
        row = self.snapshot.own("postscripts", DEFAULTS_NODE)
        if row is None or row["disable"] not in {None, "", "0"}:
            return {}
        return {column: itemlists.split(text) for column in _SCRIPTS if (text := row[column])}


class _KindWriter:
    """Writes objects of one type."""

    def __init__(
        self,
        writer: DefinitionWriter,
        kind: str,
        mode: Mode,
        outcome: Outcome,
        *,
        is_group_command: bool,
    ) -> None:
        self._writer = writer
        self._kind = kind
        self._mode = mode
        self._outcome = outcome
        self._is_group_command = is_group_command

    def write(self, part: Mapping[str, Definition]) -> None:
        attributes = frozenset(name for d in part.values() for name in d.attributes)
        wanted = attribute_guards.attributes_of(self._kind, attributes)
        if self._mode is not Mode.REPLACE:
            wanted |= attributes & set(mapping.TYPES[self._kind].attributes)
            if self._kind == "group":
                wanted |= {"grouptype"}
        found = self._writer.stored(self._kind, part, wanted)
        for name, definition in part.items():
            self._write_one(name, definition.attributes, found.get(name, {}))

    def _write_one(self, name: str, attributes: Mapping[str, str], stored: Values) -> None:
        deciders = attribute_guards.attributes_of(self._kind, attributes)
        sources = [attributes, stored, *self._writer.group_sources(attributes, deciders)]
        if deciders and (failures := attribute_guards.failures(self._kind, attributes, sources)):
            self._writer.replies.extend(map(error, failures))
            self._outcome.failed.add(name)
            self._outcome.is_refused = True
            return
        cells = self._cells(name, attributes, stored, sources)
        for entry, text in cells:
            self._set(name, entry, text)
        if cells:
            self._outcome.updated.add(name)

    def _cells(
        self,
        name: str,
        attributes: Mapping[str, str],
        stored: Values,
        sources: attribute_guards.Sources,
    ) -> list[tuple[Entry, str | None]]:
        cells = []
        values: dict[str, tuple[bool, str | None]] = {}
        for entry in attribute_guards.entries_of(self._kind, frozenset(attributes)):
            if not attribute_guards.allows(entry, sources):
                continue
            attribute = entry.attribute
            if attribute not in values:
                values[attribute] = self._value(name, attribute, attributes[attribute], stored)
            is_there, text = values[attribute]
            if is_there:
                cells.append((entry, text))
        return cells

    def _value(
        self, name: str, attribute: str, text: str, stored: Values
    ) -> tuple[bool, str | None]:
        """Whether there is anything to write, and what."""
        if self._mode is Mode.REPLACE:
            return True, text
        before = stored.get(attribute)
        if self._kind == "node" and attribute == "groups":
            before = self._writer.memberships.text(name)
        is_dynamic = self._kind == "group" and stored.get("grouptype") == "dynamic"
        separator = "::" if is_dynamic else ","
        if self._mode is Mode.ADD:
            return True, itemlists.added(before, text, separator)
        if not before:
            self._say(f"No value got for attribute '{attribute}' for the '{name}' definition.")
            return False, None
        missing = itemlists.missing(before, text, separator)
        for item in missing:
            self._say_missing(name, attribute, item, is_dynamic=is_dynamic)
        return not missing, itemlists.removed(before, text, separator)

    def _say_missing(self, name: str, attribute: str, item: str, *, is_dynamic: bool) -> None:
        self._outcome.failed.add(name)
        if self._is_group_command and not is_dynamic:
            self._say(f"{name} is not a member of '{item}'.")
        else:
            self._say(
                f"{item} is not in the attribute of '{attribute}' for the '{name}' definition."
            )

    def _say(self, text: str) -> None:
        self._writer.replies.append(error(text))

    def _set(self, name: str, entry: Entry, text: str | None) -> None:
        writer = self._writer
        if entry.table == "nodelist" and entry.column == "groups":
            writer.memberships.set(name, text)
            return
        writer.changes.set(place_of(entry, name), entry.column, text)
        if self._mode is not Mode.REPLACE and not entry.fixed:
            writer.guard(entry, name)


def place_of(entry: Entry, name: str) -> Place:
    """The rows an attribute of this object is stored in."""
    column = entry.name_column
    if not tables.has_column(entry.table, column):  # a slip in xCAT's own definition of firmware
        column = tables.columns(entry.table)[0]
    return entry.table, ((column, name), *entry.fixed)


def stored_places(snapshot: Snapshot, kind: str, names: Collection[str]) -> Iterator[Place]:
    """Where there are rows of these objects, disabled ones too."""
    if kind == "site":
        yield from (("site", (("key", key),)) for key in snapshot.site)
    for table, key in dict.fromkeys(place_of(entry, "") for entry in mapping.TYPES[kind].entries):
        name_column, fixed = key[0][0], key[1:]
        found = {
            name
            for row in snapshot.rows(table, include_disabled=True)
            if (name := row[name_column]) in names and all(row[c] == text for c, text in fixed)
        }
        for name in sorted(filter(None, found)):
            yield table, ((name_column, name), *fixed)


def _free_value(mode: Mode, before: str | None, text: str) -> str | None:
    """Site and monitoring settings: added without a look at what is there already."""
    match mode:
        case Mode.REPLACE:
            return text
        case Mode.ADD:
            return text if before is None else f"{before},{text}"
        case Mode.REMOVE:
            return itemlists.removed(before, text) if before else None


def _free_place(kind: str, name: str, attribute: str) -> tuple[Place, str]:
    if kind == "site":
        return ("site", (("key", attribute),)), "value"
    if attribute in mapping.TYPES[kind].attributes:
        return (kind, (("name", name),)), attribute
    return ("monsetting", (("name", name), ("key", attribute))), "value"
