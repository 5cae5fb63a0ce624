"""From object definitions to cells: the rules mkdef and chdef share.

Owns: which cells an attribute goes to, values added to and taken from, the scripts every node runs anyway.
Pure: works on a snapshot.  Must not: know a command line.
Facts: docs/facts/object-commands.md, mkdef; chdef; docs/facts/database.md, Object definitions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from xcat_aix.plan.writing import Remark, error, warning
from xcatd.changes import Draft, Key, Place
from xcatd.objects import mapping
from xcatd.objects.mapping import Entry
from xcatd.objects.reader import ObjectReader, Values
from xcatd.tablenames import Snapshot

from . import attribute_guards, itemlists, severalrows
from .memberships import Memberships

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
class Tally:
    """Names of the objects of which something is written, and of those that failed.

    ``is_refused``: an attribute may not be set, which fails the command.
    """

    updated: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    is_refused: bool = False


class DefinitionWriter:
    """Turns definitions into changes; what users must know becomes remarks."""

    def __init__(self, snapshot: Snapshot, draft: Draft, remarks: list[Remark]) -> None:
        self.snapshot = snapshot
        self.reader = ObjectReader(snapshot)
        self.draft = draft
        self.remarks = remarks
        self.memberships = Memberships(snapshot, draft)
        self._removed: set[tuple[str, str]] = set()
        self._indexes: dict[tuple[str, str], dict[str, list[Mapping[str, str | None]]]] = {}
        self._group_values: dict[tuple[str, frozenset[str]], Sequence[Mapping[str, str]]] = {}
        self._judges: dict[str, attribute_guards.AttributeJudge] = {}

    def judge(self, kind: str) -> attribute_guards.AttributeJudge:
        """Who says where the attributes of objects of this type may be written."""
        if kind not in self._judges:
            self._judges[kind] = attribute_guards.AttributeJudge(kind)
        return self._judges[kind]

    def group_sources(
        self, attributes: Mapping[str, str], deciders: frozenset[str]
    ) -> Sequence[Mapping[str, str]]:
        """The values of the groups named in ``groups=`` of the same command."""
        if not deciders or "groups" not in attributes:
            return ()
        key = (attributes["groups"], deciders)
        known = self._group_values.get(key)
        if known is None:
            names = dict.fromkeys(itemlists.split(attributes["groups"]))
            found = self.reader.read("group", names, deciders)
            known = self._group_values[key] = [found.get(name, {}) for name in names]
        return known

    def failures(self, definition: Definition) -> Sequence[str]:
        """What is wrong with a new object's attributes, seen without any stored value."""
        judge, names = self.judge(definition.kind), frozenset(definition.attributes)
        groups = self.group_sources(definition.attributes, judge.deciders(names))
        return judge.verdict(names, (definition.attributes, *groups)).failures

    def remove(self, kind: str, names: Iterable[str]) -> None:
        """Delete the rows of these objects, in every table their type has attributes in."""
        wanted = set(names)
        self._removed |= {(kind, name) for name in wanted}
        for place in stored_places(self.snapshot, kind, wanted):
            self.draft.delete(place)
        if kind == "node":
            for name in wanted:
                self.memberships.forget(name)

    def write(
        self, definitions: Mapping[str, Definition], mode: Mode, *, is_group_command: bool = False
    ) -> Tally:
        """Write these objects.  ``is_group_command`` decides how a missing item is reported."""
        outcome = Tally()
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
        for complaint in severalrows.settle(self.snapshot, self.draft):
            self.remarks.append(error(complaint))
            outcome.is_refused = True
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

    def guard(self, place: Place, column: str) -> None:
        """Bind the command to the stored cell it adds to or takes from, unless several rows hold it."""
        table, ((name_column, name), *_) = place
        rows = self._rows(table, name_column).get(name, ())
        if len(rows) < 2:
            before = rows[0][column] if rows else None
            self.draft.guard((table, ((name_column, name),)), column, before)

    def _rows(self, table: str, column: str) -> Mapping[str, Sequence[Mapping[str, str | None]]]:
        known = self._indexes.get((table, column))
        if known is None:
            known = self._indexes[table, column] = {}
            for row in self.snapshot.rows(table, include_disabled=True):
                known.setdefault(row[column] or "", []).append(row)
        return known

    def _write_free(
        self, kind: str, part: Mapping[str, Definition], mode: Mode, outcome: Tally
    ) -> None:
        found = self.stored(kind, part, frozenset((kind,)))
        for name, definition in part.items():
            stored = found.get(name, {})
            for attribute, text in definition.attributes.items():
                value = _free_value(mode, stored.get(attribute), text)
                place, column = _free_place(kind, name, attribute)
                if kind == "site" and not value:
                    self.draft.delete(place)
                else:
                    self.draft.set(place, column, value)
            outcome.updated.add(name)

    def _drop_default_scripts(self) -> None:
        """Scripts every node runs are not written for single ones."""
        defaults = self._default_scripts()
        if not defaults:
            return
        for (table, key), values in self.draft.values.items():
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
                self.remarks.append(
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
        outcome: Tally,
        *,
        is_group_command: bool,
    ) -> None:
        self._writer = writer
        self._kind = kind
        self._mode = mode
        self._outcome = outcome
        self._is_group_command = is_group_command
        self._judge = writer.judge(kind)

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
        names = frozenset(attributes)
        groups = self._writer.group_sources(attributes, self._judge.deciders(names))
        verdict = self._judge.verdict(names, (attributes, stored, *groups))
        if verdict.failures:
            self._writer.remarks.extend(map(error, verdict.failures))
            self._outcome.failed.add(name)
            self._outcome.is_refused = True
            return
        values: Mapping[str, str | None] = attributes
        if self._mode is not Mode.REPLACE:
            values = self._values(name, [(a, attributes[a]) for a in verdict.allowed], stored)
        keys: dict[object, Key] = {}  # rows of one object share their key
        for row in verdict.rows:
            cells = {column: values[a] for a, column in row.cells if a in values}
            if cells:
                shape = (row.name_column, row.fixed)
                key = keys.setdefault(shape, ((row.name_column, name), *row.fixed))
                self._set(name, (row.table, key), cells)
                self._outcome.updated.add(name)

    def _values(
        self, name: str, attributes: Iterable[tuple[str, str]], stored: Values
    ) -> dict[str, str | None]:
        """What the attributes become; those without anything to write are left out."""
        found = {a: self._value(name, a, text, stored) for a, text in attributes}
        return {attribute: text for attribute, (is_there, text) in found.items() if is_there}

    def _value(
        self, name: str, attribute: str, text: str, stored: Values
    ) -> tuple[bool, str | None]:
        """Whether there is anything to write, and what."""
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
        self._writer.remarks.append(error(text))

    def _set(self, name: str, place: Place, cells: dict[str, str | None]) -> None:
        writer = self._writer
        table, key = place
        if table == "nodelist" and "groups" in cells:
            writer.memberships.set(name, cells.pop("groups"))
        if cells:
            writer.draft.set_row(place, cells)
        if self._mode is not Mode.REPLACE and len(key) == 1:
            for column in cells:
                writer.guard(place, column)


def place_of(entry: Entry, name: str) -> Place:
    """The rows an attribute of this object is stored in."""
    return entry.table, ((attribute_guards.name_column(entry), name), *entry.fixed)


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
