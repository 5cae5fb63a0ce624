"""What a command writes: rows by their keys, what they held before, and what was only read.

The one value that planners make, journals keep, people are shown, transactions carry out and undo turns round.
Pure.  Must not: know a table, read or write.  Facts: docs/facts/database.md, Writing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, TypeAlias

#: Columns and texts that find rows, e.g. ``(("node", "n1"),)``.
Key: TypeAlias = tuple[tuple[str, str], ...]

#: A table and a key in it.
Place: TypeAlias = tuple[str, Key]

#: Columns and their texts, None for NULL.
Values: TypeAlias = tuple[tuple[str, str | None], ...]

#: What a user types to have a stored text replaced by SQL's NULL.
NULL_WORD = "NULL"

#: The column of a key whose row is a node's, or a group's.
_NODE = "node"


class Way(StrEnum):
    """What happens to the rows with a key.

    ``set``: all of them, disabled ones too, get the values; where there is none, one is made, unless it would hold
    nothing beside its key.  ``typed``: the same with texts as users type them: in rows that are there
    :data:`NULL_WORD` stores NULL.  ``insert``: one more row.  ``delete``: all of them go.
    """

    SET = "set"
    TYPED = "typed"
    INSERT = "insert"
    DELETE = "delete"


class Change(NamedTuple):
    """What happens to a row; most commands do the same to many, which then share one such value.

    ``key`` are the columns that find the row.  ``before`` are its own stored values (None: NULL, or there is no such
    row) as they were read: of columns that are written and of others; when one of them is another now, nothing is
    written.  Of deleted rows they are all columns beside the key, or none.  ``effective`` is what readers saw before, with
    what is inherited: for people.
    """

    way: Way
    table: str
    key: tuple[str, ...]
    after: Values = ()
    before: Values = ()
    effective: Values = ()

    @property
    def writes(self) -> bool:
        """Whether anything is written; otherwise the row was only read."""
        return bool(self.after) or self.way in {Way.INSERT, Way.DELETE}

    @property
    def stored(self) -> Values:
        """What rows that are there get."""
        if self.way is not Way.TYPED:
            return self.after
        return tuple([(name, None if text == NULL_WORD else text) for name, text in self.after])


class ChangedRow(NamedTuple):
    """A change, and the texts of its key's columns in one row."""

    change: Change
    key: tuple[str, ...]

    @property
    def place(self) -> Key:
        """The key: columns with texts."""
        return tuple(zip(self.change.key, self.key, strict=True))

    @property
    def node(self) -> str | None:
        """The node, or group, whose row it is; None for rows of anything else."""
        return dict(self.place).get(_NODE)


class Cell(NamedTuple):
    """One cell that is written, for people and programs; the fields of :class:`Change`, for one column."""

    table: str
    key: Key
    column: str
    before: str | None
    after: str | None
    effective: str | None

    @property
    def name(self) -> str:
        """What the row is about: the first text of its key."""
        return self.key[0][1] if self.key else ""


class Guard(NamedTuple):
    """One cell that was only read."""

    table: str
    key: Key
    column: str
    value: str | None


