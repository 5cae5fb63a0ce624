"""Table definitions as xCAT writes them, for every engine (docs/facts/database.md, Files, columns and transactions).

Builds statements from the schema; executes nothing.  How an engine spells names and types is a value.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import schema
from .schema import Table


@dataclass(frozen=True, slots=True)
class Spelling:
    """One engine's way.

    ``quote`` stands around column names; ``auto`` is the type of an automatically numbered key, and
    ``auto_is_key`` tells that it makes the column the primary key by itself; ``own_text`` is the text type
    of our own tables, whose plans may be long.
    """

    quote: str
    auto: str
    auto_is_key: bool = False
    own_text: str = "TEXT"

    def column(self, name: str) -> str:
        """A column's name; xCAT uses reserved words such as ``groups`` and ``key``."""
        return f"{self.quote}{name}{self.quote}"

    def create(self, table: Table, prefix: str = "") -> str:
        """CREATE TABLE; table names are never quoted.  ``prefix`` stands before the name."""
        lines = [self._definition(table, column) for column in table.columns]
        if table.keys and (table.auto_key is None or not self.auto_is_key):
            lines.append(f"PRIMARY KEY ({','.join(map(self.column, table.keys))})")
        return f"CREATE TABLE {prefix}{table.name} (\n  " + ",\n  ".join(lines) + "\n)"

    def add(self, table: Table, column: str) -> str:
        """ALTER TABLE for a column that a table of an older version does not have.

        Rows that are there have no value in it, so it may be empty even where a new table's must not.
        """
        return f"ALTER TABLE {table.name} ADD {self.column(column)} {self._type(table, column)}"

    def index(self, table: Table, column: str, prefix: str = "") -> str:
        """CREATE INDEX; only our own tables have any."""
        name = f"{prefix}{table.name}_{column}"
        return f"CREATE INDEX {name} ON {table.name} ({self.column(column)})"

    def _definition(self, table: Table, column: str) -> str:
        required = " NOT NULL" if column in table.required else ""
        return f"{self.column(column)} {self._type(table, column)}{required}"

    def _type(self, table: Table, column: str) -> str:
        kind = table.types.get(column)
        if kind == schema.AUTO:
            return self.auto
        if kind is None and column in table.keys:
            return "VARCHAR(128) "
        return kind or (self.own_text if table.own else "TEXT")
