"""Effective values of one table's columns for many nodes.

Joins the stored rows (:mod:`.sheet`), the inheritance rules (:mod:`.lookup`) and expression values
(:mod:`.values`).  Nodes with the same groups share what they inherit.
Facts: docs/facts/database.md, Effective values; Values that are expressions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableSequence, Sequence
from typing import NamedTuple, TypeVar

from xcatd.text import perlre

from . import lookup, values
from .errors import BrokenValue
from .schema import Table
from .sheet import Cells, Sheet

Groups = tuple[str, ...]


class Value(NamedTuple):
    """An effective value.

    ``text`` is what readers see; ``groups`` where it came from: empty for the node's own row, else the
    group, or every contributor of a joined value (the node's own name first where its row took part).
    ``raw`` is the stored text before expression values were worked out.
    """

    text: str
    groups: Groups
    raw: str


class _Inherited(NamedTuple):
    """What nodes with the same groups share: finished values, and expressions to work out for each."""

    plain: dict[str, Value]
    texts: dict[str, str]
    expressions: list[tuple[str, lookup.Found]]


#: Last characters of own texts that may be more than they look: expressions and continued ones.
_SPECIAL_ENDS = ("|", "/", lookup.NEXT_RECORD[-1])

_Kept = TypeVar("_Kept")


def _put(row: dict[str, _Kept], column: str, value: _Kept | None) -> None:
    if value is None:
        row.pop(column, None)  # an own text that says "none" hides an inherited one
    else:
        row[column] = value


def _text_of(value: Value | None) -> str | None:
    return None if value is None else value.text


#: Rows that groups may multiply those of all nodes to.
MOST_MADE = 1_000_000


class Reader:
    """Reads chosen columns of one sheet for any number of nodes.

    ``groups`` has the nodes' groups in order; it is empty for a table that never inherits.
    Raises LookupError for columns the sheet does not have.  A value that takes too long to work out goes to ``broken``
    and counts as none; without that place for it, reading it raises BrokenValue.
    """

    def __init__(
        self,
        sheet: Sheet,
        table: Table,
        columns: Iterable[str],
        groups: Mapping[str, Groups],
        rules: lookup.Rules,
        *,
        broken: MutableSequence[str] | None = None,
    ) -> None:
        self._table = table.name
        self._broken = broken
        self._made = 0
        self._columns = tuple(columns)
        missing = [column for column in self._columns if column not in sheet.index]
        if missing:
            raise LookupError(f"no column {missing[0]!r} in this table")
        self._places = [(column, sheet.index[column]) for column in self._columns]
        self._rows = sheet.live_by(table.node_column or "", table.keys)
        self._groups = groups
        self._rules = rules
        self._inherited: dict[Groups, _Inherited | None] = {}

    def first(self, node: str) -> dict[str, Value]:
        """The columns that have a value; the first row's where there are several."""
        single = self._single(node)
        return next(iter(self._several(node)), {}) if single is None else single

    def texts(self, node: str) -> dict[str, str]:
        """The texts of :meth:`first`."""
        inherited = self._shared(node)
        own = self._rows.get(node, ())
        if inherited is None or len(own) > 1:
            return {column: value.text for column, value in self.first(node).items()}
        row = inherited.texts.copy()
        for column, shared in inherited.expressions:
            _put(row, column, _text_of(self._evaluated(node, column, shared)))
        if own:
            joined = self._rules.joined
            for column, place in self._places:
                text = own[0][place]
                if text and (text[-1] in _SPECIAL_ENDS or column in joined):
                    _put(row, column, _text_of(self._special(node, column, text, place)))
                elif text:
                    row[column] = text
        return row

    def every(self, node: str) -> list[dict[str, Value]]:
        """As :meth:`first`, for every row of the node and of its groups; rows without values left out."""
        single = self._single(node)
        if single is None:
            return self._several(node)
        return [single] if single else []

    def _single(self, node: str) -> dict[str, Value] | None:
        """The only row; None when the node or a group of it has several."""
        inherited = self._shared(node)
        own = self._rows.get(node, ())
        if inherited is None or len(own) > 1:
            return None
        row = inherited.plain.copy()
        for column, shared in inherited.expressions:
            _put(row, column, self._evaluated(node, column, shared))
        if own:
            self._put_own(row, node, own[0])
        return row

    def _shared(self, node: str) -> _Inherited | None:
        """What the node's groups give it; None: one has several rows."""
        groups = self._groups.get(node, ())
        if groups not in self._inherited:
            self._inherited[groups] = self._inherit(groups)
        return self._inherited[groups]

    def _inherit(self, groups: Groups) -> _Inherited | None:
        """What a node without an own row gets from these groups; None: a group has several rows."""
        if any(len(self._rows.get(group, ())) > 1 for group in groups):
            return None
        inherited = _Inherited({}, {}, [])
        for column, place in self._places:
            found = lookup.column_value("", column, None, self._chain(groups, place), self._rules)
            if found is not None and values.is_expression(found.text):
                inherited.expressions.append((column, found))
            elif found is not None:
                inherited.plain[column] = Value(found.text, found.groups, found.text)
                inherited.texts[column] = found.text
        return inherited

    def _put_own(self, row: dict[str, Value], node: str, cells: Cells) -> None:
        joined = self._rules.joined
        for column, place in self._places:
            own = cells[place]
            if not own:
                continue
            if own[-1] in _SPECIAL_ENDS or column in joined:
                _put(row, column, self._special(node, column, own, place))
            else:
                row[column] = Value(own, (), own)

    def _special(self, node: str, column: str, own: str, place: int) -> Value | None:
        """The value of an own text that may be an expression, or continued by groups."""
        chain = self._chain(self._groups.get(node, ()), place)
        found = lookup.column_value(node, column, own, chain, self._rules)
        return self._evaluated(node, column, found)

    def _evaluated(self, node: str, column: str, found: lookup.Found | None) -> Value | None:
        if found is None:
            return None
        text: str | None = found.text
        if values.is_expression(found.text):
            try:
                text = values.expand(found.text, node)
            except perlre.TooCostly as costly:
                text = None
                self._give_up(",".join(found.groups) or node, column, costly)
        return Value(text, found.groups, found.text) if text else None

    def _give_up(self, row: str, column: str, why: object) -> None:
        error = BrokenValue(self._table, row, column, why)
        if self._broken is None:
            raise error from None
        if str(error) not in self._broken:
            self._broken.append(str(error))

    def _chain(self, groups: Groups, place: int) -> Iterator[tuple[str, str]]:
        for group in groups:
            for cells in self._rows.get(group, ()):
                text = cells[place]
                if text:
                    yield group, text

    def _several(self, node: str) -> list[dict[str, Value]]:
        groups = ((group, self._fields(group)) for group in self._groups.get(node, ()))
        try:
            found = lookup.all_rows(node, self._columns, self._fields(node), groups, self._rules)
        except lookup.TooManyRows as many:
            return self._too_many(str(many))
        self._made += len(found)
        if self._made > MOST_MADE:
            return self._too_many(node)
        rows = []
        for result in found:
            evaluated = {
                column: self._evaluated(node, column, item) for column, item in result.items()
            }
            rows.append({column: value for column, value in evaluated.items() if value})
        return rows

    def _too_many(self, row: str) -> list[dict[str, Value]]:
        self._give_up(row, ",".join(self._columns), "groups multiply its rows too often")
        return []

    def _fields(self, key: str) -> Sequence[lookup.Fields]:
        return [
            {column: text for column, place in self._places if (text := cells[place])}
            for cells in self._rows.get(key, ())
        ]