@dataclass(frozen=True, slots=True)
class Changes:
    """Everything one transaction writes, if all it was made from is still as it was read.

    In each table rows are deleted before others are written, whatever their order here.
    """

    rows: tuple[ChangedRow, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.rows)

    def __add__(self, other: Changes) -> Changes:
        return Changes(self.rows + other.rows)

    @property
    def tables(self) -> tuple[str, ...]:
        """Every table that is written or compared, in order."""
        return tuple(dict.fromkeys(change.table for change in self._distinct()))

    def by_table(self) -> Mapping[str, Sequence[ChangedRow]]:
        """The rows of each table, tables in order."""
        found: dict[str, list[ChangedRow]] = {}
        last, rows = None, []
        for row in self.rows:
            if row.change is not last:
                last, rows = row.change, found.setdefault(row.change.table, [])
            rows.append(row)
        return found

    def _distinct(self) -> Iterator[Change]:
        """The changes, those of neighbours that share one only once."""
        last = None
        for change, _ in self.rows:
            if change is not last:
                yield change
            last = change

    def of_tables(self, tables: Iterable[str]) -> Changes:
        """What concerns these tables, in their order."""
        rows = self.by_table()
        return Changes(tuple([row for table in tables for row in rows.get(table, ())]))

    def of_nodes(self, nodes: Collection[str], *, with_shared: bool = True) -> Changes:
        """What is left when of all the nodes that are written only these are.

        Rows without the key column ``node`` that are written stay if they are wanted ``with_shared``; those that were
        only read stay, and so do those of groups.
        """
        wanted = frozenset(nodes)
        written = {row.node for row in self.rows if row.change.writes}
        others = written - wanted - {None}
        if not with_shared:
            others.add(None)
        return Changes(
            tuple(
                row
                for row in self.rows
                if row.node not in others or (row.node is None and not row.change.writes)
            )
        )

    def cells(self) -> Iterator[Cell]:
        """Every cell that is written; those of deleted rows as far as they were read."""
        for row in self.rows:
            change, place = row.change, row.place
            before, effective = dict(change.before), dict(change.effective)
            after = dict.fromkeys(before) if change.way is Way.DELETE else dict(change.after)
            for column, text in after.items():
                seen = effective.get(column)
                yield Cell(change.table, place, column, before.get(column), text, seen)

    def guards(self) -> Iterator[Guard]:
        """Every cell that was only read."""
        for row in self.rows:
            change = row.change
            if change.way is not Way.DELETE:
                written = dict(change.after)
                for column, text in change.before:
                    if column not in written:
                        yield Guard(change.table, row.place, column, text)

    def reversed(self) -> Changes:
        """What takes all of this back, if every cell still holds what was written.

        Raises ValueError for a row whose values before are not known.
        """
        deleted = {
            (row.change.table, row.place) for row in self.rows if row.change.way is Way.DELETE
        }
        turned: dict[tuple[Change, bool], Change] = {}
        back = []
        for row in self.rows:
            if row.change.writes:
                was_new = row.change.way is not Way.DELETE and (
                    (row.change.table, row.place) in deleted
                )
                shape = (row.change, was_new)
                if shape not in turned:
                    turned[shape] = _turned(row, was_new=was_new)
                back.append(ChangedRow(turned[shape], row.key))
        return Changes(tuple(back))

    def to_json(self) -> dict[str, Any]:
        """Plain data, each change once, and the keys of neighbours together; :meth:`from_json` is its inverse."""
        numbers: dict[Change, int] = {}
        runs: list[list[Any]] = []
        last: Change | None = None
        run: list[Any] = [None]
        for change, key in self.rows:
            if change is not last:
                last, number = change, numbers.setdefault(change, len(numbers))
                if number != run[0]:
                    run = [number]
                    runs.append(run)
            run += key if change.key else [None]
        return {"changes": [_plain(change) for change in numbers], "rows": runs}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Changes:
        """Read stored changes."""
        changes = [_change(*fields) for fields in data["changes"]]
        rows: list[ChangedRow] = []
        for number, *texts in data["rows"]:
            change = changes[number]
            width = len(change.key)
            if width == 0:
                rows += [ChangedRow(change, ())] * len(texts)
            else:
                rows += [
                    ChangedRow(change, key) for key in zip(*[iter(texts)] * width, strict=True)
                ]
        return cls(tuple(rows))


def _plain(change: Change) -> list[Any]:
    """The fields of a change, without empty values at its end."""
    pairs = ([list(pair) for pair in values] for values in change[3:])
    fields: list[Any] = [change.way.value, change.table, list(change.key), *pairs]
    while len(fields) > 3 and not fields[-1]:
        fields.pop()
    return fields


def _change(way: str, table: str, key: Sequence[str], *values: Iterable[Any]) -> Change:
    return Change(Way(way), table, tuple(key), *(tuple(map(tuple, pairs)) for pairs in values))


