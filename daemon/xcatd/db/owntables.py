"""The administrator's own tables, defined as data: ``schema.d/*.ini`` below ``site.xcatconfdir``.

What xCAT has as Perl modules in ``xCAT_schema``; a section per table, its settings named as there.  Owns
reading and judging them.  Must not: touch a database.  Facts: docs/facts/database.md, Missing tables and columns.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from . import schema
from .schema import AUTO, Table

#: The directory of definitions, below the one of xCAT's settings.
DIRECTORY = "schema.d"

#: Settings of a table; ``types`` and ``required`` name columns, ``table_desc`` is for people.
_SETTINGS = frozenset(("cols", "keys", "required", "types", "nodecol", "table_desc", "prunable"))

#: A type goes into a statement as it is: words, and lengths in parentheses.
_TYPE = re.compile(r"[A-Za-z]+(?: [A-Za-z_]+)*(?:\(\d+(?:, ?\d+)?\))?(?: [A-Za-z_]+)*")
_NUMBERED = "INTEGER AUTO_INCREMENT"

#: What a file's name ends with when it is for one engine only.
_SUFFIXES: Mapping[str, str] = MappingProxyType(
    {"SQLite": "sqlite", "Pg": "pgsql", "mysql": "mysql"}
)


class DefinitionError(ValueError):
    """A file that cannot be used; the message names it and says why."""


class _Parser(configparser.ConfigParser):
    def optionxform(self, optionstr: str) -> str:
        """Keep capitals: a misspelt setting is not to be taken for another."""
        return optionstr


def load(directory: Path, engine: str) -> tuple[list[Table], list[DefinitionError]]:
    """The tables that the files for this engine define, and what is wrong with other files.

    ``engine`` as :attr:`.location.Location.engine`.  A file is used whole or not at all.
    """
    tables: dict[str, Table] = {}
    errors = []
    for path in sorted(directory.glob("*.ini")):
        if not _is_for(path, engine):
            continue
        try:
            found = {table.name: table for table in _read(path)}
            if twice := sorted(found.keys() & tables.keys()):
                raise _wrong(path, f"another file defines table {twice[0]} already")
        except DefinitionError as error:
            errors.append(error)
        else:
            tables |= found
    return list(tables.values()), errors


def _is_for(path: Path, engine: str) -> bool:
    ending = path.stem.rpartition("_")[2] if "_" in path.stem else ""
    return ending == _SUFFIXES.get(engine) or ending not in {*_SUFFIXES.values(), "db2"}


def _wrong(path: Path, why: str) -> DefinitionError:
    return DefinitionError(f"cannot use the table definitions in {path}: {why}")


def _read(path: Path) -> Iterator[Table]:
    parser = _Parser(interpolation=None, default_section="")
    try:
        parser.read_string(path.read_text(encoding="utf-8"), source=str(path))
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        raise _wrong(path, " ".join(str(error).split())) from None
    for name in parser.sections():
        try:
            yield _table(name, parser[name])
        except ValueError as error:
            raise _wrong(path, f"table {name}: {error}") from None


def _table(name: str, settings: Mapping[str, str]) -> Table:
    if unknown := sorted(settings.keys() - _SETTINGS):
        raise ValueError(f"there is no setting {unknown[0]!r}")
    columns = _names(settings.get("cols", ""))
    keys = _names(settings.get("keys", ""))
    types = dict(_types(settings.get("types", "")))
    required = _names(settings.get("required", ""))
    node_column = settings.get("nodecol") or ("node" if "node" in columns else None)
    _check_names(name, columns, keys)
    _check_known(columns, (*keys, *types, *required, *filter(None, [node_column])))
    return Table(
        name=name,
        columns=columns,
        keys=keys,
        node_column=node_column,
        types=MappingProxyType(types),
        required=frozenset(required),
        prunable=_is_yes(settings.get("prunable", "no")),
    )


def _is_yes(text: str) -> bool:
    if text.lower() not in {"yes", "no"}:
        raise ValueError(f"'prunable' is yes or no, not {text!r}")
    return text.lower() == "yes"


def _check_names(name: str, columns: tuple[str, ...], keys: tuple[str, ...]) -> None:
    if name in schema.TABLES or name in schema.OWN_TABLES:
        raise ValueError("this is a table of xCAT")
    if not columns or not keys:
        raise ValueError("both 'cols' and 'keys' are needed")
    for text in (name, *columns):
        if not schema.is_name(text):
            raise ValueError(
                f"{text!r} cannot be a name: letters, digits and underscores are allowed"
            )
    if len(set(columns)) < len(columns):
        raise ValueError("a column is named twice")


def _check_known(columns: tuple[str, ...], named: tuple[str, ...]) -> None:
    for column in named:
        if column not in columns:
            raise ValueError(f"there is no column {column!r} in 'cols'")


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def _types(text: str) -> Iterator[tuple[str, str]]:
    """``column: TYPE``, one per line or separated by semicolons."""
    for item in re.split(r"[;\n]", text):
        column, _, kind = (part.strip() for part in item.partition(":"))
        if not column and not kind:
            continue
        if _TYPE.fullmatch(kind) is None:
            raise ValueError(f"{kind!r} cannot be the type of a column")
        yield column, AUTO if kind.upper() == _NUMBERED else kind