def _turned(row: ChangedRow, *, was_new: bool) -> Change:
    """The reverse of one row's change; ``was_new``: it was made in the place of one that was deleted."""
    change = row.change
    before = dict(change.before)
    if change.way is Way.DELETE:
        if not before:
            raise ValueError(f"cannot take back {_named(row)}: what it held is not known")
        return Change(Way.INSERT, change.table, change.key, change.before)
    written = tuple(
        pair for pair in change.after if change.way is not Way.TYPED or pair[1] != NULL_WORD
    )
    if change.way is Way.INSERT or was_new:
        if not change.key:
            raise ValueError(f"cannot take back {_named(row)}: it has no key")
        return Change(Way.DELETE, change.table, change.key, before=written)
    if missing := [column for column, _ in change.after if column not in before]:
        raise ValueError(f"cannot take back {_named(row)}: {missing[0]} was not read before")
    after = tuple((column, before[column]) for column, _ in change.after)
    return Change(Way.SET, change.table, change.key, after, written, change.after)


def _named(row: ChangedRow) -> str:
    return f"the row {named(row.place)} of table {row.change.table}"


def named(key: Key) -> str:
    """A key in words: ``node=n1``, ``hcp=f1,username=HMC``."""
    return ",".join(f"{column}={text}" for column, text in key)


@dataclass(slots=True)
class Draft:
    """Collects :class:`Changes` while a plan is made; a later value for a cell replaces an earlier one.

    ``way`` says how the values are meant: as they are, or as users type them.
    """

    way: Way = Way.SET
    values: dict[Place, dict[str, str | None]] = field(default_factory=dict)
    deleted: dict[Place, Values] = field(default_factory=dict)
    inserted: list[tuple[Place, Values]] = field(default_factory=list)
    read: dict[Place, dict[str, str | None]] = field(default_factory=dict)
    effective: dict[Place, dict[str, str | None]] = field(default_factory=dict)

    def set(self, place: Place, column: str, text: str | None) -> None:
        """Write one cell."""
        self.values.setdefault(place, {})[column] = text

    def set_row(self, place: Place, cells: Mapping[str, str | None]) -> None:
        """Write several cells of a row."""
        self.values.setdefault(place, {}).update(cells)

    def insert(self, place: Place, cells: Mapping[str, str | None]) -> None:
        """Add a row with this key."""
        self.inserted.append((place, tuple(cells.items())))

    def delete(self, place: Place, row: Mapping[str, str | None] | None = None) -> None:
        """Delete the rows with this key; ``row`` is the whole of it, where it was read for undoing."""
        columns = {column for column, _ in place[1]} if row else ()
        self.deleted[place] = tuple([c for c in row.items() if c[0] not in columns]) if row else ()

    def guard(self, place: Place, column: str, text: str | None) -> None:
        """Refuse to write unless this cell is still as it was read; what it was the first time counts."""
        self.read.setdefault(place, {}).setdefault(column, text)

    def see(self, place: Place, column: str, text: str | None) -> None:
        """Note what readers saw in this cell."""
        self.effective.setdefault(place, {})[column] = text

    def done(self) -> Changes:
        """The changes, those of one table together."""
        known: dict[object, Change] = {}  # a plain tuple of the same fields finds a change, too
        parts: dict[str, list[ChangedRow]] = {}
        for way, (table, key), after, before, effective in self._all():
            columns, texts = zip(*key, strict=True) if key else ((), ())
            change = known.get((way, table, columns, after, before, effective))
            if change is None:
                change = Change(way, table, columns, after, before, effective)
                known[change] = change
            parts.setdefault(table, []).append(ChangedRow(change, texts))
        return Changes(tuple([row for rows in parts.values() for row in rows]))

    def _all(self) -> Iterator[tuple[Way, Place, Values, Values, Values]]:
        way, read, effective = self.way, self.read, self.effective
        for place, row in self.deleted.items():
            yield Way.DELETE, place, (), row, ()
        for place, values in self.values.items():
            before = tuple(read[place].items()) if place in read else ()
            seen = tuple(effective[place].items()) if place in effective else ()
            yield way, place, tuple(values.items()), before, seen
        for place, cells in self.inserted:
            yield Way.INSERT, place, cells, (), ()
        for place, texts in read.items():
            if place not in self.values:
                yield way, place, (), tuple(texts.items()), ()
